"""Cohere: embeddings and chat by its own asynchronous client.

The assembly builds one of each, each over an HTTP client of its own. No exception of Cohere's, of
httpx's or of aiohttp's leaves this file, nor a word of what they say: it may quote the prompt. The
client's retries are off, since attempts are counted and spaced by our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final

import cohere
import httpx
from cohere.core.request_options import RequestOptions
from cohere.v2.client import OMIT
from pydantic import SecretStr

from runtime.clock import SystemClock
from runtime.errors import (
    BadProviderResponse,
    ContentRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from runtime.messages import (
    ChatEvent,
    ChatReply,
    ChatRequest,
    Embedded,
    EmbeddingModel,
    InputType,
    Priority,
    TextDelta,
)
from runtime.ports import Clock
from runtime.providers.cohere_citations import CitedSpan, MarkerWeaver, with_markers
from runtime.providers.cohere_errors import MalformedEventError, translated
from runtime.providers.embedding_calls import embed_in_calls, unit_rows
from runtime.providers.options import ProviderOptions
from runtime.providers.prompt import messages_beside_records

PROVIDER: Final = "cohere"
TEXTS_PER_CALL: Final = 96
"""Source: docs.cohere.com/reference/embed (v2): at most 96 texts a call."""
OWN_DIMENSIONS: Final = {
    "embed-english-v3.0": 1024,
    "embed-multilingual-v3.0": 1024,
    "embed-english-light-v3.0": 384,
    "embed-multilingual-light-v3.0": 384,
}
"""Models that offer no choice. Source: docs.cohere.com/docs/cohere-embed."""

_INPUT_TYPES: Final[dict[InputType, str]] = {"query": "search_query", "document": "search_document"}
_REFUSED: Final = "ERROR_TOXIC"
"""Of Cohere's older models. Source: docs.cohere.com/v1/reference/chat, `finish_reason`."""
_WHOLE: Final = ("COMPLETE", "MAX_TOKENS", "STOP_SEQUENCE")
ONE_ATTEMPT: Final[RequestOptions] = {"max_retries": 0, "stream_reconnection_enabled": False}


def make_embedder(options: ProviderOptions, http: httpx.AsyncClient) -> CohereEmbedder:
    """Return the Embedder for the catalogue."""
    assert options.api_key is not None
    assert options.base_url is not None
    return CohereEmbedder(
        http,
        api_key=options.api_key,
        model=options.model,
        dimensions=options.dimensions,
        base_url=options.base_url,
        clock=options.clock,
    )


def make_chat(options: ProviderOptions, http: httpx.AsyncClient) -> CohereChat:
    """Return the ChatModel for the catalogue."""
    assert options.api_key is not None
    assert options.base_url is not None
    return CohereChat(
        http,
        api_key=options.api_key,
        model=options.model,
        base_url=options.base_url,
        clock=options.clock,
    )


class CohereEmbedder:
    """An `Embedder` on `v2/embed`. `dimensions` is asked of models that offer a choice."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        api_key: SecretStr,
        model: str,
        dimensions: int,
        base_url: str,
        clock: Clock | None = None,
    ) -> None:
        self.model = EmbeddingModel(PROVIDER, model, OWN_DIMENSIONS.get(model, dimensions))
        self._client = open_client(http, api_key, base_url)
        self._clock = clock or SystemClock()

    async def embed_text(self, text: str, *, input_type: InputType, timeout_s: float) -> Embedded:
        """Return one row.

        Raises: ProviderError.
        """
        return await self.embed_texts([text], input_type=input_type, timeout_s=timeout_s)

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        """Return a row for each text; the vendor knows no priority.

        Raises: ProviderError.
        """
        del priority
        with translated(self.model.name, "embed", self._clock):
            async with asyncio.timeout(timeout_s):
                return await embed_in_calls(
                    texts,
                    partial(self._call, input_type),
                    dimensions=self.model.dimensions,
                    texts_per_call=TEXTS_PER_CALL,
                )

    async def _call(self, input_type: InputType, texts: list[str]) -> Embedded:
        response = await self._client.embed(
            texts=texts,
            model=self.model.name,
            input_type=_INPUT_TYPES[input_type],
            embedding_types=["base64"],
            # A passage cut short without a word would be found for what it does not say.
            truncate="NONE",
            output_dimension=OMIT if self.model.name in OWN_DIMENSIONS else self.model.dimensions,
            request_options=ONE_ATTEMPT,
        )
        encoded = response.embeddings.base64 or []
        vectors = unit_rows(encoded, count=len(texts), model=self.model)
        billed = response.meta.billed_units if response.meta else None
        return Embedded(vectors, int((billed and billed.input_tokens) or 0))


class CohereChat:
    """A `ChatModel` on `v2/chat`. What the vendor cites beside its text becomes markers in it."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        api_key: SecretStr,
        model: str,
        base_url: str,
        clock: Clock | None = None,
    ) -> None:
        self.provider = PROVIDER
        self.name = model
        self._client = open_client(http, api_key, base_url)
        self._clock = clock or SystemClock()

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """Return the whole answer.

        Raises: ProviderError.
        """
        with translated(self.name, "chat", self._clock):
            async with asyncio.timeout(timeout_s):
                response = await self._client.chat(
                    model=self.name,
                    messages=_messages(request),
                    documents=_documents(request) or OMIT,
                    temperature=request.temperature,
                    max_tokens=request.max_tokens,
                    request_options=ONE_ATTEMPT,
                )
            content = response.message.content or []
            text = "".join(item.text for item in content if item.type == "text")
            cited = (_span(citation) for citation in response.message.citations or [])
            text = with_markers(text, [span for span in cited if span])
            return self._reply(text, response.finish_reason, response.usage)

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        """Yield pieces as they come, then the whole; closing it early closes the connection.

        Raises: ProviderError.
        """
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        events = self._client.chat_stream(
            model=self.name,
            messages=_messages(request),
            documents=_documents(request) or OMIT,
            temperature=request.temperature,
            max_tokens=request.max_tokens,
            request_options=ONE_ATTEMPT,
        )
        assert isinstance(events, AsyncGenerator)
        pieces: list[str] = []
        weaver = MarkerWeaver()
        async with aclosing(events):
            while True:
                # The limit is around each wait: around the loop it would interrupt the reader.
                with translated(self.name, "chat", self._clock):
                    async with asyncio.timeout_at(deadline_s):
                        event = await anext(events, None)
                    if event is None:
                        raise self._bad("the stream ended without its end event")
                    piece = _news(event, weaver)
                    pieces.append(piece)
                    if event.type == "message-end":
                        reply = self._reply(
                            "".join(pieces), event.delta.finish_reason, event.delta.usage
                        )
                        break
                if piece:
                    yield TextDelta(piece)
        if piece:
            yield TextDelta(piece)
        yield reply

    def _reply(self, text: str, finish_reason: str | None, usage: cohere.Usage | None) -> ChatReply:
        if finish_reason == "TIMEOUT":
            raise ProviderTimeout(PROVIDER, self.name, "chat", "finish reason TIMEOUT", None)
        if finish_reason == "ERROR":
            raise ProviderUnavailable(PROVIDER, self.name, "chat", "finish reason ERROR", None)
        if finish_reason == _REFUSED:
            raise ContentRefused(PROVIDER, self.name, "chat", "finish reason ERROR_TOXIC", None)
        if finish_reason not in _WHOLE:
            raise self._bad("a finish reason that is not an answer's")
        if not text.strip():
            raise self._bad("an empty answer")
        tokens = usage.tokens if usage else None
        return ChatReply(
            text,
            PROVIDER,
            self.name,
            int((tokens and tokens.input_tokens) or 0),
            int((tokens and tokens.output_tokens) or 0),
        )

    def _bad(self, reason: str) -> BadProviderResponse:
        return BadProviderResponse(PROVIDER, self.name, "chat", reason, None)


def open_client(http: httpx.AsyncClient, api_key: SecretStr, base_url: str) -> cohere.AsyncClientV2:
    """Return the vendor's client on ours; of its own it neither retries nor ends a call."""
    # Without a `timeout` of its own it leaves time-outs to the HTTP client; its default is 300 s.
    return cohere.AsyncClientV2(
        api_key.get_secret_value(),
        base_url=base_url,
        httpx_client=http,
        max_retries=0,
        log_warning_experimental_features=False,
    )


def _messages(request: ChatRequest) -> list[cohere.ChatMessageV2]:
    messages: list[cohere.ChatMessageV2] = [cohere.SystemChatMessageV2(content=request.system)]
    for message in messages_beside_records(request):
        kind = cohere.UserChatMessageV2 if message.role == "user" else cohere.AssistantChatMessageV2
        messages.append(kind(content=message.content))
    return messages


def _documents(request: ChatRequest) -> list[cohere.Document]:
    """Return the records for the place that the vendor has for them, which it can cite."""
    return [
        cohere.Document(
            id=str(document.marker), data={"title": document.heading, "snippet": document.text}
        )
        for document in request.documents
    ]


def _news(event: cohere.V2ChatStreamResponse, weaver: MarkerWeaver) -> str:
    """Return what this event makes final of the answer's text.

    Raises: MalformedEventError.
    """
    if event.type == "content-delta":
        message = event.delta.message if event.delta else None
        content = message.content if message else None
        if content is None:
            raise MalformedEventError
        return weaver.add(content.text or "")
    if event.type == "citation-start":
        told = event.delta.message if event.delta else None
        citation = told.citations if told else None
        span = _span(citation) if citation else None
        return weaver.cite(span) if span else ""
    return weaver.finish() if event.type == "message-end" else ""


def _span(citation: cohere.Citation) -> CitedSpan | None:
    """Return where the text rests on which documents; None of a citation that names none of ours.

    One of thinking or of a plan is about no part of the text.
    """
    if citation.start is None or citation.end is None or not citation.sources:
        return None
    if citation.type not in {None, "TEXT_CONTENT"}:
        return None
    ids = [source.id or "" for source in citation.sources if source.type == "document"]
    markers = tuple(int(each) for each in ids if each.isascii() and each.isdigit())
    return CitedSpan(citation.start, citation.end, markers)

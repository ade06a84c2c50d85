"""OpenAI's format by its own asynchronous client: embeddings and chat completions.

`azure.py` and `openai_compatible.py` speak it too, each with a client and a dialect of its own. No
exception of the client's, of httpx's or of aiohttp's leaves this file, nor a word of what they say:
it may quote the prompt. The client's retries are off, since attempts are counted by our own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import httpx
from openai import AsyncOpenAI, Omit, omit
from openai.types.chat import ChatCompletionMessageParam
from openai.types.chat.chat_completion_chunk import ChoiceDelta
from openai.types.completion_usage import CompletionUsage
from pydantic import SecretStr

from runtime.errors import BadProviderResponse, ContentRefused
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
from runtime.providers.embedding_calls import embed_in_calls, unit_rows
from runtime.providers.openai_errors import translated
from runtime.providers.options import ProviderOptions
from runtime.providers.prompt import messages_with_records
from runtime.providers.transport import over_httpx

TEXTS_PER_CALL: Final = 2048
TOKENS_PER_CALL: Final = 250_000
"""The vendor takes 300,000 tokens a call; ours are an estimate, so some are kept back.

Source: of both, developers.openai.com/api/reference, embeddings create, `input`.
"""
WITHOUT_CHOICE: Final = ("text-embedding-ada-002",)
"""Models that refuse to be asked for a length of vectors. Source: as above, `dimensions`."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Who is spoken to, and what it takes of the format.

    `has_choices`: a length of vectors may be asked for. `is_old`: `max_tokens` is known and its
    successor may not be, and any model takes a temperature.
    """

    provider: str
    texts_per_call: int = TEXTS_PER_CALL
    tokens_per_call: int | None = TOKENS_PER_CALL
    has_choices: bool = True
    is_old: bool = False


OPENAI: Final = Dialect("openai")

_WHOLE: Final = ("stop", "length")
_SAMPLED: Final = re.compile(r"(ft:)?(gpt-3\.5|gpt-4|chatgpt)")
_REASONS_ON_DEMAND: Final = re.compile(
    r"gpt-(5\.[124]|5\.4-mini|5\.6-luna|6-luna)(-\d{4}-\d\d-\d\d)?"
)
"""Models that need not reason, and take a temperature only while they do not.

Others reason always, and refuse a temperature. Source:
developers.openai.com/api/docs/guides/latest-model (parameter compatibility), …/docs/models.
"""


def make_embedder(options: ProviderOptions, http: httpx.AsyncClient) -> OpenAIEmbedder:
    """Return the Embedder for the catalogue."""
    model = EmbeddingModel(OPENAI.provider, options.model, options.dimensions)
    return OpenAIEmbedder(_client(options, http), dialect=OPENAI, model=model, clock=options.clock)


def make_chat(options: ProviderOptions, http: httpx.AsyncClient) -> OpenAIChat:
    """Return the ChatModel for the catalogue."""
    client = _client(options, http)
    return OpenAIChat(client, dialect=OPENAI, model=options.model, clock=options.clock)


def _client(options: ProviderOptions, http: httpx.AsyncClient) -> AsyncOpenAI:
    assert options.api_key is not None
    assert options.base_url is not None
    return open_client(http, api_key=options.api_key, base_url=options.base_url)


def open_client(http: httpx.AsyncClient, *, api_key: SecretStr, base_url: str) -> AsyncOpenAI:
    """Return a client that sends each request once, and knows only what is given here."""
    client = AsyncOpenAI(
        api_key=api_key.get_secret_value(),
        base_url=base_url,
        http_client=over_httpx(http),
        max_retries=0,
        timeout=None,  # of the HTTP client; its own default is 600 s
    )
    forget_environment(client)
    return client


def forget_environment(client: AsyncOpenAI) -> None:
    """Drop what the client took from OPENAI_ORG_ID, OPENAI_CUSTOM_HEADERS and the like."""
    client.admin_api_key = client.organization = client.project = client.webhook_secret = None
    client._custom_headers = {}  # noqa: SLF001 - there is no other way


class OpenAIEmbedder:
    """An `Embedder` on `/embeddings`."""

    def __init__(
        self, client: AsyncOpenAI, *, dialect: Dialect, model: EmbeddingModel, clock: Clock
    ) -> None:
        self.model = model
        self._client = client
        self._dialect = dialect
        self._clock = clock

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
        """Return a row for each text; the format knows neither input types nor priorities.

        Raises: ProviderError.
        """
        del input_type, priority
        with translated(self.model.provider, self.model.name, "embed", self._clock):
            async with asyncio.timeout(timeout_s):
                return await embed_in_calls(
                    texts,
                    self._call,
                    dimensions=self.model.dimensions,
                    texts_per_call=self._dialect.texts_per_call,
                    tokens_per_call=self._dialect.tokens_per_call,
                )

    async def _call(self, texts: list[str]) -> Embedded:
        may_choose = self._dialect.has_choices and self.model.name not in WITHOUT_CHOICE
        response = await self._client.embeddings.create(
            input=texts,
            model=self.model.name,
            dimensions=self.model.dimensions if may_choose else omit,
            # Named, since the client would otherwise unpack the answer into lists.
            encoding_format="base64",
        )
        rows = sorted(response.data, key=lambda row: row.index)
        if [row.index for row in rows] != list(range(len(texts))):
            reason = f"{len(rows)} rows, not numbered as the {len(texts)} texts"
            raise BadProviderResponse(self.model.provider, self.model.name, "embed", reason, None)
        vectors = unit_rows([row.embedding for row in rows], count=len(texts), model=self.model)
        # Some servers count nothing.
        usage = getattr(response, "usage", None)
        return Embedded(vectors, int((usage and usage.prompt_tokens) or 0))


class OpenAIChat:
    """A `ChatModel` on `/chat/completions`, which every server of the format has."""

    def __init__(self, client: AsyncOpenAI, *, dialect: Dialect, model: str, clock: Clock) -> None:
        self.provider = dialect.provider
        self.name = model
        self._client = client
        self._dialect = dialect
        self._clock = clock

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """Return the whole answer.

        Raises: ProviderError.
        """
        with translated(self.provider, self.name, "chat", self._clock):
            async with asyncio.timeout(timeout_s):
                response = await self._client.chat.completions.create(
                    model=self.name,
                    messages=_messages(request),
                    temperature=self._temperature(request),
                    reasoning_effort=self._effort(),
                    max_tokens=request.max_tokens if self._dialect.is_old else omit,
                    max_completion_tokens=omit if self._dialect.is_old else request.max_tokens,
                )
            choice = response.choices[0]
            if choice.message.refusal:
                raise self._refused("a refusal")
            return self._reply(choice.message.content or "", choice.finish_reason, response.usage)

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        """Yield pieces as they come, then the whole; closing it early closes the connection.

        Raises: ProviderError.
        """
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        with translated(self.provider, self.name, "chat", self._clock):
            async with asyncio.timeout_at(deadline_s):
                chunks = await self._client.chat.completions.create(
                    model=self.name,
                    messages=_messages(request),
                    temperature=self._temperature(request),
                    reasoning_effort=self._effort(),
                    max_tokens=request.max_tokens if self._dialect.is_old else omit,
                    max_completion_tokens=omit if self._dialect.is_old else request.max_tokens,
                    stream=True,
                    stream_options={"include_usage": True},
                )
        pieces: list[str] = []
        finish_reason: str | None = None
        usage: CompletionUsage | None = None
        async with chunks:
            while True:
                # The limit is around each wait: around the loop it would interrupt the reader.
                with translated(self.provider, self.name, "chat", self._clock):
                    async with asyncio.timeout_at(deadline_s):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    usage = chunk.usage or usage
                    # The chunk of the usage has no choice, nor has Azure's first.
                    choice = chunk.choices[0] if chunk.choices else None
                    if choice is None:
                        continue
                    finish_reason = choice.finish_reason or finish_reason
                    # Azure's filter sends choices that hold nothing but its results.
                    delta = getattr(choice, "delta", None) or ChoiceDelta()
                    if delta.refusal:
                        raise self._refused("a refusal")
                    piece = delta.content or ""
                if piece:
                    pieces.append(piece)
                    yield TextDelta(piece)
        yield self._reply("".join(pieces), finish_reason, usage)

    def _temperature(self, request: ChatRequest) -> float | Omit:
        takes_one = (
            self._dialect.is_old
            or _SAMPLED.match(self.name)
            or _REASONS_ON_DEMAND.fullmatch(self.name)
        )
        return request.temperature if takes_one else omit

    def _effort(self) -> Literal["none"] | Omit:
        return "none" if _REASONS_ON_DEMAND.fullmatch(self.name) else omit

    def _reply(
        self, text: str, finish_reason: str | None, usage: CompletionUsage | None
    ) -> ChatReply:
        if finish_reason == "content_filter":
            raise self._refused("finish reason content_filter")
        if finish_reason not in _WHOLE:
            raise self._bad("no finish reason of an answer's")
        if not text.strip():
            raise self._bad("an empty answer")
        return ChatReply(
            text,
            self.provider,
            self.name,
            usage.prompt_tokens if usage else 0,
            usage.completion_tokens if usage else 0,
        )

    def _refused(self, reason: str) -> ContentRefused:
        return ContentRefused(self.provider, self.name, "chat", reason, None)

    def _bad(self, reason: str) -> BadProviderResponse:
        return BadProviderResponse(self.provider, self.name, "chat", reason, None)


def _messages(request: ChatRequest) -> list[ChatCompletionMessageParam]:
    messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": request.system}]
    for message in messages_with_records(request):
        if message.role == "user":
            messages.append({"role": "user", "content": message.content})
        else:
            messages.append({"role": "assistant", "content": message.content})
    return messages

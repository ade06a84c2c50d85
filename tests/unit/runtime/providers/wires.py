"""Each vendor's format as its server writes it, and a service that answers in it.

The conformance suite speaks to a provider through its `Wire`, so that one suite serves all.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, cast

import httpx
import numpy as np
import respx
from numpy.typing import NDArray

from runtime.ports import ChatModel, Embedder, Reranker

End = Literal["whole", "cut", "refused", "odd"]
"""How an answer ends: of itself, at its token limit, declined, in a way that is no answer's."""

INPUT_TOKENS = 90
OUTPUT_TOKENS = 7
ANSWER = ("She sleeps", " badly,", " היא ישנה רע", " [1].")

Vectors = NDArray[np.float32]


class Wire(Protocol):
    """One vendor's format."""

    def texts(self, body: dict[str, object]) -> list[str]:
        """Return the texts of an embedding request."""
        ...

    def embedded(self, vectors: Vectors, tokens: int) -> object:
        """Return the answer to an embedding request."""
        ...

    def answer(self, text: str, end: End = "whole") -> object:
        """Return a whole answer."""
        ...

    def start(self) -> list[str]:
        """Return the events before a stream's first piece."""
        ...

    def piece(self, text: str) -> str:
        """Return the event of a piece."""
        ...

    def finish(self, end: End = "whole") -> list[str]:
        """Return the events after a stream's last piece."""
        ...

    def error(self, message: str) -> object:
        """Return the body of an error."""
        ...


@dataclass(frozen=True)
class Vendor:
    """A provider under test. `texts_per_call` is what its vendor takes in one request."""

    name: str
    wire: Wire
    make_chat: Callable[[httpx.AsyncClient], ChatModel] | None = None
    make_embedder: Callable[[httpx.AsyncClient], Embedder] | None = None
    texts_per_call: int = 0
    make_reranker: Callable[[httpx.AsyncClient], Reranker] | None = None

    def __str__(self) -> str:
        return self.name


class Service:
    """Answers in a wire's format, or with `response`; `requests` remembers what was sent."""

    def __init__(
        self, wire: Wire, response: httpx.Response | Exception | None = None, dimensions: int = 256
    ) -> None:
        self._wire = wire
        self._dimensions = dimensions
        self.response = response
        self.requests: list[httpx.Request] = []

    def open(self) -> httpx.AsyncClient:
        """Return a client of this service."""
        router = respx.MockRouter(assert_all_called=False)
        router.route().mock(side_effect=self)
        return httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self.response, Exception):
            raise self.response
        if self.response is not None:
            return self.response
        body = json.loads(request.content)
        if "embed" in request.url.path:
            texts = self._wire.texts(body)
            vectors = vectors_of(texts, self._dimensions)
            return httpx.Response(200, json=self._wire.embedded(vectors, 2 * len(texts)))
        if "rerank" in request.url.path:
            return httpx.Response(200, json=ranked(relevances_of(body["documents"])))
        if body.get("stream"):
            pieces = [self._wire.piece(text) for text in ANSWER]
            return sse([*self._wire.start(), *pieces, *self._wire.finish()])
        return httpx.Response(200, json=self._wire.answer("".join(ANSWER)))

    @property
    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(request.content) for request in self.requests]


def vectors_of(texts: Sequence[str], dimensions: int) -> Vectors:
    """Return a vector for each text, the same for the same text, of any length but none."""
    rows = [np.random.default_rng(zlib.crc32(text.encode())) for text in texts]
    vectors = [row.normal(size=dimensions) * 3 for row in rows]
    return np.array(vectors, dtype=np.float32).reshape(len(texts), dimensions)


def relevances_of(texts: Sequence[str]) -> list[float]:
    """Return a relevance for each text, the same for the same text."""
    return [zlib.crc32(text.encode()) % 1000 / 1000 for text in texts]


def ranked(relevances: Sequence[float]) -> object:
    """Return the answer to a rerank request, best first: in Cohere's format, others copy it.

    Source: docs.cohere.com/v2/reference/rerank.
    """
    best = sorted(range(len(relevances)), key=lambda at: -relevances[at])
    results = [{"index": at, "relevance_score": relevances[at]} for at in best]
    return {"id": "1", "results": results, "meta": {"billed_units": {"search_units": 1.0}}}


def sse(events: Sequence[str]) -> httpx.Response:
    kind = {"content-type": "text/event-stream"}
    return httpx.Response(200, headers=kind, text="".join(events))


def _written(row: Vectors) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def _event(kind: str, **fields: object) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


class CohereWire:
    """Source: docs.cohere.com/v2/reference, embed, chat and chat-stream."""

    _usage: ClassVar = {"tokens": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}}
    _ends: ClassVar[dict[End, str]] = {
        "whole": "COMPLETE",
        "cut": "MAX_TOKENS",
        "refused": "ERROR_TOXIC",
        "odd": "TOOL_CALL",
    }

    def texts(self, body: dict[str, object]) -> list[str]:
        return cast("list[str]", body["texts"])

    def embedded(self, vectors: Vectors, tokens: int) -> object:
        rows = {"base64": [_written(row) for row in vectors]}
        return {"id": "1", "embeddings": rows, "meta": {"billed_units": {"input_tokens": tokens}}}

    def answer(self, text: str, end: End = "whole") -> object:
        message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
        reason = self._ends[end]
        return {"id": "1", "finish_reason": reason, "message": message, "usage": self._usage}

    def start(self) -> list[str]:
        content = {"message": {"content": {"type": "text", "text": ""}}}
        return [
            _event("message-start", id="1", delta={"message": {"role": "assistant"}}),
            _event("content-start", index=0, delta=content),
        ]

    def piece(self, text: str) -> str:
        return _event("content-delta", index=0, delta={"message": {"content": {"text": text}}})

    def finish(self, end: End = "whole") -> list[str]:
        delta = {"finish_reason": self._ends[end], "usage": self._usage}
        return [_event("content-end", index=0), _event("message-end", delta=delta)]

    def error(self, message: str) -> object:
        return {"message": message}


class OpenAIWire:
    """Source: developers.openai.com/api/reference, embeddings and chat completions."""

    _usage: ClassVar = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }
    _ends: ClassVar[dict[End, str]] = {
        "whole": "stop",
        "cut": "length",
        "refused": "content_filter",
        "odd": "tool_calls",
    }

    def texts(self, body: dict[str, object]) -> list[str]:
        return cast("list[str]", body["input"])

    def embedded(self, vectors: Vectors, tokens: int) -> object:
        rows = [
            {"object": "embedding", "index": index, "embedding": _written(row)}
            for index, row in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        # The format numbers its rows, so their order says nothing.
        return {"object": "list", "model": "m", "data": rows[::-1], "usage": usage}

    def answer(self, text: str, end: End = "whole") -> object:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": self._ends[end]}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": self._usage,
        }

    def chunk(self, *choices: object, usage: object = None) -> str:
        whole = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": choices,
            "usage": usage,
        }
        return f"data: {json.dumps(whole)}\n\n"

    def start(self) -> list[str]:
        delta = {"role": "assistant", "content": "", "refusal": None}
        # Azure's first chunk has no choice, but what its filter found in the prompt.
        return [self.chunk(), self.chunk({"index": 0, "delta": delta, "finish_reason": None})]

    def piece(self, text: str) -> str:
        return self.chunk({"index": 0, "delta": {"content": text}, "finish_reason": None})

    def finish(self, end: End = "whole") -> list[str]:
        last = {"index": 0, "delta": {}, "finish_reason": self._ends[end]}
        return [self.chunk(last), self.chunk(usage=self._usage), "data: [DONE]\n\n"]

    def error(self, message: str) -> object:
        return {"error": {"message": message, "type": message, "param": message, "code": message}}


class AnthropicWire:
    """Source: platform.claude.com/docs/en/api/messages, and …/messages-streaming."""

    _ends: ClassVar[dict[End, str]] = {
        "whole": "end_turn",
        "cut": "max_tokens",
        "refused": "refusal",
        "odd": "tool_use",
    }

    def texts(self, body: dict[str, object]) -> list[str]:
        raise AssertionError(body)

    def embedded(self, vectors: Vectors, tokens: int) -> object:
        raise AssertionError(vectors, tokens)

    def _message(self, content: list[object], reason: str | None, output: int) -> object:
        # What a cache held is counted apart from what was read anew.
        usage = {
            "input_tokens": INPUT_TOKENS - 30,
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": 20,
            "output_tokens": output,
        }
        return {
            "id": "1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": usage,
        }

    def answer(self, text: str, end: End = "whole") -> object:
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
        content: list[object] = [thought, {"type": "text", "text": text}]
        return self._message(content, self._ends[end], OUTPUT_TOKENS)

    def start(self) -> list[str]:
        thought = {"type": "thinking", "thinking": "", "signature": ""}
        thinks = {"type": "thinking_delta", "thinking": "Hm."}
        block = {"type": "text", "text": ""}
        return [
            _event("message_start", message=self._message([], None, 1)),
            _event("content_block_start", index=0, content_block=thought),
            _event("content_block_delta", index=0, delta=thinks),
            _event("content_block_stop", index=0),
            _event("ping"),
            _event("content_block_start", index=1, content_block=block),
        ]

    def piece(self, text: str) -> str:
        return _event("content_block_delta", index=1, delta={"type": "text_delta", "text": text})

    def finish(self, end: End = "whole") -> list[str]:
        delta = {"stop_reason": self._ends[end], "stop_sequence": None}
        usage = {"output_tokens": OUTPUT_TOKENS}
        return [
            _event("content_block_stop", index=1),
            _event("message_delta", delta=delta, usage=usage),
            _event("message_stop"),
        ]

    def error(self, message: str) -> object:
        return {"type": "error", "error": {"type": message, "message": message}}

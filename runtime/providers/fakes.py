"""Deterministic twins of the providers, for tests and local trials: no model, no network, no cost.

They keep the ports' promises (order, unit length, zero rows, time-outs) and can be told to break
every other one: to fail, to hang, to misquote, never to end.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, Sequence
from typing import Final, Literal

import numpy as np

from runtime.errors import AIAgentError, Operation, ProviderTimeout
from runtime.language.sentences import sentences
from runtime.messages import (
    ChatEvent,
    ChatReply,
    ChatRequest,
    Embedded,
    EmbeddingModel,
    InputType,
    Priority,
    TextDelta,
    Vector,
)
from runtime.phrases import NOT_IN_RECORDS
from runtime.splitting import estimate_tokens

NOT_RECORDED: Final = "The patient reports sleeping on the moon"


class FakeEmbedder:
    """An `Embedder` by hashed character trigrams: texts that share words are similar.

    `failures` are raised, one a call, before anything else; `hold` makes calls wait until it is
    set. `calls` remembers the texts of each call that went past them.
    """

    def __init__(self, dimensions: int = 256) -> None:
        self.model = EmbeddingModel("fake", "trigrams", dimensions)
        self.failures: list[AIAgentError] = []
        self.hold: asyncio.Event | None = None
        self.calls: list[tuple[str, ...]] = []

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
        """Return a row for each text; neither `input_type` nor `priority` makes a difference.

        Raises: ProviderError.
        """
        del input_type, priority
        vectors = np.zeros((len(texts), self.model.dimensions), dtype=np.float32)
        if not any(text.strip() for text in texts):
            return Embedded(vectors, 0)
        if self.failures:
            raise self.failures.pop(0)
        if self.hold is not None:
            await _wait(self.hold, timeout_s, ("fake", self.model.name, "embed"))
        self.calls.append(tuple(texts))
        for row, text in enumerate(texts):
            vectors[row] = self._vector(text)
        return Embedded(vectors, sum(map(estimate_tokens, texts)))

    def _vector(self, text: str) -> Vector:
        counts = np.zeros(self.model.dimensions, dtype=np.float32)
        for word in text.casefold().split():
            padded = f" {word} "
            for at in range(len(padded) - 2):
                counts[zlib.crc32(padded[at : at + 3].encode()) % self.model.dimensions] += 1
        length = float(np.linalg.norm(counts))
        return counts / np.float32(length) if length else counts


class FakeChatModel:
    """A `ChatModel` that answers with the first sentence of its first document.

    `replies` come first, in order; one that is an error is raised. `behaviour` changes the default
    answer: `misquote` says what no document says, `invent` cites one that was not given. `hold`
    makes calls wait until it is set, `hold_end` streams before their end; `cut` is raised there
    instead; an `endless` stream says the same for ever. `requests` remembers what was asked,
    `closed` how many streams were left before their end.
    """

    def __init__(
        self,
        replies: Sequence[str | AIAgentError] = (),
        *,
        provider: str = "fake",
        cut: AIAgentError | None = None,
        behaviour: Literal["quote", "misquote", "invent"] = "quote",
        endless: bool = False,
    ) -> None:
        self.provider = provider
        self.name = "scripted"
        self.replies = list(replies)
        self.behaviour = behaviour
        self.endless = endless
        self.cut = cut
        self.hold: asyncio.Event | None = None
        self.hold_end: asyncio.Event | None = None
        self.requests: list[ChatRequest] = []
        self.closed = 0

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """Return the next reply.

        Raises: AIAgentError (what it was told to).
        """
        self.requests.append(request)
        if self.hold is not None:
            await _wait(self.hold, timeout_s, (self.provider, self.name, "chat"))
        text = self.replies.pop(0) if self.replies else self._default(request)
        if isinstance(text, AIAgentError):
            raise text
        read = [request.system, *(document.text for document in request.documents)]
        read += [message.content for message in request.messages]
        return ChatReply(
            text, self.provider, self.name, sum(map(estimate_tokens, read)), estimate_tokens(text)
        )

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        """Yield the next reply word by word, then whole.

        Raises: AIAgentError (what it was told to).
        """
        reply = await self.chat(request, timeout_s=timeout_s)
        words = reply.text.split(" ")
        ended = False
        try:
            for at, word in enumerate(words):
                yield TextDelta(word if at == 0 else f" {word}")
            while self.endless:
                yield TextDelta(f" {reply.text}")
                await asyncio.sleep(0)
            if self.hold_end is not None:
                await _wait(self.hold_end, timeout_s, (self.provider, self.name, "chat"))
            ended = True
            if self.cut is not None:
                raise self.cut
            yield reply
        finally:
            self.closed += not ended

    def _default(self, request: ChatRequest) -> str:
        if not request.documents:
            return NOT_IN_RECORDS[request.language]
        document = request.documents[0]
        if self.behaviour == "misquote":
            return f"{NOT_RECORDED} [{document.marker}]."
        marker = document.marker + (1000 if self.behaviour == "invent" else 0)
        start, end = next(iter(sentences(document.text)), (0, 0))
        return f"{document.text[start:end]} [{marker}]"


class FakeReranker:
    """A `Reranker` by shared words: the share of the question's words that stand in the text.

    `failures` and `hold` as in FakeEmbedder. `calls` remembers what was asked of which texts.
    """

    def __init__(self) -> None:
        self.provider = "fake"
        self.name = "shared-words"
        self.failures: list[AIAgentError] = []
        self.hold: asyncio.Event | None = None
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    async def rank(self, question: str, texts: Sequence[str], *, timeout_s: float) -> list[float]:
        """Return how relevant each text is.

        Raises: AIAgentError (what it was told to).
        """
        if not texts:
            return []
        self.calls.append((question, tuple(texts)))
        if self.failures:
            raise self.failures.pop(0)
        if self.hold is not None:
            await _wait(self.hold, timeout_s, (self.provider, self.name, "rerank"))
        asked = _words(question)
        return [len(asked & _words(text)) / max(1, len(asked)) for text in texts]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


async def _wait(hold: asyncio.Event, timeout_s: float, who: tuple[str, str, Operation]) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await hold.wait()
    except TimeoutError:
        raise ProviderTimeout(*who, f"no answer in {timeout_s:g} s", None) from None

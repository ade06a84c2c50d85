"""Providers that tell telemetry of every call: wrapped around each, once, in `assembly.py`.

A caller who leaves is no error of the provider's: such a call is told of without one. Its tokens
are counted all the same, as are those of a stream that broke off, and of a vendor who reports none.
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from runtime.errors import BadProviderResponse, ContentRefused, ProviderTimeout
from runtime.messages import UsageSoFar
from runtime.splitting import estimate_tokens
from runtime.telemetry import ChatCalled, EmbeddingCalled, RerankCalled
from runtime.usage import CountedTokens, TokenCount

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence

    from runtime.messages import (
        ChatEvent,
        ChatReply,
        ChatRequest,
        Embedded,
        EmbeddingModel,
        InputType,
        Priority,
    )
    from runtime.ports import ChatModel, Clock, Embedder, Reranker
    from runtime.telemetry import Emit

_READ: Final = (ProviderTimeout, BadProviderResponse, ContentRefused)
"""After these the vendor may have read the prompt, and charge for it; after others it has not."""


@contextmanager
def _telling(clock: Clock, tell: Callable[[float, Exception | None], None]) -> Iterator[None]:
    """Tell how long the block took and what it failed with, however it ended."""
    started_s = clock.monotonic()
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
        raise
    finally:
        tell(clock.monotonic() - started_s, failure)


def _name(failure: Exception | None) -> str | None:
    return type(failure).__name__ if failure else None


class MeasuredEmbedder:
    """Emits one EmbeddingCalled for each call, failed and abandoned ones among them."""

    def __init__(self, inner: Embedder, *, emit: Emit, clock: Clock) -> None:
        self._inner = inner
        self._emit = emit
        self._clock = clock

    @property
    def model(self) -> EmbeddingModel:
        """The wrapped Embedder's."""
        return self._inner.model

    async def embed_text(self, text: str, *, input_type: InputType, timeout_s: float) -> Embedded:
        """As Embedder.embed_text."""
        return await self.embed_texts([text], input_type=input_type, timeout_s=timeout_s)

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        """As Embedder.embed_texts."""
        tokens = 0

        def tell(duration_s: float, failure: Exception | None) -> None:
            model = self._inner.model
            self._emit(
                EmbeddingCalled(
                    provider=model.provider,
                    model=model.name,
                    texts=len(texts),
                    tokens=tokens,
                    duration_s=duration_s,
                    error_type=_name(failure),
                )
            )

        with _telling(self._clock, tell):
            embedded = await self._inner.embed_texts(
                texts, input_type=input_type, timeout_s=timeout_s, priority=priority
            )
            tokens = embedded.tokens or sum(map(estimate_tokens, texts))
            return embedded


class _Call:
    """What one chat call has come to so far."""

    def __init__(self, request: ChatRequest, started_s: float) -> None:
        self.first_token_s: float | None = None
        self.started_s = started_s
        self._count = TokenCount(request)
        self._answered = False

    def add(self, event: ChatEvent) -> None:
        self._answered = True
        self._count.add(event)

    def tokens(self, error: Exception | None) -> CountedTokens:
        if error is None or self._answered or isinstance(error, _READ):
            return self._count.total()
        return CountedTokens(0, 0)


class MeasuredChat:
    """Emits one ChatCalled for each call, failed and abandoned ones among them."""

    def __init__(self, inner: ChatModel, *, emit: Emit, clock: Clock) -> None:
        self._inner = inner
        self._emit = emit
        self._clock = clock

    @property
    def provider(self) -> str:
        """The wrapped ChatModel's."""
        return self._inner.provider

    @property
    def name(self) -> str:
        """The wrapped ChatModel's."""
        return self._inner.name

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """As ChatModel.chat."""
        async with self._measured(request) as call:
            reply = await self._inner.chat(request, timeout_s=timeout_s)
            call.add(reply)
            return reply

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        """As ChatModel.stream."""
        async with (
            self._measured(request) as call,
            aclosing(self._inner.stream(request, timeout_s=timeout_s)) as events,
        ):
            async for event in events:
                if call.first_token_s is None and not isinstance(event, UsageSoFar):
                    call.first_token_s = self._clock.monotonic() - call.started_s
                call.add(event)
                yield event

    @asynccontextmanager
    async def _measured(self, request: ChatRequest) -> AsyncIterator[_Call]:
        call = _Call(request, self._clock.monotonic())

        def tell(duration_s: float, failure: Exception | None) -> None:
            tokens = call.tokens(failure)
            self._emit(
                ChatCalled(
                    provider=self._inner.provider,
                    model=self._inner.name,
                    input_tokens=tokens.input_tokens,
                    output_tokens=tokens.output_tokens,
                    duration_s=duration_s,
                    first_token_s=call.first_token_s,
                    error_type=_name(failure),
                    estimated=tokens.estimated,
                )
            )

        with _telling(self._clock, tell):
            yield call


class MeasuredReranker:
    """Emits one RerankCalled for each call, failed and abandoned ones among them."""

    def __init__(self, inner: Reranker, *, emit: Emit, clock: Clock) -> None:
        self._inner = inner
        self._emit = emit
        self._clock = clock

    @property
    def provider(self) -> str:
        """The wrapped Reranker's."""
        return self._inner.provider

    @property
    def name(self) -> str:
        """The wrapped Reranker's."""
        return self._inner.name

    async def rank(self, question: str, texts: Sequence[str], *, timeout_s: float) -> list[float]:
        """As Reranker.rank."""

        def tell(duration_s: float, failure: Exception | None) -> None:
            self._emit(
                RerankCalled(
                    provider=self._inner.provider,
                    model=self._inner.name,
                    texts=len(texts),
                    duration_s=duration_s,
                    error_type=_name(failure),
                )
            )

        with _telling(self._clock, tell):
            return await self._inner.rank(question, texts, timeout_s=timeout_s)

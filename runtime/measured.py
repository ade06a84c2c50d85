"""Providers that tell telemetry of every call: wrapped around each, once, in `assembly.py`.

A caller who leaves is no error of the provider's: such a call is told of without one.
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runtime.messages import ChatReply, Embedded
from runtime.telemetry import ChatCalled, EmbeddingCalled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from runtime.messages import (
        ChatEvent,
        ChatRequest,
        EmbeddingModel,
        InputType,
        Priority,
    )
    from runtime.ports import ChatModel, Clock, Embedder
    from runtime.telemetry import Emit


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
        started = self._clock.monotonic()
        tokens = 0
        error_type: str | None = None
        try:
            embedded = await self._inner.embed_texts(
                texts, input_type=input_type, timeout_s=timeout_s, priority=priority
            )
            tokens = embedded.tokens
        except Exception as error:
            error_type = type(error).__name__
            raise
        else:
            return embedded
        finally:
            model = self._inner.model
            self._emit(
                EmbeddingCalled(
                    provider=model.provider,
                    model=model.name,
                    texts=len(texts),
                    tokens=tokens,
                    duration_s=self._clock.monotonic() - started,
                    error_type=error_type,
                )
            )


@dataclass(slots=True)
class _Call:
    """What one chat call has come to so far."""

    started_s: float
    first_token_s: float | None = field(default=None)
    reply: ChatReply | None = field(default=None)


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
        async with self._measured() as call:
            call.reply = await self._inner.chat(request, timeout_s=timeout_s)
            return call.reply

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        """As ChatModel.stream."""
        async with (
            self._measured() as call,
            aclosing(self._inner.stream(request, timeout_s=timeout_s)) as events,
        ):
            async for event in events:
                if call.first_token_s is None:
                    call.first_token_s = self._clock.monotonic() - call.started_s
                if isinstance(event, ChatReply):
                    call.reply = event
                yield event

    @asynccontextmanager
    async def _measured(self) -> AsyncIterator[_Call]:
        call = _Call(self._clock.monotonic())
        error_type: str | None = None
        try:
            yield call
        except Exception as error:
            error_type = type(error).__name__
            raise
        finally:
            self._emit(
                ChatCalled(
                    provider=self._inner.provider,
                    model=self._inner.name,
                    input_tokens=call.reply.input_tokens if call.reply else 0,
                    output_tokens=call.reply.output_tokens if call.reply else 0,
                    duration_s=self._clock.monotonic() - call.started_s,
                    first_token_s=call.first_token_s,
                    error_type=error_type,
                )
            )

"""An `Embedder` whose every provider call is guarded: a long list is many calls, not one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.messages import Cost
from runtime.providers.embedding_calls import embed_in_calls
from runtime.resilience.deadline import Deadline
from runtime.splitting import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.messages import Embedded, EmbeddingModel, InputType, Priority
    from runtime.ports import Embedder
    from runtime.resilience.guarded import GuardedCall


class GuardedEmbedder:
    """Splits lists into calls of `texts_per_call`, the most that the vendor takes."""

    def __init__(self, inner: Embedder, guard: GuardedCall, *, texts_per_call: int) -> None:
        self._inner = inner
        self._guard = guard
        self._texts_per_call = texts_per_call

    @property
    def model(self) -> EmbeddingModel:
        """The wrapped Embedder's."""
        return self._inner.model

    async def embed_text(self, text: str, *, input_type: InputType, timeout_s: float) -> Embedded:
        """As Embedder.embed_text.

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
        """As Embedder.embed_texts; the first call that fails for good ends them all.

        Raises: ProviderError.
        """
        deadline = Deadline(self._guard.clock, timeout_s)

        async def call(batch: list[str]) -> Embedded:
            return await self._call(batch, input_type, priority, deadline.remaining_s())

        return await embed_in_calls(
            texts,
            call,
            dimensions=self.model.dimensions,
            texts_per_call=self._texts_per_call,
        )

    async def _call(
        self, texts: list[str], input_type: InputType, priority: Priority, timeout_s: float
    ) -> Embedded:
        async def call(attempt_s: float) -> Embedded:
            return await self._inner.embed_texts(
                texts, input_type=input_type, timeout_s=attempt_s, priority=priority
            )

        return await self._guard.run(
            call,
            tokens_of=lambda embedded: embedded.tokens,
            cost=Cost(inputs=len(texts), tokens=sum(map(estimate_tokens, texts))),
            timeout_s=timeout_s,
            priority=priority,
        )

"""An `Embedder` whose every provider call is guarded: a long list is many calls, not one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import numpy as np

from runtime.messages import Cost, Embedded
from runtime.resilience.deadline import Deadline
from runtime.splitting import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.messages import EmbeddingModel, InputType, Matrix, Priority
    from runtime.ports import Embedder
    from runtime.resilience.guarded import GuardedCall

CALLS_AT_ONCE: Final = 4
"""Of one list; what the cluster may send in all is the limiter's business."""


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
        vectors: Matrix = np.zeros((len(texts), self.model.dimensions), dtype=np.float32)
        rows = [row for row, text in enumerate(texts) if text.strip()]
        size = self._texts_per_call
        turns = asyncio.Semaphore(CALLS_AT_ONCE)

        async def embed(batch: list[int]) -> int:
            async with turns:
                found = await self._call(
                    [texts[row] for row in batch], input_type, priority, deadline.remaining_s()
                )
            vectors[batch] = found.vectors
            return found.tokens

        calls = [
            asyncio.create_task(embed(rows[at : at + size])) for at in range(0, len(rows), size)
        ]
        try:
            tokens = await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        return Embedded(vectors, sum(tokens))

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

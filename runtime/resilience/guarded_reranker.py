"""A `Reranker` whose every provider call is guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.messages import Cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.ports import Reranker
    from runtime.resilience.guarded import GuardedCall


class GuardedReranker:
    """Makes a failed call again. All texts go in one call: vendors take thousands."""

    def __init__(self, inner: Reranker, guard: GuardedCall) -> None:
        self._inner = inner
        self._guard = guard

    @property
    def provider(self) -> str:
        """The wrapped Reranker's."""
        return self._inner.provider

    @property
    def name(self) -> str:
        """The wrapped Reranker's."""
        return self._inner.name

    async def rank(self, question: str, texts: Sequence[str], *, timeout_s: float) -> list[float]:
        """As Reranker.rank.

        Raises: ProviderError.
        """
        if not texts:
            return []

        async def call(attempt_s: float) -> list[float]:
            return await self._inner.rank(question, texts, timeout_s=attempt_s)

        # Vendors limit and bill requests: nothing is counted in tokens.
        return await self._guard.run(call, tokens_of=lambda _: 0, cost=Cost(), timeout_s=timeout_s)

"""The actor `provider_limiter`: the vendors' per-minute limits and the retry budgets, one each.

A shell around `LimitBoard`: it adds the time. It is on no request's way while leases last
(`runtime/resilience/shared_limiter.py`), and keeps its state in memory: after a restart the buckets
fill from empty, and replicas tell what they hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.clock import SystemClock
from runtime.resilience.limit_board import LimitBoard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.ports import Clock
    from runtime.resilience.limit_board import CircuitGrant, CircuitReport
    from runtime.settings import Settings


class LimiterActor:
    """Answers each method at once; no method awaits, so none needs a lock."""

    def __init__(self, settings: Settings, version: str, *, clock: Clock | None = None) -> None:
        self._version = version
        self._clock = clock or SystemClock()
        self._board = LimitBoard(settings.limits())

    async def version(self) -> str:
        """Return what the actor was made from; another one is replaced (`handles.py`)."""
        return self._version

    async def sync(
        self, replica: str, reports: Mapping[str, CircuitReport]
    ) -> dict[str, CircuitGrant]:
        """Take in a replica's state, and return what it may do."""
        return self._board.sync(replica, reports, self._clock.monotonic())

    async def take_retry(self, circuit: str, first_attempts: int) -> bool:
        """Count the first attempts, then return whether one retry may be made."""
        return self._board.take_retry(circuit, first_attempts, self._clock.monotonic())

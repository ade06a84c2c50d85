"""The actor `circuit_breaker`: the cluster's circuits, for replicas that follow and report.

A shell around `CircuitBoard`: it adds the time, wakes who waits for news, and emits what changed.
It is on no request's way (`runtime/resilience/shared_breaker.py`), and keeps its state in memory:
after a restart, replicas that join bring it back.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from actors.node import metrics_directory
from runtime import assembly
from runtime.clock import SystemClock
from runtime.resilience.breaker import breaker_policy
from runtime.resilience.circuit_board import CircuitBoard
from runtime.telemetry import CircuitChanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.messages import Permit, Refusal
    from runtime.ports import Clock
    from runtime.resilience.circuit_board import Changes
    from runtime.resilience.circuit_messages import Membership, OutcomeReport, Snapshot
    from runtime.settings import Settings
    from runtime.telemetry import Emit

HEARTBEAT_S: Final = 1.5
"""When a long poll is answered without news: the replica hears that the actor lives, and back."""


class BreakerActor:
    """Answers each method at once, but for `watch`, which waits for news.

    Between reading the board and writing it no method awaits, so none needs a lock.
    """

    def __init__(
        self,
        settings: Settings,
        version: str,
        *,
        emit: Emit | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._version = version
        self._emit = emit or assembly.open_telemetry(settings, metrics_directory(settings))
        self._clock = clock or SystemClock()
        self._board = CircuitBoard(
            breaker_policy(settings), incarnation=uuid.uuid4().hex, now=self._clock.monotonic()
        )
        self._news = asyncio.Event()
        """Set once for each version, and replaced: who waits, waits for the next."""
        self._told_version = self._board.version

    async def version(self) -> str:
        """Return what the actor was made from; another one is replaced (`handles.py`)."""
        return self._version

    async def join(self, member: Membership) -> Snapshot:
        """Take in a replica with what it remembers."""
        self._tell(self._board.join(member, self._now()))
        return self._snapshot()

    async def watch(
        self, replica: str, circuits: Sequence[str], *, incarnation: str, version: int
    ) -> Snapshot:
        """Return the snapshot once it is another one than the caller's, or on the heartbeat."""
        self._tell(self._board.hear(replica, circuits, self._now()))
        if (incarnation, version) == (self._board.incarnation, self._board.version):
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._news.wait()
            self._tell(self._board.hear(replica, circuits, self._now()))
        return self._snapshot()

    async def report(
        self, replica: str, outcomes: Sequence[OutcomeReport], *, incarnation: str
    ) -> Snapshot:
        """Count a batch; one that is meant for an earlier incarnation is left to the join."""
        now = self._now()
        self._tell(self._board.report(replica, outcomes, incarnation=incarnation, now=now))
        return self._snapshot()

    async def lease_probe(self, replica: str, circuit: str) -> Permit | Refusal:
        """Return leave for one probe, or when to ask again."""
        decision, changes = self._board.lease_probe(replica, circuit, self._now())
        self._tell(changes)
        return decision

    async def snapshot(self) -> Snapshot:
        """Return all circuits as they are now."""
        self._tell(self._board.advance(self._now()))
        return self._snapshot()

    def _now(self) -> float:
        return self._clock.monotonic()

    def _snapshot(self) -> Snapshot:
        return self._board.snapshot(self._now())

    def _tell(self, changes: Changes) -> None:
        """Emit what changed, and wake the long polls that do not know it."""
        # A circuit that never changes has a gauge as well.
        for circuit in self._board.take_new():
            self._emit(CircuitChanged(circuit, "closed", "closed", None))
        for change in changes:
            self._emit(change)
        if self._board.version != self._told_version:
            self._told_version = self._board.version
            self._news.set()
            self._news = asyncio.Event()

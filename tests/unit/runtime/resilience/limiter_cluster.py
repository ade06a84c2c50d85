"""Replicas around one board in simulated time, and the vendor's strictest way to count them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

from runtime.errors import ActorUnavailable
from runtime.messages import Cost, Limits, Priority, Refusal
from runtime.resilience.limit_board import CircuitGrant, CircuitReport, LimitBoard
from runtime.resilience.shared_limiter import SharedLimiters
from runtime.telemetry import Event, ThrottleWaited
from tests.unit.runtime.resilience.virtual_loop import LoopClock, VirtualLoop

CIRCUIT = "cohere_embed"
WINDOW_S = 60.0

T = TypeVar("T")


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run it in virtual time, and return what it returns."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class BoardLink:
    """An in-memory link: it answers, hangs, raises or answers late, as the test tells it."""

    def __init__(self, limits: Mapping[str, Limits], *, latency_s: float = 0.004) -> None:
        self.limits = limits
        self.latency_s = latency_s
        self.clock = LoopClock()
        self.board = LimitBoard(limits)
        self.state: Literal["answers", "hangs", "raises"] = "answers"
        self.back = asyncio.Event()
        self.syncs: list[tuple[float, str]] = []
        self.retries_asked = 0

    async def sync(
        self, replica: str, reports: Mapping[str, CircuitReport]
    ) -> dict[str, CircuitGrant]:
        self.syncs.append((self.clock.monotonic(), replica))
        await self._reach()
        return self.board.sync(replica, reports, self.clock.monotonic())

    async def take_retry(self, circuit: str, first_attempts: int) -> bool:
        self.retries_asked += 1
        await self._reach()
        return self.board.take_retry(circuit, first_attempts, self.clock.monotonic())

    def hang(self) -> None:
        self.state = "hangs"
        self.back.clear()

    def die(self) -> None:
        self.state = "raises"

    def restart(self) -> None:
        """Come back with nothing remembered."""
        self.board = LimitBoard(self.limits)
        self.answer()

    def answer(self) -> None:
        self.state = "answers"
        self.back.set()

    async def _reach(self) -> None:
        await asyncio.sleep(self.latency_s / 2)
        if self.state == "hangs":
            await self.back.wait()
        if self.state == "raises":
            raise ActorUnavailable("provider_limiter", "ActorDiedError")
        await asyncio.sleep(self.latency_s / 2)


@dataclass
class Cluster:
    """So many replicas; `made` are the calls that they let through, when and of what cost."""

    link: BoardLink
    replicas: int = 4
    made: list[tuple[float, Cost]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    waits: list[ThrottleWaited] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self.clock = self.link.clock
        self.shared = [self._replica(f"replica-{i}") for i in range(self.replicas)]
        self.runs = [asyncio.create_task(shared.run()) for shared in self.shared]
        self.random = random.Random(7)
        return self

    async def __aexit__(self, *_: object) -> None:
        for run in self.runs:
            run.cancel()
        await asyncio.gather(*self.runs, return_exceptions=True)

    def _replica(self, name: str) -> SharedLimiters:
        shared = SharedLimiters(
            self.link, self.clock, emit=self._emit, replica_id=name, limits=self.link.limits
        )
        shared.limiter(CIRCUIT)
        return shared

    def _emit(self, event: Event) -> None:
        assert isinstance(event, ThrottleWaited)
        self.waits.append(event)

    async def call(
        self,
        replica: int = 0,
        cost: Cost | None = None,
        *,
        priority: Priority = "interactive",
        timeout_s: float = 10.0,
    ) -> Refusal | None:
        cost = Cost() if cost is None else cost
        limiter = self.shared[replica].limiter(CIRCUIT)
        refusal = await limiter.acquire(cost, priority=priority, timeout_s=timeout_s)
        if refusal is None:
            self.made.append((self.clock.monotonic(), cost))
        else:
            self.refused.append(refusal)
        return refusal

    async def offer(
        self,
        cost: Cost,
        *,
        per_minute: float,
        minutes: float,
        priority: Priority = "interactive",
        among: Sequence[int] | None = None,
    ) -> None:
        """Let calls arrive at random moments, whether earlier ones were answered or not."""
        end = self.clock.monotonic() + minutes * 60
        calls = set()
        while self.clock.monotonic() < end:
            await asyncio.sleep(self.random.expovariate(per_minute / 60))
            replica = self.random.choice(among or range(self.replicas))
            call = asyncio.create_task(self.call(replica, cost, priority=priority))
            calls.add(call)
            call.add_done_callback(calls.discard)
        for call in list(calls):
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    def most_in_a_window(self, dimension: str) -> int:
        """Return the most that any 60 s saw, wherever they begin."""
        most = inside = oldest = 0
        for at, cost in self.made:
            inside += getattr(cost, dimension)
            while self.made[oldest][0] <= at - WINDOW_S:
                inside -= getattr(self.made[oldest][1], dimension)
                oldest += 1
            most = max(most, inside)
        return most

    def used(self, dimension: str, *, since: float = 0.0) -> int:
        return sum(getattr(cost, dimension) for at, cost in self.made if at >= since)

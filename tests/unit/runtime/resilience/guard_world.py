"""What stands around a guarded call in these tests: all of it in memory, on one manual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from runtime.clock import ManualClock
from runtime.errors import Operation, ProviderError
from runtime.messages import Cost, Outcome, Permit, Priority, Refusal
from runtime.resilience.backoff import RetryPolicy
from runtime.resilience.guarded import GuardedCall
from runtime.telemetry import CallRetried, Event, GuardedCallEnded

POLICY = RetryPolicy(max_retries=3, max_delay_s=32, total_wait_s=60)


def failure(
    kind: type[ProviderError], retry_after_s: float | None = None, operation: Operation = "embed"
) -> ProviderError:
    return kind("cohere", "m", operation, "told to", retry_after_s)


@dataclass
class MemoryBreaker:
    """Admits; `refusals` come first. `told` is the outcome of each permit, by its generation."""

    refusals: list[float] = field(default_factory=list)
    admitted: int = 0
    told: dict[int, list[Outcome]] = field(default_factory=dict)

    async def admit(self) -> Permit | Refusal:
        if self.refusals:
            return Refusal(self.refusals.pop(0))
        self.admitted += 1
        return Permit(self.admitted)

    def record(self, permit: Permit, outcome: Outcome) -> None:
        self.told.setdefault(permit.generation, []).append(outcome)

    @property
    def outcomes(self) -> list[Outcome]:
        """Of each permit in the order admitted; fails unless each was told of exactly once."""
        assert sorted(self.told) == list(range(1, self.admitted + 1))
        assert all(len(outcomes) == 1 for outcomes in self.told.values())
        return [outcome for _, (outcome,) in sorted(self.told.items())]


@dataclass
class MemoryLimiter:
    """Lets everything through; `refusals` come first, and `hold` is waited for."""

    refusals: list[float] = field(default_factory=list)
    acquired: list[tuple[Cost, Priority, float]] = field(default_factory=list)
    settled: list[tuple[int, int]] = field(default_factory=list)
    slowed: list[float | None] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def acquire(self, cost: Cost, *, priority: Priority, timeout_s: float) -> Refusal | None:
        if self.refusals:
            return Refusal(self.refusals.pop(0))
        if self.hold is not None:
            await self.hold.wait()
        self.acquired.append((cost, priority, timeout_s))
        return None

    def settle(self, *, estimated_tokens: int, used_tokens: int) -> None:
        self.settled.append((estimated_tokens, used_tokens))

    def slow_down(self, retry_after_s: float | None) -> None:
        self.slowed.append(retry_after_s)


@dataclass
class MemoryBudget:
    """Allows `left` retries."""

    left: int = 1_000
    calls: int = 0

    def count_call(self) -> None:
        self.calls += 1

    async def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


class Guards:
    """A GuardedCall of `cohere` and everything it talks to; its random delays are the longest."""

    def __init__(
        self,
        *,
        operation: Operation = "embed",
        policy: RetryPolicy = POLICY,
        uniform: Callable[[float, float], float] = lambda _, most: most,
    ) -> None:
        self.clock = ManualClock()
        self.breaker = MemoryBreaker()
        self.limiter = MemoryLimiter()
        self.budget = MemoryBudget()
        self.events: list[Event] = []
        self.slept: list[float] = []
        self.call = GuardedCall(
            "cohere",
            "m",
            operation=operation,
            policy=policy,
            breaker=self.breaker,
            limiter=self.limiter,
            budget=self.budget,
            emit=self.events.append,
            clock=self.clock,
            sleep=self._sleep,
            uniform=uniform,
        )

    @property
    def ended(self) -> list[tuple[str, int]]:
        """The outcome and the attempts of each operation."""
        found = [event for event in self.events if isinstance(event, GuardedCallEnded)]
        return [(event.outcome, event.attempts) for event in found]

    @property
    def retried(self) -> list[CallRetried]:
        return [event for event in self.events if isinstance(event, CallRetried)]

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(float(seconds))
        self.clock.advance(seconds)
        await asyncio.sleep(0)

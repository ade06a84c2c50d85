"""Calls of one priority that wait for leave, oldest first. Used by `circuit_lease.py`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from runtime.resilience.cost import NOTHING, minus, plus
from runtime.resilience.limit_board import Waiting

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from runtime.messages import Cost, Refusal

MAX_REPORTED: Final = 64
"""Calls that one report names; the rest is named once these were served."""


@dataclass(eq=False, frozen=True, slots=True)
class Waiter:
    """A call that waits from `since` until `until` for its answer, None for leave."""

    cost: Cost
    since: float
    until: float
    answer: asyncio.Future[Refusal | None]


class WaitingLine:
    """First in, first out; it knows what all in it cost together."""

    def __init__(self) -> None:
        self._waiters: deque[Waiter] = deque()
        self.cost = NOTHING

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        """Iterate over those who wait now, whoever leaves meanwhile."""
        return iter(tuple(self._waiters))

    @property
    def first(self) -> Waiter:
        """Who has waited longest; the line must not be empty."""
        return self._waiters[0]

    def append(self, waiter: Waiter) -> None:
        """Put a call at the end."""
        self._waiters.append(waiter)
        self.cost = plus(self.cost, waiter.cost)

    def remove(self, waiter: Waiter) -> None:
        """Take out a call that is in the line."""
        self._waiters.remove(waiter)
        self.cost = minus(self.cost, waiter.cost)

    def answer(self, waiter: Waiter, answer: Refusal | None) -> None:
        """Take the call out with its answer."""
        self.remove(waiter)
        waiter.answer.set_result(answer)

    def reported(self, now: float) -> Waiting:
        """Return the calls as a report tells of them."""
        if not self._waiters:
            return Waiting()
        costs = tuple(waiter.cost for waiter in islice(self._waiters, MAX_REPORTED))
        return Waiting(costs, oldest_s=now - self.first.since)

"""Failures in a row, as several replicas saw them: news arrives late and out of order.

One for each closed circuit of `circuit_board.py`. Times are the board's own: arrival less the age
that the replica told, so the order in which calls ended is restored.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from dataclasses import dataclass
from math import inf
from typing import Final

MAX_FAILURES: Final = 64
"""Kept of a run that does not trip, the newest: one replica that fails alone fails for ever."""


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """When a call ended, and which replica saw it."""

    at: float
    replica: str


def is_outage(failures: list[Failure], threshold: int, *, lone: str | None) -> bool:
    """Return whether failures with no success between open the circuit for all.

    Two replicas must have seen them, so that one with a broken network condemns nobody; `lone` is
    the only replica there is, whose word is enough.
    """
    witnesses = {failure.replica for failure in failures}
    return len(failures) >= threshold and (len(witnesses) > 1 or witnesses == {lone})


class FailureRun:
    """The failures since the newest success. A success decides what ended before it."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []
        self._success_at = -inf

    @property
    def failures(self) -> list[Failure]:
        """In the order in which they ended."""
        return self._failures

    def add_failure(self, failure: Failure) -> None:
        """Count a failure, unless a success that ended later is known."""
        if failure.at > self._success_at:
            insort(self._failures, failure)
            del self._failures[:-MAX_FAILURES]

    def add_success(self, at: float) -> None:
        """Forget the failures that ended before it."""
        if at > self._success_at:
            self._success_at = at
            if self._failures:
                self._failures = [f for f in self._failures if f.at > at]

    def restart(self, failures: list[Failure]) -> None:
        """Go on with these failures alone."""
        self._failures = failures


class Trip:
    """The run that opened a circuit, and whether late news takes the ground from under it."""

    def __init__(self, failures: list[Failure], *, at: float, generation: int) -> None:
        self.at = at
        self.generation = generation
        """The closed generation that the trip ended."""
        self._parts = [failures]

    @property
    def suspect(self) -> str:
        """The replica that saw most of it: if one network is broken, it is that one's."""
        seen = Counter(failure.replica for part in self._parts for failure in part)
        return seen.most_common(1)[0][0]

    @property
    def newest(self) -> list[Failure]:
        """The failures since the newest success that was told of late."""
        return self._parts[-1]

    def add_success(self, at: float) -> None:
        """Learn of a success that ended before the trip, and cut the run where it ended."""
        self._parts = [
            piece
            for part in self._parts
            for piece in ([f for f in part if f.at <= at], [f for f in part if f.at > at])
        ]

    def stands(self, threshold: int, *, lone: str | None) -> bool:
        """Return whether some of the failures were an outage with no success between them."""
        return any(is_outage(part, threshold, lone=lone) for part in self._parts)

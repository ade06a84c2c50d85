"""Failures in a row, as several replicas saw them: news arrives late and out of order.

One for each closed circuit (`cluster_circuit.py`). Times are the board's own: arrival less the age
that the replica told, so the order in which calls ended is restored.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass
from math import inf
from typing import Final

MAX_FAILURES: Final = 2000
"""Kept of a run that does not trip, the newest: one replica that fails alone fails for ever.

Source: twice the upper bound of `AI_BREAKER_FAILURE_THRESHOLD`.
"""


@dataclass(frozen=True, slots=True, order=True)
class CallEnd:
    """When a call ended, and which replica saw it."""

    at: float
    replica: str


def is_outage(failures: list[CallEnd], threshold: int, *, lone: str | None) -> bool:
    """Return whether failures with no success between open the circuit for all.

    Two replicas must have seen them, so that one with a broken network condemns nobody; `lone` is
    the only replica there is, whose word is enough.
    """
    witnesses = {failure.replica for failure in failures}
    return len(failures) >= threshold and (len(witnesses) > 1 or witnesses == {lone})


class FailureRun:
    """The failures since the newest success. A success decides what ended before it."""

    def __init__(self, failures: list[CallEnd] | None = None, *, success_at: float = -inf) -> None:
        self._failures = failures or []
        self._success_at = success_at

    @property
    def failures(self) -> list[CallEnd]:
        """In the order in which they ended."""
        return self._failures

    @property
    def success_at(self) -> float:
        """When the newest success ended."""
        return self._success_at

    def add_failure(self, failure: CallEnd) -> None:
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


class Trip:
    """The run that opened a circuit, and whether late news takes the ground from under it."""

    def __init__(self, run: FailureRun, *, at: float, generation: int) -> None:
        self.at = at
        self.generation = generation
        """The closed generation that the trip ended."""
        self._began_after = run.success_at
        self._failures = run.failures
        self._successes: list[float] = []

    @property
    def suspect(self) -> str:
        """The replica that saw most of it: if one network is broken, it is that one's."""
        return Counter(failure.replica for failure in self._failures).most_common(1)[0][0]

    def add_failure(self, failure: CallEnd) -> None:
        """Learn of a failure of a call that was made before the trip."""
        if failure.at > self._began_after:
            insort(self._failures, failure)

    def add_success(self, at: float) -> None:
        """Learn of a success of a call that was made before the trip."""
        insort(self._successes, at)

    def stands(self, threshold: int, *, lone: str | None) -> bool:
        """Return whether some of the failures were an outage with no success between them."""
        return any(is_outage(row, threshold, lone=lone) for row in self._rows())

    def undone(self) -> FailureRun:
        """Return the run as it would be had the circuit not opened."""
        return FailureRun(self._rows()[-1], success_at=max(self._successes))

    def _rows(self) -> list[list[CallEnd]]:
        """Return the failures between one success and the next."""
        rows: list[list[CallEnd]] = [[] for _ in range(len(self._successes) + 1)]
        for failure in self._failures:
            rows[bisect_left(self._successes, failure.at)].append(failure)
        return rows

"""Whether 429s tell of a limit that is reached, or only of a vendor that refuses now and then.

A reached limit refuses many calls of those that are made; a few among many are made again, like
other failures, and slowing the whole cluster down for them would cost more than they do.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 10.0
REACHED_SHARE: Final = 0.2
"""Of the calls of the last seconds. Offered a quarter more than its limit, a vendor refuses a
fifth; less than that is within the retry budget. Source: benchmarks/provider_faults.py, where 7 %
of 429s at random, each of them heeded, had the limiter down to half of what was asked for.
"""
MOST_REMEMBERED: Final = 1000


class Congestion:
    """One replica's calls of one circuit, and those that were refused."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque(maxlen=MOST_REMEMBERED)
        self._refusals: deque[float] = deque(maxlen=MOST_REMEMBERED)

    def call(self, now: float) -> None:
        """Count a call that is made."""
        self._calls.append(now)

    def refuse(self, now: float) -> bool:
        """Count a 429, and return whether it tells of a limit that is reached."""
        self._refusals.append(now)
        for remembered in (self._calls, self._refusals):
            while remembered and remembered[0] <= now - WINDOW_S:
                remembered.popleft()
        return len(self._refusals) >= REACHED_SHARE * len(self._calls)

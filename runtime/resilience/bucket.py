"""A token bucket: it says how long to wait, and never waits itself.

Held by `ceilings.py` and `retry_budget.py`. It has no clock: every call is given `now`, and times
must not go back.
"""

from __future__ import annotations

import math
from typing import Final

ROUNDING: Final = 1e-9
"""Whoever waits exactly as long as it was told must not be told to wait for a rounding error."""


class TokenBucket:
    """Fills at `rate_per_s` up to `capacity`; may go into debt, which the rate then pays."""

    def __init__(
        self, capacity: float, rate_per_s: float, *, now: float, level: float = 0.0
    ) -> None:
        self._capacity = capacity
        self._rate_per_s = rate_per_s
        self._level = min(level, capacity)
        self._at = now

    def level(self, now: float) -> float:
        """Return what may be taken at once; negative in debt."""
        self._fill(now)
        return self._level

    def take(self, amount: float, now: float, *, keep: float = 0.0) -> float:
        """Take `amount` and return 0, or take nothing and return the seconds to wait.

        What is left must be at least `keep`.
        """
        wait_s = self.wait_s(amount + keep, now)
        if wait_s == 0:
            self._level -= amount
        return wait_s

    def wait_s(self, level: float, now: float) -> float:
        """Return the seconds until that level at this rate, as if the capacity allowed it."""
        self._fill(now)
        missing = level - self._level
        if missing <= ROUNDING:
            return 0.0
        return missing / self._rate_per_s if self._rate_per_s > 0 else math.inf

    def give(self, amount: float, now: float) -> None:
        """Put back what was not used, as far as it fits; a negative amount is a debt."""
        self._fill(now)
        self._level = min(self._capacity, self._level + amount)

    def adjust(self, *, capacity: float, rate_per_s: float, now: float) -> None:
        """Fill at the old rate up to `now`, then go on with these; what does not fit is lost."""
        self._fill(now)
        self._capacity = capacity
        self._rate_per_s = rate_per_s
        self._level = min(self._level, capacity)

    def _fill(self, now: float) -> None:
        elapsed_s = max(0.0, now - self._at)
        self._level = min(self._capacity, self._level + elapsed_s * self._rate_per_s)
        self._at = max(self._at, now)

"""A vendor's ceilings, read in the strictest way: no 60 seconds, wherever they begin, hold more.

Vendors that count by calendar minutes or let a bucket refill allow more in some minute; a client
that stays under this stays under those. A refused call does not count.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.simulator.behaviour import Behaviour


class SlidingWindow:
    """How much was let through in the last seconds."""

    def __init__(self) -> None:
        self._taken: deque[tuple[float, int]] = deque()
        self._sum = 0

    def wait_s(self, amount: int, ceiling: int, *, now_s: float, window_s: float) -> float:
        """Return the seconds until the amount fits; 0 where it does, the window where never."""
        while self._taken and self._taken[0][0] <= now_s - window_s:
            self._sum -= self._taken.popleft()[1]
        over = self._sum + amount - ceiling
        if over <= 0:
            return 0.0
        for taken_s, taken in self._taken:
            over -= taken
            if over <= 0:
                return taken_s + window_s - now_s
        return window_s

    def add(self, amount: int, *, now_s: float) -> None:
        """Count what was let through."""
        self._taken.append((now_s, amount))
        self._sum += amount


class Ceilings:
    """Requests, inputs and tokens of one vendor's operation."""

    def __init__(self) -> None:
        self._requests = SlidingWindow()
        self._inputs = SlidingWindow()
        self._tokens = SlidingWindow()

    def take(self, behaviour: Behaviour, *, inputs: int, tokens: int, now_s: float) -> float:
        """Let a call through and return 0, or return the seconds until it may come again."""
        wanted = [
            (window, amount, ceiling)
            for window, amount, ceiling in (
                (self._requests, 1, behaviour.requests_per_minute),
                (self._inputs, inputs, behaviour.inputs_per_minute),
                (self._tokens, tokens, behaviour.tokens_per_minute),
            )
            if ceiling is not None
        ]
        wait_s = max(
            (
                window.wait_s(amount, ceiling, now_s=now_s, window_s=behaviour.window_s)
                for window, amount, ceiling in wanted
            ),
            default=0.0,
        )
        if wait_s == 0:
            for window, amount, _ in wanted:
                window.add(amount, now_s=now_s)
        return wait_s

    def add_output(self, behaviour: Behaviour, *, tokens: int, now_s: float) -> None:
        """Count the tokens that were written: known only after the call was let through."""
        if behaviour.tokens_per_minute is not None:
            self._tokens.add(tokens, now_s=now_s)

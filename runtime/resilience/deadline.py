"""When an operation must have ended. It travels between processes as the seconds that remain."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.ports import Clock


class Deadline:
    """The end of `timeout_s`, counted from now; `at_s` is it on the clock's monotonic reading."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self.at_s = clock.monotonic() + timeout_s

    def remaining_s(self) -> float:
        """Return the seconds that are left, never less than 0."""
        return max(0.0, self.at_s - self._clock.monotonic())

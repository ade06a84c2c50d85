from __future__ import annotations

from runtime.clock import ManualClock
from runtime.resilience.deadline import Deadline


def test_what_remains_shrinks_with_the_clock_and_never_below_zero() -> None:
    clock = ManualClock()
    clock.advance(100)
    deadline = Deadline(clock, 5)
    clock.advance(2)
    assert (deadline.remaining_s(), deadline.at_s) == (3, 105)
    clock.advance(9)
    assert deadline.remaining_s() == 0

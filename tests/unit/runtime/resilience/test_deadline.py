from __future__ import annotations

import asyncio

import pytest

from runtime.clock import ManualClock
from runtime.errors import DeadlineExceeded
from runtime.resilience.deadline import Deadline, held_for


def test_what_remains_shrinks_with_the_clock_and_never_below_zero() -> None:
    clock = ManualClock()
    clock.advance(100)
    deadline = Deadline(clock, 5)
    clock.advance(2)
    assert (deadline.remaining_s(), deadline.at_s) == (3, 105)
    clock.advance(9)
    assert deadline.remaining_s() == 0


async def test_what_is_still_awaited_at_the_end_is_cancelled_and_told_as_the_caller_says() -> None:
    with pytest.raises(DeadlineExceeded) as late:
        async with held_for(0.001, late=lambda: DeadlineExceeded("chat")):
            await asyncio.Event().wait()
    assert late.value.stage == "chat"


async def test_a_time_out_of_the_blocks_own_is_not_taken_for_the_end() -> None:
    own = "of a provider's client"
    with pytest.raises(TimeoutError, match=own):
        async with held_for(60, late=lambda: DeadlineExceeded("chat")):
            raise TimeoutError(own)

from __future__ import annotations

import asyncio

import pytest

from runtime.answering.stages import Stages
from runtime.clock import ManualClock, SystemClock
from runtime.errors import DeadlineExceeded


async def test_what_remains_shrinks_and_each_stage_is_timed() -> None:
    clock = ManualClock()
    stages = Stages(clock, deadline_s=10)
    async with stages.held("retrieve"):
        clock.advance(4)
    assert stages.remaining_s("chat") == 6
    with stages.measured("chat"):
        clock.advance(0.5)
    assert stages.timings_ms == {"retrieve": 4000, "chat": 500}


def test_a_stage_that_fails_is_timed_too() -> None:
    stages = Stages(ManualClock(), deadline_s=10)
    with pytest.raises(ValueError, match="x"), stages.measured("embed"):
        raise ValueError("x")
    assert stages.timings_ms == {"embed": 0}


async def test_a_stage_that_would_begin_late_does_not_begin() -> None:
    clock = ManualClock()
    stages = Stages(clock, deadline_s=3)
    clock.advance(3)
    with pytest.raises(DeadlineExceeded) as late:
        async with stages.held("retrieve"):
            pytest.fail("the stage ran")
    assert late.value.stage == "retrieve"


async def test_a_stage_that_hangs_is_cancelled_at_the_deadline() -> None:
    stages = Stages(SystemClock(), deadline_s=0.01)
    never = asyncio.get_running_loop().create_future()
    with pytest.raises(DeadlineExceeded) as late:
        async with stages.held("retrieve"):
            await never
    assert late.value.stage == "retrieve"
    assert never.cancelled()


async def test_the_deadline_is_not_blamed_for_a_timeout_of_another_thing() -> None:
    with pytest.raises(TimeoutError):
        async with Stages(SystemClock(), deadline_s=60).held("retrieve"):
            raise TimeoutError

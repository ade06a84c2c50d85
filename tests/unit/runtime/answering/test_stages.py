from __future__ import annotations

import asyncio

import pytest

from runtime.answering.stages import Stages
from runtime.clock import ManualClock, SystemClock
from runtime.errors import DeadlineExceeded


async def test_each_stage_is_told_what_remains_and_is_timed() -> None:
    clock = ManualClock()
    stages = Stages(clock, deadline_s=10)
    async with stages.stage("embed") as remaining_s:
        assert remaining_s == 10
        clock.advance(4)
    async with stages.stage("chat") as remaining_s:
        assert remaining_s == 6
        clock.advance(0.5)
    assert stages.timings_ms == {"embed": 4000, "chat": 500}


async def test_a_stage_that_would_begin_late_does_not_begin() -> None:
    clock = ManualClock()
    stages = Stages(clock, deadline_s=3)
    clock.advance(3)
    with pytest.raises(DeadlineExceeded) as late:
        async with stages.stage("retrieve"):
            pytest.fail("the stage ran")
    assert late.value.stage == "retrieve"


async def test_a_stage_that_hangs_is_cancelled_at_the_deadline() -> None:
    stages = Stages(SystemClock(), deadline_s=0.01)
    never = asyncio.get_running_loop().create_future()
    with pytest.raises(DeadlineExceeded) as late:
        async with stages.stage("chat"):
            await never
    assert late.value.stage == "chat"
    assert never.cancelled()
    assert stages.timings_ms == {}

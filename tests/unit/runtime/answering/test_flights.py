"""One question asked twice at once: who waits for whom, and for how long."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import UUID

from runtime.answering.flights import Flights

OURS = (UUID(int=1), b"how is she?")
THEIRS = (UUID(int=2), b"how is she?")


async def test_nobody_is_waited_for_where_the_same_is_not_under_way() -> None:
    flights = Flights()
    with flights.begun(THEIRS):
        assert not await flights.wait(OURS, timeout_s=60)


async def test_who_waits_goes_on_when_the_first_has_ended() -> None:
    flights = Flights()
    with flights.begun(OURS):
        waiting = asyncio.create_task(flights.wait(OURS, timeout_s=60))
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting


async def test_a_first_one_that_fails_holds_nobody() -> None:
    flights = Flights()
    failing = flights.begun(OURS)
    failing.__enter__()
    waiting = asyncio.create_task(flights.wait(OURS, timeout_s=60))
    await asyncio.sleep(0)
    with suppress(ValueError):
        failing.__exit__(ValueError, ValueError(), None)
    assert await waiting
    assert not await flights.wait(OURS, timeout_s=60)


async def test_one_that_hangs_is_left_after_the_time_out() -> None:
    flights = Flights()
    with flights.begun(OURS):
        assert not await flights.wait(OURS, timeout_s=0.01)


async def test_a_second_one_that_ends_first_does_not_end_the_first() -> None:
    flights = Flights()
    with flights.begun(OURS):
        with flights.begun(OURS):
            pass
        waiting = asyncio.create_task(flights.wait(OURS, timeout_s=60))
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting

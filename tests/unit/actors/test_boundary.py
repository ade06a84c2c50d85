from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, GetTimeoutError, RayTaskError
from ray.serve.exceptions import BackPressureError, RequestCancelledError

from actors.boundary import call, stream, unwrap
from runtime.errors import ActorUnavailable, DeadlineExceeded, Overloaded


class Response:
    """A handle call: ends as it is told, or never."""

    def __init__(self, outcome: object = None, *, hangs: bool = False) -> None:
        self.outcome = outcome
        self.hangs = hangs
        self.waiting = asyncio.Event()
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def __await__(self) -> Generator[Any, None, object]:
        return self._wait().__await__()

    async def _wait(self) -> object:
        self.waiting.set()
        if self.hangs:
            await asyncio.Event().wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


class Items(Response):
    """A streaming handle call of two items and then the outcome."""

    async def __aiter__(self) -> AsyncIterator[object]:
        yield 1
        yield 2
        await self._wait()


async def test_a_call_returns_what_the_callee_returns() -> None:
    assert await call(Response(7), actor="chat", timeout_s=1) == 7


async def test_a_call_that_takes_too_long_is_cancelled_at_the_callee() -> None:
    response = Response(hangs=True)
    with pytest.raises(ActorUnavailable, match="chat: no answer within"):
        await call(response, actor="chat", timeout_s=0.01)
    assert response.cancelled


async def test_a_caller_who_is_cancelled_cancels_the_callee_and_stays_cancelled() -> None:
    response = Response(hangs=True)
    asking = asyncio.create_task(call(response, actor="chat", timeout_s=60))
    await response.waiting.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert response.cancelled


@pytest.mark.parametrize("outcome", [asyncio.CancelledError(), RequestCancelledError("1")])
async def test_a_callee_that_was_cancelled_is_not_mistaken_for_ourselves(
    outcome: BaseException,
) -> None:
    with pytest.raises(ActorUnavailable, match="gave up"):
        await call(Response(outcome), actor="chat", timeout_s=1)


async def test_a_callee_that_gives_up_just_before_we_are_cancelled_was_no_failure() -> None:
    asking = asyncio.create_task(
        call(Response(asyncio.CancelledError()), actor="chat", timeout_s=60)
    )
    pieces = stream(Items(RequestCancelledError("1")), actor="chat", timeout_s=60)

    async def read() -> None:
        async for _ in pieces:
            pass

    reading = asyncio.create_task(read())
    for _ in range(5):
        await asyncio.sleep(0)  # both have heard of the callee's end, and wait
    for task in (asking, reading):
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_our_errors_come_out_as_they_were() -> None:
    ours = DeadlineExceeded("chat")
    assert unwrap(ours, actor="chat") is ours
    error: Any = RayTaskError
    wrapped = error("f", "trace", ours).as_instanceof_cause()
    assert unwrap(wrapped, actor="chat") is ours


@pytest.mark.parametrize("error", [GetTimeoutError("x"), ActorDiedError()])
def test_rays_errors_become_unavailability(error: Exception) -> None:
    found = unwrap(error, actor="chat")
    assert isinstance(found, ActorUnavailable)
    assert found.reason == type(error).__name__


def test_serves_full_queue_becomes_overload() -> None:
    found = unwrap(BackPressureError(num_queued_requests=1, max_queued_requests=1), actor="chat")
    assert isinstance(found, Overloaded)


def test_a_fault_of_the_program_stays_what_it_is() -> None:
    fault = KeyError("x")
    assert unwrap(fault, actor="chat") is fault


async def test_a_stream_passes_items_on_and_ends_with_the_callees() -> None:
    items = Items()
    assert [item async for item in stream(items, actor="chat", timeout_s=1)] == [1, 2]


async def test_leaving_a_stream_early_stops_the_callee() -> None:
    items = Items(hangs=True)
    pieces = stream(items, actor="chat", timeout_s=60)
    assert await anext(pieces) == 1
    assert not items.cancelled
    await pieces.aclose()
    assert items.cancelled


async def test_a_stream_that_does_not_end_in_time_is_stopped() -> None:
    items = Items(hangs=True)
    with pytest.raises(ActorUnavailable, match="no answer within"):
        async for _ in stream(items, actor="chat", timeout_s=0.01):
            pass
    assert items.cancelled


async def test_a_streams_error_is_translated() -> None:
    with pytest.raises(ActorUnavailable, match="ActorDiedError"):
        async for _ in stream(Items(ActorDiedError()), actor="chat", timeout_s=1):
            pass

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from actors.limiter_link import RemoteLimiterLink
from runtime.errors import ActorUnavailable
from runtime.resilience.cost import NOTHING
from runtime.resilience.limit_board import CircuitReport, Waiting

REPORTS = {"cohere_chat": CircuitReport(NOTHING, NOTHING, Waiting(), Waiting(), NOTHING, 3, 0.0)}


class Handle:
    """An actor's handle: each method returns an awaitable, ends as told, or never."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome
        self.asked: list[tuple[str, tuple[object, ...]]] = []
        self.waiting = asyncio.Event()

    def __getattr__(self, method: str) -> Any:
        return _Method(self, method)

    async def answer(self) -> object:
        self.waiting.set()
        if self.outcome is None:
            await asyncio.Event().wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


class _Method:
    def __init__(self, handle: Handle, name: str) -> None:
        self.handle = handle
        self.name = name

    def remote(self, *args: object) -> asyncio.Future[object]:
        self.handle.asked.append((self.name, args))
        return asyncio.ensure_future(self.handle.answer())


class Opener:
    """Gives out handles in turn, as a look-up by name does."""

    def __init__(self, *handles: Handle | BaseException) -> None:
        self.handles = list(handles)
        self.threads: list[int] = []

    def __call__(self) -> Handle:
        self.threads.append(threading.get_ident())
        handle = self.handles.pop(0)
        if isinstance(handle, BaseException):
            raise handle
        return handle


async def test_each_method_asks_the_actor_for_the_same_with_the_same_arguments() -> None:
    handle = Handle({})
    link = RemoteLimiterLink(Opener(handle))
    assert await link.sync("a", REPORTS) == {}
    handle.outcome = True
    assert await link.take_retry("cohere_chat", 7) is True
    assert handle.asked == [("sync", ("a", REPORTS)), ("take_retry", ("cohere_chat", 7))]


async def test_the_actor_is_looked_up_once_and_off_the_loop() -> None:
    opener = Opener(Handle({}))
    link = RemoteLimiterLink(opener)
    await asyncio.gather(*(link.sync("a", REPORTS) for _ in range(5)))
    (thread,) = opener.threads
    assert thread != threading.get_ident()


def _task_error(cause: Exception) -> Exception:
    untyped: Any = RayTaskError
    error: Exception = untyped("sync", "traceback", cause)
    return error


@pytest.mark.parametrize(
    "make",
    [
        ActorDiedError,
        lambda: ActorUnavailableError("restarting", b"\0" * 16),
        lambda: _task_error(ValueError("a bug")),
        lambda: ActorUnavailable("x", "y"),
        asyncio.CancelledError,
        lambda: RuntimeError("serialisation"),
    ],
    ids=["died", "restarting", "its bug", "ours", "gave up", "foreign"],
)
async def test_whatever_ray_says_it_is_one_error(make: Callable[[], BaseException]) -> None:
    link = RemoteLimiterLink(Opener(Handle(make())))
    with pytest.raises(ActorUnavailable):
        await link.take_retry("cohere_chat", 0)


@pytest.mark.parametrize("first", [Handle(ActorDiedError()), ValueError("no such actor")])
async def test_after_a_failure_the_actor_is_looked_up_again(first: Handle | ValueError) -> None:
    link = RemoteLimiterLink(Opener(first, Handle({})))
    with pytest.raises(ActorUnavailable):
        await link.sync("a", REPORTS)
    assert await link.sync("a", REPORTS) == {}


@pytest.mark.parametrize("is_in_a_cluster", [True, False])
async def test_a_caller_who_leaves_ends_the_actors_call(
    monkeypatch: pytest.MonkeyPatch, *, is_in_a_cluster: bool
) -> None:
    cancelled: list[object] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: is_in_a_cluster)
    monkeypatch.setattr(ray, "cancel", cancelled.append)
    handle = Handle(None)
    asking = asyncio.create_task(RemoteLimiterLink(Opener(handle)).take_retry("cohere_chat", 0))
    await handle.waiting.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(cancelled) == is_in_a_cluster


async def test_a_caller_who_leaves_during_the_look_up_ends_it_for_nobody_else() -> None:
    may_open = threading.Event()
    handle = Handle({})

    def open_actor() -> Handle:
        may_open.wait(10)
        return handle

    link = RemoteLimiterLink(open_actor)
    leaving = asyncio.create_task(link.take_retry("cohere_chat", 0))
    staying = asyncio.create_task(link.sync("a", REPORTS))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    may_open.set()
    assert await staying == {}
    assert [method for method, _ in handle.asked] == ["sync"]

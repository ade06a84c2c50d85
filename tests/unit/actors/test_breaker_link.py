from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, RayTaskError

from actors.breaker_link import RemoteBreakerLink
from runtime.errors import ActorUnavailable
from runtime.messages import Permit
from runtime.resilience.circuit_board import Membership, Snapshot

SNAPSHOT = Snapshot("first", 1, ())


class Handle:
    """An actor's handle: each method returns an awaitable, ends as told, or never."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome
        self.asked: list[tuple[str, tuple[object, ...], dict[str, object]]] = []
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

    def remote(self, *args: object, **kwargs: object) -> asyncio.Future[object]:
        self.handle.asked.append((self.name, args, kwargs))
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


@pytest.fixture
def cancelled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    refs: list[object] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cancel", refs.append)
    return refs


async def test_each_method_asks_the_actor_for_the_same_with_the_same_arguments() -> None:
    handle = Handle(SNAPSHOT)
    link = RemoteBreakerLink(Opener(handle))
    member = Membership("a", (), None, (), ())
    assert await link.join(member) == SNAPSHOT
    assert await link.watch("a", ("c",), incarnation="i", version=3) == SNAPSHOT
    assert await link.report("a", (), incarnation="i") == SNAPSHOT
    handle.outcome = Permit(1, 2)
    assert await link.lease_probe("a", "c") == Permit(1, 2)
    assert handle.asked == [
        ("join", (member,), {}),
        ("watch", ("a", ("c",)), {"incarnation": "i", "version": 3}),
        ("report", ("a", ()), {"incarnation": "i"}),
        ("lease_probe", ("a", "c"), {}),
    ]


async def test_the_actor_is_looked_up_once_and_off_the_loop() -> None:
    opener = Opener(Handle(SNAPSHOT))
    link = RemoteBreakerLink(opener)
    await asyncio.gather(*(link.report("a", (), incarnation="i") for _ in range(5)))
    (thread,) = opener.threads
    assert thread != threading.get_ident()


def _task_error(cause: Exception) -> Exception:
    untyped: Any = RayTaskError
    error: Exception = untyped("report", "traceback", cause)
    return error


@pytest.mark.parametrize(
    "make",
    [
        ActorDiedError,
        lambda: _task_error(ValueError("a bug")),
        lambda: ActorUnavailable("x", "y"),
        asyncio.CancelledError,
        lambda: RuntimeError("serialisation"),
    ],
    ids=["died", "its bug", "ours", "gave up", "foreign"],
)
async def test_whatever_ray_says_it_is_one_error(make: Callable[[], BaseException]) -> None:
    link = RemoteBreakerLink(Opener(Handle(make())))
    with pytest.raises(ActorUnavailable):
        await link.lease_probe("a", "c")


async def test_after_the_actor_died_it_is_looked_up_again() -> None:
    link = RemoteBreakerLink(Opener(Handle(ActorDiedError()), Handle(SNAPSHOT)))
    with pytest.raises(ActorUnavailable):
        await link.report("a", (), incarnation="i")
    assert await link.report("a", (), incarnation="i") == SNAPSHOT


async def test_a_look_up_that_fails_is_made_again() -> None:
    link = RemoteBreakerLink(Opener(ValueError("no such actor"), Handle(SNAPSHOT)))
    with pytest.raises(ActorUnavailable):
        await link.report("a", (), incarnation="i")
    assert await link.report("a", (), incarnation="i") == SNAPSHOT


async def test_a_caller_who_leaves_ends_the_actors_call(cancelled: list[object]) -> None:
    handle = Handle(None)
    asking = asyncio.create_task(RemoteBreakerLink(Opener(handle)).lease_probe("a", "c"))
    await handle.waiting.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(cancelled) == 1


async def test_a_caller_who_leaves_during_the_look_up_ends_it_for_nobody_else() -> None:
    may_open = threading.Event()
    handle = Handle(SNAPSHOT)

    def open_actor() -> Handle:
        may_open.wait(10)
        return handle

    link = RemoteBreakerLink(open_actor)
    leaving = asyncio.create_task(link.report("a", (), incarnation="i"))
    staying = asyncio.create_task(link.report("b", (), incarnation="i"))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    may_open.set()
    assert await staying == SNAPSHOT
    assert [args[0] for _, args, _ in handle.asked] == ["b"]

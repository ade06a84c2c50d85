from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from actors.link import ActorLink
from runtime.errors import ActorUnavailable
from tests.unit.actors.actor_handle import Handle, Opener


def _link(open_actor: Callable[[], Handle]) -> ActorLink:
    return ActorLink("bell", open_actor)


async def test_the_actor_is_asked_as_told() -> None:
    handle = Handle("answer")
    assert await _link(Opener(handle)).ask("ring", 1, times=2) == "answer"
    assert handle.asked == [("ring", (1,), {"times": 2})]


async def test_the_actor_is_looked_up_once_and_off_the_loop() -> None:
    opener = Opener(Handle("answer"))
    link = _link(opener)
    await asyncio.gather(*(link.ask("ring") for _ in range(5)))
    (thread,) = opener.threads
    assert thread != threading.get_ident()


def _task_error(cause: Exception) -> Exception:
    untyped: Any = RayTaskError
    error: Exception = untyped("ring", "traceback", cause)
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
    with pytest.raises(ActorUnavailable):
        await _link(Opener(Handle(make()))).ask("ring")


@pytest.mark.parametrize("first", [ActorDiedError(), ValueError("a bug")])
async def test_only_an_actor_that_died_is_looked_up_again(first: Exception) -> None:
    has_died = isinstance(first, ActorDiedError)
    handle, successor = Handle(first), Handle("successor")
    link = _link(Opener(handle, successor))
    with pytest.raises(ActorUnavailable):
        await link.ask("ring")
    handle.outcome = "the same"
    assert await link.ask("ring") == ("successor" if has_died else "the same")


async def test_a_look_up_that_fails_is_made_again() -> None:
    link = _link(Opener(ValueError("no such actor"), Handle("answer")))
    with pytest.raises(ActorUnavailable):
        await link.ask("ring")
    assert await link.ask("ring") == "answer"


@pytest.mark.parametrize("is_in_a_cluster", [True, False])
async def test_a_caller_who_leaves_ends_the_actors_call(
    monkeypatch: pytest.MonkeyPatch, *, is_in_a_cluster: bool
) -> None:
    cancelled: list[object] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: is_in_a_cluster)
    monkeypatch.setattr(ray, "cancel", cancelled.append)
    handle = Handle(None)
    asking = asyncio.create_task(_link(Opener(handle)).ask("ring"))
    await handle.waiting.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(cancelled) == is_in_a_cluster


async def test_a_caller_who_leaves_during_the_look_up_ends_it_for_nobody_else() -> None:
    may_open = threading.Event()
    handle = Handle("answer")

    def open_actor() -> Handle:
        may_open.wait(10)
        return handle

    link = _link(open_actor)
    leaving = asyncio.create_task(link.ask("ring", "leaving"))
    staying = asyncio.create_task(link.ask("ring", "staying"))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    may_open.set()
    assert await staying == "answer"
    assert [args for _, args, _ in handle.asked] == [("staying",)]

from __future__ import annotations

import pickle

import pytest

from actors.limiter import LimiterActor
from runtime.clock import ManualClock
from runtime.messages import Cost, Limits
from runtime.resilience.cost import NOTHING
from runtime.resilience.limit_board import CircuitReport, Waiting
from runtime.settings import Settings

CHAT = "cohere_chat"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> LimiterActor:
    monkeypatch.setattr(Settings, "limits", lambda _: {CHAT: Limits(requests=600)})
    return LimiterActor(Settings(), "1.0+abc", clock=clock)


def report(waiting: int) -> CircuitReport:
    return CircuitReport(NOTHING, NOTHING, Waiting((Cost(),) * waiting), Waiting(), NOTHING, 0, 0.0)


async def test_it_tells_what_it_was_made_from(actor: LimiterActor) -> None:
    assert await actor.version() == "1.0+abc"


async def test_it_grants_by_its_own_clock_within_the_settings_limits(
    actor: LimiterActor, clock: ManualClock
) -> None:
    assert (await actor.sync("a", {CHAT: report(5)}))[CHAT].interactive == 0
    clock.advance(0.3)
    assert (await actor.sync("a", {CHAT: report(5)}))[CHAT].interactive == 2


async def test_a_circuit_that_the_settings_do_not_limit_is_let_through(actor: LimiterActor) -> None:
    assert (await actor.sync("a", {"local_chat": report(5)}))["local_chat"].interactive == 5


async def test_it_holds_one_retry_budget_a_circuit(actor: LimiterActor) -> None:
    assert [await actor.take_retry(CHAT, 0) for _ in range(11)] == [True] * 10 + [False]
    assert await actor.take_retry(CHAT, 5)
    assert await actor.take_retry("local_chat", 0)


async def test_reports_and_grants_survive_the_way_between_processes(actor: LimiterActor) -> None:
    reports = {CHAT: report(1)}
    assert pickle.loads(pickle.dumps(reports)) == reports
    grants = await actor.sync("a", reports)
    assert pickle.loads(pickle.dumps(grants)) == grants

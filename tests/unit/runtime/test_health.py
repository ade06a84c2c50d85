import asyncio
from collections.abc import Sequence

import pytest

from runtime import health
from runtime.clock import ManualClock
from runtime.errors import ActorUnavailable, DatabaseUnavailable, ProviderTimeout
from runtime.health import (
    KEPT_S,
    ChatProbe,
    CircuitProbe,
    ComponentHealth,
    DatabaseProbe,
    EmbedderProbe,
    HealthCheck,
    HealthReport,
    IndexProbe,
    ProcessProbe,
    RerankerProbe,
    State,
)
from runtime.messages import CircuitState
from runtime.providers.fakes import FakeChatModel, FakeEmbedder, FakeReranker


class Part:
    """A probe that counts its looks and says what the test wants."""

    def __init__(self, state: State = "ok") -> None:
        self.name = "part"
        self.state: State = state
        self.without: State = "down"
        self.looks = 0
        self.hold: asyncio.Event | None = None

    async def check(self, *, deep: bool) -> ComponentHealth:
        self.looks += 1
        if self.hold is not None:
            await self.hold.wait()
        return ComponentHealth(self.name, self.state, "deep" if deep else "shallow")


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        (("ok", "ok"), "ok"),
        (("ok", "degraded"), "degraded"),
        (("degraded", "down"), "down"),
        ((), "ok"),
    ],
)
def test_the_whole_is_as_its_worst_part(states: Sequence[State], whole: State) -> None:
    report = HealthReport(tuple(ComponentHealth("p", state, "") for state in states))
    assert report.status == whole


async def test_a_shallow_report_is_kept_for_a_moment_however_many_ask() -> None:
    clock, part = ManualClock(), Part()
    check = HealthCheck([part], clock=clock)
    await asyncio.gather(*(check.report() for _ in range(10)))
    clock.advance(KEPT_S / 2)
    await check.report()
    assert part.looks == 1
    part.state = "down"
    clock.advance(KEPT_S / 2)
    assert (await check.report()).status == "down"


async def test_a_deep_report_is_made_each_time() -> None:
    part = Part()
    check = HealthCheck([part], clock=ManualClock())
    for _ in range(2):
        [seen] = (await check.report(deep=True)).components
        assert seen.detail == "deep"
    assert part.looks == 2


async def test_a_part_that_does_not_answer_is_down_and_delays_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT_S", 0.01)
    silent = Part()
    silent.hold = asyncio.Event()
    report = await HealthCheck([silent, Part()], clock=ManualClock()).report()
    assert [part.state for part in report.components] == ["down", "ok"]


async def test_the_database_is_down_when_gone_or_behind_and_says_what_to_do() -> None:
    gone = False
    missing: list[str] = []

    async def ping() -> None:
        if gone:
            raise DatabaseUnavailable("connection refused")

    async def pending() -> list[str]:
        return missing

    clock = ManualClock()
    check = HealthCheck([DatabaseProbe(ping, pending)], clock=clock)
    assert (await check.report()).status == "ok"

    missing.append("0002_pre_more.sql")
    clock.advance(KEPT_S)
    [part] = (await check.report()).components
    assert part.state == "down"
    assert "pazpaz-agent migrate" in part.detail

    gone = True
    clock.advance(KEPT_S)
    [part] = (await check.report()).components
    assert part == ComponentHealth("database", "down", "connection refused")


async def test_the_providers_are_called_only_by_a_deep_look() -> None:
    embedder, chat_model = FakeEmbedder(), FakeChatModel(["ok"])
    check = HealthCheck([EmbedderProbe(embedder), ChatProbe(chat_model)], clock=ManualClock())
    shallow = await check.report()
    assert [part.detail for part in shallow.components] == [
        "fake:trigrams:256, configured",
        "fake:scripted, configured",
    ]
    assert (len(embedder.calls), len(chat_model.requests)) == (0, 0)
    deep = await check.report(deep=True)
    assert [part.detail for part in deep.components] == [
        "fake:trigrams:256, answered",
        "fake:scripted, answered",
    ]
    assert (len(embedder.calls), len(chat_model.requests)) == (1, 1)


async def test_without_the_reranker_answers_are_only_degraded() -> None:
    reranker = FakeReranker()
    check = HealthCheck([RerankerProbe(reranker)], clock=ManualClock())
    [part] = (await check.report()).components
    assert (part.detail, reranker.calls) == ("fake:shared-words, configured", [])
    [part] = (await check.report(deep=True)).components
    assert part.detail == "fake:shared-words, answered"
    reranker.failures.append(ProviderTimeout("fake", "m", "rerank", "no answer", None))
    assert (await check.report(deep=True)).status == "degraded"


async def test_a_provider_that_fails_a_deep_look_is_down() -> None:
    embedder = FakeEmbedder()
    embedder.failures.append(ProviderTimeout("fake", "trigrams", "embed", "no answer", None))
    check = HealthCheck([EmbedderProbe(embedder)], clock=ManualClock())
    assert (await check.report(deep=True)).status == "down"


async def test_a_probe_that_fails_in_an_unexpected_way_is_down_without_its_words() -> None:
    class Broken(Part):
        async def check(self, *, deep: bool) -> ComponentHealth:
            del deep
            raise ValueError("postgresql://user:password@host")

    report = await HealthCheck([Broken(), Part()], clock=ManualClock()).report()
    assert [part.state for part in report.components] == ["down", "ok"]
    assert "password" not in report.components[0].detail


async def test_the_index_tells_how_many_records_wait() -> None:
    async def count() -> int:
        return 3

    found = await IndexProbe(count).check(deep=False)
    assert found.state == "ok"
    assert found.detail.startswith("3 records wait")


async def test_a_part_that_the_whole_can_do_without_only_degrades_it() -> None:
    async def ping() -> None:
        raise ActorUnavailable("embedding", "ActorDiedError")

    probe = ProcessProbe("embedding_replicas", ping, without="degraded")
    report = await HealthCheck([probe], clock=ManualClock()).report()
    assert report.status == "degraded"
    assert report.components[0].detail == "embedding: ActorDiedError"


@pytest.mark.parametrize(
    ("circuits", "state", "detail"),
    [
        ({"cohere_chat": "closed", "cohere_embed": "closed"}, "ok", "2 circuits, all closed"),
        (
            {"cohere_chat": "open", "cohere_embed": "closed", "azure_chat": "half_open"},
            "degraded",
            "azure_chat half_open, cohere_chat open",
        ),
    ],
)
async def test_circuits_that_are_not_closed_are_named(
    circuits: dict[str, CircuitState], state: State, detail: str
) -> None:
    async def read() -> dict[str, CircuitState]:
        return circuits

    found = await CircuitProbe(read).check(deep=False)
    assert (found.state, found.detail) == (state, detail)

from __future__ import annotations

import asyncio

from actors.breaker import HEARTBEAT_S, BreakerActor
from runtime.messages import Outcome, Permit, Refusal
from runtime.resilience.circuit_messages import Membership, OutcomeReport, Snapshot
from runtime.settings import Settings
from runtime.telemetry import CircuitChanged, Event
from tests.unit.runtime.resilience.virtual_loop import LoopClock, in_virtual_time

CHAT = "cohere_chat"


class World:
    """The actor, and replicas that have joined it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.actor = BreakerActor(Settings(), "1.0+abc", emit=self.events.append, clock=LoopClock())
        self.sequence = 0

    async def join(self, *replicas: str) -> Snapshot:
        for replica in replicas:
            snapshot = await self.actor.join(Membership(replica, (CHAT,), None, (), ()))
        return snapshot

    async def report(
        self, replica: str, outcome: Outcome, *, generation: int = 0, probe: int | None = None
    ) -> Snapshot:
        self.sequence += 1
        report = OutcomeReport(self.sequence, CHAT, generation, outcome, 0, probe)
        incarnation = (await self.actor.snapshot()).incarnation
        return await self.actor.report(replica, [report], incarnation=incarnation)

    async def open(self) -> Snapshot:
        for replica in ("a", "a", "b", "b", "b"):
            snapshot = await self.report(replica, "failed")
        return snapshot

    def watch(self, replica: str, known: Snapshot) -> asyncio.Task[Snapshot]:
        return asyncio.create_task(
            self.actor.watch(replica, (CHAT,), incarnation=known.incarnation, version=known.version)
        )


@in_virtual_time
class TestWatch:
    async def test_a_change_wakes_everybody_who_waits(self) -> None:
        here = World()
        known = await here.join("a", "b")
        waiting = [here.watch("a", known), here.watch("b", known)]
        await asyncio.sleep(0.5)
        assert not any(task.done() for task in waiting)
        await here.open()
        for snapshot in await asyncio.gather(*waiting):
            assert snapshot.circuits[0].state == "open"
        assert asyncio.get_running_loop().time() == 0.5

    async def test_without_news_it_answers_on_the_heartbeat(self) -> None:
        here = World()
        known = await here.join("a")
        assert await here.watch("a", known) == known
        assert asyncio.get_running_loop().time() == HEARTBEAT_S

    async def test_whoever_is_behind_is_answered_at_once(self) -> None:
        here = World()
        known = await here.join("a", "b")
        await here.open()
        assert (await here.watch("a", known)).circuits[0].state == "open"
        assert asyncio.get_running_loop().time() == 0

    async def test_whoever_knew_another_life_is_answered_at_once(self) -> None:
        here = World()
        known = await here.join("a")
        stranger = Snapshot("another", known.version, ())
        assert (await here.watch("a", stranger)).incarnation == known.incarnation
        assert asyncio.get_running_loop().time() == 0

    async def test_a_poll_that_is_cancelled_leaves_the_others_waiting(self) -> None:
        here = World()
        known = await here.join("a", "b")
        leaving, staying = here.watch("a", known), here.watch("b", known)
        await asyncio.sleep(0.1)
        leaving.cancel()
        await here.open()
        assert (await staying).circuits[0].state == "open"


@in_virtual_time
class TestTelemetry:
    async def test_each_change_is_told_once_with_the_time_it_was_open(self) -> None:
        here = World()
        await here.join("a", "b")
        await here.open()
        await asyncio.sleep(61)
        await here.join("a", "b")
        permit = await here.actor.lease_probe("a", CHAT)
        assert isinstance(permit, Permit)
        await here.report("a", "succeeded", generation=permit.generation, probe=permit.probe)
        assert here.events == [
            CircuitChanged(CHAT, "closed", "closed", None),  # it is known now: the gauge shows it
            CircuitChanged(CHAT, "closed", "open", None),
            CircuitChanged(CHAT, "open", "half_open", None),
            CircuitChanged(CHAT, "half_open", "closed", 61),
        ]

    async def test_an_end_of_the_rest_is_told_though_nobody_calls(self) -> None:
        here = World()
        await here.join("a", "b")
        known = await here.open()
        while known.circuits[0].state == "open":
            known = await here.watch("a", known)
        assert here.events[-1] == CircuitChanged(CHAT, "open", "half_open", None)


@in_virtual_time
class TestSelf:
    async def test_it_says_what_it_was_made_from(self) -> None:
        assert await World().actor.version() == "1.0+abc"

    async def test_an_open_circuit_leases_no_probe(self) -> None:
        here = World()
        await here.join("a", "b")
        await here.open()
        assert await here.actor.lease_probe("a", CHAT) == Refusal(60)

    async def test_two_lives_never_have_one_name(self) -> None:
        first, second = await World().join("a"), await World().join("a")
        assert first.incarnation != second.incarnation

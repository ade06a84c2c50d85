from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar

import pytest

from runtime.errors import ActorUnavailable
from runtime.messages import Outcome, Permit, Refusal
from runtime.ports import Breaker
from runtime.resilience.breaker import BreakerPolicy
from runtime.resilience.circuit_board import CircuitBoard
from runtime.resilience.circuit_copy import MAX_PENDING
from runtime.resilience.circuit_messages import Membership, OutcomeReport, Snapshot
from runtime.resilience.shared_breaker import (
    FLUSH_S,
    PROBE_WAIT_S,
    BreakerLink,
    SharedBreakers,
)
from tests.unit.runtime.resilience.virtual_loop import LoopClock, in_virtual_time

CHAT = "cohere_chat"
POLICY = BreakerPolicy(failure_threshold=5, cooldown_s=60, probes=1, lease_s=300)
HEARTBEAT_S = 1.5
REQUEST: ContextVar[str | None] = ContextVar("request", default=None)


class Actor:
    """The actor in memory: a board that may be killed, hang, or answer late."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.lives = 0
        self.start()
        self.is_up = True
        self.hangs = False
        self.delay_s = 0.001
        self.calls: list[str] = []
        self.requests: set[str | None] = set()
        self.reported: list[OutcomeReport] = []

    def start(self) -> None:
        self.lives += 1
        self.is_up = True
        self.board = CircuitBoard(
            POLICY, incarnation=f"life-{self.lives}", now=self.clock.monotonic()
        )

    def kill(self) -> None:
        self.is_up = False

    def report_success(self, replica: str) -> None:
        """As the replica would; faster than its own link."""
        now = self.clock.monotonic()
        generation = self.board.snapshot(now).circuits[0].generation
        report = OutcomeReport(10_000, CHAT, generation, "succeeded", 0, None)
        self.board.report(replica, [report], incarnation=self.board.incarnation, now=now)

    @property
    def state(self) -> str:
        self.board.advance(self.clock.monotonic())
        return self.board.snapshot(self.clock.monotonic()).circuits[0].state


class Link:
    """One replica's way to the actor; may be cut alone."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.is_cut = False
        self.loses_answers = False

    async def reach(self, method: str) -> CircuitBoard:
        self.actor.calls.append(method)
        self.actor.requests.add(REQUEST.get())
        if self.is_cut or not self.actor.is_up:
            raise ActorUnavailable("circuit_breaker", "ActorDiedError")
        board = self.actor.board
        await asyncio.sleep(self.actor.delay_s)
        if self.actor.hangs:
            await asyncio.Event().wait()
        return self.check(board)

    def check(self, board: CircuitBoard) -> CircuitBoard:
        if self.is_cut or not self.actor.is_up or board is not self.actor.board:
            raise ActorUnavailable("circuit_breaker", "ActorDiedError")
        return board

    @property
    def now(self) -> float:
        return self.actor.clock.monotonic()

    async def join(self, member: Membership) -> Snapshot:
        board = await self.reach("join")
        board.join(member, self.now)
        return board.snapshot(self.now)

    async def watch(
        self, replica: str, circuits: Sequence[str], *, incarnation: str, version: int
    ) -> Snapshot:
        board = await self.reach("watch")
        board.hear(replica, circuits, self.now)
        ends_at = self.now + HEARTBEAT_S
        while (incarnation, version) == (board.incarnation, board.version) and self.now < ends_at:
            await asyncio.sleep(0.02)
            self.check(board)
        board.hear(replica, circuits, self.now)
        return board.snapshot(self.now)

    async def report(
        self, replica: str, outcomes: Sequence[OutcomeReport], *, incarnation: str
    ) -> Snapshot:
        board = await self.reach("report")
        board.report(replica, outcomes, incarnation=incarnation, now=self.now)
        self.actor.reported += outcomes
        if self.loses_answers:
            raise ActorUnavailable("circuit_breaker", "the answer was lost")
        return board.snapshot(self.now)

    async def lease_probe(self, replica: str, circuit: str) -> Permit | Refusal:
        board = await self.reach("lease_probe")
        return board.lease_probe(replica, circuit, self.now)[0]


class Replica:
    def __init__(self, name: str, link: BreakerLink) -> None:
        self.shared = SharedBreakers(link, LoopClock(), replica_id=name, policy=POLICY)
        self.breaker: Breaker = self.shared.circuit(CHAT)
        self.task = asyncio.get_running_loop().create_task(self.shared.run(), context=Context())

    async def call(self, outcome: Outcome) -> Permit | Refusal:
        decision = await self.admit()
        if isinstance(decision, Permit):
            self.breaker.record(decision, outcome)
        return decision

    async def admit(self) -> Permit | Refusal:
        """As a call does; it is the product's promise that this never takes longer than 50 ms."""
        began_at = asyncio.get_running_loop().time()
        decision = await self.breaker.admit()
        assert asyncio.get_running_loop().time() - began_at <= PROBE_WAIT_S + 1e-9
        return decision

    async def refuses(self) -> bool:
        return isinstance(await self.admit(), Refusal)

    async def close(self) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


class World:
    def __init__(self, names: str) -> None:
        self.actor = Actor()
        self.links = [Link(self.actor) for _ in names]
        self.replicas = [Replica(name, link) for name, link in zip(names, self.links, strict=True)]

    async def fail_everywhere(self, times: int = 5) -> None:
        for i in range(times):
            await self.replicas[i % len(self.replicas)].call("failed")

    async def refused(self) -> list[bool]:
        return [await replica.refuses() for replica in self.replicas]


@asynccontextmanager
async def world(names: str) -> AsyncIterator[World]:
    here = World(names)
    await asyncio.sleep(0.2)
    here.actor.calls.clear()
    try:
        yield here
    finally:
        for replica in here.replicas:
            await replica.close()


async def passes(seconds: float) -> None:
    await asyncio.sleep(seconds)


@in_virtual_time
class TestClosed:
    async def test_a_thousand_calls_ask_the_actor_nothing(self) -> None:
        async with world("a") as here:
            for _ in range(1000):
                await here.replicas[0].admit()
            assert here.actor.calls == []

    async def test_many_successes_are_told_of_in_one_call(self) -> None:
        async with world("a") as here:
            for _ in range(20):
                await here.replicas[0].call("succeeded")
            await passes(FLUSH_S + 0.01)
            assert here.actor.calls.count("report") == 1
            assert len(here.actor.reported) == 20

    async def test_a_failure_is_told_at_once_with_what_came_before_it(self) -> None:
        async with world("a") as here:
            outcomes: list[Outcome] = ["succeeded", "succeeded", "failed"]
            for outcome in outcomes:
                await here.replicas[0].call(outcome)
            await passes(0.01)
            assert [report.outcome for report in here.actor.reported] == outcomes

    async def test_what_says_nothing_of_health_is_not_told(self) -> None:
        async with world("a") as here:
            await here.replicas[0].call("ignored")
            await passes(1)
            assert here.actor.reported == []

    async def test_five_failures_over_four_replicas_open_all_four_within_a_quarter_second(
        self,
    ) -> None:
        async with world("abcd") as here:
            await here.fail_everywhere()
            assert await here.refused() == [False] * 4
            await passes(0.25)
            assert await here.refused() == [True] * 4

    async def test_a_replica_alone_in_its_trouble_shuts_only_itself(self) -> None:
        async with world("abc") as here:
            for _ in range(5):
                await here.replicas[0].call("failed")
            assert await here.refused() == [True, False, False]
            await passes(1)
            assert await here.refused() == [True, False, False]

    async def test_its_own_probe_then_asks_nobody(self) -> None:
        async with world("ab") as here:
            for _ in range(5):
                await here.replicas[0].call("failed")
            await passes(60)
            assert isinstance(await here.replicas[0].call("succeeded"), Permit)
            assert "lease_probe" not in here.actor.calls
            assert await here.refused() == [False, False]


@in_virtual_time
class TestHalfOpen:
    async def test_one_replica_probes_and_its_success_closes_for_all(self) -> None:
        async with world("abcd") as here:
            await here.fail_everywhere()
            await passes(61.5)
            decisions = [await replica.admit() for replica in here.replicas]
            (probing,) = [i for i, d in enumerate(decisions) if isinstance(d, Permit)]
            probe = decisions[probing]
            assert isinstance(probe, Permit)
            here.replicas[probing].breaker.record(probe, "succeeded")
            await passes(0.05)
            assert await here.refused() == [False] * 4

    async def test_a_failed_probe_opens_for_all_again(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(61.5)
            await here.replicas[0].call("failed")
            await passes(50)
            assert await here.refused() == [True, True]
            assert here.actor.state == "open"

    async def test_a_thousand_callers_cost_one_question_a_second(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(61.5)
            await here.replicas[0].admit()
            here.actor.calls.clear()
            waiting = [here.replicas[1].admit() for _ in range(1000)]
            assert all(isinstance(d, Refusal) for d in await asyncio.gather(*waiting))
            assert here.actor.calls.count("lease_probe") == 1

    async def test_a_refused_probe_is_asked_for_again_after_the_time_told(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(61.5)
            await here.replicas[0].admit()
            here.actor.calls.clear()
            for _ in range(10):
                assert await here.replicas[1].refuses()
            assert here.actor.calls.count("lease_probe") == 1
            await passes(1)
            assert await here.replicas[1].refuses()
            assert here.actor.calls.count("lease_probe") == 2

    async def test_whoever_asks_while_the_cluster_closes_is_let_through(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(61.5)
            assert isinstance(await here.replicas[0].admit(), Permit)
            here.actor.delay_s = 0.045
            asking = asyncio.create_task(here.replicas[1].admit())
            await passes(0.001)
            here.actor.report_success("a")
            assert isinstance(await asking, Permit)

    async def test_a_caller_who_leaves_while_asking_gives_the_probe_back(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(61.5)
            asking = asyncio.create_task(here.replicas[0].admit())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await passes(0.05)
            assert isinstance(await here.replicas[1].admit(), Permit)

    async def test_a_question_for_a_probe_is_no_part_of_the_request_that_needs_it(self) -> None:
        """Ray Serve cancels, with a request, all that was asked in its context."""
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(61.5)
            REQUEST.set("a request's own")
            assert isinstance(await here.replicas[0].admit(), Permit)
            assert "lease_probe" in here.actor.calls
            assert here.actor.requests == {None}

    async def test_an_answer_that_comes_too_late_gives_its_lease_back(self) -> None:
        async with world("abc") as here:
            await here.fail_everywhere()
            await passes(61.5)
            here.actor.delay_s = 0.2
            first = await here.replicas[0].admit()
            assert isinstance(first, Permit)
            here.actor.delay_s = 0.001
            await passes(0.5)
            assert isinstance(await here.replicas[1].admit(), Permit)

    async def test_a_cancelled_probes_lease_goes_to_the_next(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(61.5)
            await here.replicas[0].call("ignored")
            await passes(0.05)
            assert isinstance(await here.replicas[1].admit(), Permit)

    async def test_a_replica_shut_by_its_own_failures_follows_when_the_cluster_closes(self) -> None:
        async with world("abc") as here:
            await here.fail_everywhere()
            await passes(50)
            here.links[2].is_cut = True
            await passes(11.5)
            # Cut off, the third probes by itself, fails, and would rest for another minute.
            await here.replicas[2].call("failed")
            here.links[2].is_cut = False
            await here.replicas[1].call("succeeded")
            await passes(2)
            assert await here.refused() == [False] * 3


@in_virtual_time
class TestActorAway:
    async def test_with_the_actor_dead_each_replica_decides_by_its_own_outcomes(self) -> None:
        async with world("ab") as here:
            here.actor.kill()
            await passes(1)
            for _ in range(5):
                assert isinstance(await here.replicas[0].call("failed"), Permit)
            assert await here.refused() == [True, False]

    async def test_a_hung_actor_delays_a_probe_by_50_ms_once_and_then_nobody(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(59)
            here.actor.hangs = True
            await passes(1.2)
            loop = asyncio.get_running_loop()
            began_at = loop.time()
            assert isinstance(await here.replicas[0].call("ignored"), Permit)
            assert loop.time() - began_at == pytest.approx(PROBE_WAIT_S)
            began_at = loop.time()
            assert isinstance(await here.replicas[0].admit(), Permit)
            assert loop.time() == began_at

    async def test_a_probe_whose_question_fails_goes_out_all_the_same(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(61.5)
            here.actor.kill()
            assert isinstance(await here.replicas[0].call("failed"), Permit)
            assert not here.replicas[0].shared.is_linked

    async def test_a_batch_that_meets_the_next_life_counts_once(self) -> None:
        async with world("abcd") as here:
            here.actor.kill()
            here.actor.start()
            await here.fail_everywhere(4)
            await passes(2)
            assert here.actor.state == "closed"
            await here.replicas[0].call("failed")
            await passes(0.25)
            assert await here.refused() == [True] * 4

    async def test_dead_the_actor_delays_nobody(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(1)
            here.actor.kill()
            await passes(60)
            loop = asyncio.get_running_loop()
            began_at = loop.time()
            assert await here.refused() == [False, False]
            assert loop.time() == began_at

    async def test_an_open_circuit_survives_a_restart_for_what_remained(self) -> None:
        async with world("abcd") as here:
            await here.fail_everywhere()
            await passes(30)
            here.actor.kill()
            here.actor.start()
            await passes(3)
            assert here.actor.state == "open"
            assert await here.refused() == [True] * 4
            await passes(29)
            assert here.actor.state == "half_open"

    async def test_failures_told_before_a_restart_count_after_it(self) -> None:
        async with world("abcd") as here:
            await here.fail_everywhere(4)
            await passes(0.1)
            here.actor.kill()
            here.actor.start()
            await passes(2)
            await here.replicas[0].call("failed")
            await passes(0.25)
            assert await here.refused() == [True] * 4

    async def test_failures_of_while_it_was_dead_are_told_when_it_is_back(self) -> None:
        async with world("abcd") as here:
            here.actor.kill()
            await passes(1)
            await here.fail_everywhere(5)
            await passes(5)
            assert await here.refused() == [False] * 4
            here.actor.start()
            await passes(2)
            assert await here.refused() == [True] * 4

    async def test_a_recovery_found_while_it_was_dead_closes_for_all_when_it_is_back(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(1)
            here.actor.kill()
            await passes(60)
            await here.replicas[0].call("succeeded")
            here.actor.start()
            await passes(2)
            assert here.actor.state == "closed"
            assert await here.refused() == [False, False]

    async def test_twenty_kills_in_a_row_lose_no_call_and_no_count(self) -> None:
        async with world("abcd") as here:
            for _ in range(20):
                here.actor.kill()
                for replica in here.replicas:
                    assert isinstance(await replica.call("succeeded"), Permit)
                await passes(0.3)
                here.actor.start()
                for replica in here.replicas:
                    assert isinstance(await replica.call("succeeded"), Permit)
                await passes(0.7)
            await passes(2)
            assert all(replica.shared.is_linked for replica in here.replicas)
            await here.fail_everywhere()
            await passes(0.25)
            assert await here.refused() == [True] * 4

    async def test_an_answer_that_is_lost_makes_no_failure_count_twice(self) -> None:
        async with world("ab") as here:
            here.links[0].loses_answers = True
            await here.replicas[0].call("failed")
            await here.replicas[0].call("failed")
            await passes(3)
            assert len(here.actor.reported) > 4
            here.links[0].loses_answers = False
            await here.replicas[1].call("failed")
            await passes(2)
            assert here.actor.state == "closed"

    async def test_what_waits_for_the_actor_is_bounded(self) -> None:
        async with world("a") as here:
            here.actor.kill()
            await passes(1)
            for _ in range(10_000):
                await here.replicas[0].call("succeeded")
            here.actor.start()
            await passes(3)
            assert len(here.actor.reported) <= MAX_PENDING

    async def test_a_link_that_breaks_in_any_way_ends_nothing(self) -> None:
        link = _NoLink()
        replica = Replica("a", link)
        for error in (RuntimeError("a bug"), asyncio.CancelledError(), TimeoutError()):
            link.error = error
            await passes(5)
            assert isinstance(await replica.call("succeeded"), Permit)
        assert not replica.task.done()
        assert link.calls > 3
        await replica.close()


@in_virtual_time
class TestJoining:
    async def test_a_new_replica_hears_of_an_open_circuit(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(1)
            late = Replica("late", Link(here.actor))
            await passes(0.1)
            assert await late.refuses()
            await late.close()

    async def test_a_circuit_first_used_later_is_as_the_cluster_has_it(self) -> None:
        async with world("ab") as here:
            await here.fail_everywhere()
            await passes(1)
            late = SharedBreakers(Link(here.actor), LoopClock(), replica_id="late", policy=POLICY)
            running = asyncio.create_task(late.run())
            await passes(10)
            decision = await late.circuit(CHAT).admit()
            assert isinstance(decision, Refusal)
            assert decision.retry_after_s == pytest.approx(49, abs=0.5)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    async def test_the_same_circuit_is_the_same_breaker(self) -> None:
        shared = SharedBreakers(_NoLink(), LoopClock(), replica_id="a", policy=POLICY)
        assert shared.circuit(CHAT) is shared.circuit(CHAT)


class _NoLink:
    """Raises the same at every call."""

    def __init__(self) -> None:
        self.error: BaseException = ActorUnavailable("circuit_breaker", "never was")
        self.calls = 0

    async def join(self, member: Membership) -> Snapshot:
        self.calls += bool(member)
        raise self.error

    async def watch(
        self, replica: str, circuits: Sequence[str], *, incarnation: str, version: int
    ) -> Snapshot:
        raise NotImplementedError(replica, circuits, incarnation, version)

    async def report(
        self, replica: str, outcomes: Sequence[OutcomeReport], *, incarnation: str
    ) -> Snapshot:
        raise NotImplementedError(replica, outcomes, incarnation)

    async def lease_probe(self, replica: str, circuit: str) -> Permit | Refusal:
        raise NotImplementedError(replica, circuit)

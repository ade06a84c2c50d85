from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.messages import Outcome, Permit, Refusal
from runtime.resilience.breaker import BreakerPolicy
from runtime.resilience.circuit_board import CONNECTED_S, FORGET_S, Changes, CircuitBoard
from runtime.resilience.circuit_messages import CircuitView, Membership, OutcomeReport, Snapshot
from runtime.resilience.cluster_circuit import TURN_S, UNDO_S
from runtime.resilience.failure_run import MAX_FAILURES

CHAT = "cohere_chat"
EMBED = "cohere_embed"
POLICY = BreakerPolicy(failure_threshold=5, cooldown_s=60, probes=1, lease_s=100)


class Cluster:
    """A board and the replicas that report to it, all by the board's clock."""

    def __init__(self, *replicas: str, policy: BreakerPolicy = POLICY) -> None:
        self.policy = policy
        self.board = CircuitBoard(policy, incarnation="first", now=0)
        self.sequences: dict[str, int] = {}
        for replica in replicas:
            self.hear(replica, 0)

    def hear(self, replica: str, now: float, *circuits: str) -> Changes:
        return self.board.hear(replica, circuits or (CHAT,), now)

    def entry(
        self,
        replica: str,
        outcome: Outcome,
        *,
        age_s: float = 0,
        generation: int | None = None,
        probe: int | None = None,
    ) -> OutcomeReport:
        self.sequences[replica] = self.sequences.get(replica, 0) + 1
        known = self.view(0).generation if generation is None else generation
        return OutcomeReport(self.sequences[replica], CHAT, known, outcome, age_s, probe)

    def tell(
        self,
        replica: str,
        outcome: Outcome,
        now: float,
        *,
        age_s: float = 0,
        generation: int | None = None,
        probe: int | None = None,
    ) -> Changes:
        entry = self.entry(replica, outcome, age_s=age_s, generation=generation, probe=probe)
        return self.send(replica, [entry], now)

    def send(self, replica: str, entries: Sequence[OutcomeReport], now: float) -> Changes:
        incarnation = self.board.incarnation
        return self.board.report(replica, entries, incarnation=incarnation, now=now)

    def fail(self, replica: str, times: int, now: float = 0) -> Changes:
        return sum((self.tell(replica, "failed", now) for _ in range(times)), ())

    def view(self, now: float, circuit: str = CHAT) -> CircuitView:
        views = self.board.snapshot(now).circuits
        return next(view for view in views if view.circuit == circuit)

    def state(self, now: float = 0) -> str:
        self.board.advance(now)
        return self.view(now).state

    def lease(self, replica: str, now: float) -> Permit | Refusal:
        return self.board.lease_probe(replica, CHAT, now)[0]

    def probe(self, replica: str, now: float) -> Permit:
        lease = self.lease(replica, now)
        assert isinstance(lease, Permit)
        return lease

    def end(self, replica: str, permit: Permit, outcome: Outcome, now: float) -> Changes:
        return self.tell(replica, outcome, now, generation=permit.generation, probe=permit.probe)


def states(changes: Changes) -> list[tuple[str, str]]:
    return [(change.from_state, change.to_state) for change in changes]


def opened(*replicas: str) -> Cluster:
    cluster = Cluster(*replicas)
    cluster.fail(replicas[0], 3)
    cluster.fail(replicas[1], 2)
    assert cluster.state() == "open"
    return cluster


class TestClosed:
    def test_five_failures_spread_over_four_replicas_open_it_for_all(self) -> None:
        cluster = Cluster("a", "b", "c", "d")
        changes = cluster.fail("a", 2) + cluster.fail("b", 1) + cluster.fail("c", 1)
        assert changes == ()
        assert states(cluster.fail("d", 1)) == [("closed", "open")]
        assert cluster.view(0) == CircuitView(CHAT, "open", 1, 60)

    def test_one_replicas_failures_alone_condemn_nobody(self) -> None:
        cluster = Cluster("a", "b")
        assert cluster.fail("a", 500) == ()
        assert cluster.state() == "closed"

    def test_a_second_witness_completes_what_one_replica_saw(self) -> None:
        cluster = Cluster("a", "b")
        cluster.fail("a", 5)
        assert states(cluster.fail("b", 1)) == [("closed", "open")]

    def test_the_only_replica_is_believed(self) -> None:
        assert states(Cluster("a").fail("a", 5)) == [("closed", "open")]

    def test_a_replica_of_other_circuits_is_no_second_one(self) -> None:
        cluster = Cluster("a")
        cluster.hear("b", 0, EMBED)
        assert states(cluster.fail("a", 5)) == [("closed", "open")]

    def test_a_replica_that_left_is_no_second_one(self) -> None:
        cluster = Cluster("a", "b")
        cluster.hear("a", CONNECTED_S)
        assert states(cluster.fail("a", 5, CONNECTED_S)) == [("closed", "open")]

    def test_a_success_anywhere_between_starts_the_count_anew(self) -> None:
        cluster = Cluster("a", "b")
        cluster.fail("a", 2, 1)
        cluster.fail("b", 2, 1)
        cluster.tell("b", "succeeded", 2)
        assert cluster.fail("a", 2, 3) + cluster.fail("b", 2, 3) == ()

    def test_a_late_told_success_between_the_failures_prevents_the_trip(self) -> None:
        cluster = Cluster("a", "b", "c")
        cluster.fail("a", 2, 1)
        cluster.fail("b", 2, 2)
        cluster.tell("c", "succeeded", 3, age_s=1.5)
        assert cluster.fail("a", 1, 3) == ()
        assert cluster.fail("b", 1, 3) == ()
        assert states(cluster.fail("a", 1, 3)) == [("closed", "open")]

    def test_a_late_told_success_from_before_the_failures_prevents_nothing(self) -> None:
        cluster = Cluster("a", "b", "c")
        cluster.fail("a", 4, 1)
        cluster.tell("c", "succeeded", 2, age_s=1.5)
        assert states(cluster.fail("b", 1, 2)) == [("closed", "open")]

    def test_a_failure_that_ended_before_a_known_success_does_not_count(self) -> None:
        cluster = Cluster("a", "b")
        cluster.fail("a", 4, 1)
        cluster.tell("b", "succeeded", 2)
        cluster.fail("a", 4, 3)
        assert cluster.tell("b", "failed", 4, age_s=2.5) == ()
        assert cluster.state(4) == "closed"

    def test_what_says_nothing_of_health_neither_counts_nor_resets(self) -> None:
        cluster = Cluster("a", "b")
        cluster.fail("a", 4)
        assert cluster.tell("b", "ignored", 0) == ()
        assert states(cluster.fail("b", 1)) == [("closed", "open")]

    def test_what_is_sent_twice_counts_once(self) -> None:
        cluster = Cluster("a", "b")
        cluster.fail("b", 1)
        batch = [cluster.entry("a", "failed") for _ in range(3)]
        assert cluster.send("a", batch, 0) == ()
        assert cluster.send("a", batch, 0) == ()
        assert states(cluster.fail("a", 1)) == [("closed", "open")]

    def test_circuits_are_counted_apart(self) -> None:
        cluster = Cluster()
        cluster.hear("a", 0, CHAT, EMBED)
        cluster.hear("b", 0, CHAT, EMBED)
        cluster.fail("a", 4)
        cluster.fail("b", 1)
        assert cluster.view(0).state == "open"
        assert cluster.view(0, EMBED) == CircuitView(EMBED, "closed", 0, 0)

    def test_a_version_is_told_for_each_change_and_only_then(self) -> None:
        cluster = Cluster("a", "b")
        before = cluster.board.version
        cluster.fail("a", 4)
        assert cluster.board.version == before
        cluster.fail("b", 1)
        assert cluster.board.version == before + 1

    def test_one_replica_that_fails_for_ever_takes_no_memory(self) -> None:
        cluster = Cluster("a", "b")
        cluster.fail("a", MAX_FAILURES + 100)
        (circuit,) = cluster.board._circuits.values()
        assert len(circuit._run.failures) == MAX_FAILURES


class TestJustOpened:
    """News of before the trip that arrives after it."""

    def trip(self) -> Cluster:
        cluster = Cluster("a", "b", "c")
        for at in (1, 2, 3):
            cluster.fail("a", 1, at)
        cluster.fail("b", 1, 4)
        cluster.fail("b", 1, 5)
        assert cluster.state(5) == "open"
        return cluster

    def test_a_success_that_ended_between_the_failures_undoes_it(self) -> None:
        cluster = self.trip()
        changes = cluster.tell("c", "succeeded", 5.1, age_s=2.6, generation=0)
        assert states(changes) == [("open", "closed")]
        assert cluster.view(5.1).generation == 0

    def test_after_an_undo_the_failures_that_followed_the_success_still_count(self) -> None:
        cluster = self.trip()
        cluster.tell("c", "succeeded", 5.1, age_s=2.6, generation=0)
        assert cluster.fail("a", 1, 6) == ()
        assert states(cluster.fail("a", 1, 7)) == [("closed", "open")]

    @pytest.mark.parametrize(
        "ended_at", [0.5, 5.05], ids=["before the first failure", "after the last"]
    )
    def test_a_success_outside_the_failures_changes_nothing(self, ended_at: float) -> None:
        cluster = self.trip()
        assert cluster.tell("c", "succeeded", 5.1, age_s=5.1 - ended_at, generation=0) == ()
        assert cluster.state(5.1) == "open"

    def test_a_success_too_late_to_be_a_matter_of_batching_changes_nothing(self) -> None:
        cluster = self.trip()
        now = 5 + UNDO_S + 0.1
        assert cluster.tell("c", "succeeded", now, age_s=now - 2.5, generation=0) == ()

    def test_it_stands_when_enough_failures_remain_on_one_side(self) -> None:
        cluster = Cluster("a", "b", "c")
        for at in (1, 2, 3, 4, 5, 6):
            cluster.fail("a", 1, at)
        cluster.fail("b", 1, 7)
        assert cluster.tell("c", "succeeded", 7.1, age_s=5.6, generation=0) == ()
        assert cluster.state(7.1) == "open"

    def test_two_late_successes_may_undo_what_one_does_not(self) -> None:
        cluster = Cluster("a", "b", "c")
        for at in (1, 2, 3, 4, 5):
            cluster.fail("a", 1, at)
        cluster.fail("b", 1, 6)
        cluster.tell("c", "succeeded", 6.1, age_s=6.1 - 1.5, generation=0)
        assert cluster.state(6.1) == "open"
        changes = cluster.tell("c", "succeeded", 6.2, age_s=6.2 - 3.5, generation=0)
        assert states(changes) == [("open", "closed")]

    def test_a_late_failure_changes_nothing(self) -> None:
        cluster = self.trip()
        assert cluster.tell("c", "failed", 5.1, generation=0) == ()
        assert cluster.view(5.1).retry_after_s == pytest.approx(59.9)

    def test_failures_told_while_it_was_open_by_mistake_still_count(self) -> None:
        cluster = self.trip()
        assert cluster.tell("b", "failed", 5.1, generation=0) == ()
        assert cluster.tell("b", "failed", 5.2, generation=0) == ()
        cluster.tell("c", "succeeded", 5.3, age_s=5.3 - 2.5, generation=0)
        assert cluster.state(5.3) == "open"
        cluster.tell("c", "succeeded", 5.4, age_s=5.4 - 3.5, generation=0)
        assert cluster.state(5.4) == "closed"
        assert states(cluster.fail("c", 1, 6)) == [("closed", "open")]

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.sampled_from([False, False, False, True])),
            max_size=25,
        ),
        st.data(),
    )
    def test_in_whatever_order_news_comes_a_row_with_no_success_near_it_opens(
        self, calls: list[tuple[str, bool]], data: st.DataObject
    ) -> None:
        """Calls end one a millisecond; within the undo time all orders of arrival agree.

        They agree on each history whose last success is older than its last failure row or whose
        rows are all short: a success newer than a row is told before or after it, and both are
        right (`0006-circuit-breaker.md`).
        """
        ended = [(0.001 * (i + 1), replica, ok) for i, (replica, ok) in enumerate(calls)]
        arrival = data.draw(st.permutations(ended))
        cluster = Cluster("a", "b", "c")
        for at, replica, ok in arrival:
            outcome: Outcome = "succeeded" if ok else "failed"
            cluster.tell(replica, outcome, 1, age_s=1 - at, generation=0)
        rows = _rows(calls)
        outages = [len(row) >= 5 and len(set(row)) > 1 for row in rows]
        if outages[-1]:
            assert cluster.state(1) == "open"
        if not any(outages):
            assert cluster.state(1) == "closed"


def _rows(calls: list[tuple[str, bool]]) -> list[list[str]]:
    rows: list[list[str]] = [[]]
    for replica, ok in calls:
        if ok:
            rows.append([])
        else:
            rows[-1].append(replica)
    return rows


class TestOpen:
    def test_no_probe_is_leased_before_the_rest_is_over(self) -> None:
        assert opened("a", "b").lease("a", 20) == Refusal(40)

    def test_the_rest_over_it_is_half_open(self) -> None:
        cluster = opened("a", "b")
        assert states(cluster.hear("a", 60)) == [("open", "half_open")]
        assert cluster.view(60) == CircuitView(CHAT, "half_open", 1, 0)

    def test_a_probe_that_a_replica_made_without_us_is_believed(self) -> None:
        cluster = opened("a", "b")
        assert states(cluster.tell("a", "succeeded", 50, generation=1)) == [("open", "closed")]

    def test_a_failed_one_does_not_lengthen_the_rest(self) -> None:
        cluster = opened("a", "b")
        assert cluster.tell("a", "failed", 50, generation=1) == ()
        assert cluster.view(50).retry_after_s == 10


class TestHalfOpen:
    def test_one_probe_for_the_whole_cluster(self) -> None:
        cluster = opened("a", "b", "c")
        assert cluster.probe("b", 60).probe is not None
        assert isinstance(cluster.lease("c", 60), Refusal)

    def test_a_success_closes_for_all(self) -> None:
        cluster = opened("a", "b")
        changes = cluster.end("b", cluster.probe("b", 60), "succeeded", 61)
        assert [(c.circuit, c.from_state, c.to_state, c.open_s) for c in changes] == [
            (CHAT, "half_open", "closed", 61)
        ]
        assert cluster.lease("a", 61) == Permit(2)

    def test_a_failure_opens_for_a_whole_rest(self) -> None:
        cluster = opened("a", "b")
        changes = cluster.end("b", cluster.probe("b", 60), "failed", 62)
        assert states(changes) == [("half_open", "open")]
        assert cluster.view(62).retry_after_s == 60

    def test_a_probe_that_says_nothing_gives_its_lease_back(self) -> None:
        cluster = opened("a", "b", "c")
        assert cluster.end("b", cluster.probe("b", 60), "ignored", 61) == ()
        assert cluster.probe("c", 61).probe is not None

    def test_whoever_asks_again_gets_the_lease_it_holds(self) -> None:
        cluster = opened("a", "b")
        assert cluster.probe("b", 60) == cluster.probe("b", 60.1)

    def test_whoever_asks_again_after_its_lease_ended_does_not_get_it_back(self) -> None:
        cluster = opened("a", "b", "c")
        old = cluster.probe("b", 60)
        for now in range(60, 161, 5):
            cluster.hear("b", now)
            cluster.hear("c", now)
        assert cluster.probe("c", 160) != old
        assert isinstance(cluster.lease("b", 160), Refusal)

    def test_a_gone_replicas_probe_is_reclaimed(self) -> None:
        cluster = opened("a", "b", "c")
        cluster.probe("b", 60)
        cluster.hear("c", 60 + CONNECTED_S)
        assert cluster.probe("c", 60 + CONNECTED_S).probe is not None

    def test_a_connected_replicas_probe_is_reclaimed_when_its_lease_ends(self) -> None:
        cluster = opened("a", "b", "c")
        cluster.probe("b", 60)
        for now in range(60, 160, 5):
            cluster.hear("b", now)
            cluster.hear("c", now)
        assert isinstance(cluster.lease("c", 159), Refusal)
        assert cluster.probe("c", 160).probe is not None

    def test_the_replica_that_saw_most_of_the_failures_probes_after_the_others(self) -> None:
        cluster = opened("a", "b")
        cluster.hear("b", 60)
        assert cluster.lease("a", 60) == Refusal(TURN_S)
        assert cluster.probe("b", 60.1).probe is not None

    def test_the_replica_whose_probe_failed_probes_after_the_others(self) -> None:
        cluster = opened("a", "b")
        cluster.end("b", cluster.probe("b", 60), "failed", 60)
        cluster.hear("a", 120)
        assert cluster.lease("b", 120) == Refusal(TURN_S)
        assert cluster.probe("a", 120).probe is not None

    def test_it_waits_no_longer_than_its_turn_for_others_who_do_not_ask(self) -> None:
        cluster = opened("a", "b")
        cluster.hear("b", 60)
        assert cluster.probe("a", 60 + TURN_S).probe is not None

    def test_alone_it_waits_for_nobody(self) -> None:
        cluster = opened("a", "b")
        assert cluster.probe("a", 60).probe is not None

    def test_news_of_before_the_outage_changes_nothing(self) -> None:
        cluster = opened("a", "b")
        assert states(cluster.tell("a", "succeeded", 60, generation=0)) == [("open", "half_open")]
        assert cluster.tell("a", "failed", 60, generation=0) == ()
        assert cluster.state(60) == "half_open"


class TestRestarted:
    def restart(self, *members: Membership, now: float = 0) -> tuple[Cluster, Changes]:
        cluster = Cluster()
        cluster.board = CircuitBoard(POLICY, incarnation="second", now=now)
        changes = sum((cluster.board.join(member, now) for member in members), ())
        return cluster, changes

    def member(
        self,
        replica: str,
        *,
        copy: CircuitView | None = None,
        outcomes: Sequence[Outcome] = (),
        age_s: float = 0,
        generation: int = 0,
    ) -> Membership:
        reports = tuple(
            OutcomeReport(i + 1, CHAT, generation, outcome, age_s, None)
            for i, outcome in enumerate(outcomes)
        )
        copies = () if copy is None else (copy,)
        return Membership(replica, (CHAT,), "first", copies, reports)

    def test_an_open_circuit_stays_open_for_what_remained(self) -> None:
        copy = CircuitView(CHAT, "open", 3, 25)
        cluster, changes = self.restart(self.member("a", copy=copy), now=100)
        assert states(changes) == [("closed", "open")]
        assert cluster.view(100) == copy
        assert cluster.state(125) == "half_open"

    def test_the_replica_that_heard_last_is_believed_whoever_joins_first(self) -> None:
        stale, fresh = CircuitView(CHAT, "closed", 2, 0), CircuitView(CHAT, "open", 3, 25)
        for copies in ((stale, fresh), (fresh, stale)):
            members = [self.member(f"r{i}", copy=copy) for i, copy in enumerate(copies)]
            cluster, _ = self.restart(*members)
            assert cluster.view(0) == fresh

    def test_a_closing_that_came_after_is_believed_as_well(self) -> None:
        members = [
            self.member("a", copy=CircuitView(CHAT, "open", 3, 25)),
            self.member("b", copy=CircuitView(CHAT, "closed", 4, 0)),
        ]
        cluster, _ = self.restart(*members)
        assert cluster.view(0) == CircuitView(CHAT, "closed", 4, 0)

    def test_failures_counted_before_are_counted_again(self) -> None:
        cluster, _ = self.restart(
            self.member("a", outcomes=["failed"] * 2), self.member("b", outcomes=["failed"] * 2)
        )
        cluster.sequences = {"a": 2, "b": 2}
        assert states(cluster.fail("a", 1)) == [("closed", "open")]

    def test_a_whole_row_opens_for_what_remains_of_its_rest(self) -> None:
        cluster, _ = self.restart(
            self.member("a", outcomes=["failed"] * 3, age_s=40),
            self.member("b", outcomes=["failed"] * 2, age_s=40),
        )
        assert cluster.view(0).retry_after_s == 20

    def test_a_row_whose_rest_is_over_may_be_probed_at_once(self) -> None:
        cluster, _ = self.restart(
            self.member("a", outcomes=["failed"] * 3, age_s=70),
            self.member("b", outcomes=["failed"] * 2, age_s=70),
        )
        assert cluster.state(0) == "half_open"
        assert cluster.probe("b", 0).probe is not None

    def test_the_first_to_come_back_is_not_taken_for_the_only_one(self) -> None:
        cluster, _ = self.restart(self.member("a", outcomes=["failed"] * 5))
        assert cluster.state(0) == "closed"
        cluster.sequences = {"a": 5}
        cluster.hear("a", CONNECTED_S)
        assert states(cluster.fail("a", 1, CONNECTED_S)) == [("closed", "open")]

    def test_what_this_life_decided_is_not_overruled_by_a_latecomer(self) -> None:
        cluster, _ = self.restart(self.member("a"), self.member("b"))
        cluster.fail("a", 4)
        cluster.fail("b", 1)
        closed = CircuitView(CHAT, "closed", 9, 0)
        cluster.board.join(self.member("c", copy=closed), 1)
        assert cluster.state(1) == "open"

    def test_a_batch_for_an_earlier_life_is_left_to_the_join(self) -> None:
        cluster, _ = self.restart(self.member("a"), self.member("b"))
        batch = [cluster.entry("a", "failed") for _ in range(5)]
        assert cluster.board.report("a", batch, incarnation="first", now=0) == ()
        assert states(cluster.send("a", batch, 0) + cluster.fail("b", 1)) == [("closed", "open")]

    def test_joining_again_in_the_same_life_restores_nothing(self) -> None:
        cluster = Cluster("a")
        copies = (CircuitView(CHAT, "open", 5, 60),)
        assert cluster.board.join(Membership("a", (CHAT,), "first", copies, ()), 1) == ()

    def test_a_replica_unheard_of_for_long_is_forgotten(self) -> None:
        cluster = Cluster("a")
        cluster.hear("b", FORGET_S)
        assert set(cluster.board._replicas) == {"b"}


def test_what_crosses_processes_survives_pickling() -> None:
    report = OutcomeReport(1, CHAT, 2, "failed", 0.5, 3)
    view = CircuitView(CHAT, "open", 1, 2.5)
    for value in (
        Snapshot("first", 1, (view,)),
        Membership("a", (CHAT,), None, (view,), (report,)),
    ):
        assert pickle.loads(pickle.dumps(value)) == value

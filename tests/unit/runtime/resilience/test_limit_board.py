from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.messages import Cost, Limits
from runtime.resilience.circuit_lease import LEASE_KEPT_S
from runtime.resilience.cost import NOTHING, least, minus, plus
from runtime.resilience.limit_board import (
    CLAIM_KEPT_S,
    REPLICA_KEPT_S,
    CircuitGrant,
    CircuitReport,
    LimitBoard,
    Waiting,
)
from runtime.resilience.retry_budget import FLOOR_PER_MINUTE

CIRCUIT = "cohere_chat"
LIMITS = Limits(requests=600)
CALL = Cost()
RESERVE = 18
BURST = 24
RATE_PER_S = 9.4


class World:
    """A board of 600 requests a minute, and what its replicas hold by its last word."""

    def __init__(self, limits: Limits = LIMITS, *, full: bool = True) -> None:
        self.board = LimitBoard({CIRCUIT: limits})
        self.held: dict[str, Cost] = {}
        self.quota: dict[str, Cost] = {}
        self.now = 0.0
        if full:
            self.ask("nobody")
            self.now = 100.0

    def ask(
        self,
        replica: str,
        *,
        waiting: int = 0,
        batch: int = 0,
        waited_s: float = 0.0,
        cost: Cost = CALL,
        held: Cost | None = None,
        returned: Cost = NOTHING,
        spent_alone: Cost = NOTHING,
        hold_s: float = 0.0,
        calls: int = 0,
    ) -> CircuitGrant:
        if held is None:
            had = self.held.get(replica, NOTHING)
            held = least(had, self.quota.get(replica, NOTHING))
            returned = minus(had, held)
        report = CircuitReport(
            held=held,
            returned=returned,
            spent_alone=spent_alone,
            interactive=Waiting((cost,) * waiting, waited_s if waiting else 0.0),
            batch=Waiting((cost,) * batch, waited_s if batch else 0.0),
            first_attempts=calls,
            hold_s=hold_s,
        )
        grant = self.board.sync(replica, {CIRCUIT: report}, self.now)[CIRCUIT]
        self.held[replica] = plus(held, grant.lease)
        self.quota[replica] = grant.quota
        return grant


class TestLeases:
    def test_a_replica_is_leased_its_part_before_anyone_waits(self) -> None:
        world = World()
        assert world.ask("a").lease == Cost(RESERVE)

    def test_more_replicas_share_the_reserve(self) -> None:
        world = World()
        world.ask("a")
        grant = world.ask("b")
        assert (grant.replicas, grant.quota) == (2, Cost(RESERVE // 2))
        assert grant.lease == Cost(BURST - RESERVE)
        assert world.ask("a", held=Cost(9), returned=Cost(9)).quota == Cost(9)
        assert world.ask("b").lease == Cost(9 - (BURST - RESERVE))

    def test_a_lease_is_no_more_than_was_spent_of_the_last(self) -> None:
        world = World()
        world.ask("a")
        assert world.ask("a").lease == NOTHING
        assert world.ask("a", held=Cost(15)).lease == Cost(3)

    def test_a_dead_replicas_permits_come_back_after_it_could_have_spent_them(self) -> None:
        assert LEASE_KEPT_S < REPLICA_KEPT_S
        world = World()
        world.ask("dead")
        world.now += REPLICA_KEPT_S
        assert world.ask("a").lease == Cost(BURST - RESERVE)
        world.now += 0.1
        world.ask("a")
        world.now += 2
        assert world.ask("a").lease.requests + BURST - RESERVE == RESERVE

    def test_leases_that_are_never_used_do_not_pile_up(self) -> None:
        world = World()
        for replica in ("a", "b", "c", "d"):
            world.ask(replica)
        world.now += 300
        held = world.ask("e").lease.requests
        world.now += 300
        grant = world.ask("e", waiting=100, held=Cost(held))
        assert held + grant.lease.requests + grant.interactive == BURST

    def test_what_a_report_no_longer_names_counts_as_spent(self) -> None:
        world = World()
        world.ask("a")
        world.ask("a", waiting=BURST - RESERVE)
        assert world.ask("a", held=NOTHING, waiting=1).interactive == 0

    def test_what_is_returned_may_be_spent_by_others(self) -> None:
        world = World()
        world.ask("a")
        world.ask("a", held=NOTHING, returned=Cost(RESERVE), waiting=BURST)
        world.ask("b", waiting=1)
        assert world.ask("a", held=NOTHING, returned=Cost(1)).interactive == 0
        assert world.ask("b", waiting=1).interactive == 1

    def test_what_was_spent_without_leave_is_paid_for_up_to_a_burst(self) -> None:
        world = World()
        assert world.ask("a", spent_alone=Cost(1_000), waiting=1).interactive == 0
        world.now += BURST / RATE_PER_S
        assert world.ask("a", waiting=1).interactive == 0
        world.now += 1.1 / RATE_PER_S
        assert world.ask("a", waiting=1).interactive == 1

    def test_a_circuit_without_limits_lets_all_through(self) -> None:
        world = World(Limits(), full=False)
        grant = world.ask("a", waiting=5, batch=5)
        assert (grant.interactive, grant.batch, grant.quota) == (5, 5, NOTHING)


class TestTurns:
    def test_as_many_calls_are_let_through_as_there_are_permits(self) -> None:
        world = World()
        grant = world.ask("a", waiting=40)
        assert grant.interactive == BURST
        assert grant.lease == NOTHING
        assert 0 < grant.wait_s <= 1 / RATE_PER_S + 1e-6

    def test_replicas_with_waiting_calls_take_turns(self) -> None:
        world = World()
        served = dict.fromkeys("abcd", 0)
        for step in range(400):
            world.now += 0.05
            replica = "abcdabca"[step % 8]
            served[replica] += world.ask(replica, waiting=40, waited_s=3).interactive
        assert sum(served.values()) >= 400 * 0.05 * RATE_PER_S
        assert max(served.values()) < 4 * min(served.values())

    def test_who_waits_longer_elsewhere_goes_first(self) -> None:
        world = World()
        world.ask("a", waiting=BURST)
        world.ask("b", waiting=1, waited_s=5)
        world.now += 1.5 / RATE_PER_S
        assert world.ask("a", waiting=1, waited_s=1).interactive == 0
        assert world.ask("b", waiting=1, waited_s=5).interactive == 1

    def test_the_place_of_a_replica_that_fell_silent_is_not_kept(self) -> None:
        world = World()
        world.ask("a", waiting=BURST)
        world.ask("b", waiting=1, waited_s=5)
        world.now += CLAIM_KEPT_S + 0.1
        assert world.ask("a", waiting=40, waited_s=1).interactive == int(
            (CLAIM_KEPT_S + 0.1) * RATE_PER_S
        )

    def test_rivals_are_the_replicas_in_which_calls_wait(self) -> None:
        world = World()
        world.ask("a", waiting=40)
        world.ask("b", waiting=1)
        world.ask("c")
        assert world.ask("a", waiting=1).rivals == 2


class TestBatch:
    def test_batch_work_takes_what_is_above_the_reserve_and_leaves_that_to_questions(self) -> None:
        world = World()
        assert world.ask("a", batch=100).batch == BURST - RESERVE
        grant = world.ask("a", waiting=RESERVE, held=NOTHING, returned=Cost(RESERVE))
        assert grant.interactive == RESERVE

    def test_batch_work_waits_while_a_question_waits_anywhere(self) -> None:
        world = World()
        world.ask("a", waiting=40)
        world.now += 1.0
        grant = world.ask("b", batch=1, waited_s=60)
        assert grant.batch == 0
        assert grant.wait_s > 0

    def test_what_no_lease_holds_of_the_reserve_is_left_as_well(self) -> None:
        world = World()
        for _ in range(3):
            world.now += 1
            for replica in "abcd":
                world.ask(replica)
        assert sum(held.requests for held in world.held.values()) == 4 * (RESERVE // 4) < RESERVE
        assert world.ask("a", batch=100).batch == BURST - RESERVE

    def test_batch_work_waits_for_a_question_though_all_of_the_reserve_is_leased(self) -> None:
        world = World()
        assert world.ask("c").lease == Cost(RESERVE)
        world.ask("a", waiting=40)
        world.now += 1.0
        assert world.ask("b", batch=1, waited_s=60).batch == 0

    def test_batch_work_flows_once_no_question_waits(self) -> None:
        world = World()
        world.ask("a", waiting=BURST)
        served = 0
        for _ in range(100):
            world.now += 0.1
            world.ask("a")
            served += world.ask("b", batch=40).batch
        assert served >= 10 * RATE_PER_S - BURST

    def test_replicas_with_batch_work_take_turns(self) -> None:
        world = World()
        served = dict.fromkeys("ab", 0)
        for step in range(300):
            world.now += 0.1
            replica = "b" if step % 3 == 0 else "a"
            served[replica] += world.ask(replica, batch=40, waited_s=9).batch
        assert max(served.values()) < 2 * min(served.values())

    def test_a_call_of_96_texts_fits_beside_the_reserve(self) -> None:
        world = World(Limits(inputs=2_000))
        began = world.now
        while not (grant := world.ask("a", batch=1, cost=Cost(inputs=96))).batch:
            assert grant.wait_s > 0
            world.now += grant.wait_s
        assert world.held["a"] == Cost(0, 60)
        assert world.now - began < 10


class TestSlowDown:
    def test_one_replicas_429_stops_all_for_as_long_as_the_vendor_asks(self) -> None:
        world = World()
        world.ask("a", held=NOTHING, hold_s=4)
        grant = world.ask("b", waiting=3, batch=3)
        assert (grant.interactive, grant.batch, grant.lease, grant.quota) == (
            0,
            0,
            NOTHING,
            NOTHING,
        )
        assert grant.hold_s == 4
        assert grant.wait_s > 4
        world.now += 5
        assert world.ask("b", waiting=3).interactive == 3


class TestRetries:
    def test_all_replicas_calls_earn_for_whoever_retries(self) -> None:
        world = World()
        world.ask("a", calls=50)
        world.ask("b", calls=40)
        granted = sum(world.board.take_retry(CIRCUIT, 0, world.now) for _ in range(100))
        assert granted == 90 // 5 + FLOOR_PER_MINUTE

    def test_calls_told_with_the_question_count(self) -> None:
        board = LimitBoard({})
        granted = [board.take_retry("local_chat", calls, 0.0) for calls in (50, *(0,) * 100)]
        assert sum(granted) == 10 + FLOOR_PER_MINUTE


# --- The promise, whatever happens ------------------------------------------------------------


@dataclass
class Replica:
    """Spends what it holds whenever the test says, and trusts it for no longer than it may."""

    held: int = 0
    trusted_until: float = 0.0
    spent: list[float] = field(default_factory=list)

    def spend(self, count: int, now: float) -> None:
        if now < self.trusted_until:
            count = min(count, self.held)
            self.held -= count
            self.spent += [now] * count


STEPS = st.tuples(
    st.sampled_from(["report", "spend", "lost report", "lost answer", "return"]),
    st.integers(min_value=0, max_value=3),
    st.integers(min_value=0, max_value=40),
    st.sampled_from([0.0, 0.01, 0.1, 1.0, 2.0, 7.0]),
)


@settings(max_examples=200, deadline=None)
@given(
    limit=st.sampled_from([1, 7, 10, 50, 333, 600]),
    steps=st.lists(STEPS, min_size=20, max_size=120),
)
def test_no_60_seconds_see_more_than_the_limit_whatever_is_lost(
    limit: int, steps: Sequence[tuple[str, int, int, float]]
) -> None:
    board = LimitBoard({CIRCUIT: Limits(requests=limit)})
    replicas = [Replica() for _ in range(4)]
    now = 0.0
    for act, index, count, pause_s in steps:
        now += pause_s
        replica = replicas[index]
        if now >= replica.trusted_until:
            replica.held = 0
        if act == "spend":
            replica.spend(count, now)
            continue
        if act == "lost report":
            continue
        back = min(count, replica.held) if act == "return" else 0
        replica.held -= back
        report = CircuitReport(
            held=Cost(replica.held),
            returned=Cost(back),
            spent_alone=NOTHING,
            interactive=Waiting((Cost(),) * count),
            batch=Waiting((Cost(),) * count),
            first_attempts=0,
            hold_s=0.0,
        )
        grant = board.sync(str(index), {CIRCUIT: report}, now)[CIRCUIT]
        if act != "lost answer":
            replica.held += grant.lease.requests
            replica.trusted_until = now + LEASE_KEPT_S
            replica.spent += [now] * (grant.interactive + grant.batch)
    spent = sorted(at for replica in replicas for at in replica.spent)
    for first, at in enumerate(spent):
        inside = sum(1 for other in spent[first:] if other < at + 60)
        assert inside <= limit

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

import pytest

from runtime.messages import Cost, Limits, Refusal
from runtime.resilience import shared_limiter
from runtime.resilience.ceilings import BURST_SHARE, RESERVED_SHARE
from runtime.resilience.circuit_lease import LEASE_KEPT_S
from runtime.resilience.limit_board import CircuitGrant, CircuitReport
from runtime.resilience.retry_budget import FLOOR_PER_MINUTE
from runtime.resilience.shared_limiter import (
    ASK_AGAIN_S,
    FEWER_AFTER_S,
    GIVE_UP_S,
    PATIENCE_S,
    RENEW_S,
    SharedLimiters,
)
from runtime.telemetry import ThrottleWaited
from tests.unit.runtime.resilience.limiter_cluster import CIRCUIT, BoardLink, Cluster
from tests.unit.runtime.resilience.virtual_loop import LoopClock, in_virtual_time

BUSY = {CIRCUIT: Limits(requests=600)}
SMALL = {CIRCUIT: Limits(requests=20)}
TOKENS = {CIRCUIT: Limits(tokens=60_000)}
SETTLED_S = 10.0


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
class TestNormalQuestions:
    async def test_a_question_costs_no_remote_call_and_no_wait(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            asked, began = len(cluster.link.syncs), now()
            assert await cluster.call() is None
            assert (len(cluster.link.syncs), now()) == (asked, began)
            assert cluster.waits == []

    async def test_questions_under_the_limit_find_a_lease(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            await cluster.offer(Cost(), per_minute=120, minutes=5)
        assert len(cluster.made) > 500
        assert len(cluster.waits) <= 0.02 * len(cluster.made)

    async def test_background_traffic_is_small_when_idle(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            for shared in cluster.shared:
                for circuit in ("openai_chat", "anthropic_chat"):
                    shared.limiter(circuit)
                    shared.budget(circuit)
            await asyncio.sleep(SETTLED_S)
            before = len(cluster.link.syncs)
            await asyncio.sleep(60)
            a_replica = (len(cluster.link.syncs) - before) / cluster.replicas
        assert a_replica <= 60 / RENEW_S + 1

    async def test_a_lease_is_there_however_long_nobody_asked(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(3_600)
            assert await cluster.call() is None
            assert cluster.waits == []

    async def test_a_circuit_without_limits_costs_nothing(self) -> None:
        async with Cluster(BoardLink({})) as cluster:
            cost = Cost(tokens=10_000_000)
            assert [await cluster.call(cost=cost) for _ in range(100)] == [None] * 100
            cluster.shared[0].limiter(CIRCUIT).slow_down(5)
            await asyncio.sleep(60)
            assert cluster.link.syncs == []

    async def test_a_limit_too_small_to_share_is_asked_for_at_each_call(self) -> None:
        async with Cluster(BoardLink(SMALL)) as cluster:
            await asyncio.sleep(60)
            assert await cluster.call(0) is None
            [waited] = cluster.waits
            assert waited.wait_s == pytest.approx(cluster.link.latency_s)


@in_virtual_time
class TestWaiting:
    async def test_calls_wait_for_permits_in_the_order_they_came(self) -> None:
        async with Cluster(BoardLink(BUSY), replicas=1) as cluster:
            await asyncio.sleep(SETTLED_S)
            order: list[int] = []

            async def call(number: int) -> None:
                await cluster.call(timeout_s=60)
                order.append(number)

            await asyncio.gather(*(call(number) for number in range(60)))
        assert order == list(range(60))
        assert len(cluster.waits) >= 60 - 24
        assert {wait.provider for wait in cluster.waits} == {"cohere"}

    async def test_questions_go_before_batch_work_that_came_earlier(self) -> None:
        async with Cluster(BoardLink(BUSY), replicas=1) as cluster:
            await asyncio.sleep(SETTLED_S)
            order: list[str] = []

            async def call(priority: str) -> None:
                batch = priority == "batch"
                await cluster.call(priority="batch" if batch else "interactive", timeout_s=60)
                order.append(priority)

            batch = [asyncio.create_task(call("batch")) for _ in range(40)]
            await asyncio.sleep(1)
            done_before = len(order)
            questions = [asyncio.create_task(call("question")) for _ in range(40)]
            await asyncio.gather(*batch, *questions)
        assert set(order[done_before : done_before + 40]) == {"question"}

    async def test_batch_work_leaves_questions_their_lease(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            batch = asyncio.create_task(
                cluster.offer(Cost(), per_minute=1_200, minutes=2, priority="batch")
            )
            await asyncio.sleep(30)
            began = now()
            assert [await cluster.call(2) for _ in range(3)] == [None] * 3
            assert now() == began
            await batch

    async def test_a_call_that_gets_no_permit_in_its_time_is_refused(self) -> None:
        async with Cluster(BoardLink(SMALL), replicas=1) as cluster:
            await asyncio.sleep(60)
            await cluster.call()
            began = now()
            refusal = await cluster.call(timeout_s=0.001)
            assert isinstance(refusal, Refusal)
            assert refusal.retry_after_s > 0
            assert now() - began <= 0.001 + 1e-9
            assert [wait.wait_s for wait in cluster.waits][1:] == [pytest.approx(0.001)]

    async def test_a_wait_known_to_be_too_long_is_refused_at_once(self) -> None:
        async with Cluster(BoardLink(SMALL), replicas=1) as cluster:
            await asyncio.sleep(60)
            await cluster.call()
            first = asyncio.create_task(cluster.call(timeout_s=30))
            await asyncio.sleep(1)
            began = now()
            refusal = await cluster.call(timeout_s=4)
            assert isinstance(refusal, Refusal)
            assert now() == began
            assert refusal.retry_after_s == pytest.approx(2 * 60 / 18.8 - 1, abs=0.2)
            assert await first is None

    async def test_a_caller_learns_at_once_when_the_board_says_it_will_be_too_late(self) -> None:
        async with Cluster(BoardLink(SMALL), replicas=1) as cluster:
            await asyncio.sleep(60)
            await cluster.call()
            began = now()
            assert isinstance(await cluster.call(timeout_s=2), Refusal)
            assert now() - began < 0.1

    async def test_a_caller_who_leaves_takes_nothing_along(self) -> None:
        async with Cluster(BoardLink(SMALL), replicas=1) as cluster:
            await asyncio.sleep(60)
            await cluster.call()
            leaving = asyncio.create_task(cluster.call(timeout_s=30))
            staying = asyncio.create_task(cluster.call(timeout_s=30))
            began = now()
            await asyncio.sleep(1)
            leaving.cancel()
            assert await staying is None
            assert now() - began == pytest.approx(60 / 18.8, abs=0.2)
            assert leaving.cancelled()

    async def test_a_permit_that_comes_as_its_caller_leaves_goes_to_the_next(self) -> None:
        async with Cluster(BoardLink(SMALL), replicas=1) as cluster:
            await asyncio.sleep(60)
            await cluster.call()
            limiter = cluster.shared[0].limiter(CIRCUIT)
            leaving = asyncio.create_task(
                limiter.acquire(Cost(), priority="interactive", timeout_s=30)
            )
            await asyncio.sleep(0)
            lease = cluster.shared[0]._leases[CIRCUIT]
            lease._interactive.answer(lease._interactive.first, None)
            leaving.cancel()
            staying = asyncio.create_task(cluster.call(timeout_s=30))
            with pytest.raises(asyncio.CancelledError):
                await leaving
            began = now()
            assert await staying is None
            assert now() - began < 0.1


@in_virtual_time
class TestSettling:
    async def through(self, *, used_tokens: int) -> int:
        """Return the calls of two minutes whose tokens were estimated at a thousand."""
        async with Cluster(BoardLink(TOKENS), replicas=2) as cluster:
            end = now() + 120
            while now() < end:
                replica = len(cluster.made) % 2
                if await cluster.call(replica, Cost(tokens=1_000), timeout_s=end - now()) is None:
                    cluster.shared[replica].limiter(CIRCUIT).settle(
                        estimated_tokens=1_000, used_tokens=used_tokens
                    )
        return len(cluster.made)

    async def test_tokens_that_were_not_used_are_used_by_others(self) -> None:
        assert await self.through(used_tokens=500) >= 1.8 * await self.through(used_tokens=1_000)

    async def test_tokens_used_beyond_the_estimate_are_paid_for(self) -> None:
        assert await self.through(used_tokens=2_000) <= 0.6 * await self.through(used_tokens=1_000)


@in_virtual_time
class TestSlowDown:
    async def test_after_a_429_no_replica_calls_for_as_long_as_the_vendor_asks(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.shared[1].limiter(CIRCUIT).slow_down(20)
            await asyncio.sleep(RENEW_S + 0.1)
            told = now()
            offering = asyncio.create_task(cluster.offer(Cost(), per_minute=600, minutes=2))
            await asyncio.sleep(1)
            refusal = await cluster.call(3, timeout_s=10)
            assert isinstance(refusal, Refusal)
            await offering
        first = min(at for at, _ in cluster.made)
        assert first >= told + 20 - RENEW_S - 0.2
        a_minute_later = [at for at, _ in cluster.made if first + 10 <= at < first + 20]
        assert 50 <= len(a_minute_later) <= 94

    async def test_the_replica_that_was_told_stops_at_once(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.shared[0].limiter(CIRCUIT).slow_down(None)
            assert isinstance(await cluster.call(0, timeout_s=0.5), Refusal)
            assert await cluster.call(0, timeout_s=5) is None

    async def test_a_refusal_among_many_calls_slows_nobody_down(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            assert [await cluster.call(0) for _ in range(20)] == [None] * 20
            cluster.shared[0].limiter(CIRCUIT).slow_down(30)
            assert [await cluster.call(each, timeout_s=1) for each in (0, 1)] == [None, None]

    async def test_calls_that_waited_are_among_those_that_were_made(self) -> None:
        async with Cluster(BoardLink(BUSY), replicas=1) as cluster:
            await asyncio.sleep(SETTLED_S)
            await asyncio.gather(*(cluster.call() for _ in range(60)))
            assert 0 < len(cluster.made) - len(cluster.waits) < 30
            for _ in range(8):
                cluster.shared[0].limiter(CIRCUIT).slow_down(30)
            assert await cluster.call(timeout_s=5) is None

    async def test_an_answer_that_crossed_the_429_is_not_spent(self) -> None:
        async with Cluster(BoardLink(SMALL), replicas=1) as cluster:
            await asyncio.sleep(60)
            waiting = asyncio.create_task(cluster.call(timeout_s=60))
            await asyncio.sleep(cluster.link.latency_s * 0.75)
            cluster.shared[0].limiter(CIRCUIT).slow_down(20)
            began = now()
            assert await waiting is None
            assert now() - began >= 20

    async def test_alone_it_heeds_the_vendor_as_well_and_tells_the_board_later(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.link.die()
            await asyncio.sleep(RENEW_S + 0.1)
            cluster.shared[0].limiter(CIRCUIT).slow_down(30)
            assert isinstance(await cluster.call(0, timeout_s=20), Refusal)
            cluster.link.restart()
            await asyncio.sleep(2 * RENEW_S)
            assert isinstance(await cluster.call(2, timeout_s=20), Refusal)


@in_virtual_time
class TestAlone:
    @pytest.mark.parametrize("fault", ["die", "hang"])
    async def test_a_call_waits_no_longer_than_50_ms_for_an_actor_that_is_away(
        self, fault: str
    ) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S + 0.5)
            getattr(cluster.link, fault)()
            for _ in range(4):
                assert await cluster.call() is None
            began = now()
            assert await cluster.call() is None
            assert now() - began <= PATIENCE_S + 0.01
            assert not cluster.shared[0].is_linked

    @pytest.mark.parametrize("fault", ["die", "hang"])
    async def test_no_call_fails_for_an_actor_that_is_away_for_long(self, fault: str) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            getattr(cluster.link, fault)()
            await cluster.offer(Cost(), per_minute=300, minutes=5)
        assert cluster.refused == []
        assert len(cluster.made) > 1_300

    async def test_after_a_quiet_minute_a_small_share_has_a_call_to_make(self) -> None:
        async with Cluster(BoardLink(SMALL)) as cluster:
            await asyncio.sleep(SETTLED_S)
            assert await cluster.call() is None
            await asyncio.sleep(60)
            cluster.link.die()
            assert await cluster.call(timeout_s=1) is None
            began = now()
            assert isinstance(await cluster.call(timeout_s=1), Refusal)
            assert now() == began

    async def test_tokens_are_settled_alone_as_well(self) -> None:
        async with Cluster(BoardLink(TOKENS), replicas=1) as cluster:
            cluster.link.die()
            await asyncio.sleep(1)
            limiter = cluster.shared[0].limiter(CIRCUIT)
            call = Cost(tokens=2_000)
            assert await cluster.call(cost=call) is None
            limiter.settle(estimated_tokens=2_000, used_tokens=0)
            assert await cluster.call(cost=call, timeout_s=0) is None
            limiter.settle(estimated_tokens=2_000, used_tokens=62_000)
            assert isinstance(await cluster.call(cost=call, timeout_s=60), Refusal)

    async def test_an_actor_that_never_answers_is_asked_again(self) -> None:
        async with Cluster(BoardLink(BUSY), replicas=1) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.link.hang()
            before = len(cluster.link.syncs)
            await asyncio.sleep(2 * GIVE_UP_S)
            assert len(cluster.link.syncs) - before == 2
            assert await cluster.call() is None

    async def test_replicas_alone_keep_to_their_shares(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.link.die()
            await cluster.offer(Cost(), per_minute=1_200, minutes=4)
        assert cluster.most_in_a_window("requests") <= 600
        assert cluster.used("requests") >= 0.9 * 600 * 4

    async def test_alone_batch_work_leaves_the_reserve_to_questions(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            cluster.link.die()
            await asyncio.sleep(60)
            batch = [cluster.call(priority="batch", timeout_s=60) for _ in range(40)]
            working = asyncio.gather(*batch)
            await asyncio.sleep(0.05)
            began = now()
            assert await cluster.call() is None
            assert now() == began
            assert await working == [None] * 40

    async def test_an_actor_killed_over_and_over_breaks_no_promise(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            offering = asyncio.create_task(cluster.offer(Cost(), per_minute=1_200, minutes=5))
            for _ in range(20):
                await asyncio.sleep(12)
                cluster.link.die()
                await asyncio.sleep(2)
                cluster.link.restart()
            await offering
        assert cluster.most_in_a_window("requests") <= 600
        assert cluster.used("requests") >= 0.85 * 600 * 5

    async def test_it_follows_the_board_again_within_a_second(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.link.die()
            await asyncio.sleep(30)
            assert not any(shared.is_linked for shared in cluster.shared)
            cluster.link.restart()
            await asyncio.sleep(ASK_AGAIN_S + 0.1)
            assert all(shared.is_linked for shared in cluster.shared)

    async def test_a_hung_actor_that_comes_back_finds_one_report_of_each_replica(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.link.hang()
            before = len(cluster.link.syncs)
            await asyncio.sleep(20)
            assert len(cluster.link.syncs) - before <= cluster.replicas
            cluster.link.answer()
            await asyncio.sleep(0.5)
            assert all(shared.is_linked for shared in cluster.shared)
            assert await cluster.call() is None

    async def test_an_answer_that_comes_late_is_heeded_while_it_still_holds(self) -> None:
        async with Cluster(BoardLink(BUSY, latency_s=4 * PATIENCE_S), replicas=1) as cluster:
            await asyncio.sleep(SETTLED_S)
            lease = cluster.shared[0]._leases[CIRCUIT]
            assert lease._held == lease._quota == Cost(18)

    async def test_an_answer_older_than_its_lease_grants_nothing(self) -> None:
        async with Cluster(BoardLink(BUSY), replicas=1) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.link.hang()
            await asyncio.sleep(RENEW_S + LEASE_KEPT_S + 1)
            lease = cluster.shared[0]._leases[CIRCUIT]
            until = lease._held_until
            cluster.link.answer()
            await asyncio.sleep(cluster.link.latency_s)
            assert cluster.shared[0].is_linked
            assert lease._held_until == until

    async def test_a_lease_ends_when_the_board_may_give_it_to_others(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.link.die()
            await asyncio.sleep(RENEW_S + LEASE_KEPT_S)
            began = now()
            while await cluster.call() is None and now() == began:
                pass
            at_once = [at for at, _ in cluster.made if at == began]
        share = 600 // cluster.replicas
        assert len(at_once) == math.floor(
            max(BURST_SHARE * share, math.floor(RESERVED_SHARE * share) + 1)
        )

    async def test_before_the_board_was_ever_reached_it_goes_by_the_whole_limit(self) -> None:
        link = BoardLink(BUSY)
        link.die()
        async with Cluster(link, replicas=1) as cluster:
            assert await cluster.call() is None

    async def test_a_board_that_forgot_the_others_is_not_believed_at_once(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            members = cluster.shared[0]._members
            assert members.count(CIRCUIT) == 4
            for run in cluster.runs[1:]:
                run.cancel()
            cluster.link.restart()
            await asyncio.sleep(FEWER_AFTER_S - RENEW_S)
            assert members.count(CIRCUIT) == 4
            await asyncio.sleep(2 * RENEW_S)
            assert members.count(CIRCUIT) == 1

    async def test_a_fault_of_the_link_is_survived_and_told(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []
        monkeypatch.setattr(shared_limiter, "log_failure", lambda event, _: told.append(event))

        class BrokenLink(BoardLink):
            async def sync(
                self, replica: str, reports: Mapping[str, CircuitReport]
            ) -> dict[str, CircuitGrant]:
                del replica, reports
                raise ZeroDivisionError

            async def take_retry(self, circuit: str, first_attempts: int) -> bool:
                del circuit, first_attempts
                raise ZeroDivisionError

        async with Cluster(BrokenLink(BUSY), replicas=1) as cluster:
            budget = cluster.shared[0].budget(CIRCUIT)
            assert await budget.take()
            await asyncio.sleep(5)
            assert await cluster.call() is None
            assert not cluster.runs[0].done()
        assert len(told) >= 5


@in_virtual_time
class TestRetryBudget:
    async def test_first_attempts_of_all_replicas_earn_retries(self) -> None:
        async with Cluster(BoardLink({})) as cluster:
            for shared in cluster.shared:
                for _ in range(25):
                    shared.budget(CIRCUIT).count_call()
            await asyncio.sleep(RENEW_S + 0.1)
            budget = cluster.shared[3].budget(CIRCUIT)
            granted = [await budget.take() for _ in range(100)]
        assert sum(granted) == 100 // 5 + FLOOR_PER_MINUTE

    async def test_an_actor_that_is_away_is_waited_for_50_ms_and_then_not_at_all(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            budget = cluster.shared[0].budget(CIRCUIT)
            await asyncio.sleep(SETTLED_S)
            cluster.link.hang()
            began = now()
            assert await budget.take()
            assert now() - began == pytest.approx(PATIENCE_S)
            await asyncio.sleep(RENEW_S)
            asked, began = cluster.link.retries_asked, now()
            await budget.take()
            assert (cluster.link.retries_asked, now()) == (asked, began)

    async def test_alone_it_goes_by_its_own_calls_and_its_share_of_the_floor(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            budgets = [shared.budget(CIRCUIT) for shared in cluster.shared]
            for _ in range(50):
                budgets[0].count_call()
            cluster.link.die()
            await asyncio.sleep(RENEW_S + 0.1)
            granted = [await budgets[0].take() for _ in range(100)]
            assert 50 // 5 + 2 <= sum(granted) <= 50 // 5 + 3
            assert sum([await budgets[1].take() for _ in range(100)]) <= 3

    async def test_a_link_that_dies_during_the_question_refuses_nobody(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.link.die()
            assert await cluster.shared[0].budget(CIRCUIT).take()

    async def test_what_an_actor_does_not_answer_is_spent_of_the_replicas_own(self) -> None:
        async with Cluster(BoardLink(BUSY)) as cluster:
            await asyncio.sleep(SETTLED_S)
            cluster.link.hang()
            budget = cluster.shared[0].budget(CIRCUIT)
            granted = await asyncio.gather(*(budget.take() for _ in range(100)))
        assert 0 < sum(granted) <= FLOOR_PER_MINUTE


@in_virtual_time
class TestWiring:
    async def test_one_circuit_has_one_limiter_and_one_budget(self) -> None:
        events: list[object] = []
        link, clock = BoardLink(BUSY), LoopClock()
        shared = SharedLimiters(link, clock, emit=events.append, replica_id="a", limits=BUSY)
        assert shared.limiter(CIRCUIT) is shared.limiter(CIRCUIT)
        assert shared.budget(CIRCUIT) is shared.budget(CIRCUIT)
        assert not shared.is_linked

    async def test_waits_are_told_of_the_provider(self) -> None:
        async with Cluster(BoardLink(SMALL), replicas=1) as cluster:
            await asyncio.sleep(60)
            await cluster.call()
        assert [type(wait) for wait in cluster.waits] == [ThrottleWaited]
        assert cluster.waits[0].provider == "cohere"

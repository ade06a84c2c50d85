from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import (
    ActorUnavailable,
    BadProviderResponse,
    CircuitOpen,
    ContentRefused,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
)
from runtime.messages import Cost
from runtime.resilience.backoff import LEAST_USEFUL_S, RetryPolicy
from runtime.resilience.guarded import HANDBACK_S
from runtime.telemetry import CallRetried
from tests.unit.runtime.resilience.guard_world import Guards, failure

COST = Cost(requests=1, inputs=2, tokens=50)
Call: TypeAlias = Callable[[float], Awaitable[str]]


def script(guards: Guards, *steps: Exception | None, taking_s: float = 0.0) -> Call:
    """A call that fails as told, once for each step, and then answers."""
    left = list(steps)

    async def call(timeout_s: float) -> str:
        guards.clock.advance(min(taking_s, timeout_s))
        await asyncio.sleep(0)
        error = left.pop(0) if left else None
        if error is not None:
            raise error
        return "answer"

    return call


async def run(guards: Guards, call: Call, *, timeout_s: float = 30, tokens: int = 40) -> str:
    return await guards.call.run(call, tokens_of=lambda _: tokens, cost=COST, timeout_s=timeout_s)


async def test_a_call_that_succeeds_is_made_once_and_told_of() -> None:
    guards = Guards()
    assert await run(guards, script(guards)) == "answer"
    assert guards.breaker.outcomes == ["succeeded"]
    assert [cost for cost, _, _ in guards.limiter.acquired] == [COST]
    assert guards.limiter.settled == [(50, 40)]
    assert guards.budget.calls == 1
    assert guards.ended == [("first_try", 1)]


async def test_the_limiters_estimate_stands_where_the_vendor_counts_nothing() -> None:
    guards = Guards()
    await run(guards, script(guards), tokens=0)
    assert guards.limiter.settled == []


async def test_a_transient_failure_is_mended_by_another_attempt() -> None:
    guards = Guards()
    steps = (failure(ProviderUnavailable), failure(BadProviderResponse))
    assert await run(guards, script(guards, *steps)) == "answer"
    assert guards.breaker.outcomes == ["failed", "failed", "succeeded"]
    assert guards.slept == [0.5, 1.0]
    assert guards.retried == [
        CallRetried("embed", "cohere_embed", 1, 0.5, "ProviderUnavailable"),
        CallRetried("embed", "cohere_embed", 2, 1.0, "BadProviderResponse"),
    ]
    assert guards.budget.calls == 1
    assert guards.ended == [("recovered", 3)]


async def test_after_the_last_attempt_the_vendors_own_error_comes_out() -> None:
    guards = Guards()
    errors = [failure(ProviderUnavailable) for _ in range(4)]
    with pytest.raises(ProviderUnavailable) as raised:
        await run(guards, script(guards, *errors))
    assert raised.value is errors[-1]
    assert guards.ended == [("exhausted", 4)]


async def test_no_retries_means_one_call() -> None:
    guards = Guards(policy=RetryPolicy(max_retries=0, max_delay_s=32, total_wait_s=60))
    with pytest.raises(ProviderUnavailable):
        await run(guards, script(guards, failure(ProviderUnavailable)))
    assert guards.breaker.outcomes == ["failed"]
    assert guards.ended == [("exhausted", 1)]


@pytest.mark.parametrize("kind", [ProviderRejected, ContentRefused, QuotaExceededError])
async def test_what_no_retry_mends_is_raised_at_once(kind: type[ProviderError]) -> None:
    guards = Guards()
    with pytest.raises(kind):
        await run(guards, script(guards, failure(kind)))
    assert guards.breaker.outcomes == ["ignored"]
    assert guards.ended == [("fatal", 1)]


async def test_a_fault_of_ours_says_nothing_of_the_vendor() -> None:
    guards = Guards()
    with pytest.raises(ActorUnavailable):
        await run(guards, script(guards, ActorUnavailable("embedding", "died")))
    assert guards.breaker.outcomes == ["ignored"]
    assert guards.ended == [("fatal", 1)]


async def test_without_budget_nothing_is_made_again() -> None:
    guards = Guards()
    guards.budget.left = 1
    with pytest.raises(ProviderUnavailable):
        await run(guards, script(guards, *[failure(ProviderUnavailable)] * 2))
    assert guards.ended == [("exhausted", 2)]


async def test_the_budget_is_not_asked_for_a_retry_that_time_forbids() -> None:
    guards = Guards()
    guards.budget.left = 1
    with pytest.raises(RateLimitError):
        await run(guards, script(guards, failure(RateLimitError, 29)))
    assert guards.budget.left == 1


class TestCircuitOpen:
    async def test_it_costs_no_token_and_names_the_wait(self) -> None:
        guards = Guards()
        guards.breaker.refusals = [42.0]
        with pytest.raises(CircuitOpen) as raised:
            await run(guards, script(guards))
        assert raised.value.retry_after_s == 42
        assert guards.limiter.acquired == []
        assert guards.budget.calls == 0
        assert guards.ended == [("circuit_open", 0)]

    async def test_a_circuit_that_opens_between_attempts_ends_them(self) -> None:
        guards = Guards()

        async def call(_: float) -> str:
            guards.breaker.refusals = [60.0]
            raise failure(ProviderUnavailable)

        with pytest.raises(CircuitOpen):
            await run(guards, call)
        assert guards.breaker.outcomes == ["failed"]
        assert guards.ended == [("circuit_open", 1)]


class TestOurOwnLimit:
    async def test_its_refusal_is_not_the_vendors_429(self) -> None:
        guards = Guards()
        guards.limiter.refusals = [3.0]
        with pytest.raises(RateLimitError) as raised:
            await run(guards, script(guards))
        assert (raised.value.reason, raised.value.retry_after_s) == ("our own limit", 3)
        assert guards.breaker.outcomes == ["ignored"]
        assert guards.limiter.slowed == []
        assert guards.slept == []
        assert guards.ended == [("throttled", 0)]

    @pytest.mark.parametrize(("timeout_s", "wait_s"), [(30, 10), (9, 7), (3, 1.5), (1, 0.5)])
    async def test_waiting_for_it_leaves_time_for_the_call(
        self, timeout_s: float, wait_s: float
    ) -> None:
        guards = Guards()
        await run(guards, script(guards), timeout_s=timeout_s)
        assert [waits for _, _, waits in guards.limiter.acquired] == [wait_s]

    async def test_a_circuit_that_opens_while_a_call_waits_in_line_stops_it(self) -> None:
        guards = Guards()
        guards.limiter.hold = asyncio.Event()
        running = asyncio.create_task(run(guards, script(guards)))
        await asyncio.sleep(0)  # it has a permit, and waits
        assert guards.breaker.admitted == 1
        guards.clock.advance(1)
        guards.breaker.refusals = [60.0]
        guards.limiter.hold.set()
        with pytest.raises(CircuitOpen):
            await running
        assert guards.breaker.outcomes == ["ignored"]
        assert guards.budget.calls == 0
        assert guards.ended == [("circuit_open", 0)]

    async def test_a_call_that_waited_in_line_goes_on_a_new_permit(self) -> None:
        guards = Guards()
        guards.limiter.hold = asyncio.Event()
        running = asyncio.create_task(run(guards, script(guards)))
        await asyncio.sleep(0)
        guards.clock.advance(1)
        guards.limiter.hold.set()
        await running
        assert guards.breaker.outcomes == ["ignored", "succeeded"]


class TestRateLimit:
    async def test_the_vendors_429_slows_the_limiter_down_and_is_no_failure(self) -> None:
        guards = Guards()
        await run(guards, script(guards, failure(RateLimitError, 4), failure(RateLimitError)))
        assert guards.limiter.slowed == [4, None]
        assert guards.breaker.outcomes == ["ignored", "ignored", "succeeded"]

    async def test_its_retry_after_is_waited_for_at_least(self) -> None:
        guards = Guards()
        await run(guards, script(guards, failure(RateLimitError, 4)))
        assert guards.slept == [4.5]

    async def test_one_that_does_not_fit_the_deadline_leaves_the_time_to_the_fallback(self) -> None:
        guards = Guards()
        with pytest.raises(RateLimitError):
            await run(guards, script(guards, failure(RateLimitError, 28.5)))
        assert guards.slept == []
        assert guards.ended == [("exhausted", 1)]

    async def test_all_waits_together_stay_within_the_total(self) -> None:
        guards = Guards()
        steps = [failure(RateLimitError, 25) for _ in range(3)]
        with pytest.raises(RateLimitError):
            await run(guards, script(guards, *steps), timeout_s=1_000)
        assert guards.slept == [25.5, 26.0]


class TestDeadline:
    async def test_each_attempt_gets_what_remains(self) -> None:
        guards = Guards()
        given: list[float] = []

        async def call(timeout_s: float) -> str:
            given.append(timeout_s)
            guards.clock.advance(3)
            if len(given) == 1:
                raise failure(ProviderUnavailable)
            return "answer"

        await run(guards, call, timeout_s=10)
        assert given == [10 - HANDBACK_S, pytest.approx(6.5 - HANDBACK_S)]

    async def test_a_failure_that_leaves_no_useful_time_is_raised_at_once(self) -> None:
        guards = Guards()
        call = script(guards, failure(ProviderUnavailable), taking_s=8.5)
        with pytest.raises(ProviderUnavailable):
            await run(guards, call, timeout_s=10)
        assert guards.slept == []

    async def test_a_vendor_that_hangs_is_failing(self) -> None:
        guards = Guards()
        call = script(guards, failure(ProviderTimeout), taking_s=60)
        with pytest.raises(ProviderTimeout):
            await run(guards, call, timeout_s=10)
        assert guards.breaker.outcomes == ["failed"]
        assert guards.clock.monotonic() < 10
        assert guards.ended == [("exhausted", 1)]

    async def test_a_vendor_that_was_given_too_little_time_is_not(self) -> None:
        guards = Guards()
        call = script(guards, failure(ProviderTimeout), taking_s=60)
        with pytest.raises(ProviderTimeout):
            await run(guards, call, timeout_s=LEAST_USEFUL_S)
        assert guards.breaker.outcomes == ["ignored"]

    async def test_without_any_time_nobody_is_asked(self) -> None:
        guards = Guards()
        with pytest.raises(ProviderTimeout):
            await run(guards, script(guards), timeout_s=0)
        assert guards.breaker.admitted == 0
        assert guards.ended == [("exhausted", 0)]


class TestCallersWhoLeave:
    async def test_leaving_during_the_call_says_nothing_of_the_vendor(self) -> None:
        guards = Guards()

        async def hang(_: float) -> str:
            await asyncio.Event().wait()
            return "never"

        task = asyncio.create_task(run(guards, hang))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert guards.breaker.outcomes == ["ignored"]
        assert guards.ended == [("cancelled", 1)]

    async def test_leaving_while_our_own_limit_is_waited_for_gives_the_permit_back(self) -> None:
        guards = Guards()
        guards.limiter.hold = asyncio.Event()
        task = asyncio.create_task(run(guards, script(guards)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert guards.breaker.outcomes == ["ignored"]
        assert guards.ended == [("cancelled", 0)]

    async def test_leaving_between_attempts_makes_no_other(self) -> None:
        guards = Guards()
        asleep = asyncio.Event()

        async def sleep(_: float) -> None:
            asleep.set()
            await asyncio.Event().wait()

        guards.call.sleep = sleep
        task = asyncio.create_task(run(guards, script(guards, failure(ProviderUnavailable))))
        await asleep.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert guards.breaker.outcomes == ["failed"]
        assert guards.ended == [("cancelled", 1)]


KINDS: list[type[ProviderError]] = sorted(ProviderError.__subclasses__(), key=lambda k: k.__name__)
STEPS = st.lists(
    st.one_of(
        st.none(),
        st.just("circuit_open"),
        st.just("throttled"),
        st.just("left"),
        st.builds(
            failure,
            st.sampled_from(KINDS),
            st.none() | st.floats(0, 70),
        ),
    ),
    max_size=9,
)


@given(
    steps=STEPS,
    takes_s=st.lists(st.floats(0, 40), min_size=9, max_size=9),
    timeout_s=st.floats(0, 120),
    retries=st.integers(0, 5),
    budget=st.integers(0, 6),
    seed=st.integers(),
)
def test_no_weather_breaks_the_rules(
    *,
    steps: list[ProviderError | str | None],
    takes_s: list[float],
    timeout_s: float,
    retries: int,
    budget: int,
    seed: int,
) -> None:
    policy = RetryPolicy(max_retries=retries, max_delay_s=16, total_wait_s=60)
    guards = Guards(policy=policy, uniform=random.Random(seed).uniform)
    guards.budget.left = budget
    calls = 0

    def prepare() -> None:
        """Set what comes next before the attempt that meets it."""
        step = steps[calls] if calls < len(steps) else None
        guards.breaker.refusals = [9.0] if step == "circuit_open" else []
        guards.limiter.refusals = [9.0] if step == "throttled" else []

    async def call(call_timeout_s: float) -> str:
        nonlocal calls
        step = steps[calls] if calls < len(steps) else None
        guards.clock.advance(min(takes_s[min(calls, 8)], call_timeout_s))
        calls += 1
        prepare()
        if isinstance(step, ProviderError):
            raise step
        if step == "left":
            raise asyncio.CancelledError
        return "answer"

    prepare()
    try:
        asyncio.run(run(guards, call, timeout_s=timeout_s))
    except (ProviderError, asyncio.CancelledError):
        pass
    else:
        assert guards.breaker.outcomes[-1] == "succeeded"
    assert len(guards.breaker.outcomes) in (calls, calls + 1)  # one more where we throttled
    assert calls <= 1 + retries
    assert calls <= 1 + budget
    assert len(guards.retried) == len(guards.slept) <= retries
    assert sum(guards.slept) <= policy.total_wait_s + 1e-6
    assert guards.clock.monotonic() <= timeout_s + 1e-6
    assert len(guards.ended) == 1

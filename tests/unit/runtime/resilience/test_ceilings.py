from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.messages import Cost, Limits
from runtime.resilience.ceilings import (
    LARGEST_KEPT_S,
    LEAST_FACTOR,
    MAX_HOLD_S,
    SAME_BURST_S,
    Ceilings,
)
from runtime.resilience.cost import NOTHING

REQUESTS = Limits(requests=600)
FULL_RATE_PER_S = 600 * 0.94 / 60
BURST = 24


def ceilings(limits: Limits = REQUESTS, *, full: bool = True) -> Ceilings:
    return Ceilings(limits, now=-60 if full else 0)


def takes(of: Ceilings, now: float, cost: Cost | None = None) -> int:
    """Return how many calls may be made at that moment."""
    made = 0
    while of.take(cost or Cost(), now):
        made += 1
    return made


class TestPace:
    def test_it_starts_empty_since_whoever_was_here_before_may_have_spent_it(self) -> None:
        assert takes(ceilings(full=False), 0) == 0

    def test_it_holds_a_burst_and_fills_at_the_rate(self) -> None:
        of = ceilings()
        assert takes(of, 0) == BURST
        assert takes(of, 1) == math.floor(FULL_RATE_PER_S)
        assert takes(of, 60) == BURST

    @given(
        limit=st.integers(min_value=1, max_value=1_000_000),
        part=st.floats(min_value=0, max_value=0.5),
    )
    def test_a_burst_and_a_minute_of_the_rate_stay_under_the_limit(
        self, limit: int, part: float
    ) -> None:
        of = Ceilings(Limits(tokens=limit), now=0)
        cost = Cost(requests=0, tokens=max(1, math.floor(limit * part)))
        of.take(cost, 0)
        (ceiling,) = (each for each in of._each if each.limit)
        minute = 60 * ceiling.rate_per_s
        assert ceiling._burst(max(ceiling._largest)) + minute < limit + 1
        assert minute > 0

    @given(limit=st.integers(min_value=20, max_value=1_000_000))
    def test_nine_tenths_flow_where_a_call_is_a_twentieth_at_most(self, limit: int) -> None:
        of = Ceilings(Limits(tokens=limit), now=0)
        of.take(Cost(requests=0, tokens=limit // 20), 0)
        assert of.per_s(0)[2] * 60 >= 0.9 * limit

    def test_a_limit_of_nothing_is_none(self) -> None:
        of = ceilings(Limits(inputs=100), full=False)
        assert of.take(Cost(requests=1_000, tokens=1_000_000), 0)

    def test_a_call_is_taken_in_every_dimension_or_in_none(self) -> None:
        of = ceilings(Limits(requests=600, tokens=6_000))
        while of.take(Cost(requests=0, tokens=100), 0):
            pass
        assert not of.take(Cost(requests=1, tokens=100), 0)
        assert takes(of, 0) == BURST

    def test_a_call_larger_than_the_burst_waits_until_it_fits_and_is_made(self) -> None:
        of = ceilings(Limits(inputs=2_000))
        cost = Cost(inputs=96)
        wait_s = of.wait_s(cost, 0)
        assert 0 < wait_s < 60
        assert of.take(cost, wait_s)

    def test_a_call_larger_than_the_limit_is_made_all_the_same(self) -> None:
        of = ceilings(Limits(tokens=1_000))
        cost = Cost(tokens=5_000)
        assert of.take(cost, of.wait_s(cost, 0))

    def test_large_calls_are_forgotten_when_small_ones_go_on_and_the_rate_comes_last(self) -> None:
        of = ceilings(Limits(tokens=1_000))
        of.take(Cost(tokens=200), 0)
        slow = of.per_s(0)[2]
        rates = []
        for period in range(1, 4):
            of.take(Cost(tokens=1), period * LARGEST_KEPT_S)
            rates.append(of.per_s(period * LARGEST_KEPT_S)[2])
        assert rates[:2] == [slow, slow]
        assert rates[2] > slow


class TestLeases:
    def test_what_is_leased_fits_no_second_time_into_the_bucket(self) -> None:
        of = ceilings()
        assert of.lease(Cost(10), 0) == Cost(10)
        of.lend(Cost(10), 0)
        assert takes(of, 1_000) == BURST - 10

    def test_a_lease_is_what_there_is_beyond_what_is_kept(self) -> None:
        of = ceilings()
        assert of.lease(Cost(30), 0, keep=Cost(4)) == Cost(BURST - 4)
        assert of.lease(Cost(1), 0) == Cost(1)

    def test_what_leases_leave_of_the_reserve_is_for_questions(self) -> None:
        of = ceilings()
        assert of.unleased_reserve == of.reserve == Cost(18)
        of.lend(Cost(10), 0)
        assert of.unleased_reserve == Cost(8)
        of.lend(Cost(30), 0)
        assert of.unleased_reserve == NOTHING

    def test_what_comes_back_may_be_taken_again(self) -> None:
        of = ceilings()
        takes(of, 0)
        of.give(Cost(3), 0)
        assert takes(of, 0) == 3


class TestSlowDown:
    def test_nothing_is_given_for_as_long_as_the_vendor_asks(self) -> None:
        of = ceilings()
        of.slow_down(7, 0)
        assert of.hold_s(0) == 7
        assert of.wait_s(Cost(), 6.0) == pytest.approx(1 + 1 / (0.7 * FULL_RATE_PER_S))
        assert takes(of, 6.9) == 0
        assert of.lease(Cost(1), 6.9) == NOTHING
        of.give(Cost(5), 6.9)
        assert takes(of, 7.0) == 0
        assert takes(of, 8.0) == math.floor(0.7 * FULL_RATE_PER_S)

    def test_a_vendor_that_asks_for_an_hour_is_asked_again_after_a_minute(self) -> None:
        of = ceilings()
        of.slow_down(3_600, 0)
        assert of.hold_s(0) == MAX_HOLD_S

    def test_refusals_of_calls_that_were_under_way_count_once(self) -> None:
        of = ceilings()
        for late_s in (0, 0.5, 2, SAME_BURST_S - 0.1):
            of.slow_down(1, late_s)
        assert of.per_s(SAME_BURST_S)[0] == pytest.approx(0.7 * FULL_RATE_PER_S, rel=0.05)

    def test_refusals_during_a_long_hold_count_once(self) -> None:
        of = ceilings()
        of.slow_down(30, 0)
        of.slow_down(30, 10)
        assert of.hold_s(10) == 30
        assert of.per_s(10)[0] == pytest.approx(0.7 * FULL_RATE_PER_S)

    def test_later_refusals_slow_it_down_further_but_not_to_a_stop(self) -> None:
        of = ceilings()
        rates = []
        for burst in range(12):
            now = burst * SAME_BURST_S
            of.slow_down(1, now)
            rates.append(of.per_s(now)[0])
        assert rates[1] < rates[0]
        assert rates[-1] == pytest.approx(LEAST_FACTOR * FULL_RATE_PER_S, rel=0.3)
        assert rates[-1] >= LEAST_FACTOR * FULL_RATE_PER_S

    def test_it_recovers_by_equal_steps_within_minutes(self) -> None:
        of = ceilings()
        of.slow_down(1, 0)
        rates = [of.per_s(1 + after_s)[0] / FULL_RATE_PER_S for after_s in (0, 20, 40, 60, 500)]
        assert rates == pytest.approx([0.7, 0.8, 0.9, 1.0, 1.0])

    def test_no_burst_is_waiting_when_the_hold_ends(self) -> None:
        of = ceilings()
        of.slow_down(30, 0)
        assert takes(of, 30) == 0

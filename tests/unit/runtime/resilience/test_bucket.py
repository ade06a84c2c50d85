from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from runtime.resilience.bucket import TokenBucket

AMOUNTS = st.floats(min_value=0.01, max_value=1000)


def test_what_is_there_is_taken_without_a_wait() -> None:
    bucket = TokenBucket(10, 1, now=0, level=10)
    assert [bucket.take(4, 0), bucket.take(6, 0)] == [0, 0]
    assert bucket.level(0) == 0


def test_what_is_not_there_is_not_taken_and_the_wait_is_told() -> None:
    bucket = TokenBucket(10, 2, now=0, level=4)
    assert bucket.take(10, 0) == 3
    assert bucket.level(0) == 4
    assert bucket.take(10, 3) == 0


@given(capacity=AMOUNTS, rate_per_s=AMOUNTS, start=st.floats(min_value=0, max_value=1e6))
def test_who_waits_as_long_as_told_waits_no_second_time(
    capacity: float, rate_per_s: float, start: float
) -> None:
    bucket = TokenBucket(capacity, rate_per_s, now=start)
    waited = start + bucket.take(capacity, start)
    assert bucket.wait_s(capacity, waited) * rate_per_s < capacity * 1e-4


def test_it_fills_to_its_capacity_and_no_further() -> None:
    bucket = TokenBucket(10, 1, now=0)
    assert bucket.level(1_000) == 10


def test_something_can_be_kept_back() -> None:
    bucket = TokenBucket(10, 1, now=0, level=5)
    assert bucket.take(3, 0, keep=4) == 2
    assert bucket.take(3, 2, keep=4) == 0
    assert bucket.level(2) == 4


def test_a_debt_is_paid_by_the_rate() -> None:
    bucket = TokenBucket(10, 2, now=0, level=1)
    bucket.give(-5, 0)
    assert bucket.level(0) == -4
    assert bucket.take(2, 0) == 3


def test_what_comes_back_does_not_pile_up() -> None:
    bucket = TokenBucket(10, 1, now=0, level=8)
    bucket.give(5, 0)
    assert bucket.level(0) == 10


def test_a_new_rate_counts_from_now_on() -> None:
    bucket = TokenBucket(100, 1, now=0)
    bucket.adjust(capacity=100, rate_per_s=10, now=5)
    assert bucket.level(5) == 5
    assert bucket.level(6) == 15


def test_what_a_smaller_capacity_cannot_hold_is_lost() -> None:
    bucket = TokenBucket(10, 1, now=0, level=10)
    bucket.adjust(capacity=4, rate_per_s=1, now=0)
    bucket.adjust(capacity=10, rate_per_s=1, now=0)
    assert bucket.level(0) == 4


def test_without_a_rate_the_wait_has_no_end() -> None:
    assert TokenBucket(10, 0, now=0).take(1, 0) == math.inf


def test_a_time_that_went_back_adds_and_takes_nothing() -> None:
    bucket = TokenBucket(10, 1, now=5, level=3)
    assert bucket.level(4) == 3
    assert bucket.level(6) == 4

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from runtime.resilience.backoff import FIRST_DELAY_S, RetryPolicy, choose_delay_s

POLICY = RetryPolicy(max_retries=3, max_delay_s=32, total_wait_s=60)


def longest(_: float, most: float) -> float:
    return most


def test_each_retry_may_wait_twice_as_long_until_the_most_that_is_allowed() -> None:
    delays = [
        choose_delay_s(POLICY, retry=retry, retry_after_s=None, room_s=1_000, uniform=longest)
        for retry in range(1, 9)
    ]
    assert delays == [0.5, 1, 2, 4, 8, 16, 32, 32]


def test_the_wait_is_drawn_from_zero_upwards() -> None:
    drawn: list[tuple[float, float]] = []

    def record(least: float, most: float) -> float:
        drawn.append((least, most))
        return least

    assert choose_delay_s(POLICY, retry=1, retry_after_s=None, room_s=9, uniform=record) == 0
    assert drawn == [(0.0, FIRST_DELAY_S)]


def test_a_vendors_wish_longer_than_our_own_longest_delay_is_kept() -> None:
    delay_s = choose_delay_s(POLICY, retry=1, retry_after_s=40, room_s=50, uniform=longest)
    assert delay_s == 40 + FIRST_DELAY_S


def test_a_wish_that_does_not_fit_is_not_waited_for() -> None:
    assert choose_delay_s(POLICY, retry=1, retry_after_s=9, room_s=8.9, uniform=longest) is None


def test_without_room_nothing_is_waited_for() -> None:
    assert choose_delay_s(POLICY, retry=1, retry_after_s=None, room_s=-1, uniform=longest) is None


@given(
    retry=st.integers(1, 12),
    wish_s=st.none() | st.floats(-10, 1e9),
    room_s=st.floats(-10, 100),
    seed=st.integers(),
)
def test_a_wait_keeps_the_wish_and_fits_the_room(
    retry: int, wish_s: float | None, room_s: float, seed: int
) -> None:
    uniform = random.Random(seed).uniform
    delay_s = choose_delay_s(
        POLICY, retry=retry, retry_after_s=wish_s, room_s=room_s, uniform=uniform
    )
    if delay_s is None:
        assert room_s < max(wish_s or 0, 0)
    else:
        assert max(wish_s or 0, 0) <= delay_s <= room_s

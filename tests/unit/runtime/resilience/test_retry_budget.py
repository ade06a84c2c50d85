from __future__ import annotations

import pytest

from runtime.resilience.retry_budget import (
    FLOOR_PER_MINUTE,
    MAX_BALANCE,
    MINUTE_S,
    RetryBalance,
)


def taken(balance: RetryBalance, now: float, tries: int = 10_000) -> int:
    return sum(balance.take(now) for _ in range(tries))


def test_few_calls_may_still_be_retried() -> None:
    balance = RetryBalance(now=0)
    assert taken(balance, 0) == FLOOR_PER_MINUTE
    assert taken(balance, MINUTE_S) == FLOOR_PER_MINUTE
    assert taken(balance, 60 * MINUTE_S) == FLOOR_PER_MINUTE


def test_five_calls_earn_one_retry() -> None:
    balance = RetryBalance(now=0)
    taken(balance, 0)
    balance.count(4)
    assert not balance.take(0)
    balance.count(1)
    assert balance.take(0)
    assert not balance.take(0)


def test_where_every_call_fails_the_calls_grow_by_a_fifth_and_the_floor_only() -> None:
    balance, retries = RetryBalance(now=0), 0
    calls_per_s, minutes = 20, 5
    for second in range(minutes * 60):
        for _ in range(calls_per_s):
            balance.count(1)
            retries += balance.take(second)
    calls = calls_per_s * minutes * 60
    assert 0.2 * calls <= retries <= 0.2 * calls + FLOOR_PER_MINUTE * (minutes + 1)


def test_a_good_day_earns_no_storm() -> None:
    balance = RetryBalance(now=0)
    balance.count(1_000_000)
    assert taken(balance, 0) == MAX_BALANCE + FLOOR_PER_MINUTE


@pytest.mark.parametrize(("replicas", "floor"), [(1, 10), (4, 2), (50, 1)])
def test_a_replica_alone_has_its_share_of_the_floor(replicas: int, floor: int) -> None:
    balance = RetryBalance(now=0)
    balance.share(replicas, 0)
    assert taken(balance, 0) == floor
    assert taken(balance, 10 * MINUTE_S) == floor

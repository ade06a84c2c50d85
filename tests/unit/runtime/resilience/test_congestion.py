from __future__ import annotations

from runtime.resilience.congestion import REACHED_SHARE, WINDOW_S, Congestion


def refused(congestion: Congestion, *, calls: int, refusals: int, now: float = 0) -> bool:
    for _ in range(calls):
        congestion.call(now)
    return [congestion.refuse(now) for _ in range(refusals)][-1]


def test_a_few_refusals_among_many_calls_are_no_limit() -> None:
    assert not refused(Congestion(), calls=100, refusals=19)


def test_a_fifth_of_the_calls_refused_is_a_limit_that_is_reached() -> None:
    assert REACHED_SHARE == 0.2
    assert refused(Congestion(), calls=100, refusals=20)


def test_of_few_calls_a_single_refusal_counts() -> None:
    assert refused(Congestion(), calls=1, refusals=1)


def test_what_was_long_ago_is_forgotten() -> None:
    congestion = Congestion()
    refused(congestion, calls=100, refusals=1)
    assert refused(congestion, calls=4, refusals=1, now=WINDOW_S)
    assert not refused(congestion, calls=100, refusals=1, now=WINDOW_S)

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulator.behaviour import Behaviour
from benchmarks.simulator.ceilings import Ceilings

TEN_REQUESTS = Behaviour(requests_per_minute=10)


def take(ceilings: Ceilings, behaviour: Behaviour, now_s: float, *, inputs: int = 0) -> float:
    return ceilings.take(behaviour, inputs=inputs, tokens=0, now_s=now_s)


def test_room_comes_back_as_calls_leave_the_window_not_at_its_edges() -> None:
    ceilings = Ceilings()
    assert all(take(ceilings, TEN_REQUESTS, 50) == 0 for _ in range(10))
    assert take(ceilings, TEN_REQUESTS, 61) == 49
    assert take(ceilings, TEN_REQUESTS, 109.5) == 0.5
    assert take(ceilings, TEN_REQUESTS, 110) == 0


def test_the_wait_is_until_the_whole_amount_fits() -> None:
    ceilings, behaviour = Ceilings(), Behaviour(inputs_per_minute=10)
    for now_s in (0, 10, 20):
        assert take(ceilings, behaviour, now_s, inputs=3) == 0
    assert take(ceilings, behaviour, 30, inputs=1) == 0
    assert take(ceilings, behaviour, 30, inputs=4) == 40
    assert take(ceilings, behaviour, 70, inputs=4) == 0


def test_what_never_fits_waits_a_whole_window_each_time() -> None:
    ceilings, behaviour = Ceilings(), Behaviour(inputs_per_minute=10)
    assert take(ceilings, behaviour, 0, inputs=11) == 60
    assert take(ceilings, behaviour, 1000, inputs=11) == 60


def test_a_call_that_one_ceiling_refuses_takes_of_no_other() -> None:
    ceilings = Ceilings()
    behaviour = Behaviour(requests_per_minute=2, inputs_per_minute=10)
    assert take(ceilings, behaviour, 0, inputs=9) == 0
    assert take(ceilings, behaviour, 0, inputs=9) > 0
    assert take(ceilings, behaviour, 0, inputs=1) == 0


def test_output_counts_once_it_is_written() -> None:
    ceilings, behaviour = Ceilings(), Behaviour(tokens_per_minute=10)
    assert ceilings.take(behaviour, inputs=0, tokens=4, now_s=0) == 0
    ceilings.add_output(behaviour, tokens=4, now_s=5)
    assert ceilings.take(behaviour, inputs=0, tokens=3, now_s=5) == 55


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 5)), max_size=60))
def test_no_window_wherever_it_begins_holds_more_than_the_ceiling(
    calls: list[tuple[float, int]],
) -> None:
    ceilings, behaviour = Ceilings(), Behaviour(inputs_per_minute=12, window_s=10)
    now_s, let_through = 0.0, []
    for pause_s, inputs in calls:
        now_s += pause_s
        if take(ceilings, behaviour, now_s, inputs=inputs) == 0:
            let_through.append((now_s, inputs))
    for start_s, _ in let_through:
        within = [n for at_s, n in let_through if start_s <= at_s < start_s + 9.999]
        assert sum(within) <= 12

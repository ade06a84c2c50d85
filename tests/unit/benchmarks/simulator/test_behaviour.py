from __future__ import annotations

import pytest
from pydantic import ValidationError

from benchmarks.simulator.behaviour import Behaviour, BehaviourFields, Change, Fault, Schedule


def kinds(schedule: Schedule, behaviour: Behaviour, calls: int) -> list[str]:
    faults = [schedule.next_fault(behaviour) for _ in range(calls)]
    return [fault.kind if fault else "ok" for fault in faults]


def test_keyword_arguments_and_fields_are_the_same() -> None:
    assert set(BehaviourFields.__annotations__) == set(Behaviour.model_fields)


def test_an_outage_goes_before_the_sequence_and_uses_none_of_it() -> None:
    schedule = Schedule("0")
    schedule.replace([Fault(kind="500"), Fault(kind="ok"), Fault(kind="reset", times=2)])
    assert kinds(schedule, Behaviour(outage=Fault(kind="503")), 2) == ["503", "503"]
    assert kinds(schedule, Behaviour(), 5) == ["500", "ok", "reset", "reset", "ok"]


def test_faults_of_a_mix_come_by_their_weights() -> None:
    mix = (Fault(kind="500", weight=3), Fault(kind="429", weight=1))
    found = kinds(Schedule("0"), Behaviour(fail_rate=0.5, fail_mix=mix), 4000)
    assert found.count("ok") == pytest.approx(2000, rel=0.1)
    assert found.count("500") == pytest.approx(1500, rel=0.1)
    assert found.count("429") == pytest.approx(500, rel=0.2)


def test_a_higher_rate_fails_the_calls_of_a_lower_one_and_more() -> None:
    lower, higher = (kinds(Schedule("0"), Behaviour(fail_rate=rate), 300) for rate in (0.1, 0.3))
    failed = [at for at, kind in enumerate(lower) if kind != "ok"]
    assert failed
    assert [higher[at] for at in failed] == [lower[at] for at in failed]


def test_jitter_is_above_the_latency_and_leaves_the_failures_as_they_are() -> None:
    behaviour = Behaviour(latency_ms=100, jitter_ms=50, fail_rate=0.5)
    with_jitter, without = Schedule("0"), Schedule("0")
    waits = [with_jitter.latency_s(behaviour) for _ in range(50)]
    assert all(0.1 <= wait < 0.15 for wait in waits)
    assert len(set(waits)) == 50
    assert kinds(with_jitter, behaviour, 50) == kinds(without, behaviour, 50)


def test_a_change_replaces_what_it_names_and_nothing_else() -> None:
    before = Behaviour(latency_ms=5, outage=Fault(kind="500"))
    change = Change.model_validate({"vendor": "cohere", "outage": None})
    assert change.apply(before) == Behaviour(latency_ms=5)


@pytest.mark.parametrize(
    "wrong", [{"latncy_ms": 1}, {"fail_rate": 2}, {"outage": "teapot"}, {"vendor": "acme"}]
)
def test_an_unknown_name_or_value_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Change.model_validate(wrong)

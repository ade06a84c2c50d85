from __future__ import annotations

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from runtime.messages import Outcome, Permit, Refusal
from runtime.resilience.breaker import BreakerPolicy, CircuitBreaker, Transition, breaker_policy
from runtime.settings import Settings

POLICY = BreakerPolicy(failure_threshold=5, cooldown_s=60, probes=1, lease_s=100)


def permit(breaker: CircuitBreaker, now: float) -> Permit:
    decision, _ = breaker.admit(now)
    assert isinstance(decision, Permit)
    return decision


def refusal(breaker: CircuitBreaker, now: float) -> Refusal:
    decision, _ = breaker.admit(now)
    assert isinstance(decision, Refusal)
    return decision


def fail(breaker: CircuitBreaker, times: int, now: float) -> list[Transition]:
    return [
        transition
        for _ in range(times)
        for transition in breaker.record(permit(breaker, now), "failed", now)
    ]


def opened(policy: BreakerPolicy = POLICY) -> CircuitBreaker:
    breaker = CircuitBreaker(policy)
    fail(breaker, policy.failure_threshold, 0)
    return breaker


class TestClosed:
    def test_four_failures_in_a_row_change_nothing(self) -> None:
        breaker = CircuitBreaker(POLICY)
        assert fail(breaker, 4, 0) == []
        assert breaker.state == "closed"

    def test_the_fifth_failure_in_a_row_opens(self) -> None:
        breaker = CircuitBreaker(POLICY)
        assert fail(breaker, 5, 0) == [Transition("closed", "open")]

    def test_a_success_between_starts_the_count_anew(self) -> None:
        breaker = CircuitBreaker(POLICY)
        fail(breaker, 4, 0)
        breaker.record(permit(breaker, 1), "succeeded", 1)
        assert fail(breaker, 4, 2) == []

    def test_what_says_nothing_of_health_neither_counts_nor_resets(self) -> None:
        breaker = CircuitBreaker(POLICY)
        fail(breaker, 4, 0)
        assert breaker.record(permit(breaker, 1), "ignored", 1) == ()
        assert fail(breaker, 1, 2) == [Transition("closed", "open")]

    def test_any_number_of_calls_may_be_out(self) -> None:
        breaker = CircuitBreaker(POLICY)
        assert {permit(breaker, 0) for _ in range(100)} == {Permit(0)}


class TestOpen:
    def test_a_refusal_names_the_seconds_that_remain(self) -> None:
        breaker = opened()
        assert refusal(breaker, 20) == Refusal(40)
        assert breaker.retry_after_s(20) == 40

    def test_late_failures_of_earlier_calls_do_not_lengthen_the_rest(self) -> None:
        breaker = CircuitBreaker(POLICY)
        late = permit(breaker, 0)
        fail(breaker, 5, 0)
        assert breaker.record(late, "failed", 30) == ()
        assert refusal(breaker, 30) == Refusal(30)

    def test_a_late_success_of_an_earlier_call_does_not_close(self) -> None:
        breaker = CircuitBreaker(POLICY)
        late = permit(breaker, 0)
        fail(breaker, 5, 0)
        assert breaker.record(late, "succeeded", 30) == ()
        assert breaker.state == "open"

    def test_it_turns_half_open_when_the_rest_is_over_and_not_before(self) -> None:
        breaker = opened()
        assert breaker.advance(59.9) == ()
        assert breaker.advance(60) == (Transition("open", "half_open"),)

    def test_a_failed_call_that_another_replica_found_time_for_does_not_lengthen_it(self) -> None:
        breaker = opened()
        assert breaker.record(Permit(breaker.generation), "failed", 10) == ()
        assert refusal(breaker, 10) == Refusal(50)


class TestHalfOpen:
    def test_one_probe_goes_out_at_a_time(self) -> None:
        breaker = opened()
        assert permit(breaker, 60).probe is not None
        assert refusal(breaker, 60).retry_after_s > 0

    def test_as_many_probes_as_the_policy_says(self) -> None:
        breaker = opened(BreakerPolicy(probes=3))
        assert len({permit(breaker, 60).probe for _ in range(3)}) == 3
        refusal(breaker, 60)

    def test_a_successful_probe_closes_and_tells_how_long_it_was_open(self) -> None:
        breaker = opened()
        probe = permit(breaker, 60)
        assert breaker.record(probe, "succeeded", 62) == (Transition("half_open", "closed", 62),)
        assert permit(breaker, 62).probe is None

    def test_the_time_open_counts_from_the_first_trip(self) -> None:
        breaker = opened()
        breaker.record(permit(breaker, 60), "failed", 61)
        closing = breaker.record(permit(breaker, 121), "succeeded", 122)
        assert closing == (Transition("half_open", "closed", 122),)

    def test_a_failed_probe_opens_for_a_whole_rest(self) -> None:
        breaker = opened()
        probe = permit(breaker, 70)
        assert breaker.record(probe, "failed", 75) == (Transition("half_open", "open"),)
        assert refusal(breaker, 75) == Refusal(60)

    def test_a_probe_that_says_nothing_gives_its_lease_back(self) -> None:
        breaker = opened()
        breaker.record(permit(breaker, 60), "ignored", 61)
        assert breaker.state == "half_open"
        assert permit(breaker, 61).probe is not None

    def test_a_dead_callers_probe_is_reclaimed_when_its_lease_ends(self) -> None:
        breaker = opened()
        permit(breaker, 60)
        refusal(breaker, 159.9)
        assert permit(breaker, 160).probe is not None

    def test_a_probe_taken_for_dead_is_believed_all_the_same(self) -> None:
        breaker = opened()
        slow = permit(breaker, 60)
        permit(breaker, 160)
        closing = breaker.record(slow, "succeeded", 161)
        assert [change.to_state for change in closing] == ["closed"]

    def test_a_second_probes_success_does_not_undo_the_firsts_failure(self) -> None:
        breaker = opened(BreakerPolicy(probes=2))
        first, second = permit(breaker, 60), permit(breaker, 60)
        breaker.record(first, "failed", 61)
        assert breaker.record(second, "succeeded", 62) == ()
        assert breaker.state == "open"

    def test_a_call_begun_before_the_outage_is_no_probe(self) -> None:
        breaker = CircuitBreaker(POLICY)
        late = permit(breaker, 0)
        fail(breaker, 5, 0)
        permit(breaker, 60)
        assert breaker.record(late, "succeeded", 61) == ()
        assert breaker.record(late, "failed", 61) == ()
        assert breaker.state == "half_open"


class TestAnothersWord:
    def test_an_undone_opening_leaves_earlier_permits_good(self) -> None:
        breaker = CircuitBreaker(POLICY)
        early = permit(breaker, 0)
        breaker.open(0, for_s=60)
        assert breaker.undo_open(1) == (Transition("open", "closed", 1),)
        fail(breaker, 4, 1)
        assert breaker.record(early, "failed", 2) == (Transition("closed", "open"),)

    def test_opening_what_is_open_moves_its_end_and_changes_no_state(self) -> None:
        breaker = opened()
        assert breaker.open(10, for_s=5) == ()
        assert refusal(breaker, 10) == Refusal(5)

    def test_a_lease_whose_holder_is_gone_can_be_taken_back(self) -> None:
        breaker = opened()
        held = permit(breaker, 60).probe
        assert held is not None
        breaker.end_lease(held)
        assert permit(breaker, 60).probe is not None


def test_a_lease_outlasts_a_request_and_a_batch_call() -> None:
    settings = Settings.model_validate(
        {"AI_REQUEST_DEADLINE_SECONDS": 500, "AI_BREAKER_FAILURE_THRESHOLD": 3}
    )
    policy = breaker_policy(settings)
    assert policy.failure_threshold == 3
    assert policy.cooldown_s == settings.breaker_cooldown_s
    assert policy.lease_s > 500
    assert breaker_policy(settings.model_copy(update={"request_deadline_s": 5})).lease_s > 300


class AnyHistory(RuleBasedStateMachine):
    """Callers that come, end as they like, or never; checked against what a reader would count."""

    @initialize(
        threshold=st.integers(1, 4), probes=st.integers(1, 3), lease_s=st.sampled_from([5.0, 50.0])
    )
    def begin(self, threshold: int, probes: int, lease_s: float) -> None:
        self.policy = BreakerPolicy(threshold, 10, probes, lease_s)
        self.breaker = CircuitBreaker(self.policy)
        self.now = 0.0
        self.out: list[Permit] = []
        self.row = 0
        self.leased_at: dict[int, float] = {}
        self.seen = "closed"
        self.opened_at = 0.0

    def follow(self, transitions: tuple[Transition, ...]) -> None:
        for change in transitions:
            assert change.from_state == self.seen
            assert change.to_state != self.seen
            assert (change.open_s is not None) == (change.to_state == "closed")
            self.seen = change.to_state
            if change.to_state == "open":
                self.opened_at = self.now
            self.leased_at = {}
            self.row = 0

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        decision, transitions = self.breaker.admit(self.now)
        self.follow(transitions)
        live = [at for at in self.leased_at.values() if at + self.policy.lease_s > self.now]
        if isinstance(decision, Refusal):
            assert decision.retry_after_s > 0
            assert self.seen == "open" or len(live) == self.policy.probes
            return
        assert self.seen != "open"
        assert (decision.probe is not None) == (self.seen == "half_open")
        if decision.probe is not None:
            assert len(live) < self.policy.probes
            self.leased_at[decision.probe] = self.now
        self.out.append(decision)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), outcome=st.sampled_from(["succeeded", "failed", "failed", "ignored"]))
    def end(self, data: st.DataObject, outcome: Outcome) -> None:
        permit = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        self.follow(self.breaker.advance(self.now))
        before, is_current = self.seen, permit.generation == self.breaker.generation
        if is_current and permit.probe is not None:
            self.leased_at.pop(permit.probe, None)
        row = self.row
        self.follow(self.breaker.record(permit, outcome, self.now))
        match (before, outcome):
            case _ if not is_current:
                expected = before
            case ("closed", "failed"):
                expected = "open" if row + 1 == self.policy.failure_threshold else "closed"
                self.row = 0 if expected == "open" else row + 1
            case ("closed", "succeeded"):
                expected, self.row = "closed", 0
            case ("half_open", "failed"):
                expected = "open"
            case ("half_open", "succeeded"):
                expected = "closed"
            case _:
                expected = before
        assert self.seen == expected

    @invariant()
    def the_state_is_what_the_transitions_told(self) -> None:
        if hasattr(self, "breaker"):
            assert self.breaker.state == self.seen

    @invariant()
    def nothing_rests_longer_than_its_time(self) -> None:
        if hasattr(self, "breaker"):
            left_s = self.breaker.retry_after_s(self.now)
            assert left_s <= max(0.0, self.opened_at + self.policy.cooldown_s - self.now)


@pytest.mark.parametrize("steps", [60])
def test_any_history_keeps_the_rules(steps: int) -> None:
    run_state_machine_as_test(
        AnyHistory,
        settings=hypothesis_settings(max_examples=100, stateful_step_count=steps, deadline=None),
    )

"""One circuit of the cluster: what opens it, what undoes that, and who may probe it.

`circuit_board.py` holds one by name, and says which replicas there are. The rules, with their
reasons, are on the page `docs/decisions/0006-circuit-breaker.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.messages import Permit, Refusal
from runtime.resilience.breaker import CircuitBreaker
from runtime.resilience.failure_run import CallEnd, FailureRun, Trip, is_outage

if TYPE_CHECKING:
    from runtime.messages import Outcome
    from runtime.resilience.breaker import BreakerPolicy, Transitions
    from runtime.resilience.circuit_messages import CircuitView, OutcomeReport

UNDO_S: Final = 2.0
"""How long after a trip a late success may undo it: many times the 100 ms it is held back."""
TURN_S: Final = 1.0
"""How long a half-open circuit waits for another replica than the suspect to ask for the probe."""


class ClusterCircuit:
    """Its breaker, the failures that may open it, and the holders of its probes."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self.breaker = CircuitBreaker(policy)
        self._run = FailureRun()
        self._trip: Trip | None = None
        self._holders: dict[str, int] = {}
        self._suspect: str | None = None
        self._turn_ends_at = 0.0
        self._has_decided = False

    def record(
        self, replica: str, report: OutcomeReport, *, lone: str | None, now: float
    ) -> Transitions:
        """Count one outcome; what it means depends on the state its caller was permitted in."""
        ended = CallEnd(now - report.age_s, replica)
        if report.generation != self.breaker.generation:
            return self._reconsider(ended, report, lone=lone, now=now)
        if self.breaker.state == "closed":
            return self._count(ended, report.outcome, lone=lone, now=now)
        return self._end_probe(replica, report, now)

    def lease_probe(self, replica: str, *, others: bool, now: float) -> Permit | Refusal:
        """Return the replica's lease; the suspect's turn comes after the others'."""
        if self.breaker.state == "half_open":
            held = self._holders.get(replica)
            if held is not None:
                return Permit(self.breaker.generation, held)
            if others and replica == self._suspect and now < self._turn_ends_at:
                return Refusal(self._turn_ends_at - now)
        decision, _ = self.breaker.admit(now)
        if isinstance(decision, Permit) and decision.probe is not None:
            self._holders[replica] = decision.probe
        return decision

    def reclaim(self, connected: set[str]) -> None:
        """Take back the probes of replicas that are gone, and forget leases that ended."""
        for replica, probe in list(self._holders.items()):
            if replica not in connected:
                self.breaker.end_lease(probe)
            if not self.breaker.is_leased(probe):
                del self._holders[replica]

    def restore(self, copy: CircuitView, now: float) -> Transitions:
        """Take over what a replica remembers of an earlier life, unless this one knows better."""
        if self._has_decided or copy.generation <= self.breaker.generation:
            return ()
        transitions: Transitions = ()
        if copy.state != "closed":
            transitions = self.breaker.open(now, for_s=copy.retry_after_s)
        elif self.breaker.state != "closed":
            transitions = self.breaker.close(now)
        self.breaker.renumber(copy.generation)
        return transitions + self.breaker.advance(now)

    def _count(
        self, ended: CallEnd, outcome: Outcome, *, lone: str | None, now: float
    ) -> Transitions:
        if outcome == "succeeded":
            self._run.add_success(ended.at)
            return ()
        if outcome == "ignored":
            return ()
        self._run.add_failure(ended)
        failures = self._run.failures
        if not is_outage(failures, self._policy.failure_threshold, lone=lone):
            return ()
        self._trip = Trip(self._run, at=now, generation=self.breaker.generation)
        self._run = FailureRun()
        # The rest began with the last failure: after a restart, that may be a while ago.
        rest_s = max(0.0, failures[-1].at + self._policy.cooldown_s - now)
        return self._open(self._trip.suspect, rest_s, now)

    def _open(self, suspect: str, rest_s: float, now: float) -> Transitions:
        self._has_decided = True
        self._holders = {}
        self._suspect = suspect
        self._turn_ends_at = now + rest_s + TURN_S
        return self.breaker.open(now, for_s=rest_s)

    def _reconsider(
        self, late: CallEnd, report: OutcomeReport, *, lone: str | None, now: float
    ) -> Transitions:
        """Drop news of an earlier generation, unless it shows that the trip was a mistake."""
        trip = self._trip
        if (
            trip is None
            or report.generation != trip.generation
            or self.breaker.generation != trip.generation + 1
            or self.breaker.state == "closed"
            or now > trip.at + UNDO_S
        ):
            return ()
        if report.outcome == "failed":
            trip.add_failure(late)
        if report.outcome != "succeeded":
            return ()
        trip.add_success(late.at)
        if trip.stands(self._policy.failure_threshold, lone=lone):
            return ()
        self._trip = None
        self._run = trip.undone()
        return self.breaker.undo_open(now)

    def _end_probe(self, replica: str, report: OutcomeReport, now: float) -> Transitions:
        if report.probe is not None and self._holders.get(replica) == report.probe:
            del self._holders[replica]
        if report.outcome == "failed" and self.breaker.state == "half_open":
            return self._open(replica, self._policy.cooldown_s, now)
        if report.outcome == "succeeded":
            self._has_decided = True
            self._holders = {}
        return self.breaker.record(Permit(report.generation, report.probe), report.outcome, now)

"""All circuits of the cluster: what the actor `circuit_breaker` holds, and the values it exchanges.

Replicas report outcomes in batches and are pushed a `Snapshot`. The rules, with their reasons, are
on the page `docs/decisions/0006-circuit-breaker.md`. Like the breaker it receives `now` and returns
what changed. Values cross processes, and a rolling update mixes versions: `PROTOCOL` changes with
any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from runtime.messages import CircuitState, Outcome, Permit, Refusal
from runtime.resilience.breaker import CircuitBreaker
from runtime.resilience.failure_run import CallEnd, FailureRun, Trip, is_outage
from runtime.telemetry import CircuitChanged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.resilience.breaker import BreakerPolicy, Transitions

PROTOCOL: Final = 1
"""Of the values below and of the actor's methods; part of the actor's version."""
CONNECTED_S: Final = 10.0
"""A replica that was not heard of for so long is gone. It polls every second or two."""
UNDO_S: Final = 2.0
"""How long after a trip a late success may undo it: many times the 100 ms it is held back."""
TURN_S: Final = 1.0
"""How long a half-open circuit waits for another replica than the suspect to ask for the probe."""
FORGET_S: Final = 600.0
"""When a replica that was not heard of is forgotten with its sequence number."""

Changes: TypeAlias = tuple[CircuitChanged, ...]


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """How a call ended, `age_s` ago by the clock of the replica that made it.

    `sequence` counts up within a replica, so what is sent twice counts once. `generation` is the
    cluster's as the replica knew it when it made the call, `probe` a lease of the cluster's.
    """

    sequence: int
    circuit: str
    generation: int
    outcome: Outcome
    age_s: float
    probe: int | None


@dataclass(frozen=True, slots=True)
class CircuitView:
    """A circuit as the cluster has it; `retry_after_s` is 0 unless open."""

    circuit: str
    state: CircuitState
    generation: int
    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All circuits. Versions count up within an incarnation; a restarted actor is another one."""

    incarnation: str
    version: int
    circuits: tuple[CircuitView, ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """What a replica knows when it joins: its copies of the cluster's state, its last outcomes.

    `incarnation` is the one it knew before, None for a new replica.
    """

    replica: str
    circuits: tuple[str, ...]
    incarnation: str | None
    copies: tuple[CircuitView, ...]
    outcomes: tuple[OutcomeReport, ...]


@dataclass(slots=True)
class _Replica:
    heard_at: float
    circuits: frozenset[str] = frozenset()
    sequence: int = 0


class CircuitBoard:
    """The state of every circuit, from what all replicas report."""

    def __init__(self, policy: BreakerPolicy, *, incarnation: str, now: float) -> None:
        self._policy = policy
        self._incarnation = incarnation
        self._started_at = now
        self._restarted = False
        self._version = 0
        self._circuits: dict[str, _Circuit] = {}
        self._new: list[str] = []
        self._replicas: dict[str, _Replica] = {}

    @property
    def incarnation(self) -> str:
        """Which life of the actor this is."""
        return self._incarnation

    @property
    def version(self) -> int:
        """Counts the changes that replicas must hear of."""
        return self._version

    def snapshot(self, now: float) -> Snapshot:
        """Return what is pushed to the replicas."""
        views = tuple(
            CircuitView(
                name,
                circuit.breaker.state,
                circuit.breaker.generation,
                circuit.breaker.retry_after_s(now),
            )
            for name, circuit in self._circuits.items()
        )
        return Snapshot(self._incarnation, self._version, views)

    def take_new(self) -> list[str]:
        """Return the circuits that became known since it was last called."""
        new, self._new = self._new, []
        return new

    def advance(self, now: float) -> Changes:
        """Let time pass: rests end, replicas are forgotten, a dead one's probes come back."""
        self._replicas = {
            name: replica
            for name, replica in self._replicas.items()
            if replica.heard_at + FORGET_S > now
        }
        changes: Changes = ()
        for name, circuit in self._circuits.items():
            changes += self._changed(name, circuit.breaker.advance(now))
            circuit.reclaim(self._connected(name, now))
        return changes

    def hear(self, replica: str, circuits: Iterable[str], now: float) -> Changes:
        """Note that the replica is there, and which circuits it calls through."""
        self._replica(replica, now).circuits = frozenset(circuits)
        for name in circuits:
            self._circuit(name)
        return self.advance(now)

    def join(self, member: Membership, now: float) -> Changes:
        """Take in a replica; after a restart, what it remembers as well."""
        self._restarted = self._restarted or member.incarnation not in (None, self._incarnation)
        changes = self.hear(member.replica, member.circuits, now)
        if member.incarnation != self._incarnation:
            for copy in member.copies:
                changes += self._restore(copy, now)
        return changes + self._apply(member.replica, member.outcomes, now)

    def report(
        self, replica: str, outcomes: Iterable[OutcomeReport], *, incarnation: str, now: float
    ) -> Changes:
        """Count a batch, in the order given; one that is meant for an earlier life is left alone.

        The replica sees the other incarnation in the answer, joins, and sends the batch again.
        """
        changes = self.advance(now)
        if incarnation != self._incarnation:
            return changes
        return changes + self._apply(replica, outcomes, now)

    def lease_probe(
        self, replica: str, circuit: str, now: float
    ) -> tuple[Permit | Refusal, Changes]:
        """Return leave for one probe (without a lease if the circuit is closed), or when to ask.

        A replica that asks again is given its own lease again: the first answer was lost.
        """
        self._replica(replica, now)
        changes = self.advance(now)
        here = self._circuit(circuit)
        others = self._connected(circuit, now) - {replica}
        return here.lease_probe(replica, others=bool(others), now=now), changes

    def _apply(self, replica: str, outcomes: Iterable[OutcomeReport], now: float) -> Changes:
        reporter = self._replica(replica, now)
        lone = {name: self._lone(name, now) for name in self._circuits}
        changes: Changes = ()
        for report in outcomes:
            if report.sequence > reporter.sequence:
                reporter.sequence = report.sequence
                circuit = self._circuit(report.circuit)
                changes += self._changed(
                    report.circuit,
                    circuit.record(replica, report, lone=lone.get(report.circuit), now=now),
                )
        return changes

    def _restore(self, copy: CircuitView, now: float) -> Changes:
        circuit = self._circuit(copy.circuit)
        self._version += 1
        return self._changed(copy.circuit, circuit.restore(copy, now))

    def _changed(self, name: str, transitions: Transitions) -> Changes:
        self._version += len(transitions)
        return tuple(
            CircuitChanged(name, change.from_state, change.to_state, change.open_s)
            for change in transitions
        )

    def _circuit(self, name: str) -> _Circuit:
        if name not in self._circuits:
            self._circuits[name] = _Circuit(self._policy)
            self._new.append(name)
            self._version += 1
        return self._circuits[name]

    def _replica(self, name: str, now: float) -> _Replica:
        replica = self._replicas.setdefault(name, _Replica(now))
        replica.heard_at = now
        return replica

    def _connected(self, circuit: str, now: float) -> set[str]:
        return {
            name
            for name, replica in self._replicas.items()
            if circuit in replica.circuits and replica.heard_at + CONNECTED_S > now
        }

    def _lone(self, circuit: str, now: float) -> str | None:
        """Return the only replica that calls through the circuit, None while that is not known."""
        if self._restarted and now < self._started_at + CONNECTED_S:
            return None
        connected = self._connected(circuit, now)
        return connected.pop() if len(connected) == 1 else None


class _Circuit:
    """One circuit: its breaker, the failures that may open it, the holders of its probes."""

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

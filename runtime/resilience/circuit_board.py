"""All circuits of the cluster: what the actor `circuit_breaker` holds.

Replicas report outcomes in batches and are pushed a `Snapshot` (`circuit_messages.py`); what one
circuit makes of them is `cluster_circuit.py`'s. Like the breaker it receives `now` and returns what
changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from runtime.resilience.circuit_messages import CircuitView, Snapshot
from runtime.resilience.cluster_circuit import ClusterCircuit
from runtime.telemetry import CircuitChanged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.messages import Permit, Refusal
    from runtime.resilience.breaker import BreakerPolicy, Transitions
    from runtime.resilience.circuit_messages import Membership, OutcomeReport

CONNECTED_S: Final = 10.0
"""A replica that was not heard of for so long is gone. It polls every second or two."""
FORGET_S: Final = 600.0
"""When a replica that was not heard of is forgotten with its sequence number."""

Changes: TypeAlias = tuple[CircuitChanged, ...]


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
        self._circuits: dict[str, ClusterCircuit] = {}
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

    def _circuit(self, name: str) -> ClusterCircuit:
        if name not in self._circuits:
            self._circuits[name] = ClusterCircuit(self._policy)
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

"""What replicas and the actor `circuit_breaker` tell each other of the circuits.

They cross processes, and a rolling update mixes versions: `PROTOCOL` changes with any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.messages import CircuitState, Outcome

PROTOCOL: Final = 1
"""Of the values below and of the actor's methods; part of the actor's version."""


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

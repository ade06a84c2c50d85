"""One circuit as a replica sees it: its own breaker, which follows the cluster's."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from runtime.messages import Permit, Refusal
from runtime.resilience.breaker import CircuitBreaker
from runtime.resilience.circuit_messages import CircuitView

if TYPE_CHECKING:
    from runtime.messages import Outcome
    from runtime.ports import Clock
    from runtime.resilience.breaker import BreakerPolicy

MAX_PENDING: Final = 256
"""Outcomes of one circuit that wait to be told of; the oldest go first, they decide the least."""
MAX_GENERATIONS: Final = 16
"""How far back a permit's generation is still known; older news would be dropped anyway."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that ended, `at` by this replica's clock; `generation` and `probe` are the cluster's.

    `sequence` counts up within the replica.
    """

    sequence: int
    circuit: str
    generation: int
    outcome: Outcome
    at: float
    probe: int | None


class Cluster(Protocol):
    """The rest of the cluster, as far as it can be reached (`shared_breaker.py`)."""

    @property
    def is_linked(self) -> bool:
        """Whether the actor answered when it was last asked."""
        ...

    def tell(self, circuit: str, generation: int, outcome: Outcome, *, probe: int | None) -> None:
        """Queue an outcome for the actor."""
        ...

    async def lease_probe(self, circuit: str) -> Permit | Refusal | None:
        """Return leave for a probe or a refusal, None if nobody answered in time."""
        ...

    def give_back(self, circuit: str, lease: Permit) -> None:
        """Return a lease that nobody uses."""
        ...


class CircuitCopy:
    """The port `Breaker` over a local machine that opens and closes whenever the cluster's does.

    Permits carry the local machine's generation; what the cluster is told carries the generation
    of its own that the replica knew when it gave the permit.
    """

    def __init__(self, name: str, cluster: Cluster, *, clock: Clock, policy: BreakerPolicy) -> None:
        self.name = name
        self.pending: deque[Ended] = deque(maxlen=MAX_PENDING)
        self.recent: deque[Ended] = deque(maxlen=policy.failure_threshold)
        """For an actor that forgot: no earlier outcome of one replica's can open a circuit."""
        self._cluster = cluster
        self._clock = clock
        # One probe of ours at a time; the cluster says whether it may go out.
        self._local = CircuitBreaker(replace(policy, probes=1))
        self._view = CircuitView(name, "closed", 0, 0.0)
        self._retry_at = 0.0
        self._ask_again_at = 0.0
        self._generations = {0: 0}
        self._leases: dict[int, Permit] = {}

    @property
    def follows_closed(self) -> bool:
        """Whether the cluster's circuit is closed, as far as this replica knows."""
        return self._view.state == "closed"

    async def admit(self) -> Permit | Refusal:
        """Decide on the local machine; only a probe asks the cluster, for 50 ms at the most."""
        decision, _ = self._local.admit(self._clock.monotonic())
        if isinstance(decision, Refusal) or decision.probe is None:
            return decision
        # If the cluster is closed, the trouble is this replica's own, and so is the probe.
        if self.follows_closed or not self._cluster.is_linked:
            return decision
        try:
            return await self._confirm(decision, decision.probe)
        except asyncio.CancelledError:
            self._take_back(decision)
            raise

    def record(self, permit: Permit, outcome: Outcome) -> None:
        """Count the outcome here, and queue it for the cluster."""
        lease = None if permit.probe is None else self._leases.pop(permit.probe, None)
        generation = self._generations.get(permit.generation) if lease is None else lease.generation
        self._local.record(permit, outcome, self._clock.monotonic())
        self._remember_generation()
        if generation is None or (outcome == "ignored" and lease is None):
            return
        probe = None if lease is None else lease.probe
        self._cluster.tell(self.name, generation, outcome, probe=probe)

    def follow(self, view: CircuitView, now: float) -> None:
        """Open or close when the cluster did, whatever this replica has seen itself."""
        was = (self._view.generation, self.follows_closed)
        self._view = view
        if (view.generation, self.follows_closed) == was:
            return
        self._leases = {}
        self._ask_again_at = now
        self._retry_at = now + view.retry_after_s
        if self.follows_closed:
            self._local.close(now)
        else:
            self._local.open(now, for_s=view.retry_after_s)
        self._remember_generation()

    def copy(self, now: float) -> CircuitView:
        """Return the cluster's state as this replica knows it, for an actor that forgot."""
        left_s = 0.0 if self.follows_closed else max(0.0, self._retry_at - now)
        return replace(self._view, retry_after_s=left_s)

    async def _confirm(self, permit: Permit, probe: int) -> Permit | Refusal:
        """Return the permit with the cluster's leave, or without it when nobody answers."""
        wait_s = self._ask_again_at - self._clock.monotonic()
        if wait_s > 0:
            self._take_back(permit)
            return Refusal(wait_s)
        lease = await self._cluster.lease_probe(self.name)
        now = self._clock.monotonic()
        if permit.generation != self._local.generation:
            # The cluster opened or closed while we asked.
            if isinstance(lease, Permit):
                self._cluster.give_back(self.name, lease)
            return self._local.admit(now)[0]
        if isinstance(lease, Refusal):
            self._take_back(permit)
            self._ask_again_at = now + lease.retry_after_s
            return lease
        if lease is not None and lease.probe is not None:
            self._leases[probe] = lease
        return permit

    def _take_back(self, permit: Permit) -> None:
        self._local.record(permit, "ignored", self._clock.monotonic())

    def _remember_generation(self) -> None:
        self._generations[self._local.generation] = self._view.generation
        if len(self._generations) > MAX_GENERATIONS:
            del self._generations[min(self._generations)]

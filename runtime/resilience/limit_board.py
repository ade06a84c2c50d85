"""What the actor `provider_limiter` holds: each circuit's limits, leases and retry budget.

Pure: `now` is handed in, nothing waits. A replica reports regularly what it holds and who waits
there, and is told who may call now and what it holds from then on. What a replica held and no
longer names counts as spent, and so does what a silent replica held; room for it fills again at the
usual rate. So a lost message costs throughput, never the promise (`ceilings.py`). Reports and
grants cross processes, and a rolling update mixes versions: `PROTOCOL` changes with any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runtime.messages import Cost, Limits
from runtime.resilience.ceilings import Ceilings
from runtime.resilience.cost import NOTHING, minus, plus, positive, shared, total
from runtime.resilience.retry_budget import RetryBalance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROTOCOL: Final = 1
"""Of the values below and of the actor's methods; part of the actor's version."""
REPLICA_KEPT_S: Final = 6.0
"""How long a silent replica's leases stand: three renewals, and longer than the replica itself
trusts them (`shared_limiter.py`)."""
CLAIM_KEPT_S: Final = 2.0
"""How long a waiting call of a silent replica keeps its place: twice what a waiting replica takes
to ask again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The calls of one priority that wait at a replica, oldest first.

    `oldest_s` is how long the first has waited.
    """

    costs: tuple[Cost, ...] = ()
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CircuitReport:
    """One replica's state of one circuit.

    `returned` goes back to the board, and where it is negative it is a debt; `spent_alone` was
    spent of the replica's share while the board was late; `first_attempts` are those since the last
    report; `hold_s` is what the vendor's 429 asks for, 0 without one.
    """

    held: Cost
    returned: Cost
    interactive: Waiting
    batch: Waiting
    spent_alone: Cost
    first_attempts: int
    hold_s: float


@dataclass(frozen=True, slots=True)
class CircuitGrant:
    """The board's answer: so many of the waiting calls, the oldest first, may be made now.

    `lease` is added to what the replica holds and `quota` is what it may hold. `wait_s` is the wait
    of the first call that was left waiting. `per_s` is what flows in for the whole cluster by
    dimension, `replicas` how many know the circuit, `rivals` in how many of them calls wait.
    """

    interactive: int
    batch: int
    lease: Cost
    quota: Cost
    wait_s: float
    hold_s: float
    per_s: tuple[float, float, float]
    replicas: int
    rivals: int


class LimitBoard:
    """The limits of all circuits; one that has none still has its retry budget."""

    def __init__(self, limits: Mapping[str, Limits]) -> None:
        self._limits = limits
        self._circuits: dict[str, _Circuit] = {}

    def sync(
        self, replica: str, reports: Mapping[str, CircuitReport], now: float
    ) -> dict[str, CircuitGrant]:
        """Take in a replica's state, and return what it may do."""
        return {
            name: self._circuit(name, now).sync(replica, report, now)
            for name, report in reports.items()
        }

    def take_retry(self, circuit: str, first_attempts: int, now: float) -> bool:
        """Count the first attempts, then return whether one retry may be made."""
        budget = self._circuit(circuit, now).budget
        budget.count(first_attempts)
        return budget.take(now)

    def _circuit(self, name: str, now: float) -> _Circuit:
        if name not in self._circuits:
            self._circuits[name] = _Circuit(self._limits.get(name, Limits()), now=now)
        return self._circuits[name]


@dataclass(slots=True)
class _Claim:
    """The first waiting call of a replica: its cost, and since when it waits."""

    cost: Cost
    since: float


@dataclass(slots=True)
class _Replica:
    seen_at: float
    held: Cost = NOTHING
    interactive: _Claim | None = None
    batch: _Claim | None = None


@dataclass(frozen=True, slots=True)
class _Queue:
    """The calls of one priority here, and what waits elsewhere: longer than these, and in all."""

    waiting: Waiting
    older: Cost
    others: Cost
    rivals: int

    def first(self, now: float) -> _Claim | None:
        """Return the claim of the call that waits longest here."""
        if not self.waiting.costs:
            return None
        return _Claim(self.waiting.costs[0], now - self.waiting.oldest_s)


class _Circuit:
    def __init__(self, limits: Limits, *, now: float) -> None:
        self.budget = RetryBalance(now=now)
        self._limits = limits
        self._ceilings = Ceilings(limits, now=now)
        self._replicas: dict[str, _Replica] = {}

    def sync(self, name: str, report: CircuitReport, now: float) -> CircuitGrant:
        replica = self._take_in(name, report, now)
        others = [other for key, other in self._replicas.items() if key != name]
        interactive = _queue(
            report.interactive, ((other, other.interactive) for other in others), now=now
        )
        batch = _queue(report.batch, ((other, other.batch) for other in others), now=now)

        served, replica.interactive = self._serve(interactive, keep=NOTHING, now=now)
        quota = self._quota(now)
        lease = NOTHING
        if replica.interactive is None:
            want = positive(minus(quota, replica.held))
            lease = self._ceilings.lease(want, now, keep=interactive.others)
            replica.held = plus(replica.held, lease)
            self._ceilings.lend(self._held(), now)
        reserve = self._ceilings.unleased_reserve
        if replica.interactive is None and interactive.rivals == 0:
            batch_served, replica.batch = self._serve(batch, keep=reserve, now=now)
        else:
            batch_served, replica.batch = 0, batch.first(now)
        return CircuitGrant(
            interactive=served,
            batch=batch_served,
            lease=lease,
            quota=quota,
            wait_s=self._wait_s(replica, interactive, batch, now),
            hold_s=self._ceilings.hold_s(now),
            per_s=self._ceilings.per_s(now),
            replicas=len(self._replicas),
            rivals=1 + max(interactive.rivals, batch.rivals),
        )

    def _take_in(self, name: str, report: CircuitReport, now: float) -> _Replica:
        for silent in [n for n, r in self._replicas.items() if now - r.seen_at > REPLICA_KEPT_S]:
            del self._replicas[silent]
        replica = self._replicas.setdefault(name, _Replica(now))
        replica.seen_at = now
        replica.held = report.held
        self.budget.count(report.first_attempts)
        if report.hold_s > 0:
            self._ceilings.slow_down(report.hold_s, now)
        self._ceilings.lend(self._held(), now)
        self._ceilings.give(report.returned, now)
        self._ceilings.charge(report.spent_alone, now)
        return replica

    def _serve(self, queue: _Queue, *, keep: Cost, now: float) -> tuple[int, _Claim | None]:
        """Return how many may call, and the claim of the first that may not.

        The first is kept back by older calls elsewhere, the others by any call elsewhere: so
        replicas take turns, and none starves another.
        """
        left = plus(queue.older, keep)
        for served, cost in enumerate(queue.waiting.costs):
            if not self._ceilings.take(cost, now, keep=left):
                return served, (_Claim(cost, now) if served else queue.first(now))
            left = plus(queue.others, keep)
        return len(queue.waiting.costs), None

    def _wait_s(self, replica: _Replica, interactive: _Queue, batch: _Queue, now: float) -> float:
        """Return how long the first call here still waits, as far as the calls known now tell."""
        if replica.interactive is not None:
            return self._ceilings.wait_s(replica.interactive.cost, now, keep=interactive.older)
        if replica.batch is not None:
            ahead = plus(interactive.others, batch.older)
            keep = plus(ahead, self._ceilings.unleased_reserve)
            return self._ceilings.wait_s(replica.batch.cost, now, keep=keep)
        return 0.0

    def _quota(self, now: float) -> Cost:
        if self._ceilings.hold_s(now) > 0:
            return NOTHING
        return shared(self._ceilings.reserve, len(self._replicas))

    def _held(self) -> Cost:
        return total(replica.held for replica in self._replicas.values())


def _queue(
    waiting: Waiting, claims: Iterable[tuple[_Replica, _Claim | None]], *, now: float
) -> _Queue:
    fresh = [
        claim
        for replica, claim in claims
        if claim is not None and now - replica.seen_at <= CLAIM_KEPT_S
    ]
    since = now - waiting.oldest_s
    return _Queue(
        waiting,
        older=total(claim.cost for claim in fresh if claim.since < since),
        others=total(claim.cost for claim in fresh),
        rivals=len(fresh),
    )

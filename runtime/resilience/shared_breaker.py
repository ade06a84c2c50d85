"""What a replica holds of the cluster's circuits: it decides here, and tells the actor afterwards.

Each circuit has a `CircuitBreaker` of its own over the replica's own outcomes, which follows the
cluster's whenever that opens or closes. So a closed breaker costs no remote call, and with the
actor gone the replica goes on by what it sees itself. Only `run` talks to the actor, and, for a
probe, `admit`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from runtime.errors import ActorUnavailable, AIAgentError
from runtime.logs import log, log_failure
from runtime.messages import Permit
from runtime.resilience.circuit_copy import MAX_PENDING, CircuitCopy, Ended
from runtime.resilience.circuit_messages import Membership, OutcomeReport, Snapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from runtime.messages import Outcome, Refusal
    from runtime.ports import Breaker, Clock
    from runtime.resilience.breaker import BreakerPolicy

PROBE_WAIT_S: Final = 0.05
"""How long a probe waits for the cluster's leave before the replica decides by itself."""
FLUSH_S: Final = 0.1
"""How long a success may be held back, so that many are told of in one call."""
CALL_TIMEOUT_S: Final = 2.0
"""For a report, a lease or a join; the request in hand waits for none of them."""
WATCH_TIMEOUT_S: Final = 4.0
"""For a long poll, which the actor answers within `HEARTBEAT_S` (`actors/breaker.py`)."""
RETRY_S: Final = 0.1
MAX_RETRY_S: Final = 1.0
"""Between attempts to reach the actor: doubled from the first to the second."""
ACTOR: Final = "circuit_breaker"

T = TypeVar("T")


class BreakerLink(Protocol):
    """The way to the actor `circuit_breaker`.

    Raises: ActorUnavailable, from every method.
    """

    async def join(self, member: Membership) -> Snapshot:
        """Make the replica known, with what it remembers."""
        ...

    async def watch(
        self, replica: str, circuits: Sequence[str], *, incarnation: str, version: int
    ) -> Snapshot:
        """Return what differs from the version, at once or when it comes; at last, unchanged."""
        ...

    async def report(
        self, replica: str, outcomes: Sequence[OutcomeReport], *, incarnation: str
    ) -> Snapshot:
        """Tell outcomes, in order. An answer of another incarnation means that none was counted."""
        ...

    async def lease_probe(self, replica: str, circuit: str) -> Permit | Refusal:
        """Return leave for a probe; without a lease when the circuit is closed."""
        ...


class SharedBreakers:
    """The replica's breakers. `run` keeps them up with the cluster; without it they are local.

    `replica_id` must be new for every process.
    """

    def __init__(
        self, link: BreakerLink, clock: Clock, *, replica_id: str, policy: BreakerPolicy
    ) -> None:
        self._link = link
        self._clock = clock
        self._replica = replica_id
        self._policy = policy
        self._circuits: dict[str, CircuitCopy] = {}
        self._incarnation: str | None = None
        self._snapshot = Snapshot("", -1, ())
        self._snapshot_at = 0.0
        self._sequence = 0
        self._joined = asyncio.Event()
        self._has_news = asyncio.Event()
        self._is_urgent = asyncio.Event()
        self._leases: set[asyncio.Task[Permit | Refusal]] = set()
        self._is_linked = False

    def circuit(self, name: str) -> Breaker:
        """Return the breaker of one circuit, the same at every call."""
        if name not in self._circuits:
            breaker = CircuitCopy(name, self, clock=self._clock, policy=self._policy)
            self._circuits[name] = breaker
            self._follow(breaker)
        return self._circuits[name]

    @property
    def is_linked(self) -> bool:
        """Whether the actor answered when it was last asked."""
        return self._is_linked

    async def run(self) -> None:
        """Tell outcomes and follow the cluster until cancelled; survives any fault of the link.

        Start it in an empty context: a request's end would cancel the actor calls made in its own.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._flush())

    # --- For the circuits -----------------------------------------------------------------------

    def tell(self, circuit: str, generation: int, outcome: Outcome, *, probe: int | None) -> None:
        """Queue an outcome; what may change a circuit is sent at once, with all before it."""
        copy = self._circuits[circuit]
        self._sequence += 1
        now = self._clock.monotonic()
        ended = Ended(self._sequence, circuit, generation, outcome, now, probe)
        copy.pending.append(ended)
        if outcome != "ignored":
            copy.recent.append(ended)
        self._has_news.set()
        says_more = outcome == "failed" or probe is not None or not copy.follows_closed
        if says_more or len(copy.pending) >= MAX_PENDING // 2:
            self._is_urgent.set()

    async def lease_probe(self, circuit: str) -> Permit | Refusal | None:
        """Return the cluster's leave or refusal of a probe, None if it did not answer in time."""
        asking = asyncio.get_running_loop().create_task(
            _within(CALL_TIMEOUT_S, self._link.lease_probe(self._replica, circuit)),
            context=Context(),
        )
        self._leases.add(asking)
        asking.add_done_callback(self._leases.discard)
        try:
            await asyncio.wait({asking}, timeout=PROBE_WAIT_S)
        except asyncio.CancelledError:
            asking.add_done_callback(lambda late: self._give_back(circuit, late))
            raise
        if not asking.done():
            asking.add_done_callback(lambda late: self._give_back(circuit, late))
            self._lose(TimeoutError())
            return None
        error = asking.exception()
        if error is not None:
            self._lose(error)
            return None
        return asking.result()

    def give_back(self, circuit: str, lease: Permit) -> None:
        """Return a lease of the cluster's that nobody uses."""
        if lease.probe is not None:
            self.tell(circuit, lease.generation, "ignored", probe=lease.probe)

    def _give_back(self, circuit: str, late: asyncio.Task[Permit | Refusal]) -> None:
        if not late.cancelled() and late.exception() is None:
            lease = late.result()
            if isinstance(lease, Permit):
                self.give_back(circuit, lease)

    # --- The two tasks --------------------------------------------------------------------------

    async def _watch(self) -> None:
        pause_s = RETRY_S
        while True:
            try:
                await (self._poll() if self._joined.is_set() else self._join())
            except Exception as error:  # noqa: BLE001 - a task that ended would be missed by nobody
                self._joined.clear()
                self._lose(error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, MAX_RETRY_S)
            else:
                pause_s = RETRY_S

    async def _poll(self) -> None:
        snapshot = await _within(
            WATCH_TIMEOUT_S,
            self._link.watch(
                self._replica,
                tuple(self._circuits),
                incarnation=self._snapshot.incarnation,
                version=self._snapshot.version,
            ),
        )
        self._take(snapshot)

    async def _join(self) -> None:
        now = self._clock.monotonic()
        told = {e.sequence: e for c in self._circuits.values() for e in (*c.recent, *c.pending)}
        member = Membership(
            self._replica,
            tuple(self._circuits),
            self._incarnation,
            tuple(circuit.copy(now) for circuit in self._circuits.values()),
            tuple(_report(told[sequence], now) for sequence in sorted(told)),
        )
        snapshot = await _within(CALL_TIMEOUT_S, self._link.join(member))
        self._forget(max(told, default=0))
        self._incarnation = snapshot.incarnation
        self._snapshot = Snapshot(snapshot.incarnation, -1, ())
        self._joined.set()
        self._take(snapshot)

    async def _flush(self) -> None:
        while True:
            await self._has_news.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._is_urgent.wait()
            await self._joined.wait()
            self._has_news.clear()
            self._is_urgent.clear()
            try:
                await self._send()
            except Exception as error:  # noqa: BLE001 - as in `_watch`
                self._has_news.set()
                self._lose(error)
                await asyncio.sleep(RETRY_S)

    async def _send(self) -> None:
        now = self._clock.monotonic()
        ended = sorted(
            (e for circuit in self._circuits.values() for e in circuit.pending),
            key=lambda e: e.sequence,
        )
        if not ended:
            return
        incarnation = self._snapshot.incarnation
        reports = tuple(_report(e, now) for e in ended)
        snapshot = await _within(
            CALL_TIMEOUT_S, self._link.report(self._replica, reports, incarnation=incarnation)
        )
        if snapshot.incarnation == incarnation:
            self._forget(ended[-1].sequence)
        else:
            self._has_news.set()
        self._take(snapshot)

    def _forget(self, sequence: int) -> None:
        for circuit in self._circuits.values():
            while circuit.pending and circuit.pending[0].sequence <= sequence:
                circuit.pending.popleft()

    def _take(self, snapshot: Snapshot) -> None:
        if not self._is_linked:
            self._is_linked = True
            log("breaker_link_up", incarnation=snapshot.incarnation)
        if snapshot.incarnation != self._incarnation:
            self._joined.clear()
        elif snapshot.version > self._snapshot.version:
            self._snapshot = snapshot
            self._snapshot_at = self._clock.monotonic()
            for circuit in self._circuits.values():
                self._follow(circuit)

    def _follow(self, breaker: CircuitCopy) -> None:
        now = self._clock.monotonic()
        for view in self._snapshot.circuits:
            if view.circuit == breaker.name:
                left_s = max(0.0, view.retry_after_s - (now - self._snapshot_at))
                breaker.follow(replace(view, retry_after_s=left_s), now)

    def _lose(self, error: BaseException) -> None:
        if self._is_linked:
            self._is_linked = False
            log("breaker_link_down", error_type=type(error).__name__)
        if not isinstance(error, AIAgentError | TimeoutError):
            log_failure("breaker_link_failed", error)


async def _within(timeout_s: float, asking: Awaitable[T]) -> T:
    """Return what the link answers in time; its own cancellation is not mistaken for ours."""
    try:
        async with asyncio.timeout(timeout_s):
            return await asking
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ActorUnavailable(ACTOR, "gave up the call") from None


def _report(ended: Ended, now: float) -> OutcomeReport:
    return OutcomeReport(
        ended.sequence,
        ended.circuit,
        ended.generation,
        ended.outcome,
        max(0.0, now - ended.at),
        ended.probe,
    )

"""What a replica holds of the cluster's limits: it decides here, and reports in the background.

One call of the actor `provider_limiter` brings the reports of all circuits and takes back leases,
so a question that finds a lease costs none. When the actor does not answer, each circuit goes on
with the replica's share of the limits, and follows the board again once it does.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, Protocol

from runtime.errors import AIAgentError
from runtime.logs import log, log_failure
from runtime.messages import Limits
from runtime.resilience.circuit_lease import CircuitLease
from runtime.resilience.retry_budget import RetryBalance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.ports import Clock, Limiter, RetryBudget
    from runtime.resilience.limit_board import CircuitGrant, CircuitReport
    from runtime.telemetry import Emit

RENEW_S: Final = 2.0
"""Between reports while nothing is short: leases outlast two that are lost."""
ASK_AGAIN_S: Final = 1.0
"""Between reports at the most, while calls wait or the actor does not answer."""
SPACING_S: Final = 0.05
"""Between reports at the least: calls that run short together ask together."""
PATIENCE_S: Final = 0.05
"""How long the actor may take before the replica decides alone."""
GIVE_UP_S: Final = 30.0
"""How long a report may stay unanswered before another is sent: a hung actor that comes back
should find one report of each replica, not a queue of stale ones."""
FEWER_AFTER_S: Final = 10.0
"""How long a smaller number of replicas must be told before it counts: an actor that has just
restarted knows few of them."""
ACTOR: Final = "provider_limiter"


class LimiterLink(Protocol):
    """The way to the actor `provider_limiter`.

    Raises: ActorUnavailable, from every method.
    """

    async def sync(
        self, replica: str, reports: Mapping[str, CircuitReport]
    ) -> dict[str, CircuitGrant]:
        """Report the state of circuits, and return what may be done in each."""
        ...

    async def take_retry(self, circuit: str, first_attempts: int) -> bool:
        """Count the first attempts, then return whether one retry may be made."""
        ...


class SharedLimiters:
    """The replica's limiters and retry budgets by circuit. `run` keeps their leases fresh.

    `replica_id` must be new for every process; a circuit that `limits` does not name has none.
    """

    def __init__(
        self,
        link: LimiterLink,
        clock: Clock,
        *,
        emit: Emit,
        replica_id: str,
        limits: Mapping[str, Limits],
    ) -> None:
        self._link = link
        self._clock = clock
        self._emit = emit
        self._replica = replica_id
        self._limits = limits
        self._leases: dict[str, CircuitLease] = {}
        self._budgets: dict[str, SharedBudget] = {}
        self._news = asyncio.Event()
        self._members = _Members()
        self._sent_at: float | None = None
        self._answered_at = -math.inf
        self._is_alone = False

    def limiter(self, circuit: str) -> Limiter:
        """Return the limiter of one circuit, the same at every call."""
        if circuit not in self._leases:
            self._leases[circuit] = CircuitLease(
                circuit,
                self._limits.get(circuit, Limits()),
                clock=self._clock,
                emit=self._emit,
                wake=self._news.set,
            )
            self._news.set()
        return self._leases[circuit]

    def budget(self, circuit: str) -> RetryBudget:
        """Return the retry budget of one circuit, the same at every call."""
        if circuit not in self._budgets:
            self._budgets[circuit] = SharedBudget(
                circuit, self._link, clock=self._clock, is_alone=lambda: self._is_alone
            )
        return self._budgets[circuit]

    @property
    def is_linked(self) -> bool:
        """Whether the actor answered when it was last asked."""
        return self._answered_at > -math.inf and not self._is_alone

    async def run(self) -> None:
        """Report and follow the board until cancelled; survives any fault of the link.

        Start it in an empty context: a request's end would cancel the actor calls made in its own.
        """
        while True:
            self._news.clear()
            await self._sync()
            await self._pause()

    # --- One report -----------------------------------------------------------------------------

    async def _sync(self) -> None:
        reports = self._reports()
        if not reports:
            return
        sent_at = self._sent_at = self._clock.monotonic()
        asking = asyncio.ensure_future(self._link.sync(self._replica, reports))
        asking.add_done_callback(_retrieve)
        try:
            await asyncio.wait({asking}, timeout=PATIENCE_S)
            if not asking.done():
                self._go_alone("silent", is_late=True)
                await asyncio.wait({asking}, timeout=GIVE_UP_S)
        finally:
            asking.cancel()
        if asking.done() and not asking.cancelled():
            error = asking.exception()
            if error is None:
                self._follow(asking.result(), reports, sent_at=sent_at)
            else:
                self._lose(error)
        else:
            self._go_alone("cancelled", is_late=True)

    def _reports(self) -> dict[str, CircuitReport]:
        """Return what the board should know: circuits without limits only tell of their calls."""
        reports = {}
        for circuit in {**self._leases, **self._budgets}:
            self.limiter(circuit)
            budget = self._budgets.get(circuit)
            first_attempts = budget.take_untold() if budget is not None else 0
            if self._leases[circuit].is_limited or first_attempts:
                reports[circuit] = self._leases[circuit].report(first_attempts)
        return reports

    def _follow(
        self,
        grants: Mapping[str, CircuitGrant],
        reports: Mapping[str, CircuitReport],
        *,
        sent_at: float,
    ) -> None:
        if not self.is_linked:
            log("limiter_link_up")
        self._is_alone = False
        self._answered_at = self._clock.monotonic()
        for circuit, grant in grants.items():
            self._leases[circuit].follow(grant, reports[circuit], sent_at=sent_at)
            self._members.hear(circuit, grant.replicas, self._answered_at)

    def _lose(self, error: BaseException) -> None:
        if not isinstance(error, AIAgentError):
            log_failure("limiter_link_failed", error)
        self._go_alone(type(error).__name__, is_late=False)

    def _go_alone(self, reason: str, *, is_late: bool) -> None:
        if self.is_linked:
            log("limiter_link_down", reason=reason)
        self._is_alone = True
        for circuit, lease in self._leases.items():
            lease.go_alone(
                self._members.count(circuit), answered_at=self._answered_at, is_late=is_late
            )
        for circuit, budget in self._budgets.items():
            budget.share(self._members.count(circuit))

    # --- When the next one is due ---------------------------------------------------------------

    async def _pause(self) -> None:
        if self._is_alone:
            await asyncio.sleep(ASK_AGAIN_S)
            return
        try:
            async with asyncio.timeout(self._next_s()):
                await self._news.wait()
        except TimeoutError:
            return
        if self._sent_at is not None:
            await asyncio.sleep(self._sent_at + SPACING_S - self._clock.monotonic())

    def _next_s(self) -> float:
        waits = [RENEW_S]
        for lease in self._leases.values():
            if lease.is_waiting:
                waits.append(min(ASK_AGAIN_S, lease.ask_again_s()))
            elif lease.is_low:
                waits.append(ASK_AGAIN_S)
        return max(SPACING_S, min(waits))


def _retrieve(asking: asyncio.Future[dict[str, CircuitGrant]]) -> None:
    """Look at how it ended, or asyncio complains of a fault that came too late for anyone."""
    if not asking.cancelled():
        asking.exception()


class SharedBudget:
    """One circuit's retry budget: the board's, or the replica's own while the board is away."""

    def __init__(
        self, circuit: str, link: LimiterLink, *, clock: Clock, is_alone: Callable[[], bool]
    ) -> None:
        self._circuit = circuit
        self._link = link
        self._clock = clock
        self._is_alone = is_alone
        self._untold = 0
        self._own = RetryBalance(now=clock.monotonic())

    def count_call(self) -> None:
        """Count a first attempt, here and, with the next report, at the board."""
        self._untold += 1
        self._own.count(1)

    async def take(self) -> bool:
        """Return whether another attempt may be made: the board's word, within 50 ms."""
        if not self._is_alone():
            try:
                async with asyncio.timeout(PATIENCE_S):
                    granted = await self._link.take_retry(self._circuit, self.take_untold())
            except (AIAgentError, TimeoutError):
                return self._own.take(self._clock.monotonic())
            except Exception as error:  # noqa: BLE001 - a retry must not fail by its budget
                log_failure("limiter_link_failed", error)
                return self._own.take(self._clock.monotonic())
            if granted:
                self._own.take(self._clock.monotonic())
            return granted
        return self._own.take(self._clock.monotonic())

    def take_untold(self) -> int:
        """Return the first attempts that the board has not been told of, once."""
        untold, self._untold = self._untold, 0
        return untold

    def share(self, replicas: int) -> None:
        """Keep to one replica's share of the floor."""
        self._own.share(replicas, self._clock.monotonic())


class _Members:
    """How many replicas know each circuit; fewer are believed only after a while."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._held_at: dict[str, float] = {}

    def count(self, circuit: str) -> int:
        return self._counts.get(circuit, 1)

    def hear(self, circuit: str, replicas: int, now: float) -> None:
        known = self.count(circuit)
        if replicas >= known or now - self._held_at[circuit] >= FEWER_AFTER_S:
            self._counts[circuit] = replicas
            self._held_at[circuit] = now

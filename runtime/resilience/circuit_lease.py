"""One circuit's limiter as a replica holds it: the port `Limiter`, decided here.

A question spends what the replica holds already, without a remote call. Other calls wait in line
until `shared_limiter.py` brings an answer of the board, or, while the board cannot be reached,
until the replica's share of the limits has room. No task is started here: a request that is
cancelled cancels nothing but its own place in the line.
"""

from __future__ import annotations

import asyncio
import math
from contextvars import Context
from typing import TYPE_CHECKING, Final

from runtime.messages import Cost, Limits, Priority, Refusal
from runtime.resilience.ceilings import DEFAULT_HOLD_S, MAX_HOLD_S, MINUTE_S, Ceilings
from runtime.resilience.congestion import Congestion
from runtime.resilience.cost import (
    NOTHING,
    covers,
    dimensions,
    least,
    limited,
    minus,
    plus,
    positive,
    total,
)
from runtime.resilience.limit_board import CircuitReport
from runtime.resilience.waiting_line import Waiter, WaitingLine
from runtime.telemetry import ThrottleWaited

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.ports import Clock
    from runtime.resilience.limit_board import CircuitGrant
    from runtime.telemetry import Emit

LEASE_KEPT_S: Final = 5.0
"""Counted from when the report was sent, so that it ends before the board's `REPLICA_KEPT_S`."""
LEAST_RETRY_S: Final = 0.1


class CircuitLease:
    """What the replica may spend of one circuit's limits, and who waits for more.

    `wake` asks for a report soon; it returns at once.
    """

    def __init__(
        self, circuit: str, limits: Limits, *, clock: Clock, emit: Emit, wake: Callable[[], None]
    ) -> None:
        self._provider = circuit.rpartition("_")[0]
        self._limits = limits
        self._clock = clock
        self._emit = emit
        self._wake = wake
        self._held = NOTHING
        self._held_until = -math.inf
        self._spent_at = -math.inf
        self._quota = NOTHING
        self._interactive = WaitingLine()
        self._batch = WaitingLine()
        self._served_at = -math.inf
        """When the board expects to serve the first in line."""
        self._per_s = (math.inf, math.inf, math.inf)
        self._rivals = 1
        self._hold_until = -math.inf
        self._hold_is_told = True
        self._congestion = Congestion()
        self._share: Ceilings | None = None
        self._spent_alone = NOTHING
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is anything to ask the board for."""
        return self._limits != Limits()

    @property
    def is_waiting(self) -> bool:
        """Whether any call waits."""
        return bool(self._interactive or self._batch)

    @property
    def is_low(self) -> bool:
        """Whether less than half of what may be held is held."""
        pairs = zip(dimensions(self._held), dimensions(self._quota), strict=True)
        return any(2 * held < quota for held, quota in pairs)

    def ask_again_s(self) -> float:
        """Return when to ask for those who wait: a question that has waited long, a tenth longer.

        The board's bucket must not run over meanwhile: the quota tells how much of it is free
        while questions wait, but batch work waits until it is nearly full.
        """
        now = self._clock.monotonic()
        if not self._interactive:
            return self._served_at - now
        flows = zip(dimensions(self._quota), self._per_s, strict=True)
        slack_s = min((quota / per_s for quota, per_s in flows if per_s < math.inf), default=0.0)
        waited_s = now - self._interactive.first.since
        return max(self._served_at - now, min(waited_s / 10, slack_s))

    # --- The port -------------------------------------------------------------------------------

    async def acquire(self, cost: Cost, *, priority: Priority, timeout_s: float) -> Refusal | None:
        """Return None once the call may be made; a Refusal if that would take over `timeout_s`.

        A question whose cost is held already is let through without a wait.
        """
        cost = limited(cost, self._limits)
        if cost == NOTHING:
            return None
        now = self._clock.monotonic()
        if priority == "interactive" and not self._interactive and self._spend(cost, now):
            self._congestion.call(now)
            return None
        expected_s = self._expect(plus(self._ahead(priority), cost), now)
        if expected_s > timeout_s:
            return Refusal(expected_s)
        refusal = await self._wait(cost, priority, now=now, timeout_s=timeout_s)
        if refusal is None:
            self._congestion.call(self._clock.monotonic())
        return refusal

    def settle(self, *, estimated_tokens: int, used_tokens: int) -> None:
        """Correct what was taken by what was used; a debt is paid with the next report."""
        if not self._limits.tokens or estimated_tokens == used_tokens:
            return
        now = self._clock.monotonic()
        correction = Cost(requests=0, tokens=estimated_tokens - used_tokens)
        if self._share is not None:
            self._share.give(correction, now)
        else:
            self._expire(now)
            self._held = plus(self._held, correction)
        self._serve(now)

    def slow_down(self, retry_after_s: float | None) -> None:
        """Spend nothing for so long, and tell the board; but a few 429s among many calls pass."""
        now = self._clock.monotonic()
        if not self.is_limited or not self._congestion.refuse(now):
            return
        hold_s = DEFAULT_HOLD_S if retry_after_s is None else min(retry_after_s, MAX_HOLD_S)
        self._hold(now + hold_s)
        self._hold_is_told = False
        if self._share is not None:
            self._share.slow_down(hold_s, now)
        self._wake()

    # --- For the reports ------------------------------------------------------------------------

    def report(self, first_attempts: int) -> CircuitReport:
        """Return the state to report, and keep what the quota allows; the rest goes back."""
        now = self._clock.monotonic()
        self._expire(now)
        kept = positive(least(self._held, self._quota))
        returned = minus(self._held, kept)
        self._held = kept
        spent_alone, self._spent_alone = self._spent_alone, NOTHING
        hold_s = 0.0 if self._hold_is_told else max(0.0, self._hold_until - now)
        self._hold_is_told = True
        return CircuitReport(
            held=kept,
            returned=returned,
            spent_alone=spent_alone,
            interactive=self._interactive.reported(now),
            batch=self._batch.reported(now),
            first_attempts=first_attempts,
            hold_s=hold_s,
        )

    def follow(self, grant: CircuitGrant, report: CircuitReport, *, sent_at: float) -> None:
        """Heed the board's answer to the report, which is too old to heed after `LEASE_KEPT_S`."""
        now = self._clock.monotonic()
        self._end_share()
        if now >= sent_at + LEASE_KEPT_S:
            self._wake()
            return
        self._expire(now)
        self._held_until = sent_at + LEASE_KEPT_S
        self._quota = grant.quota
        self._per_s = grant.per_s
        self._rivals = grant.rivals
        self._served_at = now + grant.wait_s
        if grant.hold_s > 0:
            self._hold(now + grant.hold_s)
        if now >= self._hold_until:
            granted = total(report.interactive.costs[: grant.interactive])
            self._held = plus(self._held, plus(grant.lease, granted))
            self._serve(now)
            self._serve_batch(total(report.batch.costs[: grant.batch]), now)
        self._refuse_hopeless(now)

    def go_alone(self, replicas: int, *, answered_at: float, is_late: bool) -> None:
        """Decide by one replica's share of the limits.

        It has filled since the board last answered, or since the last call here, if that is longer.
        A board that is only late gives out the same permits, so it is told what was spent here.
        """
        if not is_late:
            self._spent_alone = NOTHING
        now = self._clock.monotonic()
        if self._share is None and self.is_limited:
            limits = dimensions(self._limits)
            share = Limits(*(max(1, limit // replicas) if limit else 0 for limit in limits))
            since = max(now - MINUTE_S, min(answered_at, self._spent_at))
            self._share = Ceilings(share, now=since)
            if self._hold_until > now:
                self._share.slow_down(self._hold_until - now, now)
                self._hold_is_told = False
            self._rivals = 1
            self._per_s = self._share.per_s(now)
        self._serve(now)
        if self._share is not None:
            self._refuse_hopeless(now)

    # --- Inside ---------------------------------------------------------------------------------

    async def _wait(
        self, cost: Cost, priority: Priority, *, now: float, timeout_s: float
    ) -> Refusal | None:
        line = self._interactive if priority == "interactive" else self._batch
        answer: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
        waiter = Waiter(cost, now, now + timeout_s, answer)
        is_first = self._ahead(priority) == NOTHING
        line.append(waiter)
        self._serve(now)
        if self._share is not None:
            self._refuse_hopeless(now)
        if is_first:
            self._wake()
        try:
            await asyncio.wait({answer}, timeout=timeout_s)
        except asyncio.CancelledError:
            if answer.done() and answer.result() is None:
                self._give_back(cost)
            raise
        finally:
            if not answer.done():
                left_at = self._clock.monotonic()
                expected_s = self._expect(self._ahead(priority), left_at)
                line.answer(waiter, Refusal(max(LEAST_RETRY_S, expected_s)))
                self._serve(left_at)
        self._emit(ThrottleWaited(self._provider, self._clock.monotonic() - now))
        return answer.result()

    def _give_back(self, cost: Cost) -> None:
        now = self._clock.monotonic()
        if self._share is not None:
            self._share.give(cost, now)
        else:
            self._held = plus(self._held, cost)
        self._serve(now)

    def _spend(self, cost: Cost, now: float) -> bool:
        """Take an interactive call's cost from what is held, else from the share, if alone."""
        self._expire(now)
        if now >= self._hold_until and covers(self._held, cost):
            self._held = minus(self._held, cost)
            self._spent_at = now
            if self.is_low:
                self._wake()
            return True
        return self._spend_alone(cost, now, keep=NOTHING)

    def _spend_alone(self, cost: Cost, now: float, *, keep: Cost) -> bool:
        if self._share is None or not self._share.take(cost, now, keep=keep):
            return False
        self._spent_alone = plus(self._spent_alone, cost)
        self._spent_at = now
        return True

    def _serve(self, now: float) -> None:
        """Let through whom the replica can pay for: questions first, in order."""
        while self._interactive and self._spend(self._interactive.first.cost, now):
            self._interactive.answer(self._interactive.first, None)
        if self._share is not None:
            keep = self._share.reserve
            line = self._batch
            while (
                line
                and not self._interactive
                and self._spend_alone(line.first.cost, now, keep=keep)
            ):
                line.answer(line.first, None)
            self._arm(self._share, now)

    def _serve_batch(self, granted: Cost, now: float) -> None:
        """Let batch calls through for what the board granted them, unless a question came."""
        line = self._batch
        while line and not self._interactive and covers(granted, line.first.cost):
            granted = minus(granted, line.first.cost)
            self._spent_at = now
            line.answer(line.first, None)
        self._held = plus(self._held, granted)
        self._serve(now)

    def _arm(self, share: Ceilings, now: float) -> None:
        """Look again when the share has room: alone, nobody else brings an answer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._interactive:
            wait_s = share.wait_s(self._interactive.first.cost, now)
        elif self._batch:
            wait_s = share.wait_s(self._batch.first.cost, now, keep=share.reserve)
        else:
            return
        self._served_at = now + wait_s
        self._timer = asyncio.get_running_loop().call_later(
            wait_s, self._look_again, context=Context()
        )

    def _look_again(self) -> None:
        self._timer = None
        self._serve(self._clock.monotonic())

    def _end_share(self) -> None:
        self._share = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hold(self, until: float) -> None:
        self._hold_until = max(self._hold_until, until)
        self._held = least(self._held, NOTHING)

    def _expire(self, now: float) -> None:
        if now >= self._held_until:
            self._held = least(self._held, NOTHING)

    def _ahead(self, priority: Priority) -> Cost:
        """Return what is served before a new call of this priority."""
        if priority == "interactive":
            return self._interactive.cost
        return plus(self._interactive.cost, self._batch.cost)

    def _expect(self, line: Cost, now: float) -> float:
        """Return the wait of a call at the end of this much, itself included, as far as known.

        The first waits as long as the board says; who comes after waits for what flows in, of which
        each replica with waiting calls gets a part.
        """
        hold_s = max(0.0, self._hold_until - now)
        if not self.is_waiting:
            return hold_s
        first = self._interactive.first if self._interactive else self._batch.first
        after_first = dimensions(minus(line, first.cost))
        flow_s = max(amount / per_s for amount, per_s in zip(after_first, self._per_s, strict=True))
        return max(hold_s, self._served_at - now) + max(0.0, flow_s * self._rivals)

    def _refuse_hopeless(self, now: float) -> None:
        """Refuse whoever cannot be served in its time: it may have better use for what is left."""
        before = NOTHING
        for line in (self._interactive, self._batch):
            for waiter in line:
                expected_s = self._expect(plus(before, waiter.cost), now)
                if now + expected_s > waiter.until:
                    line.answer(waiter, Refusal(expected_s))
                else:
                    before = plus(before, waiter.cost)

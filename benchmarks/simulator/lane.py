"""One vendor's operation: its behaviour, what was counted of it, and each call's way through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.simulator.behaviour import Behaviour, Fault, Schedule
from benchmarks.simulator.calls import Call, Operation, Vendor
from benchmarks.simulator.ceilings import Ceilings
from benchmarks.simulator.counters import LaneCounters, LoggedCall, Tally


@dataclass(slots=True)
class Visit:
    """A call in flight. Whoever answers it says in `outcome` how it ends, before it has ended."""

    tally: Tally
    logged: LoggedCall
    outcome: str | None = None

    def met(self, fault: Fault) -> None:
        """Count the fault that meets this call."""
        self.tally.met(fault.kind)
        self.logged.outcome = fault.kind

    def finish(self, outcome: str) -> None:
        """Settle the outcome: the last byte is about to be sent, or the connection to be cut."""
        self.outcome = self.logged.outcome = outcome


class Lane:
    """One vendor's operation. `changed` is called after every change of the counts."""

    def __init__(
        self,
        vendor: Vendor,
        operation: Operation,
        *,
        behaviour: Behaviour,
        seed: int,
        changed: Callable[[], None],
    ) -> None:
        self._vendor: Vendor = vendor
        self._operation: Operation = operation
        self._seed = seed
        self._changed = changed
        self._in_flight = 0
        self.forget(behaviour)

    def forget(self, behaviour: Behaviour) -> None:
        """Begin anew: counts, schedule and ceilings. Calls in flight end in the old counts."""
        self.tally = Tally()
        self.schedule = Schedule(f"{self._seed}/{self._vendor}/{self._operation}")
        self.ceilings = Ceilings()
        self.behave(behaviour, new_sequence=True)

    def behave(self, behaviour: Behaviour, *, new_sequence: bool) -> None:
        """Behave so from the next call on."""
        self.behaviour = behaviour
        if new_sequence:
            self.schedule.replace(behaviour.sequence)

    def admit(self, visit: Visit, call: Call, *, now_s: float) -> float:
        """Count what the call brought; return 0, or the seconds it must wait for the ceilings."""
        visit.logged.texts = len(call.texts)
        visit.tally.brought(texts=len(call.texts), prompts=call.prompts)
        return self.ceilings.take(
            self.behaviour, inputs=len(call.texts), tokens=call.input_tokens, now_s=now_s
        )

    @contextmanager
    def visit(self, elapsed_s: Callable[[], float]) -> Iterator[Visit]:
        """Count a call from its arrival to its end, whichever that is."""
        arrived_s = elapsed_s()
        tally = self.tally
        logged = LoggedCall(
            vendor=self._vendor, operation=self._operation, arrived_s=round(arrived_s, 4)
        )
        visit = Visit(tally, logged)
        self._in_flight += 1
        tally.arrived(arrived_s)
        counters = tally.counters
        counters.most_in_flight = max(counters.most_in_flight, self._in_flight)
        self._changed()
        try:
            yield visit
        except (asyncio.CancelledError, ConnectionError):
            # Where the outcome was settled, the connection's end is our own doing, or no loss.
            if visit.outcome is None:
                counters.disconnects += 1
                logged.outcome = logged.outcome or "left"
            raise
        finally:
            counters.ok += visit.outcome == "ok"
            counters.rate_limited += visit.outcome == "rate_limited"
            counters.bad_requests += visit.outcome == "bad_request"
            logged.ended_s = round(elapsed_s(), 4)
            self._in_flight -= 1
            self._changed()

    def snapshot(self) -> LaneCounters:
        """Return the counts as they are now."""
        return self.tally.snapshot(in_flight=self._in_flight)

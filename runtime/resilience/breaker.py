"""The circuit breaker's state machine: closed, open, half-open.

It receives `now` (monotonic seconds) and returns what it decides; who waits, sends or counts is the
caller. `circuit_board.py` holds one per circuit for the cluster, `shared_breaker.py` one per
circuit and replica.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from runtime.messages import CircuitState, Permit, Refusal

if TYPE_CHECKING:
    from runtime.messages import Outcome
    from runtime.settings import Settings

FAILURE_THRESHOLD: Final = 5
"""Source: the product's contract, `AI_BREAKER_FAILURE_THRESHOLD`."""
COOLDOWN_S: Final = 60.0
"""Source: the product's contract, `AI_BREAKER_COOLDOWN_SECONDS`."""
LONGEST_CALL_S: Final = 300.0
"""Source: the product's contract, the upper bound of `AI_COHERE_CHAT_TIMEOUT_SECONDS`."""
LEASE_MARGIN_S: Final = 10.0
ASK_AGAIN_S: Final = 1.0
"""When to ask again while all probes are out: a probe's end is news that comes by itself."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, for how long, and how many probes go out at once.

    `lease_s` must outlast the longest call, or a slow probe is taken for a dead one.
    """

    failure_threshold: int = FAILURE_THRESHOLD
    cooldown_s: float = COOLDOWN_S
    probes: int = 1
    lease_s: float = LONGEST_CALL_S + LEASE_MARGIN_S


def breaker_policy(settings: Settings) -> BreakerPolicy:
    """Return the settings' policy, its leases longer than a request or a batch's call may last."""
    return BreakerPolicy(
        failure_threshold=settings.breaker_failure_threshold,
        cooldown_s=settings.breaker_cooldown_s,
        lease_s=max(settings.request_deadline_s, LONGEST_CALL_S) + LEASE_MARGIN_S,
    )


@dataclass(frozen=True, slots=True)
class Transition:
    """The state changed. `open_s` is how long it was not closed, when it closes."""

    from_state: CircuitState
    to_state: CircuitState
    open_s: float | None = None


Transitions: TypeAlias = tuple[Transition, ...]


class CircuitBreaker:
    """Permits calls while closed, none while open, a few leased probes while half-open.

    A generation begins whenever it opens or closes, and news of an earlier one's permit is dropped:
    a call of before the outage neither closes the breaker nor lengthens its rest. Turning half-open
    begins none: while open nothing is permitted, so a permit of an open generation is a probe's,
    whoever found that the rest was over. A lease bounds how many probes are out, not whose news
    counts: a probe that was taken for dead and answers all the same is believed.
    """

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._state: CircuitState = "closed"
        self._generation = 0
        self._failures = 0
        self._retry_at = 0.0
        self._left_closed_at = 0.0
        self._leases: dict[int, float] = {}
        self._last_probe = 0

    @property
    def state(self) -> CircuitState:
        """The state as of the last `advance`, which every other method begins with."""
        return self._state

    @property
    def generation(self) -> int:
        """What a permit given now carries."""
        return self._generation

    def retry_after_s(self, now: float) -> float:
        """Return the seconds until a probe may be asked for; 0 unless open."""
        return max(0.0, self._retry_at - now) if self._state == "open" else 0.0

    def advance(self, now: float) -> Transitions:
        """Let time pass: an open breaker turns half-open, leases of dead callers end."""
        if self._state == "open" and now >= self._retry_at:
            return self._become("half_open", now)
        if self._leases:
            self._leases = {probe: end for probe, end in self._leases.items() if end > now}
        return ()

    def admit(self, now: float) -> tuple[Permit | Refusal, Transitions]:
        """Return leave for one call, or when to ask again. Every permit is recorded once."""
        transitions = self.advance(now)
        match self._state:
            case "closed":
                return Permit(self._generation), transitions
            case "open":
                return Refusal(self.retry_after_s(now)), transitions
            case "half_open":
                return self._admit_probe(now), transitions
        assert_never(self._state)

    def record(self, permit: Permit, outcome: Outcome, now: float) -> Transitions:
        """Learn how a permitted call ended; `ignored` only gives a probe's lease back."""
        transitions = self.advance(now)
        if permit.generation != self._generation:
            return transitions
        if permit.probe is not None:
            self._leases.pop(permit.probe, None)
        match outcome:
            case "succeeded":
                return transitions + self._record_success(now)
            case "failed":
                return transitions + self._record_failure(now)
            case "ignored":
                return transitions
        assert_never(outcome)

    def open(self, now: float, *, for_s: float) -> Transitions:
        """Open from any state on another's word, for the seconds given."""
        if self._state == "closed":
            self._left_closed_at = now
        self._generation += 1
        self._retry_at = now + for_s
        return self._become("open", now)

    def close(self, now: float) -> Transitions:
        """Close from any state on another's word, with nothing counted."""
        self._generation += 1
        return self._become("closed", now)

    def undo_open(self, now: float) -> Transitions:
        """Close again as if it had not opened: calls permitted before count as they would have."""
        self._generation -= 1
        return self._become("closed", now)

    def renumber(self, generation: int) -> None:
        """Go on under another generation; leases end, for their news would not be recognised."""
        self._generation = generation
        self._leases = {}

    def is_leased(self, probe: int) -> bool:
        """Return whether the probe is out, as of the last `advance`."""
        return probe in self._leases

    def end_lease(self, probe: int) -> None:
        """Take back a lease whose holder is known to be gone."""
        self._leases.pop(probe, None)

    def _admit_probe(self, now: float) -> Permit | Refusal:
        if len(self._leases) >= self._policy.probes:
            return Refusal(ASK_AGAIN_S)
        self._last_probe += 1
        self._leases[self._last_probe] = now + self._policy.lease_s
        return Permit(self._generation, self._last_probe)

    def _record_success(self, now: float) -> Transitions:
        self._failures = 0
        return () if self._state == "closed" else self.close(now)

    def _record_failure(self, now: float) -> Transitions:
        match self._state:
            case "closed":
                self._failures += 1
                if self._failures < self._policy.failure_threshold:
                    return ()
            case "open":
                return ()
            case "half_open":
                pass
            case _:
                assert_never(self._state)
        return self.open(now, for_s=self._policy.cooldown_s)

    def _become(self, state: CircuitState, now: float) -> Transitions:
        before, self._state = self._state, state
        self._failures = 0
        self._leases = {}
        if before == state:
            return ()
        open_s = now - self._left_closed_at if state == "closed" else None
        return (Transition(before, state, open_s),)

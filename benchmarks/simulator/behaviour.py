"""How the simulator behaves: latency, failures, ceilings; and which failure meets the next call.

`Behaviour` is what the flags and the admin API set, for each vendor and operation of its own.
`Schedule` decides, call by call; it neither waits nor answers.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from benchmarks.simulator.calls import Operation, Vendor

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal[
    "ok",
    "400",
    "401",
    "403",
    "404",
    "408",
    "429",
    "quota",
    "500",
    "502",
    "503",
    "504",
    "529",
    "reset",
    "hang",
    "malformed",
    "truncated",
    "slow_drip",
]
LONGEST_MS: Final = 600_000
MOST_STEPS: Final = 10_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fault(_Strict):
    """One way to fail, or `ok`. In JSON its kind alone will do: `"500"`."""

    kind: Kind
    times: int = Field(1, ge=1, le=MOST_STEPS)
    """In a sequence: for how many calls."""
    weight: float = Field(1, gt=0)
    """In a mix: how often, against the others."""
    retry_after_s: float | None = Field(None, ge=0, le=86_400)
    """Of a status: the `Retry-After` to send, rounded up to whole seconds; None sends none."""
    retry_after_as: Literal["seconds", "date"] = "seconds"
    cut_after_pieces: int | None = Field(None, ge=0)
    """Of a stream: fail after so many pieces. None: before the first byte, where the kind can."""
    hang_s: float | None = Field(None, gt=0, le=3600)
    """None: until the client leaves."""
    drip_ms: float = Field(1000, ge=0, le=LONGEST_MS)
    """Between two bytes, or two pieces of a stream, of a `slow_drip`."""

    def is_early(self, *, stream: bool) -> bool:
        """Return whether it comes in the place of an answer, not in its midst."""
        if self.kind in ("malformed", "truncated", "slow_drip"):
            return False
        return not stream or self.cut_after_pieces is None


def _from_kind(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


AFault = Annotated[Fault, BeforeValidator(_from_kind)]


class Behaviour(_Strict):
    """Of one vendor's operation."""

    latency_ms: float = Field(0, ge=0, le=LONGEST_MS)
    """Before the first byte of every answer and error; only the ceilings refuse at once."""
    jitter_ms: float = Field(0, ge=0, le=LONGEST_MS)
    """Up to so much more latency, evenly spread."""
    piece_ms: float = Field(0, ge=0, le=LONGEST_MS)
    """Before each piece of a stream."""

    outage: AFault | None = None
    """Meets every call until it is None again; before sequence and rate."""
    sequence: Annotated[tuple[AFault, ...], Field(max_length=MOST_STEPS)] = ()
    """What meets the next calls, in order of arrival; before the rate."""
    fail_rate: float = Field(0, ge=0, le=1)
    fail_mix: Annotated[tuple[AFault, ...], Field(min_length=1)] = (
        Fault(kind="500"),
        Fault(kind="429", retry_after_s=1),
    )
    """What a failing call meets, by weight."""

    requests_per_minute: int | None = Field(None, ge=1)
    inputs_per_minute: int | None = Field(None, ge=1)
    """Embedded texts."""
    tokens_per_minute: int | None = Field(None, ge=1)
    """Of input and output."""
    window_s: float = Field(60, gt=0, le=3600)
    """How long a call counts against the ceilings, which stay as they are: with 1, a ceiling of
    10 a minute is one of 10 a second."""


class Change(Behaviour):
    """What to change, for whom; a field that is not named stays as it is."""

    vendor: Vendor | Literal["all"] = "all"
    operation: Operation | Literal["all"] = "all"

    def apply(self, behaviour: Behaviour) -> Behaviour:
        """Return the behaviour with the named fields replaced."""
        named = self.model_fields_set - {"vendor", "operation"}
        return behaviour.model_copy(update={name: getattr(self, name) for name in named})


class BehaviourFields(TypedDict, total=False):
    """The fields of `Behaviour` as keyword arguments; a fault may be its kind alone."""

    latency_ms: float
    jitter_ms: float
    piece_ms: float
    outage: Fault | Kind | None
    sequence: Sequence[Fault | Kind]
    fail_rate: float
    fail_mix: Sequence[Fault | Kind]
    requests_per_minute: int | None
    inputs_per_minute: int | None
    tokens_per_minute: int | None
    window_s: float


class Schedule:
    """Which fault meets the next call. The same seed gives the same faults in the same order."""

    def __init__(self, seed: str) -> None:
        self._faults = random.Random(f"{seed}/faults")
        self._jitter = random.Random(f"{seed}/jitter")
        self._steps: deque[Fault] = deque()

    def replace(self, sequence: Sequence[Fault]) -> None:
        """Take another sequence in the place of what is left of the last."""
        self._steps = deque(step for step in sequence for _ in range(step.times))

    def latency_s(self, behaviour: Behaviour) -> float:
        """Return how long the next answer's first byte takes."""
        return (behaviour.latency_ms + behaviour.jitter_ms * self._jitter.random()) / 1000

    def next_fault(self, behaviour: Behaviour) -> Fault | None:
        """Return what meets this call, or None."""
        fault = behaviour.outage or self._scheduled(behaviour)
        return None if fault is None or fault.kind == "ok" else fault

    def _scheduled(self, behaviour: Behaviour) -> Fault | None:
        if self._steps:
            return self._steps.popleft()
        # Two numbers a call, whatever it meets: its luck is that of its place in the order.
        fails, which = self._faults.random(), self._faults.random()
        if fails >= behaviour.fail_rate:
            return None
        point = which * sum(fault.weight for fault in behaviour.fail_mix)
        for fault in behaviour.fail_mix:
            point -= fault.weight
            if point < 0:
                return fault
        return behaviour.fail_mix[-1]

"""What the simulator counts, and the form in which tests and benchmarks read it.

`Tally` counts one vendor's operation while the server runs; `Counters` is the JSON of
`GET /_simulator/counters`, `LoggedCall` a line of `GET /_simulator/calls`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, TypeAdapter

from benchmarks.simulator.calls import Operation, Vendor

MOST_PROMPTS: Final = 200_000
"""Different prompts remembered for each vendor and operation; later ones are not told apart."""
MOST_LOGGED_CALLS: Final = 50_000


class LaneCounters(BaseModel):
    """One vendor's operation since the start or the last reset.

    When none is in flight, every request is one of `ok`, `rate_limited`, `bad_requests`, one of
    `errors`, or one of the `disconnects` that met no error.
    """

    requests: int = 0
    ok: int = 0
    """Answered in full."""
    errors: dict[str, int] = {}
    """By the kind of fault that met the call, whether or not the client waited for it."""
    rate_limited: int = 0
    """429s of the ceilings; those of a schedule are `errors`."""
    bad_requests: int = 0
    """Refused as wrong: a missing key, no model, too many texts."""
    disconnects: int = 0
    """Clients that left before the end of their answer, streamed or not."""
    in_flight: int = 0
    """Also those that came before a reset."""
    most_in_flight: int = 0
    texts: int = 0
    """Embedded, or refused: in all calls."""
    most_texts: int = 0
    calls_by_texts: dict[int, int] = {}
    """How many calls brought so many texts."""
    streams_started: int = 0
    streams_finished: int = 0
    """Up to their end event; the others were cut, failed, or left."""
    input_tokens: int = 0
    """Of calls that an answer was begun for."""
    output_tokens: int = 0
    """Likewise; of a stream, what the pieces sent come to, each by itself."""
    prompts: int = 0
    """Different texts (embed), conversations (chat) or rankings (rerank), by their digests."""
    calls_by_prompt: dict[int, int] = {}
    """How many prompts came in so many calls."""
    arrivals_per_s: list[int] = []
    """In each second since the start or the last reset; the list ends with the last arrival."""

    @property
    def most_calls_of_a_prompt(self) -> int:
        """Return in how many calls the prompt that came most often came; 0 where none came."""
        return max(self.calls_by_prompt, default=0)


class Counters(BaseModel):
    """All lanes. `version` goes up with every change, `elapsed_s` since the start or a reset."""

    version: int
    elapsed_s: float
    lanes: dict[Vendor, dict[Operation, LaneCounters]]

    def of(self, vendor: Vendor, operation: Operation) -> LaneCounters:
        """Return one lane's."""
        return self.lanes[vendor][operation]

    def requests(self, operation: Operation | None = None) -> int:
        """Return the calls of all vendors, of one operation or of all."""
        return sum(
            lane.requests
            for operations in self.lanes.values()
            for name, lane in operations.items()
            if operation in (None, name)
        )


class LoggedCall(BaseModel):
    """A call as it came and ended; seconds since the start or the last reset."""

    vendor: Vendor
    operation: Operation
    arrived_s: float
    ended_s: float | None = None
    """None while it is in flight."""
    outcome: str | None = None
    """`ok`, a fault's kind, `rate_limited`, `bad_request`, or `left`."""
    texts: int = 0
    stream: bool = False
    pieces: int = 0
    """Of a stream: handed to the connection."""


LoggedCalls: Final = TypeAdapter(list[LoggedCall])
"""A list of them, to and from JSON."""


@dataclass(slots=True)
class Tally:
    """The running counts of a lane; `counters` holds the plain ones."""

    counters: LaneCounters = field(default_factory=LaneCounters)
    _errors: Counter[str] = field(default_factory=Counter)
    _calls_by_texts: Counter[int] = field(default_factory=Counter)
    _calls: dict[bytes, int] = field(default_factory=dict)
    _calls_by_prompt: Counter[int] = field(default_factory=Counter)
    _arrivals: list[int] = field(default_factory=list)

    def arrived(self, at_s: float) -> None:
        """Count a request."""
        self.counters.requests += 1
        second = int(at_s)
        self._arrivals += [0] * (second + 1 - len(self._arrivals))
        self._arrivals[second] += 1

    def brought(self, *, texts: int, prompts: list[bytes]) -> None:
        """Count what a well-formed call brought; `texts` is 0 where none are embedded."""
        if texts:
            self.counters.texts += texts
            self.counters.most_texts = max(self.counters.most_texts, texts)
            self._calls_by_texts[texts] += 1
        for prompt in set(prompts):
            before = self._calls.get(prompt, 0)
            if not before and len(self._calls) >= MOST_PROMPTS:
                continue
            self._calls[prompt] = before + 1
            self._calls_by_prompt[before + 1] += 1
            if before:
                self._calls_by_prompt[before] -= 1

    def met(self, kind: str) -> None:
        """Count a fault."""
        self._errors[kind] += 1

    def snapshot(self, *, in_flight: int) -> LaneCounters:
        """Return a copy of the counts."""
        return self.counters.model_copy(
            update={
                "in_flight": in_flight,
                "errors": dict(self._errors),
                "calls_by_texts": dict(self._calls_by_texts),
                "prompts": len(self._calls),
                "calls_by_prompt": {
                    n: count for n, count in self._calls_by_prompt.items() if count
                },
                "arrivals_per_s": list(self._arrivals),
            }
        )

"""What happened, as one frozen record a stage; sinks turn records into metrics and log lines.

Records hold durations, counts and names of ours. They never hold a question, an answer, a note,
a person's name, a workspace or a secret, so no sink can leak one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, TypeAlias

from runtime.errors import Operation
from runtime.messages import CircuitState, Language

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request being served in this context; `-` outside of any."""


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """A question ended. `status` is `ok`, the problem's code, or `cancelled` if the caller left."""

    status: str
    language: Language
    cache: str
    duration_s: float
    sources_retrieved: int
    citations_returned: int


@dataclass(frozen=True, slots=True)
class QuestionBlocked:
    """The guard matched. `refused` is False in monitor mode, and for an earlier turn."""

    kind: str
    refused: bool


@dataclass(frozen=True, slots=True)
class PassagesSearched:
    """One search of one workspace: by meaning and words, or by words alone (`text`)."""

    mode: Literal["hybrid", "text"]
    duration_s: float
    found: int


@dataclass(frozen=True, slots=True)
class EmbeddingCalled:
    """One call of an embedding provider. `error_type` is the class name of our error."""

    provider: str
    model: str
    texts: int
    tokens: int
    duration_s: float
    error_type: str | None


@dataclass(frozen=True, slots=True)
class ChatCalled:
    """One call of a chat model. `first_token_s` is None where the answer came whole.

    `estimated` says that the vendor reported no tokens, as for a stream that was left or broke off.
    """

    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    duration_s: float
    first_token_s: float | None
    error_type: str | None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class RerankCalled:
    """One call of a provider that ranks texts. `error_type` is the class name of our error."""

    provider: str
    model: str
    texts: int
    duration_s: float
    error_type: str | None


@dataclass(frozen=True, slots=True)
class RecordsEmbedded:
    """One batch of the embedding worker or of a backfill."""

    records: int
    passages: int
    unchanged: int
    failed: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class BacklogMeasured:
    """How many records wait for their embedding, over all workspaces."""

    records: int


@dataclass(frozen=True, slots=True)
class CallRetried:
    """A provider's call is made again. `attempt` counts the retries from 1."""

    operation: Operation
    circuit: str
    attempt: int
    delay_s: float
    error_type: str


@dataclass(frozen=True, slots=True)
class GuardedCallEnded:
    """An operation with all its attempts ended.

    `outcome` is `first_try`, `recovered` (a retry succeeded), `exhausted` (no attempt, budget or
    time was left), `fatal` (an error that no retry mends), `circuit_open`, `throttled` (our own
    limiter) or `cancelled`.
    """

    operation: Operation
    circuit: str
    outcome: Literal[
        "first_try", "recovered", "exhausted", "fatal", "circuit_open", "throttled", "cancelled"
    ]
    attempts: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """A circuit of the cluster changed, or is known now (closed, from closed).

    `open_s` is how long it was not closed, when it closes.
    """

    circuit: str
    from_state: CircuitState
    to_state: CircuitState
    open_s: float | None


@dataclass(frozen=True, slots=True)
class ThrottleWaited:
    """A call waited for our own limiter."""

    provider: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class AnsweredDegraded:
    """A question was answered without something: a word of the contract's `degraded`."""

    reason: str


@dataclass(frozen=True, slots=True)
class CacheAsked:
    """An answer given before was looked for. `result` is the kind of hit, or why there was none."""

    result: Literal[
        "exact", "semantic", "stale", "not_found", "expired", "gate", "unavailable", "off"
    ]


@dataclass(frozen=True, slots=True)
class CacheEvicted:
    """Answers left the cache before their time."""

    reason: Literal["capacity", "flushed"]
    entries: int


@dataclass(frozen=True, slots=True)
class ContextBuilt:
    """A prompt's passages were chosen. `tokens` is the estimate of the whole prompt."""

    tokens: int
    included: int
    dropped: int


Event: TypeAlias = (
    QuestionAnswered
    | QuestionBlocked
    | PassagesSearched
    | EmbeddingCalled
    | ChatCalled
    | RerankCalled
    | RecordsEmbedded
    | BacklogMeasured
    | CallRetried
    | GuardedCallEnded
    | CircuitChanged
    | ThrottleWaited
    | AnsweredDegraded
    | CacheAsked
    | CacheEvicted
    | ContextBuilt
)
Emit: TypeAlias = Callable[[Event], None]

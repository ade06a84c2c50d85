"""Frozen values that travel between the steps and across processes.

Plain data only: no methods that decide, no clients, no pydantic (its objects pickle by class, and a
rolling update mixes versions). Offsets are in Unicode code points, half-open: `text[start:end]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

Vector: TypeAlias = NDArray[np.float32]
"""Shape `(dimensions,)`, unit length; all zero for an empty text."""

Matrix: TypeAlias = NDArray[np.float32]
"""Shape `(n, dimensions)`, each row a `Vector`."""

Language: TypeAlias = Literal["he", "en"]
InputType: TypeAlias = Literal["query", "document"]
Priority: TypeAlias = Literal["interactive", "batch"]
RecordType: TypeAlias = Literal["client", "session"]
Scope: TypeAlias = Literal["chat", "records:write", "workspace:admin", "ops"]

SCOPES: Final[tuple[Scope, ...]] = ("chat", "records:write", "workspace:admin", "ops")
CLIENT_FIELDS: Final = ("medical_history", "notes")
SESSION_FIELDS: Final = ("subjective", "objective", "assessment", "plan")
FIELDS: Final[dict[RecordType, tuple[str, ...]]] = {
    "client": CLIENT_FIELDS,
    "session": SESSION_FIELDS,
}

# --- Records --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Client:
    """A person in care. Absent texts are empty strings."""

    id: UUID
    name: str
    medical_history: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """One dated visit note in SOAP form. `session_date` is aware; absent texts are empty."""

    id: UUID
    client_id: UUID
    session_date: datetime
    subjective: str = ""
    objective: str = ""
    assessment: str = ""
    plan: str = ""


@dataclass(frozen=True, slots=True)
class RecordKey:
    """Which record, within a workspace that the context names."""

    type: RecordType
    id: UUID


@dataclass(frozen=True, slots=True)
class BatchStored:
    """What became of a batch: how many records were written, and how many were the same already.

    Sessions whose client the workspace does not know were left out; their ids are named.
    """

    stored: int
    unchanged: int
    without_client: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A part of one field: its ordinal among the field's parts, and its offsets in the field."""

    part: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of one field of one record, as the search found it.

    `text` is `field[start:end]`, read in the same statement that found it, so a quote taken from
    it is verbatim. `similarity` is on the calibrated scale, 0 to 1.
    """

    record: RecordKey
    client_id: UUID
    client_name: str
    session_date: datetime | None
    field_name: str
    part: int
    start: int
    end: int
    text: str
    similarity: float


# --- Asking ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SearchScope:
    """Which records a search may find: those of some clients, of a span of time, or all.

    `clients` None is every client; an empty set finds nothing. The span is half-open; with either
    end set, only sessions are found, since a client's profile has no date.
    """

    clients: frozenset[UUID] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def holds(self, client_id: UUID, session_date: datetime | None) -> bool:
        """Say whether a record of this client and date (None: a profile) is in it."""
        if self.clients is not None and client_id not in self.clients:
            return False
        if self.since is None and self.until is None:
            return True
        return (
            session_date is not None
            and (self.since is None or self.since <= session_date)
            and (self.until is None or session_date < self.until)
        )


@dataclass(frozen=True, slots=True)
class NamedClient:
    """A client of whose name a word stands in a question. Whether the client is meant is not said.

    `usual_words` are those of its words, normalised, that stand in many other clients' notes.
    """

    id: UUID
    name: str
    usual_words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SessionDates:
    """When the clients of a scope were first seen at all, and the latest so many times within it.

    `latest` is the earliest of those latest ones; of several clients, the earliest of all.
    """

    first: datetime
    latest: datetime | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, of which workspace, with which scopes."""

    subject: str
    workspace_id: UUID
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of the conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, within the bounds of the contract's request table."""

    text: str
    client_id: UUID | None = None
    max_results: int = 5
    min_similarity: float = 0.3
    history: tuple[Turn, ...] = ()
    use_cache: bool = True


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """A place of the answer that rests on a citation, and the quote it rests on."""

    answer_start: int
    answer_end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Citation:
    """One (record, field) that the answer cites. `quote` is verbatim from the field.

    `verified` says whether the numbers and words of each sentence that rests on it agree with it.
    """

    record: RecordKey
    client_id: UUID
    client_name: str
    session_date: datetime | None
    field_name: str
    similarity: float
    marker: int
    quote: str
    spans: tuple[AnswerSpan, ...]
    verified: bool


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens that a question cost, as the vendors report them (0 where no call was made)."""

    embedding_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ContextUse:
    """What of the passages found the chat model was given, and of its window the prompt took.

    `tokens` is our estimate, on the safe side; `limit` is what the prompt might have taken, None
    where the model has no window.
    """

    included: int
    dropped: int
    tokens: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. `timings_ms` holds only the stages that ran.

    `split_arm` is the provider that the A/B trial chose for the workspace, None where none runs.
    `cache_similarity` is that of the question it was first given to, where that was another.
    """

    text: str
    citations: tuple[Citation, ...]
    language: Language
    retrieved_count: int
    provider: str
    model: str
    usage: TokenUsage
    timings_ms: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    split_arm: str | None = None
    context: ContextUse | None = None
    cache: CacheUse = "off"
    cache_similarity: float | None = None


# --- Remembering ------------------------------------------------------------------------------

CacheUse: TypeAlias = Literal["miss", "exact", "semantic", "stale", "off"]


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What must be the same for an answer to serve again.

    `partition` digests everything but the question that the answer depends on: history, settings of
    the request, the prompt's version, models, the day. `exact` digests the question's wording too.
    """

    exact: bytes
    partition: bytes


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """A workspace's own settings; None is the configuration's."""

    cache_enabled: bool | None = None
    cache_ttl_seconds: int | None = None
    cache_similarity: float | None = None
    cache_max_entries: int | None = None
    rate_limit_per_hour: int | None = None
    rate_limit_per_user_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class RememberedAnswer:
    """An answer given before that no write since could change. `similarity` is 1 word for word.

    `expired` says that its time to live is over.
    """

    id: UUID
    question: str
    answer: Answer
    similarity: float
    expired: bool


@dataclass(frozen=True, slots=True)
class Recollection:
    """What is known when a question begins, all as of one moment.

    `as_of` names that moment to the store that gave it: an answer built from later reads is kept
    with it, and serves as long as nothing in its scope was written since. `embedding_model` is the
    key of the vector space that the workspace is searched in, None where nothing is embedded yet.
    """

    as_of: str
    settings: WorkspaceSettings
    embedding_model: str | None
    remembered: RememberedAnswer | None


@dataclass(frozen=True, slots=True)
class AnswerToKeep:
    """A new answer for the cache; `vector` is the question's.

    `clients` are those that the search was narrowed to, None for all. With `by_name`, they were
    named in the question: a client of another name, or a new one, may change which are meant.
    """

    key: CacheKey
    question: str
    answer: Answer
    as_of: str
    clients: frozenset[UUID] | None
    by_name: bool
    embedding_model: str
    vector: Vector | None


# --- Providers ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """The identity of a vector space: vectors of different ones are never compared."""

    provider: str
    name: str
    dimensions: int

    @property
    def key(self) -> str:
        """What is stored beside each vector, such as `cohere:embed-v4.0:1536`."""
        return f"{self.provider}:{self.name}:{self.dimensions}"

    @classmethod
    def from_key(cls, key: str) -> EmbeddingModel | None:
        """Return the space of a key, None where it is none. A model's name may hold colons."""
        provider, _, rest = key.partition(":")
        name, _, dimensions = rest.rpartition(":")
        if not (provider and name and dimensions.isdecimal()):
            return None
        return cls(provider, name, int(dimensions))


@dataclass(frozen=True, slots=True)
class Embedded:
    """Rows in the order given, and the tokens the vendor counted for them."""

    vectors: Matrix
    tokens: int


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a prompt."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class ChatDocument:
    """A passage given to the model as data, cited as `[marker]`. `heading` says whose and when.

    So do `client_name` and `day`, as `2026-08-10`, for whoever writes without a model; '' of a
    profile, which has no day.
    """

    marker: int
    heading: str
    text: str
    client_name: str = ""
    day: str = ""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A prompt: the last message is the question, the documents are what it may rest on.

    `standalone` is the question for a model that reads no earlier turns, where it leans on them.
    """

    system: str
    messages: tuple[ChatMessage, ...]
    documents: tuple[ChatDocument, ...]
    language: Language
    temperature: float = 0.3
    max_tokens: int = 1000
    standalone: str = ""


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A whole answer of a chat model."""

    text: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of a streamed answer."""

    text: str


@dataclass(frozen=True, slots=True)
class UsageSoFar:
    """What a vendor reports of a stream's tokens before its end, for streams that have none."""

    input_tokens: int
    output_tokens: int


ChatEvent: TypeAlias = TextDelta | UsageSoFar | ChatReply
"""A stream is any number of `TextDelta` and `UsageSoFar`, then exactly one `ChatReply`."""

# --- What an answer's stream tells ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AnswerStarted:
    """The records were searched; the sentences follow."""

    language: Language
    retrieved_count: int


@dataclass(frozen=True, slots=True)
class SentenceReady:
    """The next checked sentence with the white space before it: joined, they are the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class CitationReady:
    """A citation, told when the first sentence that rests on it was; its spans may still grow."""

    citation: Citation


AnswerEvent: TypeAlias = AnswerStarted | SentenceReady | CitationReady | Answer
"""`AnswerStarted`, then sentences and citations, then exactly one `Answer`, the whole."""

# --- Resilience -------------------------------------------------------------------------------

CircuitState: TypeAlias = Literal["closed", "half_open", "open"]
Outcome: TypeAlias = Literal["succeeded", "failed", "ignored"]
"""Of a call, as it tells of the vendor's health: `ignored` is what says nothing of it (a refusal of
our request, a rate limit, a caller who left)."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call. News of an earlier `generation` is dropped; `probe` names a lease."""

    generation: int
    probe: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """No leave, and the seconds after which to ask again."""

    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call takes of a vendor's per-minute limits; an input is one embedded text."""

    requests: int = 1
    inputs: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a vendor allows the whole account in a minute; 0 is no limit."""

    requests: int = 0
    inputs: int = 0
    tokens: int = 0

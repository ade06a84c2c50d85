"""The bodies of requests and responses, and their way to and from the values of `runtime.messages`.

Requests refuse unknown fields and take no value for another type's. What a body may not say
otherwise, such as a date, is refused here too; statuses and routes are not this file's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
)
from pydantic_core import PydanticCustomError

from runtime import messages
from runtime.ingest import MAX_NAME_CHARACTERS, YEARS
from runtime.messages import Client, Language, Question, Session, Turn

MAX_QUERY_CHARACTERS: Final = 2000
MAX_HISTORY_TURNS: Final = 20
MAX_TURN_CHARACTERS: Final = 4000
NOTHING_GIVEN: Final = messages.ContextUse(included=0, dropped=0, tokens=0, limit=None)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True)


def _refuse(reason: str) -> PydanticCustomError:
    return PydanticCustomError("invalid_field", "{reason}", {"reason": reason})


# --- Asking ---------------------------------------------------------------------------------


class TurnBody(_Request):
    """An earlier message of the conversation."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=MAX_TURN_CHARACTERS)


class QuestionBody(_Request):
    """A question about the records of the caller's workspace."""

    query: str = Field(
        max_length=MAX_QUERY_CHARACTERS,
        description="The question, in Hebrew or English; at most 2,000 Unicode code points. "
        "One without a letter or digit is a 400 `invalid_query`.",
        examples=["How has her sleep been since the dose changed?"],
    )
    client_id: UUID | None = Field(None, description="Search only this client's records.")
    max_results: StrictInt = Field(5, ge=1, le=10, description="How many fields may be cited.")
    min_similarity: StrictFloat = Field(
        0.3,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Unrelated texts are about 0, the same meaning is 1, under every model.",
    )
    history: list[TurnBody] = Field(
        default=[],
        max_length=MAX_HISTORY_TURNS,
        description="The conversation before this question, oldest message first.",
        examples=[
            [
                {"role": "user", "content": "Which medication does Maya take?"},
                {"role": "assistant", "content": "Sertraline, 50 mg [1]."},
            ]
        ],
    )
    stream: StrictBool = Field(
        default=False, description="Answer in events, as `Accept: text/event-stream` also asks for."
    )
    use_cache: StrictBool = Field(
        default=True, description="May an earlier answer serve? False asks anew."
    )

    def to_question(self) -> Question:
        """Return the question that this body asks."""
        return Question(
            text=self.query,
            client_id=self.client_id,
            max_results=self.max_results,
            min_similarity=self.min_similarity,
            history=tuple(Turn(turn.role, turn.content) for turn in self.history),
            use_cache=self.use_cache,
        )


class SpanBody(_Response):
    """A place of the answer and the quote it rests on. Offsets are code points, half-open."""

    answer_start: int
    answer_end: int
    quote: str


class _CitationBody(_Response):
    client_id: UUID
    client_name: str
    similarity: float = Field(description="0 to 1, calibrated per model.", examples=[0.83])
    marker: int = Field(description="The n of [n] in the answer.", examples=[1])
    quote: str = Field(description="The best sentence, verbatim from the field.")
    spans: list[SpanBody] = Field(
        description="Where the answer rests on it. Empty: it was found and read, but no sentence "
        "rests on it; do not show it as a source."
    )
    verified: bool = Field(
        description="Whether words and numbers of every sentence that rests on it agree with the "
        "record. Where it is false, say that the sentence must be checked against the record."
    )


class SessionCitationBody(_CitationBody):
    """A field of a session note that was read for the answer; it rests on it where `spans` says."""

    type: Literal["session"]
    session_id: UUID
    session_date: datetime
    field_name: Literal["subjective", "objective", "assessment", "plan"]


class ClientCitationBody(_CitationBody):
    """A field of a client's profile that was read for it; it rests on it where `spans` says."""

    type: Literal["client"]
    field_name: Literal["medical_history", "notes"]


CitationBody = Annotated[SessionCitationBody | ClientCitationBody, Field(discriminator="type")]


class ContextBody(_Response):
    """What the chat model was given, by our estimate of its tokens; all 0 where it was not asked.

    `dropped` passages found no room; `limit` is null where the model takes a prompt of any length.
    """

    included: int
    dropped: int
    tokens: int
    limit: int | None


class UsageBody(_Response):
    """Tokens as the providers counted them."""

    embedding_tokens: int
    input_tokens: int
    output_tokens: int


class MetadataBody(_Response):
    """How the answer came about."""

    request_id: str
    provider: str = Field(examples=["cohere"])
    model: str = Field(examples=["command-a-03-2025"])
    cache: Literal["miss", "exact", "semantic", "stale", "off"]
    cache_similarity: float | None = Field(
        description="How alike the question was that it was first given to; null if the same."
    )
    degraded: list[str] = Field(
        description="What was done without: `embedding_unavailable`, `chat_unavailable`, "
        "`stale_answer`, `cache_unavailable`."
    )
    split_arm: str | None = Field(
        description="The provider that an A/B trial tries first for this workspace."
    )
    warnings: list[str] = Field(
        description="What to tell of this answer: `unverified`, `uncited_sentence`, "
        "`unsupported_removed`, `misquote_removed`, `unknown_marker`, `uncited_answer`, "
        "`answer_language`, `context_truncated`, `rerank_unavailable`; "
        "docs/integration.md explains them."
    )
    context: ContextBody
    usage: UsageBody
    timings_ms: dict[str, float] = Field(examples=[{"embed": 120.0, "chat": 780.2}])


class AnswerBody(_Response):
    """An answer with its citations."""

    answer: str = Field(examples=["She reports waking at 3 a.m. most nights [1]."])
    citations: list[CitationBody] = Field(
        description="Each field that was read. The sources are those whose `spans` are not empty."
    )
    language: Language = Field(description="That of the question; the answer is in it.")
    retrieved_count: int
    processing_time_ms: int
    metadata: MetadataBody

    @classmethod
    def of(cls, answer: messages.Answer, *, request_id: str, duration_s: float) -> Self:
        """Return the body that shows an answer."""
        return cls(
            answer=answer.text,
            citations=[show_citation(citation) for citation in answer.citations],
            language=answer.language,
            retrieved_count=answer.retrieved_count,
            processing_time_ms=round(duration_s * 1000),
            metadata=_show_metadata(answer, request_id),
        )


def show_citation(citation: messages.Citation) -> SessionCitationBody | ClientCitationBody:
    """Return the body that shows a citation."""
    shown: dict[str, Any] = {
        "client_id": citation.client_id,
        "client_name": citation.client_name,
        "similarity": round(citation.similarity, 4),
        "field_name": citation.field_name,
        "marker": citation.marker,
        "quote": citation.quote,
        "spans": [
            SpanBody(answer_start=span.answer_start, answer_end=span.answer_end, quote=span.quote)
            for span in citation.spans
        ],
        "verified": citation.verified,
    }
    if citation.record.type == "client":
        return ClientCitationBody(type="client", **shown)
    return SessionCitationBody(
        type="session",
        session_id=citation.record.id,
        session_date=citation.session_date,
        **shown,
    )


def _rounded(similarity: float | None) -> float | None:
    return None if similarity is None else round(similarity, 4)


def _show_metadata(answer: messages.Answer, request_id: str) -> MetadataBody:
    usage = answer.usage
    return MetadataBody(
        request_id=request_id,
        provider=answer.provider,
        model=answer.model,
        cache=answer.cache,
        cache_similarity=_rounded(answer.cache_similarity),
        degraded=list(answer.degraded),
        split_arm=answer.split_arm,
        warnings=list(answer.warnings),
        context=_show_context(answer.context or NOTHING_GIVEN),
        usage=UsageBody(
            embedding_tokens=usage.embedding_tokens,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
        ),
        timings_ms={stage: round(ms, 1) for stage, ms in answer.timings_ms.items()},
    )


def _show_context(use: messages.ContextUse) -> ContextBody:
    return ContextBody(
        included=use.included, dropped=use.dropped, tokens=use.tokens, limit=use.limit
    )


# --- Records --------------------------------------------------------------------------------


def _read_text(value: object) -> object:
    """Let null stand for an absent text, as applications with optional columns send it."""
    return "" if value is None else value


def _refuse_nul(text: str) -> str:
    if "\x00" in text:
        raise _refuse("must not contain the character NUL")
    return text


def _refuse_blank(text: str) -> str:
    if not text.strip():
        raise _refuse("must not be empty")
    return text


def _read_moment(value: object) -> datetime:
    """Return the moment in UTC; a date is its midnight, and one without an offset is in UTC."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise _refuse("must be a date such as 2025-10-14 or 2025-10-14T09:00:00Z")
    if moment.year not in YEARS:
        raise _refuse(f"must be of a year from {YEARS[0]} to {YEARS[-1]}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Text = Annotated[str, BeforeValidator(_read_text, str | None), AfterValidator(_refuse_nul)]
Name = Annotated[str, AfterValidator(_refuse_nul), AfterValidator(_refuse_blank)]
Moment = Annotated[datetime, BeforeValidator(_read_moment, str)]


class ClientBody(_Request):
    """A client's whole profile; a text that is absent or null is empty."""

    client_name: Name = Field(max_length=MAX_NAME_CHARACTERS, examples=["Dana Example"])
    medical_history: Text = ""
    notes: Text = ""

    def to_client(self, client_id: UUID) -> Client:
        """Return the record."""
        return Client(client_id, self.client_name, self.medical_history, self.notes)


class SessionBody(_Request):
    """A whole session note; a text that is absent or null is empty."""

    client_id: UUID
    session_date: Moment = Field(
        description="A date or a moment; without an offset, UTC.",
        examples=["2025-10-14T09:00:00Z"],
    )
    subjective: Text = ""
    objective: Text = ""
    assessment: Text = ""
    plan: Text = ""

    def to_session(self, session_id: UUID) -> Session:
        """Return the record."""
        return Session(
            id=session_id,
            client_id=self.client_id,
            session_date=self.session_date,
            subjective=self.subjective,
            objective=self.objective,
            assessment=self.assessment,
            plan=self.plan,
        )


class StoredBody(_Response):
    """The record is durable; search by meaning finds it once it is embedded."""

    status: Literal["stored"] = "stored"
    embedding: Literal["queued"] = "queued"


class DeletedBody(_Response):
    """The record and all that was derived from it are gone."""

    status: Literal["deleted"] = "deleted"


# --- Health ---------------------------------------------------------------------------------


class ComponentBody(_Response):
    """One part of the application."""

    name: str = Field(examples=["database"])
    state: Literal["ok", "degraded", "down"]
    detail: str = Field(examples=["reachable, schema up to date"])


class HealthBody(_Response):
    """The state of the whole; of each part only for a credential with the scope `ops`."""

    status: Literal["ok", "degraded", "down"]
    components: list[ComponentBody] | None = None


class LivenessBody(_Response):
    """The process answers, or is ready to."""

    status: Literal["ok"] = "ok"

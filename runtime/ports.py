"""The seams: one Protocol per outside thing. Each has an in-memory twin that passes the same tests.

Every wait takes `timeout_s`, the seconds that remain of the request's one deadline: clocks differ
between hosts, remaining seconds do not. The database's own waits end by `statement_timeout`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from runtime.messages import (
        AnswerToKeep,
        BatchStored,
        CacheKey,
        Caller,
        ChatEvent,
        ChatReply,
        ChatRequest,
        Client,
        Cost,
        Embedded,
        EmbeddingModel,
        InputType,
        NamedClient,
        Outcome,
        Passage,
        Permit,
        Priority,
        Recollection,
        Refusal,
        RememberedAnswer,
        SearchScope,
        Session,
        SessionDates,
        Vector,
        WorkspaceSettings,
    )


class Clock(Protocol):
    """Where the time comes from."""

    def monotonic(self) -> float:
        """Return seconds from a fixed, arbitrary start."""
        ...

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        ...


class Embedder(Protocol):
    """Texts to vectors of one model."""

    @property
    def model(self) -> EmbeddingModel:
        """The vector space, its dimensions among it."""
        ...

    async def embed_text(self, text: str, *, input_type: InputType, timeout_s: float) -> Embedded:
        """Return one row. An empty text is a zero row, without a call.

        Raises: ProviderError, ActorUnavailable.
        """
        ...

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        """Return a row for each text, in the order given, any number of them.

        Raises: ProviderError, ActorUnavailable.
        """
        ...


class ChatModel(Protocol):
    """A prompt to an answer."""

    @property
    def provider(self) -> str:
        """The vendor, as the configuration names it."""
        ...

    @property
    def name(self) -> str:
        """The model's name at the vendor."""
        ...

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """Return the whole answer.

        Raises: ProviderError, ActorUnavailable.
        """
        ...

    def stream(self, request: ChatRequest, *, timeout_s: float) -> AsyncGenerator[ChatEvent, None]:
        """Yield pieces as they come, then the whole; closing it early stops the vendor's work.

        Raises: ProviderError, ActorUnavailable.
        """
        ...


class Breaker(Protocol):
    """The circuit breaker of one provider's one operation, as the whole cluster sees it."""

    async def admit(self) -> Permit | Refusal:
        """Return leave to call, or the time to wait. Never raises.

        Only a probe of a half-open circuit waits, 50 ms at the most.
        """
        ...

    def record(self, permit: Permit, outcome: Outcome) -> None:
        """Tell how the call ended. Every permit is told of exactly once; returns at once."""
        ...


class Limiter(Protocol):
    """The per-minute limits of one provider's one operation, shared by the whole cluster."""

    async def acquire(self, cost: Cost, *, priority: Priority, timeout_s: float) -> Refusal | None:
        """Return None once the call may be made; a Refusal if that would take over `timeout_s`.

        Never raises.
        """
        ...

    def settle(self, *, estimated_tokens: int, used_tokens: int) -> None:
        """Correct what `acquire` took by what the vendor counted; returns at once."""
        ...

    def slow_down(self, retry_after_s: float | None) -> None:
        """Tell that the vendor answered 429 all the same; returns at once.

        Every call slows down where many are refused; a few among many are only made again.
        """
        ...


class RetryBudget(Protocol):
    """How many retries one provider's one operation may see, in proportion to its calls."""

    def count_call(self) -> None:
        """Count a first attempt, which earns a share of a retry; returns at once."""
        ...

    async def take(self) -> bool:
        """Return whether another attempt may be made; waits 50 ms at the most. Never raises."""
        ...


class PassageStore(Protocol):
    """Searches the passages of one workspace."""

    async def search(
        self,
        workspace_id: UUID,
        vector: Vector,
        *,
        model: EmbeddingModel,
        scope: SearchScope,
        limit: int,
    ) -> list[Passage]:
        """Return up to `limit` passages of that model, nearest first; a zero vector finds none.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def search_text(
        self, workspace_id: UUID, question: str, *, scope: SearchScope, limit: int
    ) -> list[Passage]:
        """Return up to `limit` passages that share words with the question, best first.

        Each is of another field of a record, found as soon as it is written. `similarity` is an
        estimate on the same scale: the share of the question's words that stand in the field, rare
        ones weighing more, below 1. A question of nothing but stop words finds none.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...


class ClientDirectory(Protocol):
    """Who the clients of one workspace are, and when they were seen: what a question may name."""

    async def find_named(self, workspace_id: UUID, question: str) -> list[NamedClient]:
        """Return each client of whose name a word stands in the question; one round trip.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def find_session_dates(
        self, workspace_id: UUID, scope: SearchScope, *, latest: int
    ) -> SessionDates | None:
        """Return when the scope's clients were first seen, and last within it; None for never.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...


class AnswerCache(Protocol):
    """Answers given before, of one workspace; none is given out that a write could have changed.

    A write counts from its commit on: what `as_of` did not see is too new for the answer.
    """

    async def recall(self, workspace_id: UUID, key: CacheKey) -> Recollection:
        """Return what is known as a question begins, with the answer to the very same one if any.

        An expired answer is returned too, marked as such. One round trip.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def recall_similar(
        self,
        workspace_id: UUID,
        partition: bytes,
        vector: Vector,
        *,
        model: EmbeddingModel,
        min_similarity: float,
    ) -> list[RememberedAnswer]:
        """Return answers to questions of this likeness or more, the likest first, expired ones too.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def count_hit(self, workspace_id: UUID, remembered_id: UUID) -> None:
        """Note that an answer served again, which keeps it from eviction.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def keep(
        self, workspace_id: UUID, kept: AnswerToKeep, *, ttl_s: float, max_entries: int
    ) -> int:
        """Remember an answer unless a write has overtaken it; return how many others were evicted.

        Beyond `max_entries`, those go that served longest ago.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def forget_all(self, workspace_id: UUID) -> int:
        """Forget every answer, those still under way too; return how many were kept.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...


class WorkspaceSettingsStore(Protocol):
    """A workspace's own settings."""

    async def read(self, workspace_id: UUID) -> WorkspaceSettings:
        """Return what the workspace has set.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def change(
        self, workspace_id: UUID, changes: Mapping[str, bool | int | float | None]
    ) -> WorkspaceSettings:
        """Set these fields of `WorkspaceSettings`, None back to the default; return all.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...


class Reranker(Protocol):
    """Puts passages in a better order than a search can, having read both sides together."""

    @property
    def provider(self) -> str:
        """The vendor, as the configuration names it."""
        ...

    @property
    def name(self) -> str:
        """The model's name at the vendor."""
        ...

    async def rank(self, question: str, texts: Sequence[str], *, timeout_s: float) -> list[float]:
        """Return how relevant each text is to the question, 0 to 1, in the order given.

        No texts are no call.

        Raises: ProviderError, ActorUnavailable.
        """
        ...


class RecordStore(Protocol):
    """Clients and sessions of one workspace. Each write also queues what must be embedded again."""

    async def put_client(self, workspace_id: UUID, client: Client) -> None:
        """Insert or replace; the workspace's row is made when it is its first record.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def put_session(self, workspace_id: UUID, session: Session) -> None:
        """Insert or replace.

        Raises: RecordNotFound (its client), DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def delete_client(self, workspace_id: UUID, client_id: UUID) -> None:
        """Delete the client, its sessions, and all their vectors.

        Raises: RecordNotFound, DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def delete_session(self, workspace_id: UUID, session_id: UUID) -> None:
        """Delete the session and its vectors.

        Raises: RecordNotFound, DatabaseUnavailable, StatementTimeout.
        """
        ...


class BulkRecordStore(Protocol):
    """Writes many records at once, for an import."""

    async def ensure_workspace(self, workspace_id: UUID, name: str) -> None:
        """Make the workspace's row, or give the one that is there this name.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...

    async def put_many(
        self, workspace_id: UUID, clients: Sequence[Client], sessions: Sequence[Session]
    ) -> BatchStored:
        """Insert or replace in one transaction, clients first; no id may occur twice.

        What is unchanged queues nothing; the rest is queued as bulk work.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...


class KeyStore(Protocol):
    """Looks up an API key of one workspace."""

    async def find_key(self, workspace_id: UUID, digest: bytes) -> Caller | None:
        """Return whose key has this SHA-256 digest, or None when there is none or it is revoked.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        ...

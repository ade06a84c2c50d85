"""In-memory twins of the stores, for tests of everything above them and for evaluations.

They pass the same contract suite as PostgreSQL does (`tests/integration/storage/`). Nothing is
queued here: `embed` stands for the worker.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import numpy as np

from runtime.access.api_keys import digest_key, make_key
from runtime.calibration import calibrate
from runtime.errors import RecordNotFound
from runtime.language.name_words import list_stored_words
from runtime.messages import (
    FIELDS,
    BatchStored,
    Caller,
    Client,
    EmbeddingModel,
    NamedClient,
    Passage,
    RecordKey,
    RecordType,
    SearchScope,
    Session,
    SessionDates,
    Span,
    Vector,
)
from runtime.storage.client_names import USUAL_CLIENTS, asked_names
from runtime.storage.keys import ApiKey
from runtime.storage.passages import require_dimensions
from runtime.storage.records import (
    require_storable,
    require_valid,
    require_valid_client,
    require_valid_session,
)
from runtime.storage.terms import (
    FoundField,
    asked_terms,
    bm25_part,
    count_terms,
    read_passages,
)


@dataclass(frozen=True, slots=True)
class _StoredVector:
    model: EmbeddingModel
    record: RecordKey
    field_name: str
    field_text: str
    span: Span
    vector: Vector


@dataclass(slots=True)
class _Workspace:
    name: str = ""
    clients: dict[UUID, Client] = field(default_factory=dict)
    sessions: dict[UUID, Session] = field(default_factory=dict)
    vectors: list[_StoredVector] = field(default_factory=list)

    def find(self, record: RecordKey) -> Client | Session | None:
        return (self.clients if record.type == "client" else self.sessions).get(record.id)

    def list_fields(self) -> Iterator[FoundField]:
        records: list[Client | Session] = [*self.clients.values(), *self.sessions.values()]
        for record in records:
            kind: RecordType = "client" if isinstance(record, Client) else "session"
            client = record if isinstance(record, Client) else self.clients[record.client_id]
            for name in FIELDS[kind]:
                yield FoundField(
                    record=RecordKey(kind, record.id),
                    client_id=client.id,
                    client_name=client.name,
                    session_date=record.session_date if isinstance(record, Session) else None,
                    field_name=name,
                    text=getattr(record, name),
                    similarity=0.0,
                )


class InMemoryRecordStore:
    """`RecordStore` and `BulkRecordStore`."""

    def __init__(self) -> None:
        self.workspaces: defaultdict[UUID, _Workspace] = defaultdict(_Workspace)

    async def ensure_workspace(self, workspace_id: UUID, name: str) -> None:
        """As the port."""
        require_storable("workspace", name)
        self.workspaces[workspace_id].name = name

    async def put_client(self, workspace_id: UUID, client: Client) -> None:
        """As the port."""
        require_valid_client(client)
        self.workspaces[workspace_id].clients[client.id] = client

    async def put_session(self, workspace_id: UUID, session: Session) -> None:
        """As the port."""
        require_valid_session(session)
        workspace = self.workspaces[workspace_id]
        if session.client_id not in workspace.clients:
            raise RecordNotFound("client")
        workspace.sessions[session.id] = session

    async def put_many(
        self, workspace_id: UUID, clients: Sequence[Client], sessions: Sequence[Session]
    ) -> BatchStored:
        """As the port."""
        require_valid(clients, sessions)
        workspace = self.workspaces[workspace_id]
        same = sum(workspace.clients.get(client.id) == client for client in clients)
        same += sum(workspace.sessions.get(session.id) == session for session in sessions)
        orphans: list[UUID] = []
        for client in clients:
            await self.put_client(workspace_id, client)
        for session in sessions:
            try:
                await self.put_session(workspace_id, session)
            except RecordNotFound:
                orphans.append(session.id)
        stored = len(clients) + len(sessions) - same - len(orphans)
        return BatchStored(stored, same, tuple(orphans))

    async def delete_client(self, workspace_id: UUID, client_id: UUID) -> None:
        """As the port."""
        workspace = self.workspaces[workspace_id]
        if workspace.clients.pop(client_id, None) is None:
            raise RecordNotFound("client")
        for session in list(workspace.sessions.values()):
            if session.client_id == client_id:
                del workspace.sessions[session.id]

    async def delete_session(self, workspace_id: UUID, session_id: UUID) -> None:
        """As the port."""
        if self.workspaces[workspace_id].sessions.pop(session_id, None) is None:
            raise RecordNotFound("session")


class InMemoryPassageStore:
    """`PassageStore` over the records of an `InMemoryRecordStore`."""

    def __init__(self, records: InMemoryRecordStore) -> None:
        self._records = records

    def embed(
        self,
        workspace_id: UUID,
        record: RecordKey,
        field_name: str,
        *,
        model: EmbeddingModel,
        parts: Sequence[tuple[Span, Vector]],
    ) -> None:
        """Store vectors of a field's current text, in place of any it had of this model."""
        workspace = self._records.workspaces[workspace_id]
        text = getattr(workspace.find(record), field_name)
        workspace.vectors = [
            stored
            for stored in workspace.vectors
            if (stored.model, stored.record, stored.field_name) != (model, record, field_name)
        ] + [_StoredVector(model, record, field_name, text, span, vector) for span, vector in parts]

    async def search(
        self,
        workspace_id: UUID,
        vector: Vector,
        *,
        model: EmbeddingModel,
        scope: SearchScope,
        limit: int,
    ) -> list[Passage]:
        """As the port."""
        require_dimensions(vector, model)
        if not vector.any():
            return []
        workspace = self._records.workspaces[workspace_id]
        found = [
            passage
            for stored in workspace.vectors
            if stored.model == model
            and (passage := _read_passage(workspace, stored, vector)) is not None
            and scope.holds(passage.client_id, passage.session_date)
        ]
        return sorted(found, key=lambda passage: -passage.similarity)[:limit]

    async def search_text(
        self, workspace_id: UUID, question: str, *, scope: SearchScope, limit: int
    ) -> list[Passage]:
        """As the port, weighing words as the statement `search_terms` does."""
        asked = asked_terms(question)
        workspace = self._records.workspaces[workspace_id]
        counted = [(found, count_terms(found.text)) for found in workspace.list_fields()]
        fields = 4 * len(workspace.sessions) + 2 * len(workspace.clients)
        weights = {
            term: _weigh(fields, sum(term in terms.occurrences for _, terms in counted))
            for term in asked
        }
        total = sum(weights.values())
        found = [
            replace(
                field,
                similarity=sum(
                    weights[term] * bm25_part(terms.occurrences[term], terms.length)
                    for term in asked
                    if term in terms.occurrences
                )
                / total,
            )
            for field, terms in counted
            if scope.holds(field.client_id, field.session_date)
            and not terms.occurrences.keys().isdisjoint(asked)
        ]
        found.sort(key=lambda field: -field.similarity)
        return list(read_passages(found[:limit], asked))


class InMemoryClientDirectory:
    """`ClientDirectory` over the records of an `InMemoryRecordStore`."""

    def __init__(self, records: InMemoryRecordStore) -> None:
        self._records = records

    async def find_named(self, workspace_id: UUID, question: str) -> list[NamedClient]:
        """As the port."""
        asked = asked_names(question)
        workspace = self._records.workspaces[workspace_id]
        borne: defaultdict[str, set[UUID]] = defaultdict(set)
        for client in workspace.clients.values():
            for word in asked.keys() & set(list_stored_words(client.name)):
                borne[word].add(client.id)
        usual = {
            word for word, bearers in borne.items() if _is_usual(workspace, asked[word], bearers)
        }
        named = sorted(set().union(*borne.values()))
        return [
            NamedClient(
                client_id,
                workspace.clients[client_id].name,
                frozenset(word for word in usual if client_id in borne[word]),
            )
            for client_id in named
        ]

    async def find_session_dates(
        self, workspace_id: UUID, scope: SearchScope, *, latest: int
    ) -> SessionDates | None:
        """As the port."""
        dates: defaultdict[UUID, list[datetime]] = defaultdict(list)
        for session in self._records.workspaces[workspace_id].sessions.values():
            if scope.clients is None or session.client_id in scope.clients:
                dates[session.client_id].append(session.session_date)
        if not dates:
            return None
        within = [
            sorted((date for date in theirs if scope.holds(client_id, date)), reverse=True)[:latest]
            for client_id, theirs in dates.items()
        ]
        first = min(map(min, dates.values()))
        return SessionDates(first, min((min(theirs) for theirs in within if theirs), default=None))


class InMemoryKeyStore:
    """`KeyStore`, and what the `key` commands need."""

    def __init__(self) -> None:
        self._keys: dict[tuple[UUID, bytes], ApiKey] = {}

    async def create_key(
        self, workspace_id: UUID, name: str, *, scopes: Collection[str]
    ) -> tuple[ApiKey, str]:
        """As `PostgresKeyStore`."""
        require_storable("name", name)
        text = make_key(workspace_id)
        key = ApiKey(uuid4(), name, tuple(sorted(scopes)), datetime.now(UTC), None)
        self._keys[workspace_id, digest_key(text)] = key
        return key, text

    async def list_keys(self, workspace_id: UUID) -> list[ApiKey]:
        """As `PostgresKeyStore`."""
        return [key for (owner, _), key in self._keys.items() if owner == workspace_id]

    async def revoke_key(self, workspace_id: UUID, key_id: UUID) -> None:
        """As `PostgresKeyStore`."""
        for place, key in self._keys.items():
            if (place[0], key.id) == (workspace_id, key_id):
                revoked_at = key.revoked_at or datetime.now(UTC)
                self._keys[place] = replace(key, revoked_at=revoked_at)
                return
        raise RecordNotFound("key")

    async def find_key(self, workspace_id: UUID, digest: bytes) -> Caller | None:
        """As the port."""
        key = self._keys.get((workspace_id, digest))
        if key is None or key.revoked_at is not None:
            return None
        return Caller(f"key:{key.id}", workspace_id, frozenset(key.scopes))


def _read_passage(workspace: _Workspace, stored: _StoredVector, vector: Vector) -> Passage | None:
    """Return the passage unless its field has changed since, or its record is gone."""
    record = workspace.find(stored.record)
    if record is None or getattr(record, stored.field_name) != stored.field_text:
        return None
    assert stored.field_name in FIELDS[stored.record.type]
    client = record if isinstance(record, Client) else workspace.clients[record.client_id]
    cosine = float(
        np.dot(stored.vector, vector) / np.linalg.norm(stored.vector) / np.linalg.norm(vector)
    )
    return Passage(
        record=stored.record,
        client_id=client.id,
        client_name=client.name,
        session_date=record.session_date if isinstance(record, Session) else None,
        field_name=stored.field_name,
        part=stored.span.part,
        start=stored.span.start,
        end=stored.span.end,
        text=stored.field_text[stored.span.start : stored.span.end],
        similarity=calibrate(stored.model, cosine),
    )


def _is_usual(workspace: _Workspace, term: int | None, bearers: Collection[UUID]) -> bool:
    """Say whether a word stands in the notes of many who do not bear it."""
    others = {
        field.client_id
        for field in workspace.list_fields()
        if field.client_id not in bearers and term in count_terms(field.text).occurrences
    }
    return term is None or len(others) >= USUAL_CLIENTS


def _weigh(fields: int, holding: int) -> float:
    """Return the weight of a term that so many of the fields hold: the rarer, the more."""
    return math.log(1 + max(fields - holding + 0.5, 0.5) / (holding + 0.5))

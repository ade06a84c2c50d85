"""Clients and sessions: upsert, delete, index their words, queue what must be embedded again.

Called by the record routes and by the import. What happens to the queue is `jobs.py`'s business.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC
from typing import Final
from uuid import UUID

from runtime.errors import InvalidRecord, RecordNotFound
from runtime.messages import (
    CLIENT_FIELDS,
    FIELDS,
    SESSION_FIELDS,
    BatchStored,
    Client,
    RecordType,
    Session,
)
from runtime.storage.client_names import store_name_words
from runtime.storage.pool import Connection, Database
from runtime.storage.queries import QUERIES
from runtime.storage.terms import count_terms

_APPLICATION: Final = 0
_BULK: Final = 1
"""Priorities of jobs: what a therapist has just written comes before an import."""


class PostgresRecordStore:
    """`RecordStore` and `BulkRecordStore` in PostgreSQL. A write is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ensure_workspace(self, workspace_id: UUID, name: str) -> None:
        """Make the workspace's row, or give the one that is there this name.

        Raises: InvalidRecord, DatabaseUnavailable, StatementTimeout.
        """
        require_storable("workspace", name)
        async with self._database.workspace(workspace_id) as connection:
            await connection.execute(QUERIES["ensure_workspace"], name)

    async def put_client(self, workspace_id: UUID, client: Client) -> None:
        """Insert or replace; the workspace's row is made when it is its first record.

        Raises: InvalidRecord, DatabaseUnavailable, StatementTimeout.
        """
        require_valid_client(client)
        async with self._database.workspace(workspace_id) as connection:
            await _put_clients(connection, [client], priority=_APPLICATION)

    async def put_session(self, workspace_id: UUID, session: Session) -> None:
        """Insert or replace; a session may so be moved to another client of the workspace.

        Raises: InvalidRecord, RecordNotFound (its client), DatabaseUnavailable, StatementTimeout.
        """
        require_valid_session(session)
        async with self._database.workspace(workspace_id) as connection:
            _, orphans = await _put_sessions(connection, [session], priority=_APPLICATION)
        if orphans:
            raise RecordNotFound("client")

    async def put_many(
        self, workspace_id: UUID, clients: Sequence[Client], sessions: Sequence[Session]
    ) -> BatchStored:
        """Insert or replace in one transaction, clients first; no id may occur twice.

        Raises: InvalidRecord, DatabaseUnavailable, StatementTimeout.
        """
        require_valid(clients, sessions)
        stored, orphans = 0, tuple[UUID, ...]()
        async with self._database.workspace(workspace_id) as connection:
            if clients:
                stored = await _put_clients(connection, clients, priority=_BULK)
            if sessions:
                more, orphans = await _put_sessions(connection, sessions, priority=_BULK)
                stored += more
        unchanged = len(clients) + len(sessions) - stored - len(orphans)
        return BatchStored(stored, unchanged, orphans)

    async def delete_client(self, workspace_id: UUID, client_id: UUID) -> None:
        """Delete the client, its sessions, and all their vectors.

        Raises: RecordNotFound, DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            deleted = await connection.fetch_value(QUERIES["delete_client"], client_id)
        if deleted is None:
            raise RecordNotFound("client")

    async def delete_session(self, workspace_id: UUID, session_id: UUID) -> None:
        """Delete the session and its vectors.

        Raises: RecordNotFound, DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            deleted = await connection.fetch_value(QUERIES["delete_session"], session_id)
        if deleted is None:
            raise RecordNotFound("session")


def require_valid(clients: Sequence[Client], sessions: Sequence[Session]) -> None:
    """Return if PostgreSQL can store all of them.

    Raises: InvalidRecord.
    """
    for client in clients:
        require_valid_client(client)
    for session in sessions:
        require_valid_session(session)


def require_valid_client(client: Client) -> None:
    """Return if PostgreSQL can store every text of the client.

    Raises: InvalidRecord.
    """
    for field in ("name", *CLIENT_FIELDS):
        require_storable(field, getattr(client, field))


def require_valid_session(session: Session) -> None:
    """Return if PostgreSQL can store every text and the date of the session.

    Raises: InvalidRecord.
    """
    for field in SESSION_FIELDS:
        require_storable(field, getattr(session, field))
    if session.session_date.tzinfo is None:
        raise InvalidRecord("session_date", "has no time zone; add one, such as Z for UTC.")
    try:
        session.session_date.astimezone(UTC)
    except OverflowError:
        raise InvalidRecord("session_date", "is outside the years 1 to 9999 in UTC.") from None


def require_storable(field: str, text: str) -> None:
    """Return if PostgreSQL can store the text: it has no NUL and is encodable as UTF-8.

    Raises: InvalidRecord.
    """
    if "\x00" in text:
        raise InvalidRecord(field, "contains a NUL character (U+0000); remove it.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        reason = f"contains half of a surrogate pair at character {error.start}; remove it."
        raise InvalidRecord(field, reason) from None


async def _put_clients(connection: Connection, clients: Sequence[Client], *, priority: int) -> int:
    """Return how many were stored; the others were the same already."""
    row = await connection.fetch_row(
        QUERIES["put_clients"],
        [client.id for client in clients],
        [client.name for client in clients],
        *([getattr(client, field) for client in clients] for field in CLIENT_FIELDS),
        priority,
    )
    assert row is not None
    stored = set(row["stored"])
    if stored:
        await store_name_words(connection, [client for client in clients if client.id in stored])
    return await _index(connection, "client", clients, stored)


async def _put_sessions(
    connection: Connection, sessions: Sequence[Session], *, priority: int
) -> tuple[int, tuple[UUID, ...]]:
    """Return how many were stored, and the ids of those left out for want of their client."""
    row = await connection.fetch_row(
        QUERIES["put_sessions"],
        [session.id for session in sessions],
        [session.client_id for session in sessions],
        [session.session_date for session in sessions],
        *([getattr(session, field) for session in sessions] for field in SESSION_FIELDS),
        priority,
    )
    assert row is not None
    stored = await _index(connection, "session", sessions, set(row["stored"]))
    return stored, tuple(row["orphans"])


async def _index(
    connection: Connection,
    kind: RecordType,
    records: Sequence[Client | Session],
    stored: Collection[UUID],
) -> int:
    """Make the records that were stored findable by their words; return how many there are."""
    if not stored:
        return 0
    ids = list(stored)
    await connection.execute(QUERIES[f"forget_stale_{kind}_failures"], ids)
    await connection.execute(QUERIES["forget_terms"], kind, ids, list(FIELDS[kind]))
    fields: list[tuple[UUID, str, int]] = []
    places: list[int] = []
    terms: list[int] = []
    occurrences: list[int] = []
    for record in records:
        if record.id not in stored:
            continue
        for name in FIELDS[kind]:
            counted = count_terms(getattr(record, name))
            fields.append((record.id, name, counted.length))
            places += [len(fields)] * len(counted.occurrences)
            terms += counted.occurrences
            occurrences += counted.occurrences.values()
    if terms:
        columns = map(list, zip(*fields, strict=True))
        await connection.execute(QUERIES["store_terms"], kind, *columns, places, terms, occurrences)
    return len(stored)

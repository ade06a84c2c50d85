"""The queue of records to embed: what waits, and taking it so that no two workers take the same.

Called by `embedding/backfill.py`, which decides what to do with a claim. Rows are put in by
`records.py`.

A claim is a transaction that stays open while its records are embedded. Its locks end with its
connection, so what a killed worker had taken is free at once, and neither leases nor heartbeats
are needed. Nothing waits for a claim: writers only ever insert jobs, and workers skip locked ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast, get_args
from uuid import UUID, uuid4

from runtime.messages import FIELDS, EmbeddingModel, Matrix, RecordKey, RecordType, Span
from runtime.storage.pool import Connection, Database, Wake, as_vectors
from runtime.storage.queries import QUERIES

CHANNEL: Final = "embedding_jobs"
BACKOFF_FIRST_S: Final = 1.0
BACKOFF_MOST_S: Final = 300.0
"""Doubling in between. Long enough to spare a vendor in trouble, short enough to be there after."""
ENQUEUE_TIMEOUT_S: Final = 900
"""It reads a whole practice, once, for a command: the pool's limit is meant for searches."""


@dataclass(frozen=True, slots=True)
class FieldText:
    """A field of a record that has no current vectors."""

    record: RecordKey
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class FailedField:
    """A field whose text the model will never embed, and the class of the error."""

    field: FieldText
    reason: str


@dataclass(frozen=True, slots=True)
class EmbeddedField:
    """A field, how it was cut, and a vector for each part, in order."""

    field: FieldText
    spans: tuple[Span, ...]
    vectors: Matrix


class EmbeddingJobs:
    """The queue, over all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_workspaces(self) -> list[UUID]:
        """Return every workspace's id, in order.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(QUERIES["list_workspaces"])
        return [row["id"] for row in rows]

    async def pending_workspaces(self, limit: int) -> list[UUID]:
        """Return up to `limit` workspaces with a job that is due, a different selection each time.

        The walk starts anywhere, so that no workspace starves behind busy ones. A job that another
        worker holds is counted as due: a claim that comes out empty says so.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(QUERIES["pending_workspaces"], limit, uuid4())
        return [row["id"] for row in rows]

    async def count_backlog(self) -> int:
        """Return how many records wait for their embedding, over all workspaces.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.connection() as connection:
            return int(await connection.fetch_value(QUERIES["count_backlog"]))

    async def count_due(self, workspace_id: UUID) -> int:
        """Return how many of its records could be embedded now, those in other hands among them.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            return int(await connection.fetch_value(QUERIES["count_due"]))

    async def enqueue_missing(self, workspace_id: UUID, model: EmbeddingModel) -> int:
        """Queue each record that lacks current vectors of the model; return how many.

        A text that failed under this model is left alone until it changes.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{ENQUEUE_TIMEOUT_S}s'")
            queued = await connection.fetch_value(
                QUERIES["enqueue_missing"], model.key, timeout_s=ENQUEUE_TIMEOUT_S
            )
        return int(queued)

    async def count_failed(self, workspace_id: UUID, model: EmbeddingModel) -> int:
        """Return how many of its records have a text that the model will never embed.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            return int(await connection.fetch_value(QUERIES["count_failed"], model.key))

    @asynccontextmanager
    async def claim(self, workspace_id: UUID, *, limit: int) -> AsyncIterator[Claim]:
        """Take the records of up to `limit` due jobs for as long as the block runs.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            jobs: dict[RecordKey, list[int]] = {}
            attempts: dict[RecordKey, int] = {}
            model_key: str | None = None
            for row in await connection.fetch(QUERIES["claim_jobs"], limit):
                record = RecordKey(cast("RecordType", row["record_type"]), row["record_id"])
                jobs.setdefault(record, []).append(row["id"])
                attempts[record] = max(attempts.get(record, 0), row["attempts"])
                model_key = row["model"]
            yield Claim(connection, jobs, attempts, model_key=model_key)

    def notifications(self) -> AbstractAsyncContextManager[Wake]:
        """Listen for new jobs; behind PgBouncer in transaction mode none is ever heard.

        Raises: DatabaseUnavailable.
        """
        return self._database.notifications(CHANNEL)


class Claim:
    """Records taken for this transaction alone. Those neither completed nor put off stay queued."""

    def __init__(
        self,
        connection: Connection,
        jobs: dict[RecordKey, list[int]],
        attempts: dict[RecordKey, int],
        *,
        model_key: str | None,
    ) -> None:
        self._connection = connection
        self._jobs = jobs
        self._attempts = attempts
        self.model_key = model_key
        """Of the model that the workspace was searched by when the claim was made."""
        self._deleting: set[RecordKey] = set()

    @property
    def records(self) -> Sequence[RecordKey]:
        """The records to embed, most urgent first."""
        return tuple(self._jobs)

    def count_attempts(self, record: RecordKey) -> int:
        """Return how often this record was put off."""
        return self._attempts[record]

    async def read_outdated(self, model: EmbeddingModel) -> list[FieldText]:
        """Return the fields that have a text and no current vectors of this model.

        A text that is known to have failed under it is left out; a record that is gone has none.
        """
        outdated: list[FieldText] = []
        for kind, ids in _by_type(self.records):
            rows = await self._connection.fetch(QUERIES[f"read_{kind}s"], ids, model.key)
            outdated += [
                FieldText(RecordKey(kind, row["id"]), name, row[name])
                for row in rows
                for name in FIELDS[kind]
                if row[name] and name not in row["settled"]
            ]
        return outdated

    async def store(self, fields: Sequence[EmbeddedField], model: EmbeddingModel) -> None:
        """Store the vectors of these fields.

        A record that is being deleted just now is left to the next claim.
        """
        for kind, ids in _by_type({embedded.field.record for embedded in fields}):
            held = await self._hold(kind, ids)
            kept = [embedded for embedded in fields if embedded.field.record in held]
            await self._store_vectors(kind, kept, model)

    async def give_up(self, failures: Sequence[FailedField], model: EmbeddingModel) -> None:
        """Note that these texts failed for good: none is read again before it changes."""
        for kind, ids in _by_type({failed.field.record for failed in failures}):
            held = await self._hold(kind, ids)
            rows = [
                (failed.field.record.id, failed.field.name, _hash(failed.field.text), failed.reason)
                for failed in failures
                if failed.field.record in held
            ]
            if rows:
                columns = map(list, zip(*rows, strict=True))
                await self._connection.execute(QUERIES["store_failures"], model.key, *columns)

    async def adopt_model(self, model: EmbeddingModel) -> None:
        """Have the workspace searched by this model, of which vectors were stored, if by none yet.

        To be called last before `confirm_model`: two first claims wait here for each other's end.
        """
        await self._connection.execute(QUERIES["adopt_model"], model.key)

    async def confirm_model(self, filled: Collection[str]) -> bool:
        """Say whether the records have their vectors, those of `filled` models, where they count.

        They do not where the workspace was switched to another model meanwhile, or is just being:
        then nobody may complete them who filled only the old one. The answer holds until the
        claim ends.
        """
        rows = await self._connection.fetch(QUERIES["confirm_model"])
        return any(row["embedding_model"] in {self.model_key, *filled} for row in rows)

    async def complete(self, records: Collection[RecordKey]) -> None:
        """Take these records off the queue, unless one is being deleted just now.

        What a field's change meanwhile has made stale goes at once; the new text is left to the job
        of that change.
        """
        records = set(records) - self._deleting
        for kind, ids in _by_type(records):
            await self._connection.execute(QUERIES[f"forget_stale_{kind}_vectors"], ids)
            await self._connection.execute(QUERIES[f"forget_stale_{kind}_failures"], ids)
        await self._connection.execute(QUERIES["finish_jobs"], self._ids(records))

    async def postpone(self, records: Collection[RecordKey]) -> None:
        """Put these off for a while that doubles with every attempt."""
        await self._connection.execute(
            QUERIES["postpone_jobs"], self._ids(records), BACKOFF_FIRST_S, BACKOFF_MOST_S
        )

    async def _hold(self, kind: RecordType, ids: list[UUID]) -> set[RecordKey]:
        """Return those of the records that cannot be deleted before this claim ends."""
        rows = await self._connection.fetch(QUERIES[f"hold_{kind}s"], ids)
        held = {RecordKey(kind, row["id"]) for row in rows}
        self._deleting |= {RecordKey(kind, id_) for id_ in ids} - held
        return held

    async def _store_vectors(
        self, kind: RecordType, fields: Sequence[EmbeddedField], model: EmbeddingModel
    ) -> None:
        rows = [
            (
                embedded.field.record.id,
                embedded.field.name,
                _hash(embedded.field.text),
                span.part,
                span.start,
                span.end,
                vector,
            )
            for embedded in fields
            for span, vector in zip(embedded.spans, as_vectors(embedded.vectors), strict=True)
        ]
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            await self._connection.execute(QUERIES[f"store_{kind}_vectors"], model.key, *columns)

    def _ids(self, records: Iterable[RecordKey]) -> list[int]:
        return [job for record in records for job in self._jobs[record]]


def _by_type(records: Collection[RecordKey]) -> list[tuple[RecordType, list[UUID]]]:
    """Return the ids of each type that occurs, clients first."""
    kinds = cast("tuple[RecordType, ...]", get_args(RecordType))
    groups = [(kind, [record.id for record in records if record.type == kind]) for kind in kinds]
    return [(kind, ids) for kind, ids in groups if ids]


def _hash(text: str) -> bytes:
    """As `sha256(convert_to(…, 'UTF8'))` in PostgreSQL."""
    return hashlib.sha256(text.encode()).digest()

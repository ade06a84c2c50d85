"""A practice whose questions are answered once, for the tests of the cache of answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID, uuid4

import numpy as np

from runtime.messages import (
    Answer,
    AnswerToKeep,
    CacheKey,
    Client,
    EmbeddingModel,
    RecordKey,
    RememberedAnswer,
    Session,
    Span,
    TokenUsage,
    Vector,
)
from runtime.storage.answer_cache import PostgresAnswerCache
from runtime.storage.jobs import EmbeddedField, EmbeddingJobs, FieldText
from runtime.storage.memory import InMemoryPassageStore, InMemoryRecordStore
from runtime.storage.memory_cache import InMemoryAnswerCache, InMemoryWorkspaceSettings
from runtime.storage.pool import Database
from runtime.storage.records import PostgresRecordStore
from runtime.storage.workspace_settings import PostgresWorkspaceSettings

OURS, THEIRS = uuid4(), uuid4()
MODEL = EmbeddingModel("fake", "plane", 2)
NOA = Client(uuid4(), "Noa", notes="Prefers mornings.")
OREN = Client(uuid4(), "Oren", notes="Prefers evenings.")
VISIT = Session(uuid4(), NOA.id, datetime(2026, 3, 1, tzinfo=UTC), plan="Walk daily.")
PARTITION = b"partition"
ANSWER = Answer("She prefers mornings.", (), "en", 1, "fake", "fake", TokenUsage())

Records: TypeAlias = PostgresRecordStore | InMemoryRecordStore
Cache: TypeAlias = PostgresAnswerCache | InMemoryAnswerCache
Store: TypeAlias = PostgresWorkspaceSettings | InMemoryWorkspaceSettings


def at(degrees: float) -> Vector:
    """Return a vector of the plane, so that a cosine is that of the angle between two."""
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)


def key_of(question: str) -> CacheKey:
    """Return the key under which a question is kept here."""
    return CacheKey(question.encode(), PARTITION)


@dataclass
class Practice:
    """The stores of one database, or of none."""

    records: Records
    cache: Cache
    settings: Store
    passages: InMemoryPassageStore | None = None
    jobs: EmbeddingJobs | None = None

    async def seed(self, workspace_id: UUID = OURS) -> None:
        """Store two clients and a session of the first."""
        await self.records.put_client(workspace_id, NOA)
        await self.records.put_client(workspace_id, OREN)
        await self.records.put_session(workspace_id, VISIT)

    async def begin(
        self, question: str = "q", workspace_id: UUID = OURS, **changes: object
    ) -> AnswerToKeep:
        """Return the answer to a question that begins now, to be kept when it is written."""
        recollection = await self.cache.recall(workspace_id, key_of(question))
        kept = AnswerToKeep(
            key=key_of(question),
            question=question,
            answer=ANSWER,
            as_of=recollection.as_of,
            clients=None,
            by_name=False,
            embedding_model=MODEL.key,
            vector=None,
        )
        return replace(kept, **changes)  # type: ignore[arg-type]

    async def keep(
        self,
        kept: AnswerToKeep,
        workspace_id: UUID = OURS,
        *,
        ttl_s: float = 60,
        max_entries: int = 100,
    ) -> int:
        """Keep an answer; return how many others were evicted."""
        return await self.cache.keep(workspace_id, kept, ttl_s=ttl_s, max_entries=max_entries)

    async def answer(
        self, question: str = "q", workspace_id: UUID = OURS, **changes: object
    ) -> None:
        """Answer a question and keep the answer."""
        await self.keep(await self.begin(question, workspace_id, **changes), workspace_id)

    async def find(self, question: str = "q", workspace_id: UUID = OURS) -> RememberedAnswer | None:
        """Return what the cache would serve for the question."""
        return (await self.cache.recall(workspace_id, key_of(question))).remembered

    async def embed_visit(self, workspace_id: UUID = OURS) -> None:
        """Store a vector of the session's plan, by the worker's own road where there is one."""
        record, span = RecordKey("session", VISIT.id), Span(0, 0, len(VISIT.plan))
        if self.passages is not None:
            self.passages.embed(workspace_id, record, "plan", model=MODEL, parts=[(span, at(0))])
            return
        assert self.jobs is not None
        embedded = EmbeddedField(FieldText(record, "plan", VISIT.plan), (span,), at(0)[None])
        async with self.jobs.claim(workspace_id, limit=0) as claim:
            await claim.store([embedded], MODEL)


def open_practice(database: Database) -> Practice:
    """Return the stores in PostgreSQL."""
    return Practice(
        PostgresRecordStore(database),
        PostgresAnswerCache(database),
        PostgresWorkspaceSettings(database),
        jobs=EmbeddingJobs(database),
    )

"""Whatever is done in one workspace, by jobs too, another with the same ids stays as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from runtime.clock import ManualClock
from runtime.embedding.backfill import EmbedRecords, drain
from runtime.embedding.run import EmbeddingRun
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.messages import Answer, AnswerToKeep, CacheKey, Client, Session, TokenUsage
from runtime.providers.fakes import FakeEmbedder
from runtime.storage.answer_cache import PostgresAnswerCache
from runtime.storage.jobs import EmbeddingJobs
from runtime.storage.keys import PostgresKeyStore
from runtime.storage.pool import Database
from runtime.storage.records import PostgresRecordStore
from runtime.storage.workspace_models import WorkspaceModels
from runtime.storage.workspace_settings import PostgresWorkspaceSettings
from tests.integration.belongings import list_belongings

OURS, THEIRS = uuid4(), uuid4()
NOA = Client(uuid4(), "Noa", notes="Prefers mornings.")
VISIT = Session(uuid4(), NOA.id, datetime(2026, 3, 1, tzinfo=UTC), plan="Walk daily.")
LATE = uuid4()
OLD, NEW = FakeEmbedder(256), FakeEmbedder(64)
KEY = CacheKey(b"exact", b"partition")
ANSWER = Answer("She prefers mornings.", (), "en", 1, "fake", "fake", TokenUsage())


class Site:
    """Both workspaces, in one database."""

    def __init__(self, database: Database) -> None:
        self.records = PostgresRecordStore(database)
        self.jobs = EmbeddingJobs(database)
        self.models = WorkspaceModels(database)
        self.cache = PostgresAnswerCache(database)
        self.settings = PostgresWorkspaceSettings(database)
        self.keys = PostgresKeyStore(database)

    def queue(self, *embedders: FakeEmbedder) -> EmbedRecords:
        spaces = EmbeddingSpaces(*embedders)
        return EmbedRecords(self.jobs, spaces, clock=ManualClock(), emit=lambda _: None)

    async def backfill(self, *embedders: FakeEmbedder, reembed: bool) -> None:
        """Run the command's job for our workspace."""
        spaces = EmbeddingSpaces(*embedders)
        await EmbeddingRun(
            self.queue(*embedders),
            self.models,
            spaces,
            reembed=reembed,
            on_progress=lambda *_: None,
        ).run(OURS)

    async def keep(self, workspace_id: UUID, *, max_entries: int = 100) -> None:
        """Answer the question that both ask."""
        known = await self.cache.recall(workspace_id, KEY)
        kept = AnswerToKeep(
            key=KEY,
            question="q",
            answer=ANSWER,
            as_of=known.as_of,
            clients=None,
            by_name=True,
            embedding_model=OLD.model.key,
            vector=None,
        )
        await self.cache.keep(workspace_id, kept, ttl_s=60, max_entries=max_entries)

    async def fill(self) -> None:
        """Give both workspaces the same rows of every kind."""
        for workspace_id in (OURS, THEIRS):
            await self.records.put_many(workspace_id, [NOA], [VISIT])
        await drain(self.queue(OLD))
        for workspace_id in (OURS, THEIRS):
            late = replace(VISIT, id=LATE, plan="Not embedded yet.")
            await self.records.put_session(workspace_id, late)
            await self.settings.change(workspace_id, {"cache_ttl_seconds": 600})
            await self.keys.create_key(workspace_id, "k", scopes=["chat"])
            await self.keep(workspace_id)


Doing: TypeAlias = Callable[[Site], Awaitable[object]]


async def _forget_the_old_model(site: Site) -> None:
    await site.backfill(NEW, OLD, reembed=True)
    assert await site.models.forget(OURS, OLD.model.key) > 0


async def _revoke_keys(site: Site) -> None:
    for key in await site.keys.list_keys(OURS):
        await site.keys.revoke_key(OURS, key.id)


DOINGS: Final[dict[str, Doing]] = {
    "edit a client": lambda site: site.records.put_client(OURS, replace(NOA, name="Noam")),
    "edit a session": lambda site: site.records.put_session(OURS, replace(VISIT, plan="Rest.")),
    "delete a session": lambda site: site.records.delete_session(OURS, VISIT.id),
    "delete a client": lambda site: site.records.delete_client(OURS, NOA.id),
    "import": lambda site: site.records.put_many(OURS, [replace(NOA, notes="N")], [VISIT]),
    "name the workspace": lambda site: site.records.ensure_workspace(OURS, "ours"),
    "backfill": lambda site: site.backfill(OLD, reembed=False),
    "backfill --reembed": lambda site: site.backfill(NEW, OLD, reembed=True),
    "backfill --forget": _forget_the_old_model,
    "change settings": lambda site: site.settings.change(OURS, {"cache_enabled": False}),
    "flush the cache": lambda site: site.cache.forget_all(OURS),
    "keep an answer": lambda site: site.keep(OURS),
    "evict answers": lambda site: site.keep(OURS, max_entries=0),
    "make a key": lambda site: site.keys.create_key(OURS, "k", scopes=["chat"]),
    "revoke keys": _revoke_keys,
}


@pytest.mark.parametrize("doing", DOINGS.values(), ids=DOINGS)
async def test_what_is_done_in_one_workspace_changes_no_row_of_another(
    database: Database, superuser: asyncpg.Connection, doing: Doing
) -> None:
    site = Site(database)
    await site.fill()
    ours = await list_belongings(superuser, OURS)
    theirs = await list_belongings(superuser, THEIRS)
    assert theirs.keys() >= {"clients", "session_vectors", "ai_query_cache", "embedding_jobs"}

    await doing(site)

    assert await list_belongings(superuser, THEIRS) == theirs
    assert (await site.cache.recall(THEIRS, KEY)).remembered is not None
    assert await list_belongings(superuser, OURS) != ours

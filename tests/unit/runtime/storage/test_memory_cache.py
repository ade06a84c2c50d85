from datetime import timedelta
from uuid import UUID

import pytest

from runtime.clock import ManualClock
from runtime.messages import (
    Answer,
    AnswerToKeep,
    CacheKey,
    Client,
    EmbeddingModel,
    TokenUsage,
)
from runtime.storage.memory import InMemoryRecordStore
from runtime.storage.memory_cache import InMemoryAnswerCache, InMemoryWorkspaceSettings

WORKSPACE = UUID(int=1)
MODEL = EmbeddingModel("fake", "plane", 2)
KEY = CacheKey(b"q", b"p")
DAY = timedelta(days=1).total_seconds()


class Remembering:
    """A cache with one answer, its clock, and the model that its workspace is searched by."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.model: str | None = None
        records = InMemoryRecordStore()
        records.workspaces[WORKSPACE].clients[UUID(int=2)] = Client(UUID(int=2), "Noa")
        self.cache = InMemoryAnswerCache(
            records,
            InMemoryWorkspaceSettings(),
            clock=self.clock,
            embedding_model=lambda _: self.model,
        )

    async def keep(self, *, ttl_s: float = 60) -> None:
        recollection = await self.cache.recall(WORKSPACE, KEY)
        answer = Answer("a", (), "en", 1, "fake", "fake", TokenUsage())
        kept = AnswerToKeep(
            key=KEY,
            question="q",
            answer=answer,
            as_of=recollection.as_of,
            clients=None,
            by_name=False,
            embedding_model=MODEL.key,
            vector=None,
        )
        await self.cache.keep(WORKSPACE, kept, ttl_s=ttl_s, max_entries=9)

    async def is_expired(self) -> bool | None:
        """Whether the answer is; None where there is none."""
        remembered = (await self.cache.recall(WORKSPACE, KEY)).remembered
        return None if remembered is None else remembered.expired


async def test_an_answer_expires_when_its_time_is_over() -> None:
    world = Remembering()
    await world.keep(ttl_s=60)

    world.clock.advance(59)
    assert await world.is_expired() is False
    world.clock.advance(1)
    assert await world.is_expired() is True


@pytest.mark.parametrize(("days", "expired"), [(6.9, False), (7, None)])
async def test_no_answer_serves_for_more_than_seven_days(
    days: float, *, expired: bool | None
) -> None:
    world = Remembering()
    await world.keep(ttl_s=30 * DAY)

    world.clock.advance(days * DAY)

    assert await world.is_expired() is expired


async def test_an_answer_serves_while_the_workspace_is_searched_by_its_model() -> None:
    world = Remembering()
    world.model = MODEL.key
    await world.keep()
    assert await world.is_expired() is False

    world.model = "fake:later:2"
    assert await world.is_expired() is None
    recollection = await world.cache.recall(WORKSPACE, KEY)
    assert recollection.embedding_model == "fake:later:2"

    await world.keep()
    world.model = None
    assert await world.is_expired() is None

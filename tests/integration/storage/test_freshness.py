"""Questions while records change: no answer, cached or new, contradicts what was stored before it.

On a real server, with the application's own flow: four writers edit, delete and add again, workers
embed, and 32 askers repeat a few questions. Each few writes a writer waits for an answer from the
cache, so that entries which serve stand before the next write, however fast the machine writes.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import pytest

from runtime.answering.answer import AnswerQuestion
from runtime.answering.chat_chain import ChatChain
from runtime.answering.context import ContextBudget
from runtime.answering.reuse import CachePolicy, Reuse
from runtime.answering.search import Search
from runtime.clock import SystemClock
from runtime.embedding.backfill import EmbedRecords, drain
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.messages import Answer, ChatEvent, ChatReply, ChatRequest, Client, Question, Session
from runtime.providers.fakes import FakeEmbedder
from runtime.storage.answer_cache import PostgresAnswerCache
from runtime.storage.client_names import PostgresClientDirectory
from runtime.storage.jobs import EmbeddingJobs
from runtime.storage.passages import PostgresPassageStore
from runtime.storage.pool import Database, open_database
from runtime.storage.records import PostgresRecordStore
from tests.integration.conftest import Site

WORKSPACE = UUID(int=1)
ASKERS: Final = 32
WRITES: Final = 40
WRITES_AT_ONCE: Final = 10
REUSE_TIMEOUT_S: Final = 60
DAY = datetime(2026, 3, 1, tzinfo=UTC)
CACHE = CachePolicy(is_on=True, ttl_s=3600, min_similarity=0.95, max_entries=100)
NAMES = ("Dana", "Omer", "Ruth", "Yoav")


class Reciting:
    """A chat model that says every record it is given, each with its marker."""

    provider, name = "fake", "reciting"

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        del timeout_s
        await asyncio.sleep(0)
        said = [f"{document.text} [{document.marker}]" for document in request.documents]
        return ChatReply("\n".join(said), self.provider, self.name, 1, 1)

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        yield await self.chat(request, timeout_s=timeout_s)


@dataclass(slots=True)
class Note:
    """One session that a writer changes again and again; version 0 is its absence."""

    client: Client
    session_id: UUID
    begun: int = 0
    """The last version whose writing has begun."""
    stored: int = 0
    """The last version whose writing has ended."""
    absent: set[int] = field(default_factory=lambda: {0})
    """The versions in which there is no note."""

    def text(self, version: int) -> str:
        return f"{self.client.name} takes dose number {version} of the tablets."

    def may_show(self, shown: int | None, *, since: int) -> bool:
        """Say whether a version stood at some time from `since` until now."""
        versions = range(since, self.begun + 1)
        if shown is None:
            return any(version in self.absent for version in versions)
        return shown in versions and shown not in self.absent


class World:
    def __init__(self, database: Database) -> None:
        self.notes = [
            Note(Client(UUID(int=10 + n), name), UUID(int=20 + n)) for n, name in enumerate(NAMES)
        ]
        self.records = PostgresRecordStore(database)
        self.embedder = FakeEmbedder()
        self.queue = EmbedRecords(
            EmbeddingJobs(database),
            EmbeddingSpaces(self.embedder),
            clock=SystemClock(),
            emit=lambda _: None,
        )
        self.written = asyncio.Event()
        self.reused = asyncio.Event()
        self.uses: Counter[str] = Counter()
        chat = ChatChain([Reciting()])
        self.ask = AnswerQuestion(
            search=Search(
                spaces=EmbeddingSpaces(self.embedder),
                passages=PostgresPassageStore(database),
                directory=PostgresClientDirectory(database),
                chat=chat,
                text_search_fallback=True,
                emit=lambda _: None,
            ),
            context=ContextBudget({}, enabled=True, emit=lambda _: None),
            reuse=Reuse(PostgresAnswerCache(database), CACHE, emit=lambda _: None),
            chat=chat,
            extract=None,
            clock=SystemClock(),
            emit=lambda _: None,
            guard_mode="off",
        )

    async def write(self, note: Note) -> None:
        """Change the note `WRITES` times, while others ask; each fourth time it is deleted."""
        for version in range(1, WRITES + 1):
            if version % 4 == 0:
                note.absent.add(version)
            note.begun = version
            if version in note.absent:
                await self.records.delete_session(WORKSPACE, note.session_id)
            else:
                session = Session(note.session_id, note.client.id, DAY, plan=note.text(version))
                await self.records.put_session(WORKSPACE, session)
            note.stored = version
            if version % WRITES_AT_ONCE == 0:
                await self.see_reuse()

    async def see_reuse(self) -> None:
        """Return once an answer has come from the cache."""
        self.reused.clear()
        async with asyncio.timeout(REUSE_TIMEOUT_S):
            await self.reused.wait()

    async def embed(self) -> None:
        while True:
            await drain(self.queue)
            await asyncio.sleep(0)

    async def keep_asking(self, number: int) -> None:
        """Ask until the writers are done: about one client, by its id, or about all."""
        while not self.written.is_set():
            note = self.notes[number % len(NAMES)] if number % 8 < 4 else None
            await self.ask_once(note)

    async def ask_once(self, note: Note | None) -> None:
        since = [each.stored for each in self.notes]
        client_id = None if note is None else note.client.id
        question = Question(
            "Which dose number of the tablets is taken?",
            client_id=client_id,
            min_similarity=0,
            max_results=10,
        )
        answer = await self.ask(WORKSPACE, question, deadline_s=60)
        self.uses[answer.cache] += 1
        if answer.cache == "exact":
            self.reused.set()
        for each, before in zip(self.notes, since, strict=True):
            if note in (None, each):
                shown = version_of(each, answer)
                assert each.may_show(shown, since=before), (
                    f"{each.client.name}: version {shown} ({answer.cache}) was shown, "
                    f"{before} was stored before, {each.begun} begun since"
                )


def version_of(note: Note, answer: Answer) -> int | None:
    found = re.search(rf"{note.client.name} takes dose number (\d+) ", answer.text)
    return int(found[1]) if found else None


@pytest.fixture
async def world(site: Site) -> AsyncGenerator[World, None]:
    async with await open_database(
        site.runtime_url, pool_size=12, statement_timeout_s=30
    ) as database:
        world = World(database)
        for note in world.notes:
            await world.records.put_client(WORKSPACE, note.client)
        yield world


async def test_no_answer_contradicts_the_records_as_they_stood_when_it_was_asked(
    world: World,
) -> None:
    async with asyncio.TaskGroup() as group:
        worker = group.create_task(world.embed())
        askers = [group.create_task(world.keep_asking(number)) for number in range(ASKERS)]
        async with asyncio.TaskGroup() as writers:
            for note in world.notes:
                writers.create_task(world.write(note))
        world.written.set()
        await asyncio.gather(*askers)
        worker.cancel()


async def test_once_nothing_changes_any_more_the_same_question_is_answered_from_the_cache(
    world: World,
) -> None:
    [first, *_] = world.notes
    await world.records.put_session(
        WORKSPACE, Session(first.session_id, first.client.id, DAY, plan=first.text(1))
    )
    first.begun = first.stored = 1
    await drain(world.queue)
    await world.ask_once(first)
    await world.ask_once(first)
    assert world.uses == {"miss": 1, "exact": 1}

"""AnswerQuestion over twins, all within reach of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Literal, TypeAlias
from uuid import UUID

from runtime.answering.answer import AnswerQuestion
from runtime.answering.chat_chain import ChatChain
from runtime.answering.context import ContextBudget
from runtime.answering.reuse import CachePolicy, Reuse
from runtime.answering.search import Search
from runtime.clock import ManualClock
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.messages import (
    Answer,
    AnswerEvent,
    AnswerStarted,
    AnswerToKeep,
    CacheKey,
    CitationReady,
    EmbeddingModel,
    NamedClient,
    Passage,
    Question,
    Recollection,
    RememberedAnswer,
    SearchScope,
    SentenceReady,
    SessionDates,
    Vector,
    WorkspaceSettings,
)
from runtime.ports import Clock
from runtime.providers.fakes import FakeChatModel, FakeEmbedder, FakeReranker
from runtime.providers.local import ExtractiveChatModel
from runtime.telemetry import Event

WORKSPACE = UUID(int=1)
ASKED = Question("How does she sleep?")
Form: TypeAlias = Literal["whole", "stream"]


class Shelf:
    """Gives what it holds after `takes_s` of the clock, or fails."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.takes_s = 0.25
        self.passages: list[Passage] = []
        self.failure: Exception | None = None
        self.workspaces: list[UUID] = []
        self.scopes: list[SearchScope] = []
        self.limits: list[int] = []
        self.worded: list[Passage] | None = None
        """What words find; None is what meaning finds."""
        self.texts: list[str] = []

    async def search(
        self,
        workspace_id: UUID,
        vector: Vector,
        *,
        model: EmbeddingModel,
        scope: SearchScope,
        limit: int,
    ) -> list[Passage]:
        del vector, model
        self.limits.append(limit)
        self.scopes.append(scope)
        return self._find(workspace_id)

    async def search_text(
        self, workspace_id: UUID, question: str, *, scope: SearchScope, limit: int
    ) -> list[Passage]:
        self.limits.append(limit)
        self.scopes.append(scope)
        self.texts.append(question)
        found = self._find(workspace_id)
        return found if self.worded is None else self.worded

    def _find(self, workspace_id: UUID) -> list[Passage]:
        self.workspaces.append(workspace_id)
        self.clock.advance(self.takes_s)
        if self.failure is not None:
            raise self.failure
        return self.passages


class Directory:
    """Names the clients it was given in every question, and the dates it was given."""

    def __init__(self) -> None:
        self.named: list[NamedClient] = []
        self.dates: SessionDates | None = None
        self.asked: list[str] = []

    async def find_named(self, workspace_id: UUID, question: str) -> list[NamedClient]:
        assert workspace_id == WORKSPACE
        self.asked.append(question)
        return self.named

    async def find_session_dates(
        self, workspace_id: UUID, scope: SearchScope, *, latest: int
    ) -> SessionDates | None:
        del scope, latest
        assert workspace_id == WORKSPACE
        return self.dates


class Notebook:
    """An answer cache that remembers what it was given, and what it was asked for."""

    def __init__(self) -> None:
        self.own = WorkspaceSettings()
        self.space: str | None = None
        self.kept: list[AnswerToKeep] = []
        self.expired = False
        self.hits: list[UUID] = []
        self.failure: Exception | None = None
        self.evicts = 0
        self.bounds = (0.0, 0)

    async def recall(self, workspace_id: UUID, key: CacheKey) -> Recollection:
        self._fail()
        assert workspace_id == WORKSPACE
        found = [self._remembered(kept, 1) for kept in self.kept if kept.key.exact == key.exact]
        return Recollection("now", self.own, self.space, found[-1] if found else None)

    async def recall_similar(
        self,
        workspace_id: UUID,
        partition: bytes,
        vector: Vector,
        *,
        model: EmbeddingModel,
        min_similarity: float,
    ) -> list[RememberedAnswer]:
        self._fail()
        assert workspace_id == WORKSPACE
        found = [
            (float(kept.vector @ vector), kept)
            for kept in self.kept
            if kept.key.partition == partition
            and kept.embedding_model == model.key
            and kept.vector is not None
        ]
        found.sort(key=lambda each: -each[0])
        return [
            self._remembered(kept, similarity)
            for similarity, kept in found
            if similarity >= min_similarity
        ]

    async def count_hit(self, workspace_id: UUID, remembered_id: UUID) -> None:
        self._fail()
        assert workspace_id == WORKSPACE
        self.hits.append(remembered_id)

    async def keep(
        self, workspace_id: UUID, kept: AnswerToKeep, *, ttl_s: float, max_entries: int
    ) -> int:
        self._fail()
        assert workspace_id == WORKSPACE
        self.bounds = (ttl_s, max_entries)
        self.kept.append(kept)
        return self.evicts

    async def forget_all(self, workspace_id: UUID) -> int:
        raise NotImplementedError

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _remembered(self, kept: AnswerToKeep, similarity: float) -> RememberedAnswer:
        number = self.kept.index(kept)
        return RememberedAnswer(
            UUID(int=number), kept.question, kept.answer, similarity, self.expired
        )


class Practice:
    """What a test sets before it asks."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.embedder = FakeEmbedder()
        self.retiring: Sequence[FakeEmbedder] = ()
        self.shelf = Shelf(self.clock)
        self.model = FakeChatModel()
        self.fallbacks: Sequence[FakeChatModel] = ()
        self.cache = Notebook()
        self.directory = Directory()
        self.policy = CachePolicy(is_on=True, ttl_s=3600, min_similarity=0.95, max_entries=100)
        self.configured: Sequence[str] = ()
        self.split: dict[str, int] = {}
        self.windows: dict[str, int] = {}
        self.reranker: FakeReranker | None = None
        self.may_search_text = True
        self.may_extract = True
        self.events: list[Event] = []

    def open(self, clock: Clock | None = None) -> AnswerQuestion:
        chat = ChatChain((self.model, *self.fallbacks), split=self.split)
        return AnswerQuestion(
            search=Search(
                spaces=EmbeddingSpaces(self.embedder, *self.retiring),
                passages=self.shelf,
                directory=self.directory,
                chat=chat,
                text_search_fallback=self.may_search_text,
                emit=self.events.append,
                reranker=self.reranker,
            ),
            context=ContextBudget(self.windows, enabled=True, emit=self.events.append),
            reuse=Reuse(
                self.cache, self.policy, configured=self.configured, emit=self.events.append
            ),
            chat=chat,
            extract=ExtractiveChatModel() if self.may_extract else None,
            clock=clock or self.clock,
            emit=self.events.append,
            guard_mode="block",
        )

    async def ask(
        self,
        form: Form = "whole",
        question: Question = ASKED,
        *,
        deadline_s: float = 9,
        clock: Clock | None = None,
    ) -> Answer:
        """Return the answer; of a stream, only if what it told is that answer."""
        asking = self.open(clock)
        if form == "whole":
            return await asking(WORKSPACE, question, deadline_s=deadline_s)
        events: list[AnswerEvent] = []
        async with aclosing(asking.stream(WORKSPACE, question, deadline_s=deadline_s)) as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - a comprehension could not be closed
        answer = events[-1]
        assert isinstance(answer, Answer)
        assert events[0] == AnswerStarted(answer.language, answer.retrieved_count)
        told = [event.text for event in events if isinstance(event, SentenceReady)]
        assert "".join(told) == answer.text
        cited = [event.citation.marker for event in events if isinstance(event, CitationReady)]
        assert sorted(cited) == [citation.marker for citation in answer.citations]
        return answer


class Hold(asyncio.Event):
    """Tells when somebody waits for it, and whether that wait was cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.cancelled = False

    async def wait(self) -> bool:  # type: ignore[override]
        self.reached.set()
        try:
            return await super().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise

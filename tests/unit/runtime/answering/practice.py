"""AnswerQuestion over twins, all within reach of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Literal, TypeAlias
from uuid import UUID

from runtime.answering.answer import AnswerQuestion
from runtime.answering.chat_chain import ChatChain
from runtime.clock import ManualClock
from runtime.messages import (
    Answer,
    AnswerEvent,
    AnswerStarted,
    CitationReady,
    EmbeddingModel,
    Passage,
    Question,
    SearchScope,
    SentenceReady,
    Vector,
)
from runtime.ports import Clock
from runtime.providers.fakes import FakeChatModel, FakeEmbedder
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
        del vector, model, scope, limit
        return self._find(workspace_id)

    async def search_text(
        self, workspace_id: UUID, question: str, *, scope: SearchScope, limit: int
    ) -> list[Passage]:
        del scope, limit
        self.texts.append(question)
        return self._find(workspace_id)

    def _find(self, workspace_id: UUID) -> list[Passage]:
        self.workspaces.append(workspace_id)
        self.clock.advance(self.takes_s)
        if self.failure is not None:
            raise self.failure
        return self.passages


class Practice:
    """What a test sets before it asks."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.embedder = FakeEmbedder()
        self.shelf = Shelf(self.clock)
        self.model = FakeChatModel()
        self.fallbacks: Sequence[FakeChatModel] = ()
        self.split: dict[str, int] = {}
        self.may_search_text = True
        self.may_extract = True
        self.events: list[Event] = []

    def open(self, clock: Clock | None = None) -> AnswerQuestion:
        return AnswerQuestion(
            embedder=self.embedder,
            passages=self.shelf,
            chat=ChatChain((self.model, *self.fallbacks), split=self.split),
            extract=ExtractiveChatModel() if self.may_extract else None,
            text_search_fallback=self.may_search_text,
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

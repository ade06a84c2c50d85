"""The main flow: a question of one workspace to a cited answer, whole or as a stream.

The question route calls `AnswerQuestion`; each step lives in the file it is named for. Calls of
providers are told of where they are made; here, what the guard saw, the search found, and what the
answer had to do without.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from runtime.answering.degraded import DONE_WITHOUT, EMBEDDING_UNAVAILABLE
from runtime.answering.guard import guard
from runtime.answering.language import detect
from runtime.answering.retrieve import Found, embed_question, retrieve, retrieve_by_words
from runtime.answering.stages import Stages
from runtime.answering.synthesize import WritingTask, Written
from runtime.answering.time_shares import for_embedding
from runtime.answering.write import Writer
from runtime.messages import Answer, TokenUsage
from runtime.telemetry import AnsweredDegraded, PassagesSearched

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from uuid import UUID

    from runtime.answering.chat_chain import ChatChain
    from runtime.answering.guard import GuardMode
    from runtime.messages import AnswerEvent, Embedded, Question
    from runtime.ports import ChatModel, Clock, Embedder, PassageStore
    from runtime.telemetry import Emit


class AnswerQuestion:
    """Answers questions, any number at once, over ports that outlive it.

    With `text_search_fallback` off, an embedding that fails is the question's error; without an
    `extract`, so is a chat chain of which every provider fails.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        passages: PassageStore,
        chat: ChatChain,
        extract: ChatModel | None,
        text_search_fallback: bool,
        clock: Clock,
        emit: Emit,
        guard_mode: GuardMode,
    ) -> None:
        self._embedder = embedder
        self._passages = passages
        self._chat = chat
        self._writer = Writer(chat, extract, clock=clock)
        self._text_search_fallback = text_search_fallback
        self._clock = clock
        self._emit = emit
        self._guard_mode = guard_mode

    async def __call__(
        self, workspace_id: UUID, question: Question, *, deadline_s: float
    ) -> Answer:
        """Return an answer from this workspace's records, in the question's language.

        `retrieved_count` is how many passages the chat model was given; each is cited.

        Raises: RequestError, DeadlineExceeded, EmbeddingError, RetrievalError, ChatError,
            ProviderError, ActorUnavailable, Overloaded, DatabaseError.
        """
        flow = self._answer(workspace_id, question, deadline_s=deadline_s, streamed=False)
        async with aclosing(flow) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise AssertionError  # the flow ends with an Answer or an error

    async def stream(
        self, workspace_id: UUID, question: Question, *, deadline_s: float
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Yield the same answer as it is written; closing it early stops the provider's work.

        An error before the first event is one of the whole form; after it, what was told is no
        answer.

        Raises: as the call.
        """
        flow = self._answer(workspace_id, question, deadline_s=deadline_s, streamed=True)
        async with aclosing(flow) as events:
            async for event in events:
                yield event

    async def _answer(
        self, workspace_id: UUID, question: Question, *, deadline_s: float, streamed: bool
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Take the steps in order: guard, search, write."""
        stages = Stages(self._clock, deadline_s=deadline_s)
        with stages.measured("guard"):
            question = guard(question, mode=self._guard_mode, emit=self._emit)
            language = detect(question.text)
        found = await self._search(workspace_id, question, stages)
        task = WritingTask(question, found.passages, language, self._clock.now().date())
        written: Written | None = None
        writing = self._writer.write(workspace_id, task, stages, streamed=streamed)
        async with aclosing(writing) as events:
            async for event in events:
                if isinstance(event, Written):
                    written = event
                else:
                    yield event
        assert written is not None
        yield self._conclude(workspace_id, task, stages, found=found, written=written)

    async def _search(self, workspace_id: UUID, question: Question, stages: Stages) -> Found:
        """Find passages by meaning, or by words where the question cannot be embedded."""
        embedded: Embedded | None = None
        share_s = for_embedding(stages.remaining_s("embed"))
        try:
            with stages.measured("embed"):
                embedded = await embed_question(self._embedder, question.text, share_s=share_s)
        except DONE_WITHOUT:
            if not self._text_search_fallback:
                raise
        async with stages.held("retrieve"):
            if embedded is None:
                passages = await retrieve_by_words(self._passages, workspace_id, question)
                found = Found(passages, "text", degraded=(EMBEDDING_UNAVAILABLE,))
            else:
                passages = await retrieve(
                    self._passages,
                    workspace_id,
                    question,
                    embedded.vectors[0],
                    model=self._embedder.model,
                )
                found = Found(passages, "vector", embedding_tokens=embedded.tokens)
        searched_s = stages.timings_ms["retrieve"] / 1000
        self._emit(PassagesSearched(found.mode, duration_s=searched_s, found=len(passages)))
        return found

    def _conclude(
        self,
        workspace_id: UUID,
        task: WritingTask,
        stages: Stages,
        *,
        found: Found,
        written: Written,
    ) -> Answer:
        degraded = found.degraded + written.degraded
        for reason in degraded:
            self._emit(AnsweredDegraded(reason))
        reply = written.reply
        return Answer(
            text=written.text,
            citations=written.citations,
            language=task.language,
            retrieved_count=len(task.passages),
            provider=reply.provider,
            model=reply.model,
            usage=TokenUsage(found.embedding_tokens, reply.input_tokens, reply.output_tokens),
            timings_ms=stages.timings_ms,
            warnings=written.warnings,
            degraded=degraded,
            split_arm=self._chat.arm_of(workspace_id),
        )

"""The main flow: a question of one workspace to a cited answer, whole or as a stream.

The question route calls `AnswerQuestion`; each step lives in the file it is named for. Calls of
providers are told of where they are made; here, what the answer had to do without.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from runtime.answering.checking import split_answer
from runtime.answering.degraded import CACHE_UNAVAILABLE, STALE_ANSWER
from runtime.answering.flights import Flights
from runtime.answering.guard import guard
from runtime.answering.search import Asked
from runtime.answering.stages import Stages
from runtime.answering.synthesize import WritingTask, Written
from runtime.answering.write import NobodyWrote, Writer
from runtime.language.detection import detect
from runtime.messages import Answer, AnswerStarted, CitationReady, SentenceReady, TokenUsage
from runtime.telemetry import AnsweredDegraded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from uuid import UUID

    from runtime.answering.chat_chain import ChatChain
    from runtime.answering.context import ContextBudget
    from runtime.answering.guard import GuardMode
    from runtime.answering.retrieve import Found
    from runtime.answering.reuse import Recalled, Reuse
    from runtime.answering.search import EmbeddedAim, Search
    from runtime.answering.write import WritingEvent
    from runtime.messages import AnswerEvent, Question, RememberedAnswer
    from runtime.ports import ChatModel, Clock
    from runtime.telemetry import Emit

SHARED_WAIT: Final = 1 / 3
"""What a question waits for the same one that is being answered: should that hang, enough is left
to answer it after all."""


class AnswerQuestion:
    """Answers questions, any number at once, over ports that outlive it.

    Without an `extract`, a chat chain of which every provider fails is the question's error.
    """

    def __init__(
        self,
        *,
        search: Search,
        chat: ChatChain,
        extract: ChatModel | None,
        context: ContextBudget,
        reuse: Reuse,
        clock: Clock,
        emit: Emit,
        guard_mode: GuardMode,
    ) -> None:
        self._search = search
        self._chat = chat
        self._writer = Writer(chat, extract, context=context, clock=clock)
        self._reuse = reuse
        self._flights = Flights()
        self._clock = clock
        self._emit = emit
        self._guard_mode = guard_mode

    async def __call__(
        self, workspace_id: UUID, question: Question, *, deadline_s: float
    ) -> Answer:
        """Return an answer from this workspace's records, in the question's language.

        `retrieved_count` is how many passages were found, `context` what of them the chat model was
        given; each of those is cited.

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
        """Serve the answer to the very same question, or else find a new one."""
        stages = Stages(self._clock, deadline_s=deadline_s)
        with stages.measured("guard"):
            question = guard(question, mode=self._guard_mode, emit=self._emit)
        asked = Asked(workspace_id, question, detect(question.text), self._clock.now().date())
        recalled = await self._recall(asked, stages)
        if recalled.hit is not None:
            for event in await self._reuse_answer(asked, recalled.hit, stages):
                yield event
            return
        with self._flights.begun((workspace_id, recalled.key.exact)):
            finding = self._find_answer(asked, recalled, stages, streamed=streamed)
            async with aclosing(finding) as events:
                async for event in events:
                    yield event

    async def _recall(self, asked: Asked, stages: Stages) -> Recalled:
        """Look for an earlier answer; again, once the same question that is under way has one."""
        models = self._chat.order_for(asked.workspace_id)
        async with stages.held("cache"):
            recalled = await self._reuse.recall(asked, models)
            if recalled.hit is not None or not recalled.policy.is_on:
                return recalled
            flight = (asked.workspace_id, recalled.key.exact)
            timeout_s = stages.remaining_s("cache") * SHARED_WAIT
            if not await self._flights.wait(flight, timeout_s=timeout_s):
                return recalled
            return await self._reuse.recall(asked, models)

    async def _find_answer(
        self, asked: Asked, recalled: Recalled, stages: Stages, *, streamed: bool
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Take the steps in order: aim, embed, recall by meaning, find, write."""
        aim = await self._search.aim(asked, stages)
        embedded = await self._search.embed(aim, recalled.embedding_model, stages)
        if embedded is not None:
            async with stages.held("cache"):
                recalled = await self._reuse.recall_similar(asked, embedded, recalled)
        if recalled.hit is not None:
            for event in await self._reuse_answer(asked, recalled.hit, stages, embedded):
                yield event
            return
        found = await self._search.find(asked, aim, embedded, stages)
        task = WritingTask(
            asked.question, found.passages, asked.language, asked.today, standalone=aim.text
        )
        writing = self._write(asked, task, recalled, embedded, stages, streamed=streamed)
        async with aclosing(writing) as events:
            async for told in events:
                match told:
                    case Written():
                        answer = self._conclude(asked, recalled, found, told, stages)
                        await self._reuse.keep(asked, answer, recalled, aim=aim, embedded=embedded)
                        yield answer
                    case NobodyWrote():
                        assert recalled.stale is not None
                        told_before = await self._reuse_answer(
                            asked, recalled.stale, stages, embedded
                        )
                        for event in told_before[1:]:  # the writer has told that it started
                            yield event
                    case _:
                        yield told

    def _write(
        self,
        asked: Asked,
        task: WritingTask,
        recalled: Recalled,
        embedded: EmbeddedAim | None,
        stages: Stages,
        *,
        streamed: bool,
    ) -> AsyncGenerator[WritingEvent, None]:
        is_still_stale = partial(self._reuse.is_still_stale, asked, recalled, embedded)
        return self._writer.write(
            asked.workspace_id,
            task,
            stages,
            streamed=streamed,
            may_fall_back=None if recalled.stale is None else is_still_stale,
        )

    async def _reuse_answer(
        self,
        asked: Asked,
        remembered: RememberedAnswer,
        stages: Stages,
        embedded: EmbeddedAim | None = None,
    ) -> list[AnswerEvent]:
        """Return the events of an earlier answer, with the time and tokens it took this time."""
        answer = await self._reuse.serve(asked, remembered)
        if answer.cache == "stale":
            self._emit(AnsweredDegraded(STALE_ANSWER))
            answer = replace(answer, degraded=(STALE_ANSWER,))
        tokens = 0 if embedded is None else embedded.tokens
        answer = replace(answer, usage=TokenUsage(tokens), timings_ms=stages.timings_ms)
        return [AnswerStarted(answer.language, answer.retrieved_count), *_retell(answer)]

    def _conclude(
        self,
        asked: Asked,
        recalled: Recalled,
        found: Found,
        written: Written,
        stages: Stages,
    ) -> Answer:
        degraded = found.degraded + written.degraded
        if recalled.missed == "unavailable":
            degraded += (CACHE_UNAVAILABLE,)
        for reason in degraded:
            self._emit(AnsweredDegraded(reason))
        reply = written.reply
        return Answer(
            text=written.text,
            citations=written.citations,
            language=asked.language,
            retrieved_count=len(found.passages),
            provider=reply.provider,
            model=reply.model,
            usage=TokenUsage(found.embedding_tokens, reply.input_tokens, reply.output_tokens),
            timings_ms=stages.timings_ms,
            warnings=found.warnings + written.warnings,
            degraded=degraded,
            split_arm=self._chat.arm_of(asked.workspace_id),
            context=written.context,
            cache="miss" if recalled.policy.is_on else "off",
        )


def _retell(answer: Answer) -> Iterator[AnswerEvent]:
    """Tell a whole answer as it would have been streamed."""
    told = 0
    for _, end in split_answer(answer.text):
        yield SentenceReady(answer.text[told:end])
        told = end
    for citation in answer.citations:
        yield CitationReady(citation)
    yield answer

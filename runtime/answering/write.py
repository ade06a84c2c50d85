"""Who writes the answer: the chat providers in turn, then the extract.

`answer.py` calls `Writer.write` once the search has ended. How one of them writes is
`synthesize.py`'s; what it is given of the passages, `context.py`'s; in which order they are tried,
`chat_chain.py`'s.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from runtime.answering.degraded import CHAT_UNAVAILABLE, DONE_WITHOUT
from runtime.answering.synthesize import Written, nothing_found, synthesize
from runtime.answering.time_shares import for_provider, to_tell
from runtime.errors import DeadlineExceeded
from runtime.messages import AnswerStarted, CitationReady, SentenceReady

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from uuid import UUID

    from runtime.answering.chat_chain import ChatChain
    from runtime.answering.context import ContextBudget
    from runtime.answering.stages import Stages
    from runtime.answering.synthesize import WritingTask
    from runtime.ports import ChatModel, Clock


@dataclass(frozen=True, slots=True)
class NobodyWrote:
    """Every provider failed, and the caller has something better than an extract."""


MayFallBack: TypeAlias = "Callable[[], Awaitable[bool]]"
"""Says, once every provider has failed, whether the caller's earlier answer may still be given."""
WritingEvent: TypeAlias = AnswerStarted | SentenceReady | CitationReady | Written | NobodyWrote


class Writer:
    """Writes answers, any number at once. `extract` must call no provider; None does without."""

    def __init__(
        self,
        chat: ChatChain,
        extract: ChatModel | None,
        *,
        context: ContextBudget,
        clock: Clock,
    ) -> None:
        self._chat = chat
        self._extract = extract
        self._clock = clock
        self._context = context

    async def write(
        self,
        workspace_id: UUID,
        task: WritingTask,
        stages: Stages,
        *,
        streamed: bool,
        may_fall_back: MayFallBack | None = None,
    ) -> AsyncGenerator[WritingEvent, None]:
        """Yield `AnswerStarted`, sentences and citations as they are ready, then `Written`.

        `AnswerStarted` comes once an answer is certain: at once where an extract can end it, else
        with the first sentence. Where the caller has an earlier answer, and still may give it when
        all have failed, it is told `NobodyWrote` in place of an extract.

        Raises: DeadlineExceeded; of the last one tried, ChatError, ProviderError, ActorUnavailable,
            Overloaded.
        """
        models = self._chat.order_for(workspace_id)
        started = AnswerStarted(task.language, len(task.passages))
        if not task.passages:
            yield started
            for said in nothing_found(task, models[0]):
                yield said
            return
        is_started = self._extract is not None
        if is_started:
            yield started
        with stages.measured("chat"):
            writing = self._in_turn(
                models, task, stages, streamed=streamed, may_fall_back=may_fall_back
            )
            async with aclosing(writing) as events:
                async for event in events:
                    if not is_started:
                        yield started
                        is_started = True
                    yield event

    async def _in_turn(
        self,
        models: tuple[ChatModel, ...],
        task: WritingTask,
        stages: Stages,
        *,
        streamed: bool,
        may_fall_back: MayFallBack | None,
    ) -> AsyncGenerator[WritingEvent, None]:
        """Yield what the first one says that does not fail before its first sentence."""
        has_end = may_fall_back is not None or self._extract is not None
        failed: Exception | None = None
        for left, model in zip(range(len(models), 0, -1), models, strict=True):
            share_s = for_provider(
                stages.remaining_s("chat"),
                providers_left=left,
                may_extract=has_end,
            )
            is_told = False
            late_at_s = self._clock.monotonic() + to_tell(share_s)
            try:
                writing = self._synthesize(model, task, share_s=share_s, streamed=streamed)
                async with aclosing(writing) as events:
                    async for event in events:
                        is_told = True
                        yield event
            except DONE_WITHOUT as error:
                if is_told and self._clock.monotonic() >= late_at_s:
                    raise DeadlineExceeded("chat") from None
                if is_told:
                    raise
                failed = error
            else:
                return
        assert failed is not None
        ending = self._without_providers(
            task, stages, failed=failed, streamed=streamed, may_fall_back=may_fall_back
        )
        async with aclosing(ending) as last_events:
            async for last in last_events:
                yield last

    async def _without_providers(
        self,
        task: WritingTask,
        stages: Stages,
        *,
        failed: Exception,
        streamed: bool,
        may_fall_back: MayFallBack | None,
    ) -> AsyncGenerator[WritingEvent, None]:
        """Leave it to the caller's earlier answer, or write an extract.

        Raises: how the last provider failed, where there is neither.
        """
        if may_fall_back is not None and await may_fall_back():
            yield NobodyWrote()
            return
        if self._extract is None:
            raise failed
        share_s = stages.remaining_s("chat")
        writing = self._synthesize(self._extract, task, share_s=share_s, streamed=streamed)
        async with aclosing(writing) as events:
            async for event in events:
                if isinstance(event, Written):
                    yield replace(event, degraded=(CHAT_UNAVAILABLE,))
                else:
                    yield event

    async def _synthesize(
        self, model: ChatModel, task: WritingTask, *, share_s: float, streamed: bool
    ) -> AsyncGenerator[SentenceReady | CitationReady | Written, None]:
        """Yield what this model says, given what of the task its window holds."""
        chosen = self._context.choose(model, task)
        writing = synthesize(model, chosen.task, share_s=share_s, streamed=streamed)
        async with aclosing(writing) as events:
            async for event in events:
                if isinstance(event, Written):
                    self._context.learn(model, chosen, event.reply.input_tokens)
                    warnings = (*chosen.warnings, *event.warnings)
                    yield replace(event, warnings=warnings, context=chosen.use)
                else:
                    yield event

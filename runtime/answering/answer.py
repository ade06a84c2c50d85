"""The main flow: a question of one workspace to a cited answer.

The question route calls `AnswerQuestion`; each step lives in the file it is named for. Calls of
providers are told of where they are made; here, only what the guard saw and the search found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.answering.guard import guard
from runtime.answering.language import detect
from runtime.answering.retrieve import embed_question, retrieve
from runtime.answering.stages import Stages
from runtime.answering.synthesize import synthesize
from runtime.messages import Answer, TokenUsage
from runtime.phrases import NOT_IN_RECORDS
from runtime.telemetry import PassagesSearched

if TYPE_CHECKING:
    from uuid import UUID

    from runtime.answering.guard import GuardMode
    from runtime.messages import Embedded, Language, Question
    from runtime.ports import ChatModel, Clock, Embedder, PassageStore
    from runtime.telemetry import Emit


class AnswerQuestion:
    """Answers questions, any number at once, over ports that outlive it."""

    def __init__(
        self,
        *,
        embedder: Embedder,
        passages: PassageStore,
        chat_model: ChatModel,
        clock: Clock,
        emit: Emit,
        guard_mode: GuardMode,
    ) -> None:
        self._embedder = embedder
        self._passages = passages
        self._chat_model = chat_model
        self._clock = clock
        self._emit = emit
        self._guard_mode = guard_mode

    async def __call__(
        self, workspace_id: UUID, question: Question, *, deadline_s: float
    ) -> Answer:
        """Return an answer from this workspace's records, in the question's language.

        `retrieved_count` is how many passages the chat model was given; each is cited.

        Raises: RequestError, DeadlineExceeded, EmbeddingError, RetrievalError, ChatError,
            ProviderError, ActorUnavailable, DatabaseError.
        """
        stages = Stages(self._clock, deadline_s=deadline_s)
        async with stages.stage("guard"):
            question = guard(question, mode=self._guard_mode, emit=self._emit)
            language = detect(question.text)
        async with stages.stage("embed") as timeout_s:
            embedded = await embed_question(self._embedder, question.text, timeout_s=timeout_s)
        async with stages.stage("retrieve"):
            passages = await retrieve(
                self._passages,
                workspace_id,
                question,
                embedded.vectors[0],
                model=self._embedder.model,
            )
        searched_s = stages.timings_ms["retrieve"] / 1000
        self._emit(PassagesSearched("vector", duration_s=searched_s, found=len(passages)))
        if not passages:
            return self._say_nothing_found(language, embedded, stages)
        async with stages.stage("chat") as timeout_s:
            written = await synthesize(
                self._chat_model,
                question,
                passages,
                language=language,
                today=self._clock.now().date(),
                timeout_s=timeout_s,
            )
        reply = written.reply
        return Answer(
            text=written.text,
            citations=written.citations,
            language=language,
            retrieved_count=len(passages),
            provider=reply.provider,
            model=reply.model,
            usage=TokenUsage(embedded.tokens, reply.input_tokens, reply.output_tokens),
            timings_ms=stages.timings_ms,
            warnings=written.warnings,
        )

    def _say_nothing_found(self, language: Language, embedded: Embedded, stages: Stages) -> Answer:
        """Answer without a chat call: with no passage, a model could only invent."""
        return Answer(
            text=NOT_IN_RECORDS[language],
            citations=(),
            language=language,
            retrieved_count=0,
            provider=self._chat_model.provider,
            model=self._chat_model.name,
            usage=TokenUsage(embedding_tokens=embedded.tokens),
            timings_ms=stages.timings_ms,
        )

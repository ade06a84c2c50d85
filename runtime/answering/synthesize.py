"""From passages to a cited answer: ask a chat model, check what it writes, cite the passages.

`answer.py` calls `synthesize` for each model that it tries. The wording of prompts is
`prompting.py`'s, the checks `checking.py`'s. An answer that comes whole and one that is streamed
take the same way: a whole one is a stream of one piece.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from runtime.answering.checking import check_sentence
from runtime.answering.guard import clean
from runtime.answering.prompting import write_request
from runtime.answering.quoting import best_sentence
from runtime.answering.sentence_stream import SentenceStream
from runtime.answering.support import Evidence
from runtime.answering.time_shares import to_tell, used_up
from runtime.errors import ChatError
from runtime.language.detection import detect
from runtime.messages import (
    AnswerSpan,
    ChatReply,
    Citation,
    CitationReady,
    SentenceReady,
    TextDelta,
    UsageSoFar,
)
from runtime.phrases import NOT_IN_RECORDS
from runtime.resilience.deadline import held_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
    from datetime import date

    from runtime.answering.checking import CheckedSentence
    from runtime.answering.sentence_stream import Sentence
    from runtime.messages import ChatEvent, ChatRequest, ContextUse, Language, Passage, Question
    from runtime.ports import ChatModel


_Placed: TypeAlias = tuple[int, "CheckedSentence"]
"""A sentence of the answer and where it starts there."""
_REMOVED: Final = frozenset(("misquote_removed", "unsupported_removed"))
_Ready: TypeAlias = SentenceReady | CitationReady


@dataclass(frozen=True, slots=True)
class WritingTask:
    """What an answer is written from, whoever writes it. Passages are cited by their rank."""

    question: Question
    passages: Sequence[Passage]
    language: Language
    today: date
    standalone: str = ""
    """The question as it was searched for, which leans on no earlier turn."""


@dataclass(frozen=True, slots=True)
class Written:
    """A checked answer. `reply` is the model's own, unchecked; only its figures may be shown.

    `context` says what the model was given; who chose that fills it in.
    """

    text: str
    citations: tuple[Citation, ...]
    warnings: tuple[str, ...]
    reply: ChatReply
    degraded: tuple[str, ...] = ()
    context: ContextUse | None = None


def nothing_found(task: WritingTask, model: ChatModel) -> Iterator[SentenceReady | Written]:
    """Give the answer to no passages, without a call: a model could only invent one."""
    text = NOT_IN_RECORDS[task.language]
    yield SentenceReady(text)
    yield Written(text, (), (), ChatReply("", model.provider, model.name, 0, 0))


async def synthesize(
    model: ChatModel, task: WritingTask, *, share_s: float, streamed: bool
) -> AsyncGenerator[_Ready | Written, None]:
    """Yield the sentences and citations as each is ready, then the whole answer.

    Nothing is yielded before the first sentence that cites: what comes before it is shown with it.

    Raises: ChatError (nothing was written), ProviderError, ActorUnavailable, Overloaded.
    """
    request = write_request(
        task.question,
        task.passages,
        language=task.language,
        today=task.today,
        standalone=task.standalone,
    )
    draft = _Draft(task)
    reply: ChatReply | None = None
    async with aclosing(_ask(model, request, share_s=share_s, streamed=streamed)) as events:
        async for event in events:
            match event:
                case TextDelta(text):
                    for ready in draft.add(text):
                        yield ready
                case UsageSoFar():
                    pass
                case ChatReply():
                    reply = event
                case _ as never:
                    assert_never(never)
    if reply is None:
        raise ChatError("the answer broke off")
    if draft.is_blank:
        for ready in draft.add(reply.text):
            yield ready
    for ready in draft.finish():
        yield ready
    yield Written(draft.text, draft.citations, tuple(dict.fromkeys(draft.warnings)), reply)


async def _ask(
    model: ChatModel, request: ChatRequest, *, share_s: float, streamed: bool
) -> AsyncGenerator[ChatEvent, None]:
    """Yield what the model says, held to its share of the time.

    The time-out stands around each wait, never around a `yield`: it would end the consumer's work.

    Raises: ProviderTimeout, and what the model raises.
    """
    timeout_s = to_tell(share_s)
    ends_at_s = asyncio.get_running_loop().time() + share_s
    asked = (
        model.stream(request, timeout_s=timeout_s)
        if streamed
        else _whole(model, request, timeout_s=timeout_s)
    )
    async with aclosing(asked) as events:
        while True:
            async with held_until(
                ends_at_s, late=lambda: used_up(model.provider, model.name, "chat")
            ):
                event = await anext(events, None)
            if event is None:
                return
            yield event


async def _whole(
    model: ChatModel, request: ChatRequest, *, timeout_s: float
) -> AsyncGenerator[ChatEvent, None]:
    yield await model.chat(request, timeout_s=timeout_s)


class _Draft:
    """The answer as far as it is written: only sentences that hold, and what was amiss."""

    def __init__(self, task: WritingTask) -> None:
        self.text = ""
        self.citations: tuple[Citation, ...] = ()
        self.warnings: list[str] = []
        self.is_blank = True
        self._task = task
        self._passages = dict(enumerate(task.passages, start=1))
        self._evidence = Evidence(self._passages)
        self._growing = SentenceStream()
        self._said = ""
        self._gap = ""
        self._placed: list[_Placed] = []
        self._held: list[SentenceReady] = []
        self._cited: list[int] = []

    def add(self, piece: str) -> Iterator[_Ready]:
        """Give what this piece of the model's text made ready."""
        self.is_blank = self.is_blank and not clean(piece)
        return self._take(self._growing.add(piece))

    def finish(self) -> Iterator[_Ready]:
        """Give what is left once the model has ended; `citations` are complete then.

        Raises: ChatError.
        """
        if self.is_blank:
            # Not "nothing found": a model that failed has said nothing about the records.
            raise ChatError("the model wrote nothing")
        yield from self._take(self._growing.finish())
        if not self._cited:
            yield self._withhold()
            return
        if detect(self.text) != self._task.language:
            self.warnings.append("answer_language")
        self.citations = tuple(map(self._cite, self._passages))
        for marker, citation in zip(self._passages, self.citations, strict=True):
            if marker not in self._cited:
                yield CitationReady(citation)

    def _take(self, sentences: Iterable[Sentence]) -> Iterator[_Ready]:
        for gap, sentence in sentences:
            self._said += gap + sentence
            self._gap = max(self._gap, gap, key=_width)
            checked = check_sentence(sentence, self._evidence)
            self.warnings += checked.warnings
            if checked.text:
                yield from self._place(checked)

    def _place(self, checked: CheckedSentence) -> Iterator[_Ready]:
        gap = self._gap if self.text else ""
        self._gap = ""
        self._placed.append((len(self.text) + len(gap), checked))
        self.text += gap + checked.text
        self._held.append(SentenceReady(gap + checked.text))
        new = [marker for marker, _ in checked.quotes if marker not in self._cited]
        self._cited += new
        if self._cited:
            yield from self._held
            self._held.clear()
        for marker in new:
            yield CitationReady(self._cite(marker))

    def _withhold(self) -> SentenceReady:
        """Answer that nothing was found where no sentence cites.

        A therapist acts on this: what no record is named for is not shown as an answer.
        """
        not_found = NOT_IN_RECORDS[self._task.language]
        if self._said.strip() != not_found and _REMOVED.isdisjoint(self.warnings):
            self.warnings.append("uncited_answer")
        self.warnings = [each for each in self.warnings if each != "uncited_sentence"]
        self.text = not_found
        return SentenceReady(not_found)

    def _cite(self, marker: int) -> Citation:
        """Cite a passage that the model was given; one that no sentence rests on has no spans."""
        passage = self._passages[marker]
        resting = [
            (start, sentence, dict(sentence.quotes)[marker])
            for start, sentence in self._placed
            if marker in dict(sentence.quotes)
        ]
        spans = tuple(
            AnswerSpan(start, start + len(sentence.text), quote)
            for start, sentence, quote in resting
        )
        return Citation(
            record=passage.record,
            client_id=passage.client_id,
            client_name=passage.client_name,
            session_date=passage.session_date,
            field_name=passage.field_name,
            similarity=passage.similarity,
            marker=marker,
            quote=spans[0].quote
            if spans
            else best_sentence(passage.text, self._task.question.text),
            spans=spans,
            verified=all(sentence.backed for _, sentence, _ in resting),
        )


def _width(gap: str) -> tuple[int, int]:
    return gap.count("\n"), len(gap)

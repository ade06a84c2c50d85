"""From passages to a cited answer: ask the chat model, check what it wrote, cite the passages.

`answer.py` calls `synthesize`. The wording of prompts is `prompting.py`'s, the checks
`checking.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from runtime.answering.checking import check_sentence, split_answer
from runtime.answering.guard import clean
from runtime.answering.language import detect
from runtime.answering.prompting import write_request
from runtime.answering.quoting import best_sentence
from runtime.errors import ChatError
from runtime.messages import AnswerSpan, Citation
from runtime.phrases import NOT_IN_RECORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from runtime.answering.checking import CheckedSentence
    from runtime.messages import ChatReply, Language, Passage, Question
    from runtime.ports import ChatModel


_Placed: TypeAlias = tuple[int, "CheckedSentence"]
"""A sentence of the answer and where it starts there."""


@dataclass(frozen=True, slots=True)
class Written:
    """A checked answer. `reply` is the model's own, unchecked; only its figures may be shown."""

    text: str
    citations: tuple[Citation, ...]
    warnings: tuple[str, ...]
    reply: ChatReply


async def synthesize(
    model: ChatModel,
    question: Question,
    passages: Sequence[Passage],
    *,
    language: Language,
    today: date,
    timeout_s: float,
) -> Written:
    """Return an answer that rests on the passages, each cited by its rank.

    Raises: ChatError (nothing was written), ProviderError, ActorUnavailable.
    """
    request = write_request(question, passages, language=language, today=today)
    reply = await model.chat(request, timeout_s=timeout_s)
    draft = clean(reply.text)
    if not draft:
        # Not "nothing found": a model that failed has said nothing about the records.
        raise ChatError("the model wrote nothing")
    if draft == NOT_IN_RECORDS[language]:
        return Written(draft, (), (), reply)
    text, placed, warnings = _check(draft, dict(enumerate(passages, start=1)))
    if not any(sentence.quotes for _, sentence in placed):
        # A therapist acts on this: what no record is named for is not shown as an answer.
        if "misquote_removed" not in warnings:
            warnings.append("uncited_answer")
        return Written(NOT_IN_RECORDS[language], (), tuple(dict.fromkeys(warnings)), reply)
    if detect(text) != language:
        warnings.append("answer_language")
    citations = tuple(
        _citation(marker, passage, question, placed)
        for marker, passage in enumerate(passages, start=1)
    )
    return Written(text, citations, tuple(dict.fromkeys(warnings)), reply)


def _check(draft: str, passages: Mapping[int, Passage]) -> tuple[str, list[_Placed], list[str]]:
    """Return the answer of the sentences that hold, those sentences, and what was amiss."""
    text = ""
    placed: list[_Placed] = []
    warnings: list[str] = []
    gap = ""
    before_end = 0
    for start, end in split_answer(draft):
        checked = check_sentence(draft[start:end], passages)
        warnings += checked.warnings
        gap = max(gap, draft[before_end:start], key=_width)
        before_end = end
        if checked.text:
            text += gap if text else ""
            placed.append((len(text), checked))
            text += checked.text
            gap = ""
    return text, placed, warnings


def _width(gap: str) -> tuple[int, int]:
    return gap.count("\n"), len(gap)


def _citation(
    marker: int, passage: Passage, question: Question, placed: Sequence[_Placed]
) -> Citation:
    """Cite a passage that the model was given; one that no sentence rests on has no spans."""
    resting = [(start, sentence) for start, sentence in placed if marker in dict(sentence.quotes)]
    spans = tuple(
        AnswerSpan(start, start + len(sentence.text), dict(sentence.quotes)[marker])
        for start, sentence in resting
    )
    return Citation(
        record=passage.record,
        client_id=passage.client_id,
        client_name=passage.client_name,
        session_date=passage.session_date,
        field_name=passage.field_name,
        similarity=passage.similarity,
        marker=marker,
        quote=spans[0].quote if spans else best_sentence(passage.text, question.text),
        spans=spans,
        verified=all(sentence.backed for _, sentence in resting),
    )

"""What of the records and of the conversation a model is given, so that its window holds it.

`write.py` asks `ContextBudget` for each model that it tries: every one has a window of its own. How
tokens are counted is `tokens.py`'s, how the prompt reads `prompting.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from runtime.answering.prompting import MAX_TOKENS, write_request
from runtime.answering.repeats import drop_repeats
from runtime.answering.tokens import MESSAGE_TOKENS, TokenGauge, most_prompt_tokens, most_tokens
from runtime.errors import ChatError
from runtime.messages import FIELDS, ContextUse
from runtime.telemetry import ContextBuilt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.answering.synthesize import WritingTask
    from runtime.messages import Passage, RecordKey, Turn
    from runtime.ports import ChatModel
    from runtime.telemetry import Emit

CONTEXT_TRUNCATED: Final = "context_truncated"
"""The warning that passages or turns were left out for want of room. A repeat is no loss."""
VENDOR_TOKENS: Final = 512
"""Kept back for what a vendor puts before a prompt of its own, until the gauge has learnt it.

Source: Command R+'s template for answers from documents adds some 2,300 characters."""
HISTORY_SHARE: Final = 0.25
"""Of the room, what earlier turns have a right to before any passage; they may use what is left."""
MOST_HISTORY_TOKENS: Final = 8000
"""Ten passages take some 2,000 to 4,000: beyond this, old talk would be most of what is read."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What one model is given: the task with the turns and passages that fit, in their order.

    `estimated_tokens` are uncorrected, for `ContextBudget.learn`.
    """

    task: WritingTask
    use: ContextUse
    warnings: tuple[str, ...]
    estimated_tokens: int


class ContextBudget:
    """Fits prompts into windows, any number at once; learns from what the vendors count.

    `windows` are tokens by provider; without one, as for the local model, everything fits. When not
    `enabled`, tasks are given back as they are.
    """

    def __init__(self, windows: Mapping[str, int], *, enabled: bool, emit: Emit) -> None:
        self._windows = windows
        self._enabled = enabled
        self._emit = emit
        self._gauge = TokenGauge()

    def choose(self, model: ChatModel, task: WritingTask) -> Chosen:
        """Return what of the task's turns and passages, best first, the model is given.

        The prompt never takes more than the window less the answer's reserve. A passage that does
        not fit is left out and a smaller one after it may still go in: neighbours in rank differ by
        little, and two short passages tell more than the room that one long one would have filled.

        Raises: ChatError (the question alone does not fit).
        """
        if not self._enabled:
            return self._conclude(model, task, _count(task), found=task, limit=None)
        found = replace(task, passages=drop_repeats(task.passages))
        window = self._windows.get(model.provider)
        if window is None:
            return self._conclude(model, _arrange(found), _count(found), found=found, limit=None)
        limit = window - MAX_TOKENS - VENDOR_TOKENS
        fitted, tokens = _fit(found, self._gauge.room(_key(model), limit))
        return self._conclude(model, _arrange(fitted), tokens, found=found, limit=limit)

    def learn(self, model: ChatModel, chosen: Chosen, counted_tokens: int) -> None:
        """Take note of what the vendor counted for the prompt; 0 where it counts nothing."""
        self._gauge.learn(
            _key(model), estimated_tokens=chosen.estimated_tokens, counted_tokens=counted_tokens
        )

    def _conclude(
        self,
        model: ChatModel,
        task: WritingTask,
        estimated_tokens: int,
        *,
        found: WritingTask,
        limit: int | None,
    ) -> Chosen:
        use = ContextUse(
            included=len(task.passages),
            dropped=len(found.passages) - len(task.passages),
            tokens=self._gauge.correct(_key(model), estimated_tokens),
            limit=limit,
        )
        self._emit(ContextBuilt(tokens=use.tokens, included=use.included, dropped=use.dropped))
        is_cut = use.dropped or len(task.question.history) < len(found.question.history)
        return Chosen(task, use, (CONTEXT_TRUNCATED,) if is_cut else (), estimated_tokens)


def _key(model: ChatModel) -> str:
    return f"{model.provider}/{model.name}"


def _fit(found: WritingTask, room: int) -> tuple[WritingTask, int]:
    """Return the task with what goes into so many tokens, and how many it takes.

    The question goes first, then turns within their share, passages, and more turns.
    """
    history = found.question.history
    whole = _with(found, _newest(history, MOST_HISTORY_TOKENS), found.passages)
    tokens = _count(whole)
    if tokens <= room:
        return whole, tokens
    if _count(_with(found, (), ())) > room:
        raise ChatError("the question alone does not fit the model's window")
    turns = _newest(history, min(MOST_HISTORY_TOKENS, int(room * HISTORY_SHARE)))
    while turns and _count(_with(found, turns, ())) > room:
        turns = turns[1:]
    passages: list[Passage] = []
    for passage in found.passages:
        if _count(_with(found, turns, (*passages, passage))) <= room:
            passages.append(passage)
    fitted = _with(found, turns, passages)
    most = len(_newest(history, MOST_HISTORY_TOKENS))
    for count in range(len(turns) + 1, most + 1):
        longer = _with(found, history[-count:], passages)
        if _count(longer) > room:
            break
        fitted = longer
    return fitted, _count(fitted)


def _with(task: WritingTask, turns: Sequence[Turn], passages: Sequence[Passage]) -> WritingTask:
    question = replace(task.question, history=tuple(turns))
    return replace(task, question=question, passages=passages)


def _count(task: WritingTask) -> int:
    """Count the prompt as it will be sent: in another order the same passages may take more."""
    passages = _arrange(task).passages
    return most_prompt_tokens(
        write_request(task.question, passages, language=task.language, today=task.today)
    )


def _newest(history: Sequence[Turn], room: int) -> Sequence[Turn]:
    """Return the newest turns that fit, without a gap: an answer to nothing would mislead."""
    count = 0
    for turn in reversed(history):
        room -= most_tokens(turn.content) + MESSAGE_TOKENS
        if room < 0:
            break
        count += 1
    return history[len(history) - count :]


def _arrange(task: WritingTask) -> WritingTask:
    """Let what is of one record stand together, as in the note; records by their best passage."""
    by_record: dict[RecordKey, list[Passage]] = {}
    for passage in task.passages:
        by_record.setdefault(passage.record, []).append(passage)
    ordered: Iterable[Passage] = (
        passage
        for passages in by_record.values()
        for passage in sorted(passages, key=_place_in_note)
    )
    return replace(task, passages=tuple(ordered))


def _place_in_note(passage: Passage) -> tuple[int, int]:
    return FIELDS[passage.record.type].index(passage.field_name), passage.part

"""A text as a sequence of what it mentions: dates, doses, medications, people, and plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from runtime.clinical.dates import CalendarDate, read_date, read_time
from runtime.clinical.lexicon import lexicon, prefixes
from runtime.clinical.numbers import read_number
from runtime.clinical.quantities import (
    TIME_WORDS,
    Dose,
    read_dose,
    read_frequency,
    read_span,
)
from runtime.clinical.words import Word, listed, words_of
from runtime.language.months import MONTHS

Kind: TypeAlias = Literal[
    "date", "time", "dose", "frequency", "span", "number", "medication", "person", "side", "word"
]
_BODY: Final = frozenset(
    listed(
        """side arm arms leg legs knee knees shoulder shoulders hand hands foot feet hip hips ear
        ears eye eyes wrist wrists ankle ankles elbow elbows breast breasts lung lungs kidney
        temple neck hemisphere flank thigh calf heel thumb finger toe forearm face cheek jaw"""
    )
)
_Fact: TypeAlias = str | CalendarDate | Dose
_Recognise: TypeAlias = Callable[[Sequence[Word], int], tuple[_Fact, int] | None]
_QUANTITIES: Final[tuple[tuple[Kind, _Recognise], ...]] = (
    ("span", read_span),
    ("date", read_date),
    ("time", read_time),
    ("dose", read_dose),
    ("frequency", read_frequency),
    ("number", read_number),
)
_BARE: Final = MONTHS.keys() | TIME_WORDS
_TABLES: Final[tuple[tuple[str, Kind], ...]] = (
    ("medications", "medication"),
    ("people", "person"),
    ("sides", "side"),
)


@dataclass(frozen=True, slots=True)
class Mention:
    """What some words mention. `fact` has one form for all wordings and both languages.

    Of a plain word it is the word. `prefix` is what was written onto it in Hebrew.
    """

    kind: Kind
    fact: _Fact
    words: tuple[Word, ...]
    prefix: str = ""


def read(text: str) -> list[Mention]:
    """Return the mentions of a text in order; each word is in exactly one."""
    words = words_of(text)
    mentions: list[Mention] = []
    at = 0
    while at < len(words):
        mentions.append(read_mention(words, at))
        at += len(mentions[-1].words)
    return mentions


def read_mention(words: Sequence[Word], at: int) -> Mention:
    """Return what the words from this place on mention."""
    for kind, recognise in _QUANTITIES:
        read_off = recognise(words, at)
        if read_off is not None:
            fact, length = read_off
            return Mention(kind, fact, tuple(words[at : at + length]), _written_on(words[at]))
    for table, kind in _TABLES:
        named = lexicon(table).find(words, at)
        if named is not None and (kind != "side" or _is_side(words, at)):
            return Mention(kind, named.meaning, tuple(words[at : at + named.length]), named.prefix)
    return Mention("word", words[at].text, (words[at],))


def _written_on(word: Word) -> str:
    """Return the letters written onto a Hebrew word of time."""
    runs = prefixes(word.text) if word.is_hebrew else ("",)
    return next((run for run in runs if word.text[len(run) :] in _BARE), "")


def _is_side(words: Sequence[Word], at: int) -> bool:
    """Tell a side from `she left` and `right now`: by a part of the body, or `on the left`."""
    if words[at].is_hebrew or words[at].text not in {"left", "right", "lt", "rt"}:
        return True
    after = words[at + 1].text if at + 1 < len(words) else ""
    before = [each.text for each in words[max(0, at - 2) : at]]
    return after in _BODY or before in (["on", "the"], ["to", "the"], ["in", "the"])

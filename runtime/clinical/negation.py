"""Which words of a text stand in the scope of a negation, in Hebrew and English."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.clinical.lexicon import prefixes
from runtime.clinical.words import ENDS, Word, listed

_BEFORE: Final = frozenset(
    listed(
        """not no never none nor neither without denies deny denied denying nobody nothing nowhere
        refused refuses refuse declined declines declining lacks lacked lacking absent cannot
        stop stops stopped stopping quit quits ceased discontinued
        לא אין אינו אינה אינם אינן איננו איננה אינני שולל שוללת שוללים שלל שללה מכחיש מכחישה
        הכחיש הכחישה הכחישו ללא בלי מבלי מעולם הפסיק הפסיקה הפסיקו שום נטול נטולת חסר חסרת
        סירב סירבה מסרב מסרבת נמנע נמנעת בל היעדר העדר"""
    )
)
_PHRASES: Final = (
    ("free", "of"), ("ruled", "out"), ("rule", "out"), ("rules", "out"), ("ruling", "out"),
    ("negative", "for"), ("absence", "of"), ("no", "longer"), ("not", "any", "more"),
    ("came", "off"), ("rather", "than"), ("instead", "of"),
)  # fmt: skip
_BEHIND: Final = (
    ("ruled", "out"), ("absent",), ("negative",), ("denied",), ("stopped",), ("discontinued",),
    ("נשלל",), ("נשללה",), ("נשללו",), ("הופסק",), ("הופסקה",), ("שלילי",), ("שלילית",),
)  # fmt: skip
"""These negate what stands before them: `suicidality was ruled out`."""
_NOT_NEGATING: Final = (
    ("not", "only"), ("no", "doubt"), ("not", "just"), ("לא", "רק"), ("אין", "ספק"), ("לא", "מעט"),
)  # fmt: skip
_CLOSING: Final = frozenset(
    (
        *listed("but however although though except because since which who until while yet"),
        *listed(
            "reports reported states stated says said describes described endorses endorsed admits"
        ),
        *listed("אבל אך אולם אלא למרות מלבד חוץ כי בגלל כאשר מדווח מדווחת דיווח דיווחה מתאר מתארת"),
    )
)
_SUBJECTS: Final = frozenset(listed("he she they it i we you הוא היא הם הן אני"))
_SEPARATORS: Final = frozenset(",:()-")


def negated_places(words: Sequence[Word]) -> frozenset[int]:
    """Return the places of the words that an odd number of negations reaches.

    A negation reaches to the end of its sentence or to a word that opens another claim; a list
    behind `denies` or `no` is reached as a whole. What says no itself is not reached by its own.
    """
    counts = [0] * len(words)
    at = 0
    while at < len(words):
        length = _cue_length(words, at)
        if length:
            behind = _stands_behind(words, at)
            reached = _reach_back(words, at) if behind else _reach_on(words, at, at + length)
            for place in reached:
                counts[place] += 1
        at += length or 1
    return frozenset(place for place, count in enumerate(counts) if count % 2)


def _cue_length(words: Sequence[Word], at: int) -> int:
    if any(_is_at(words, at, phrase) for phrase in _NOT_NEGATING):
        return 0
    for phrase in (*_PHRASES, *(each for each in _BEHIND if len(each) == 1 or each in _PHRASES)):
        if _is_at(words, at, phrase):
            return len(phrase)
    runs = prefixes(words[at].text) if words[at].is_hebrew else ("",)
    return int(any(words[at].text[len(run) :] in _BEFORE for run in runs if "ה" not in run))


def _stands_behind(words: Sequence[Word], at: int) -> bool:
    """Tell `suicidality was ruled out` from `ruled out suicidality`: by what precedes."""
    if not any(_is_at(words, at, phrase) for phrase in _BEHIND):
        return False
    before = words[at - 1].text if at else ""
    return words[at].is_hebrew or before in {"was", "were", "is", "been", "are", "be"}


def _reach_on(words: Sequence[Word], cue: int, start: int) -> range:
    end = start
    while end < len(words) and not (_closes(words, end) or _negates_anew(words, cue, end)):
        end += 1
    return range(start, end)


def _negates_anew(words: Sequence[Word], cue: int, place: int) -> bool:
    """Tell `no fever, no cough` from `does not deny`: the one begins again, the other turns."""
    text, before = words[place].text, words[place - 1].text
    if not _cue_length(words, place):
        return False
    begins = before in _SEPARATORS or before in {"and", "or"} or text in {"nor", words[cue].text}
    return begins or text[:1] == "ו"


def _reach_back(words: Sequence[Word], at: int) -> range:
    start = at
    while start and not (_closes(words, start - 1) or words[start - 1].text == ","):
        start -= 1
    return range(start, at)


def _closes(words: Sequence[Word], place: int) -> bool:
    text = words[place].text
    if text in ENDS or text in _CLOSING:
        return True
    before = words[place - 1].text if place else ""
    opens_clause = text in _SUBJECTS and (before in _SEPARATORS or before in {"and", "so"})
    return opens_clause or (text[:1] == "ו" and text[1:] in _CLOSING | _SUBJECTS)


def _is_at(words: Sequence[Word], at: int, phrase: tuple[str, ...]) -> bool:
    if words[at].text != phrase[0]:
        return False
    return tuple(word.text for word in words[at : at + len(phrase)]) == phrase

"""Which words of a text are denied, and which are only wished or advised, in both languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.clinical.lexicon import prefixes
from runtime.clinical.words import ENDS, Word, listed

_BEFORE: Final = frozenset(
    listed(
        """not no never none nor neither without denies deny denied denying nobody nothing nowhere
        refused refuses refuse declined declines declining lacks lacked lacking absent cannot
        stop stops stopped stopping quit quits ceased discontinued unable unwilling
        לא אין אינו אינה אינם אינן איננו איננה אינני שולל שוללת שוללים שלל שללה מכחיש מכחישה
        הכחיש הכחישה הכחישו ללא בלי מבלי מעולם הפסיק הפסיקה הפסיקו שום נטול נטולת חסר חסרת
        סירב סירבה מסרב מסרבת נמנע נמנעת בל היעדר העדר טרם"""
    )
)
_PHRASES: Final = (
    ("free", "of"), ("ruled", "out"), ("rule", "out"), ("rules", "out"), ("ruling", "out"),
    ("negative", "for"), ("absence", "of"), ("no", "longer"), ("not", "any", "more"),
    ("came", "off"), ("rather", "than"), ("instead", "of"), ("not", "yet"), ("yet", "to"),
    ("failed", "to"), ("fails", "to"), ("fail", "to"), ("failing", "to"),
    ("is", "off"), ("been", "off"), ("now", "off"),
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
_STRENGTHENS: Final = frozenset(listed("שום מעולם"))
"""Beside another negation these deny nothing anew: `מעולם לא`."""
_UNREAL: Final = frozenset(
    listed(
        """advised recommended recommends suggested suggests offered proposed considers considering
        considered consider contemplates contemplating wants wanted wishes wished hopes hoped hoping
        plans planned planning intends intended might could should if whether
        שוקל שוקלת שקל שקלה הומלץ הומלצה המליץ המליצה ממליץ ממליצה הוצע הוצעה הציע הציעה רוצה רצה
        רצתה מעוניין מעוניינת מתכנן מתכננת תכנן תכננה מתכוון מתכוונת מקווה אולי ייתכן"""
    )
)
_UNREAL_PHRASES: Final = (("would", "like"), ("thinking", "of"), ("thinking", "about"))
_REFUSED: Final = frozenset(
    listed("declined refused declines refuses סירב סירבה מסרב מסרבת סרב סרבה")
)
_TURNED_DOWN: Final = (("turned", "it", "down"), ("turned", "this", "down"), ("turned", "down"))
_IT: Final = frozenset(listed("it this that them these לה לו לכך"))
_AUXILIARIES: Final = frozenset(
    listed("do does did is are was were has have had can could will would")
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
            behind = _stands_behind(words, at) or _is_elliptic(words, at)
            reached = _reach_back(words, at) if behind else _reach_on(words, at, at + length)
            for place in reached:
                counts[place] += 1
        at += length or 1
    return frozenset(place for place, count in enumerate(counts) if count % 2)


def unreal_places(words: Sequence[Word]) -> frozenset[int]:
    """Return the places of the words that are wished, weighed, offered or refused, not said to be.

    What is refused in a word of its own (`was offered it but declined`) is so as a whole.
    """
    refusal = refusal_place(words)
    places = set(range(refusal)) if refusal else set()
    for at, word in enumerate(words):
        text = word.text
        bare = text[1:] if text[:1] in {"ו", "ש"} else text
        is_cue = text in _UNREAL or bare in _UNREAL
        if not is_cue and not any(_is_at(words, at, phrase) for phrase in _UNREAL_PHRASES):
            continue
        if at and words[at - 1].text in {"was", "were", "is", "been", "be"}:
            places |= set(_reach_back(words, at))
        end = at + 1
        while end < len(words) and not _closes(words, end) and words[end].text != ",":
            end += 1
        places |= set(range(at, end))
    return frozenset(places)


def refusal_place(words: Sequence[Word]) -> int:
    """Return where a refusal stands that names nothing itself: `but declined`, `refused it`; or 0.

    It is of what stands before it.
    """
    for at in range(1, len(words)):
        lengths = [len(phrase) for phrase in _TURNED_DOWN if _is_at(words, at, phrase)]
        text = words[at].text
        if not lengths and (text in _REFUSED or text.removeprefix("ו") in _REFUSED):
            lengths = [1]
        for length in lengths:
            rest = [word for word in words[at + length :] if not word.is_sign]
            if not rest or (len(rest) == 1 and rest[0].text in _IT):
                return at
    return 0


def _denies_already(words: Sequence[Word], at: int) -> bool:
    """Say whether another word of the sentence denies: Hebrew doubles its negations."""
    return any(
        word.text not in _STRENGTHENS and word.text.removeprefix("ו") in _BEFORE
        for place, word in enumerate(words)
        if place != at
    )


def _is_elliptic(words: Sequence[Word], at: int) -> bool:
    """Say whether the clause ends with what denies it: `sertraline did not`."""
    is_last = at + 1 == len(words) or words[at + 1].text in ENDS | {","}
    before = words[at - 1].text if at else ""
    return is_last and words[at].text == "not" and before in _AUXILIARIES


def _cue_length(words: Sequence[Word], at: int) -> int:
    if any(_is_at(words, at, phrase) for phrase in _NOT_NEGATING):
        return 0
    for phrase in (*_PHRASES, *(each for each in _BEHIND if len(each) == 1 or each in _PHRASES)):
        if _is_at(words, at, phrase):
            return len(phrase)
    if words[at].text in _STRENGTHENS and _denies_already(words, at):
        return 0
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

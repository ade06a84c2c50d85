"""The words of a text as the clinical rules read them: folded, cut, contractions written out."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_INVISIBLE: Final = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]"
)
"""Niqqud, marks of direction, and joiners: they are not seen, or are not read."""
_LETTERS: Final = str.maketrans(
    {
        **dict.fromkeys("\u05f3\u2018\u2019\u201b\u0060\u00b4\u02bc", "'"),
        **dict.fromkeys("\u05f4\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'),
        **dict.fromkeys("\u05be\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d", "-"),
        "\u2026": "...",
    }
)
_FRACTION: Final = re.compile("(\\d?)([\u00bc\u00bd\u00be])")
_RAISED: Final = re.compile("[\u00b2\u00b3\u00b9\u2070-\u209c]+")
_OTHER_FRACTION: Final = re.compile("[\u2150-\u215f\u2189\u2460-\u249b]")
_BARE_POINT: Final = re.compile(r"(?<![\w.])\.(?=\d)")
_DECIMALS: Final = {"\u00bc": ".25", "\u00bd": ".5", "\u00be": ".75"}
_TOKEN: Final = re.compile(
    r"""
    (?P<iso>\d{4}-\d{1,2}-\d{1,2}(?!\d))
    |(?P<number>\d+(?:[.,:/]\d+)*)
    |(?P<word>[^\W\d_](?:[^\W_]|(?<=[א-ת])"(?=[א-ת])|(?<=[^\W_])'(?=[^\W\d_])|(?<=[א-ת])')*)
    |(?P<sign>[^\w\s]|\n)
    """,
    re.VERBOSE,
)
_CLITIC: Final = re.compile(r"'(?P<clitic>s|re|ve|ll|d|m)$")
_CONTRACTED: Final = {
    "can't": "can", "cannot": "can", "won't": "will", "shan't": "shall", "ain't": "is",
}  # fmt: skip
_FULL: Final = {"'re": "are", "'ve": "have", "'ll": "will", "'m": "am"}
_IS_AFTER: Final = frozenset(
    ("what", "who", "where", "when", "why", "how", "it", "that", "there", "he", "she")
)
ENDS: Final = frozenset(".!?;\n")


@dataclass(frozen=True, slots=True)
class Word:
    """A word, number or sign. `text` is folded and in small letters, `written` as it stood."""

    text: str
    written: str
    opens: bool = False
    """It is the first of its sentence, where a capital says nothing."""

    @property
    def is_hebrew(self) -> bool:
        """Whether it begins with a Hebrew letter."""
        return "א" <= self.text[:1] <= "ת"

    @property
    def is_sign(self) -> bool:
        """Whether it is punctuation."""
        return not any(map(str.isalnum, self.text))


def listed(words: str) -> tuple[str, ...]:
    """Return the words of a table that is written as one string."""
    return tuple(words.split())


SAYS_NOTHING: Final = frozenset(
    listed(
        """report reports reported state states stated say says said describe describes described
        deny denies denied denying no not none never without any has have having had is was be been
        take takes taking took taken she he her his him they currently also still now client patient
        feel feels felt set use uses used using says new each every day days daily week weeks weekly
        month months year years hour hours time times mg mcg ml g about around approximately made
        since from until because due after before again ever can able will would
        אין לא אינו אינה אינן שולל שוללת ללא בלי יש לוקח לוקחת נוטל נוטלת מדווח מדווחת מתאר מתארת
        אומר אומרת לדבריה לדבריו כרגע עדיין גם כ כבר מאז יום ימים שבוע שבועות חודש חודשים שנה שנים
        שעה שעות פעם פעמים נוטלים סובל סובלת מטופל מטופלת המטופל המטופלת ב ל מ ה ו של הוא היא"""
    )
)
"""Words that are the topic of no claim, by themselves."""


def fold(text: str) -> str:
    """Return the text with one form of each letter, quote and dash, without niqqud. Idempotent."""
    text = _FRACTION.sub(lambda m: (m[1] or "0") + _DECIMALS[m[2]], text)
    # What NFKC would join to the digits beside it: `10²` is not 102.
    text = _RAISED.sub(lambda m: f"^{unicodedata.normalize('NFKC', m[0])} ", text)
    text = _OTHER_FRACTION.sub(r" \g<0> ", text)
    text = _BARE_POINT.sub("0.", unicodedata.normalize("NFKC", text))
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text)).translate(_LETTERS)


def words_of(text: str) -> list[Word]:
    """Return the words, numbers and signs in order; `didn't` is two, `did` and `not`."""
    words: list[Word] = []
    opens = True
    for match in _TOKEN.finditer(fold(text)):
        parts = (part for part in _parts(match[0]) if part)
        words.extend(Word(part.casefold(), part, opens=opens) for part in parts)
        opens = match[0] in ENDS
    return words


def _parts(written: str) -> list[str]:
    """Return the words that one run of letters stands for: `she's` may be two; one may be empty."""
    text = written.casefold()
    if text in _CONTRACTED:
        return [_CONTRACTED[text], "not"]
    if text.endswith("n't"):
        return [written[:-3], "not"]
    clitic = _CLITIC.search(text)
    if clitic is None or not text[0].isascii():
        return [written]
    stem, end = written[: clitic.start()], clitic[0]
    if end == "'s":
        return [stem, "is" if stem.casefold() in _IS_AFTER else "'s"]
    if end == "'d":
        return [stem, "'d"]
    return [stem, _FULL[end]]

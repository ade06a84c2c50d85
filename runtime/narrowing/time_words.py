"""The words for numbers, months, units and days of the week in English and Hebrew.

`dated_phrases.py` and `counted_phrases.py` build their patterns of them, and say what they mean.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal, TypeAlias

from runtime.language.months import MONTHS
from runtime.language.number_words import SMALL_NUMBERS

Unit: TypeAlias = Literal["day", "week", "month", "quarter", "year"]

_WEEKDAY_NAMES: Final = (
    ("monday", "שני"),
    ("tuesday", "שלישי"),
    ("wednesday", "רביעי"),
    ("thursday", "חמישי"),
    ("friday", "שישי"),
    ("saturday", "שבת"),
    ("sunday", "ראשון"),
)
_UNIT_NAMES: Final[dict[Unit, str]] = {
    "day": "day days יום ימים יומיים",
    "week": "week weeks שבוע שבועות שבועיים",
    "month": "month months חודש חודשים חודשיים",
    "quarter": "quarter quarters רבעון רבעונים",
    "year": "year years שנה שנים שנתיים",
}
_ORDINAL_NAMES: Final = {
    1: "first 1st ראשון הראשון",
    2: "second 2nd שני השני",
    3: "third 3rd שלישי השלישי",
    4: "fourth 4th רביעי הרביעי",
}
_DUALS: Final = frozenset(("יומיים", "שבועיים", "חודשיים", "שנתיים"))
_VAGUE_NUMBERS: Final = {"couple": 3, "couple of": 3, "few": 6, "several": 8, "כמה": 6, "מספר": 6}
"""Wide on purpose: a span too long hides nothing."""

WEEKDAY_NUMBERS: Final = {
    name: number for number, names in enumerate(_WEEKDAY_NAMES) for name in names
}
UNITS: Final[dict[str, Unit]] = {
    name: unit for unit, names in _UNIT_NAMES.items() for name in names.split()
}
ORDINALS: Final = {name: n for n, names in _ORDINAL_NAMES.items() for name in names.split()}
_NUMBERS: Final = {name: n for name, n in SMALL_NUMBERS.items() if n}


def _any_of(names: dict[str, int], wanted: str) -> str:
    longest_first = sorted((n for n in names if re.search(wanted, n)), key=len, reverse=True)
    return "|".join(map(re.escape, longest_first))


_LATIN, _HEBREW = r"^[a-z]", r"^[א-ת]"
MONTH: Final = (
    rf"(?:\b(?:{_any_of(MONTHS, _LATIN)})\b\.?"
    rf"|(?:{_any_of(MONTHS, _HEBREW)})(?![א-ת'\"]))"
)
"""Hebrew names may have a prefix before them, so they have no boundary there."""
EN_WEEKDAY: Final = _any_of(WEEKDAY_NUMBERS, _LATIN)
HE_WEEKDAY: Final = _any_of(WEEKDAY_NUMBERS, _HEBREW)
EN_NUMBER: Final = rf"\d{{1,3}}|couple of|couple|few|several|{_any_of(_NUMBERS, _LATIN)}"
HE_NUMBER: Final = rf"\d{{1,3}}|כמה|מספר|{_any_of(_NUMBERS, _HEBREW)}"

_MARKS: Final = re.compile(r"[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u200e\u200f]")
_ALIKE: Final = str.maketrans("’‘׳״“”„־\u2013\u2014\u2011", '\'\'\'""""----')


def plain(text: str) -> str:
    """Return the text with one kind of quote, hyphen and space, and no Hebrew points."""
    text = _MARKS.sub("", unicodedata.normalize("NFKC", text)).translate(_ALIKE)
    return " ".join(text.split())


def read_number(word: str) -> int:
    """Return what a match of `EN_NUMBER` or `HE_NUMBER` says, rounded up where it is vague."""
    return _VAGUE_NUMBERS.get(word) or _NUMBERS.get(word) or int(word)


def is_vague(word: str) -> bool:
    """Say whether a number is only about so many."""
    return word in _VAGUE_NUMBERS


def count_of(unit_name: str) -> int:
    """Return how many a unit's name alone means: two for a Hebrew dual."""
    return 2 if unit_name in _DUALS else 1

"""Numbers in figures and in words, in Hebrew and English, as plain decimals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from runtime.clinical.words import Word, listed
from runtime.language.number_words import SMALL_NUMBERS

_ENGLISH_TENS: Final = listed("twenty thirty forty fifty sixty seventy eighty ninety")
_HEBREW_TENS: Final = listed("עשרים שלושים ארבעים חמישים שישים שבעים שמונים תשעים")
_TENS: Final = {
    **{word: 10 * n for n, word in enumerate(_ENGLISH_TENS, 2)},
    **{word: 10 * n for n, word in enumerate(_HEBREW_TENS, 2)},
}
_HUNDREDS: Final = {"מאה": 100, "מאתיים": 200}
_PARTS: Final = {"half": "0.5", "חצי": "0.5", "quarter": "0.25", "רבע": "0.25"}
_NOT_ALONE: Final = frozenset(("one", "אחד", "אחת", "שני", "שתי", "half", "quarter", "חצי", "רבע"))
"""Also a pronoun (`this one`), a weekday (`יום שני`) or a rough share (`half the night`)."""
_TEN: Final = 10
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL: Final = re.compile(r"\d+(?:[.,]\d+)?")
_LONGEST: Final = 20
_CODE: Final = re.compile(r"0\d")
"""A number of a telephone or a file, in which the zero counts."""
_DAY_AND_MONTH: Final = re.compile(r"(\d{1,2})[./](\d{1,2})")
_DAYS: Final = 31
_MONTHS: Final = 12
_FRACTION: Final = re.compile(r"([1-3])/([248])")


def read_number(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    """Return the number that begins at this word and its length; a range is `5-10`.

    What is no single number (`120/80`) is kept as it is written, and so is what may be a day and
    month: `1.10` is not `1.1`. Words that are often not meant as numbers are left to `read_amount`.
    """
    read = _read_range(words, at, is_bare=True)
    return None if read is None or (read[1] == 1 and words[at].text in _NOT_ALONE) else read


def read_amount(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    """Return what `read_number` does where a unit follows, so that `one` and `half` are numbers."""
    return _read_range(words, at, is_bare=False)


def _read_range(words: Sequence[Word], at: int, *, is_bare: bool) -> tuple[str, int] | None:
    first = _read_one(words, at, is_bare=is_bare)
    if first is None:
        return None
    value, length = first
    dash = at + length
    if dash + 1 < len(words) and words[dash].text in {"-", "to", "עד"}:
        last = _read_one(words, dash + 1, is_bare=is_bare)
        if last is not None:
            return f"{value}-{last[0]}", length + 1 + last[1]
    return value, length


def _read_one(words: Sequence[Word], at: int, *, is_bare: bool) -> tuple[str, int] | None:
    text = words[at].text
    if is_bare and _may_be_day(text):
        return text, 1
    if text[0].isdigit():
        return _read_figures(text), 1
    if text in _PARTS:
        length = 1 + (_text(words, at + 1) in {"a", "an", "of"})
        return _PARTS[text], length
    return _read_words(words, at)


def _may_be_day(text: str) -> bool:
    """Say whether figures may be a day and month: `1.10` of October, `1/2` of February."""
    found = _DAY_AND_MONTH.fullmatch(text)
    if found is None:
        return False
    return 1 <= int(found[1]) <= _DAYS and 1 <= int(found[2]) <= _MONTHS


def _read_figures(text: str) -> str:
    if len(text) > _LONGEST or _CODE.match(text):
        return text
    if _THOUSANDS.fullmatch(text):
        return plain(Decimal(text.replace(",", "")))
    if _DECIMAL.fullmatch(text):
        return plain(Decimal(text.replace(",", ".")))
    if match := _FRACTION.fullmatch(text):
        part = Decimal(match[1]) / Decimal(match[2])
        return plain(part) if part < 1 else text
    return text


def _read_words(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    text = words[at].text
    if text in _HUNDREDS:
        return str(_HUNDREDS[text]), 1
    if text in _TENS:
        return _read_tens(words, at)
    return _read_units(words, at) if text in SMALL_NUMBERS else None


def _read_tens(words: Sequence[Word], at: int) -> tuple[str, int]:
    """Read `twenty`, `twenty-five`, `עשרים וחמש`."""
    tens = _TENS[words[at].text]
    place = at + 1 + (_text(words, at + 1) == "-")
    following = _text(words, place)
    unit = SMALL_NUMBERS.get(following.removeprefix("ו"), 0)
    joined = following.isascii() or following[:1] == "ו"
    return (str(tens + unit), place + 1 - at) if joined and 0 < unit < _TEN else (str(tens), 1)


def _read_units(words: Sequence[Word], at: int) -> tuple[str, int]:
    """Read `five`, `חמש עשרה`, `five hundred`, `two and a half`, `שניים וחצי`."""
    unit, following = SMALL_NUMBERS[words[at].text], _text(words, at + 1)
    if following in {"עשר", "עשרה"} and unit < _TEN:
        return str(unit + _TEN), 2
    if following in {"hundred", "מאות"}:
        return str(unit * 100), 2
    if [_text(words, at + n) for n in range(1, 4)] == ["and", "a", "half"]:
        return f"{unit}.5", 4
    return (f"{unit}.5", 2) if following == "וחצי" else (str(unit), 1)


def plain(number: Decimal) -> str:
    """Return the number without an exponent or needless zeros."""
    return f"{number.normalize():f}"


def _text(words: Sequence[Word], place: int) -> str:
    return words[place].text if place < len(words) else ""

"""Dates and times of day in a text, however they are written, in Hebrew and English."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runtime.clinical.lexicon import prefixes
from runtime.clinical.words import Word
from runtime.language.months import MONTHS


@dataclass(frozen=True, slots=True, order=True)
class CalendarDate:
    """A date as far as it was written, 0 where it was not: `12 March` has no year."""

    year: int = 0
    month: int = 0
    day: int = 0

    def may_be(self, other: CalendarDate) -> bool:
        """Return whether both can mean one day: no part that both name differs."""
        parts = zip(
            (self.year, self.month, self.day), (other.year, other.month, other.day), strict=True
        )
        return all(mine == theirs or not (mine and theirs) for mine, theirs in parts)

    def __str__(self) -> str:
        return f"{self.year or '?'}-{self.month or '?'}-{self.day or '?'}"


_ALSO_WORDS: Final = frozenset(("may", "march", "mar", "jan", "august"))
_DAY: Final = re.compile(r"(?:0?[1-9]|[12]\d|3[01])")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_ISO: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_NUMERIC: Final = re.compile(r"(\d{1,2})([./])(\d{1,2})\2((?:19|20)?\d\d)")
_CLOCK: Final = re.compile(r"(\d{1,2})[:.](\d\d)")
_HOUR: Final = re.compile(r"\d{1,2}")
_ORDINAL: Final = frozenset(("st", "nd", "rd", "th"))
_NOON: Final = 12
_SHORT_YEAR: Final = 100
_LAST_MONTH: Final = 12
_LAST_DAY: Final = 31
_LAST_HOUR: Final = 23


def read_date(words: Sequence[Word], at: int) -> tuple[CalendarDate, int] | None:
    """Return the date that begins at this word and how many words it takes, or None.

    A date in figures is day first, as it is written in Israel.
    """
    return _read_figures(words[at].text) or _read_day_first(words, at) or _read_month(words, at)


def _read_figures(text: str) -> tuple[CalendarDate, int] | None:
    if match := _ISO.fullmatch(text):
        year, month, day = (int(part) for part in match.groups())
    elif match := _NUMERIC.fullmatch(text):
        day, month, year = int(match[1]), int(match[3]), int(match[4])
        year += 2000 if year < _SHORT_YEAR else 0
    else:
        return None
    if not (1 <= month <= _LAST_MONTH and 1 <= day <= _LAST_DAY):
        return None
    return CalendarDate(year, month, day), 1


def _read_day_first(words: Sequence[Word], at: int) -> tuple[CalendarDate, int] | None:
    """Read `12 March 2025`, `12th of March`, `12 במרץ`."""
    if not _DAY.fullmatch(words[at].text):
        return None
    place = at + 1
    place += _text(words, place) in _ORDINAL
    place += _text(words, place) == "of"
    month = _month(words, place, sure=True)
    if not month:
        return None
    year, taken = _read_year(words, place + 1)
    return CalendarDate(year, month, int(words[at].text)), place + 1 + taken - at


def _read_month(words: Sequence[Word], at: int) -> tuple[CalendarDate, int] | None:
    """Read `March 12, 2025`, `March 2025`, `March`, `במרץ 2025`."""
    day, place = 0, at + 1
    if _DAY.fullmatch(_text(words, place)):
        day, place = int(words[place].text), place + 1
        place += _text(words, place) in _ORDINAL
    year, taken = _read_year(words, place)
    before = words[at - 1].text if at else ""
    sure = bool(day or year) or before in {"in", "since", "until", "during", "last", "by", "of"}
    month = _month(words, at, sure=sure)
    return (CalendarDate(year, month, day), place + taken - at) if month else None


def _read_year(words: Sequence[Word], place: int) -> tuple[int, int]:
    comma = _text(words, place) in {",", "of"}
    if _YEAR.fullmatch(_text(words, place + comma)):
        return int(words[place + comma].text), 1 + comma
    return 0, 0


def _month(words: Sequence[Word], place: int, *, sure: bool) -> int:
    if place >= len(words):
        return 0
    word = words[place]
    if not word.is_hebrew:
        is_word = word.text in _ALSO_WORDS and not (sure or word.written[0].isupper())
        return 0 if is_word or (word.text == "may" and not sure) else MONTHS.get(word.text, 0)
    found = (MONTHS.get(word.text[len(run) :], 0) for run in prefixes(word.text))
    return next(filter(None, found), 0)


def read_time(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    """Return the time of day that begins at this word as `16:30`, and its length, or None."""
    text = words[at].text
    half = _text(words, at + 1)
    length = 1
    if half in {"a", "p"} and _text(words, at + 2) == ".":
        half, length = half + "m", 4
    is_half_day = half in {"am", "pm"}
    clock = _CLOCK.fullmatch(text)
    if clock is not None and (":" in text or is_half_day):
        hour, minute = int(clock[1]), int(clock[2])
    elif is_half_day and _HOUR.fullmatch(text):
        hour, minute = int(text), 0
    else:
        return None
    if hour > _LAST_HOUR or minute > 59:  # noqa: PLR2004 minutes of an hour
        return None
    if is_half_day:
        hour = hour % _NOON + (_NOON if half == "pm" else 0)
        length = max(length, 2)
    return f"{hour:02}:{minute:02}", length


def _text(words: Sequence[Word], place: int) -> str:
    return words[place].text if place < len(words) else ""

"""Dates, months, quarters and years that a text names: `12 March 2025`, `12.3.25`, `במרץ`.

`time_spans.py` asks, and decides what they are for. The text is `plain`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from runtime.language.months import MONTHS
from runtime.narrowing.calendar_days import (
    Days,
    make_day,
    of_day,
    of_month,
    of_quarter,
    of_year,
    shift,
)
from runtime.narrowing.time_words import MONTH, ORDINALS, Unit


@dataclass(frozen=True, slots=True)
class TimePhrase:
    """A place of a text that means a time. `prefix` is the Hebrew letters joined to its front.

    `certain`: it says by itself that a time is meant; `may` or `2019` do not. `yearless`: the year
    is our guess, the latest that is not in the future. `kind` tells a date from what counts from
    today, and both from a stretch that ends today.
    """

    start: int
    end: int
    days: Days
    unit: Unit
    kind: str = "dated"
    certain: bool = True
    yearless: bool = False
    prefix: str = ""


_HE_PREFIX: Final = r"(?P<prefix>(?<![א-ת])ו?ש?(?:[במלה]|של ה)?-?)?"
_HE_JOINED: Final = r"(?:(?P<prefix>(?<![א-ת])ו?ש?(?:[במלה]|של ה)-?)|(?<![\d./א-ת-]))"
_YEAR: Final = r"(?P<year>(?:19|20)\d\d)(?![\d/.-]*\d)"
_OF_YEAR: Final = (
    rf"(?:,?\s+(?:of\s+|in\s+|של\s+|ב?שנת\s+|ב-?)?(?:{_YEAR}|'(?P<short>\d\d)\b"
    r"|(?P<this>this year|השנה)|(?P<last>last year|(?:ב|ה)?שנה שעברה|אשתקד)))?"
)
_DAY: Final = r"(?P<day>\d{1,2})"
_NUMERIC: Final = re.compile(
    _HE_JOINED + r"(?P<day>\d{1,2})(?P<mark>[./-])(?P<month>\d{1,2})(?P=mark)"
    r"(?P<year>\d{4}|\d\d)(?![./-]?\d)"
)
_ISO: Final = re.compile(
    _HE_JOINED + r"(?P<year>\d{4})(?P<mark>[./-])(?P<month>\d{1,2})(?P=mark)"
    r"(?P<day>\d{1,2})(?![./-]?\d)"
)
_DAY_AND_MONTH: Final = re.compile(
    _HE_JOINED + rf"(?:(?P<from>\d{{1,2}})(?:st|nd|rd|th)?\s*(?:-|to|עד)\s*)?{_DAY}"
    rf"(?:st|nd|rd|th)?(?:\s+of)?[\s-]+[בל]?-?(?:חודש )?(?P<name>{MONTH}){_OF_YEAR}",
    re.IGNORECASE,
)
_MONTH_AND_DAY: Final = re.compile(
    rf"(?P<name>{MONTH})\s+(?:the\s+)?{_DAY}(?:st|nd|rd|th)?\b(?!\s*(?:mg|ml|%|[:.]\d))"
    rf"(?:\s*-\s*(?P<to>\d{{1,2}})\b)?{_OF_YEAR}",
    re.IGNORECASE,
)
_NAMED_MONTH: Final = re.compile(
    rf"{_HE_PREFIX}(?:(?P<before>last|this) )?(?P<name>{MONTH}){_OF_YEAR}"
    r"(?: (?P<past>שעבר|האחרון))?",
    re.IGNORECASE,
)
_MEANS_ELSE: Final = re.compile(r"may|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec")
"""In small letters, other words and names; a month is written with a capital."""
_NUMBERED_MONTH: Final = re.compile(_HE_JOINED + rf"(?P<month>\d{{1,2}})[/.]{_YEAR}", re.IGNORECASE)
_EN_ORDINAL: Final = "|".join(word for word in ORDINALS if word.isascii())
_HE_ORDINAL: Final = "|".join(word for word in ORDINALS if not word.isascii())
_QUARTER: Final = re.compile(
    rf"{_HE_PREFIX}(?:\bq(?P<number>[1-4])\b|\b(?P<en>{_EN_ORDINAL}) quarter\b"
    rf"|רבעון (?P<he>{_HE_ORDINAL})(?![א-ת])){_OF_YEAR}",
    re.IGNORECASE,
)
_WHOLE_YEAR: Final = re.compile(_HE_JOINED + rf"(?<!:){_YEAR}(?!['%]|\s*(?:mg|ml|steps))")


def find_dated(text: str, today: date) -> Iterator[TimePhrase]:
    """Yield what the text names, the longer readings of a place before the shorter ones."""
    for pattern, read in _READERS:
        for match in pattern.finditer(text):
            phrase = read(match, today)
            if phrase is not None:
                yield replace(
                    phrase, start=match.start(), end=match.end(), prefix=_prefix_of(match)
                )


def move_to_year(phrase: TimePhrase, latest: date) -> TimePhrase:
    """Return a phrase without a year as of the latest year in which it begins by that day."""
    days = phrase.days
    while days.first > latest:
        days = _shift_year(days, -1)
    while (later := _shift_year(days, 1)).first <= latest:
        days = later
    return replace(phrase, days=days)


def _shift_year(days: Days, count: int) -> Days:
    return Days(shift(days.first, "year", count), shift(days.after, "year", count))


def _prefix_of(match: re.Match[str]) -> str:
    return (match.groupdict().get("prefix") or "").strip("-")


def _phrase(
    days: Days | None,
    unit: Unit,
    *,
    certain: bool = True,
    yearless: bool = False,
) -> TimePhrase | None:
    if days is None:
        return None
    return TimePhrase(0, 0, days, unit, certain=certain, yearless=yearless)


def _read_numeric(match: re.Match[str], _today: date) -> TimePhrase | None:
    """Day first; a date that there is none such is read month first."""
    year = int(match["year"])
    year += 2000 if year < 100 else 0  # noqa: PLR2004 - two digits
    first, second = int(match["day"]), int(match["month"])
    day = make_day(year, second, first) or make_day(year, first, second)
    return _phrase(of_day(day) if day else None, "day")


def _read_iso(match: re.Match[str], _today: date) -> TimePhrase | None:
    day = make_day(int(match["year"]), int(match["month"]), int(match["day"]))
    return _phrase(of_day(day) if day else None, "day")


def _read_day_of_month(match: re.Match[str], today: date) -> TimePhrase | None:
    parts = match.groupdict()
    month = MONTHS[_name_of(match)]
    numbers = [int(parts[key]) for key in ("from", "day", "to") if parts.get(key)]
    year = _year_of(match, today)
    years = [year] if year else range(today.year, today.year - 8, -1)  # holds a leap year
    for candidate in years:
        first, last = (make_day(candidate, month, numbers[place]) for place in (0, -1))
        if first and last and first <= last and (year or first <= today):
            days = Days(first, last + timedelta(days=1))
            return _phrase(days, "day", yearless=not year)
    return None


def _read_month(match: re.Match[str], today: date) -> TimePhrase | None:
    name, month = _name_of(match), MONTHS[_name_of(match)]
    year = _year_of(match, today)
    if year:
        return _phrase(of_month(year, month), "month")
    before = (match["before"] or "").casefold()
    passed = before == "last" or match["past"]
    is_past = month < today.month or (month == today.month and not passed)
    days = of_month(today.year if is_past else today.year - 1, month)
    if match["name"].islower() and _MEANS_ELSE.fullmatch(name):
        return None
    return _phrase(days, "month", certain=bool(before or match["past"]), yearless=True)


def _read_numbered_month(match: re.Match[str], _today: date) -> TimePhrase | None:
    day = make_day(int(match["year"]), int(match["month"]), 1)
    return _phrase(of_month(day.year, day.month) if day else None, "month")


def _read_quarter(match: re.Match[str], today: date) -> TimePhrase | None:
    word = (match["en"] or match["he"] or "").casefold()
    number = int(match["number"]) if match["number"] else ORDINALS[word]
    year = _year_of(match, today)
    if year:
        return _phrase(of_quarter(year, number), "quarter")
    begun = of_quarter(today.year, number).first <= today
    days = of_quarter(today.year if begun else today.year - 1, number)
    return _phrase(days, "quarter", certain=bool(match["number"] is None), yearless=True)


def _read_year(match: re.Match[str], _today: date) -> TimePhrase | None:
    return _phrase(of_year(int(match["year"])), "year", certain=False)


def _name_of(match: re.Match[str]) -> str:
    return match["name"].casefold().rstrip(".")


def _year_of(match: re.Match[str], today: date) -> int | None:
    """Return the year that a month's pattern ends with."""
    parts = match.groupdict()
    if parts["year"]:
        return int(parts["year"])
    if parts["short"]:
        return 2000 + int(parts["short"])
    if parts["this"] or parts["last"]:
        return today.year - bool(parts["last"])
    return None


_READERS: Final[
    tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], TimePhrase | None]], ...]
] = (
    (_ISO, _read_iso),
    (_NUMERIC, _read_numeric),
    (_DAY_AND_MONTH, _read_day_of_month),
    (_MONTH_AND_DAY, _read_day_of_month),
    (_NAMED_MONTH, _read_month),
    (_NUMBERED_MONTH, _read_numbered_month),
    (_QUARTER, _read_quarter),
    (_WHOLE_YEAR, _read_year),
)

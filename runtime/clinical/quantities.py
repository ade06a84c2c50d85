"""Doses, how often, and spans of time, in Hebrew and English, in one form for both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from runtime.clinical.dates import read_date
from runtime.clinical.lexicon import lexicon, prefixes
from runtime.clinical.numbers import plain, read_amount
from runtime.clinical.words import Word, listed

_TIME_UNITS: Final = {
    **dict.fromkeys(listed("minute minutes min mins דקה דקות"), "minute"),
    **dict.fromkeys(listed("hour hours hr hrs שעה שעות"), "hour"),
    **dict.fromkeys(listed("day days יום ימים"), "day"),
    **dict.fromkeys(listed("night nights לילה לילות"), "night"),
    **dict.fromkeys(listed("morning mornings בוקר"), "morning"),
    **dict.fromkeys(listed("evening evenings ערב"), "evening"),
    **dict.fromkeys(listed("week weeks wk wks שבוע שבועות"), "week"),
    **dict.fromkeys(listed("month months חודש חודשים"), "month"),
    **dict.fromkeys(listed("year years yr yrs שנה שנים"), "year"),
}
_DUALS: Final = {
    "שעתיים": "hour", "יומיים": "day", "שבועיים": "week", "חודשיים": "month", "שנתיים": "year",
    "fortnight": "week",
}  # fmt: skip
_ADVERBS: Final = {
    "daily": "1/day", "nightly": "1/night", "weekly": "1/week", "monthly": "1/month",
    "qd": "1/day", "bid": "2/day", "tid": "3/day", "qid": "4/day",
}  # fmt: skip
_TIMES: Final = {"once": "1", "twice": "2", "thrice": "3", "פעם": "1", "פעמיים": "2"}
_PER: Final = frozenset(("a", "per", "every", "each", "in", "כל"))
_DAYS: Final = {
    "today": "day 0", "היום": "day 0", "yesterday": "day -1", "אתמול": "day -1",
    "tomorrow": "day 1", "מחר": "day 1", "שלשום": "day -2", "tonight": "night 0",
    "הלילה": "night 0",
    "אמש": "night -1", "אשתקד": "previous year", "השנה": "this year", "השבוע": "this week",
    "החודש": "this month",
}  # fmt: skip
_FROM: Final = {
    "since": "since", "מאז": "since", "until": "until", "till": "until", "before": "before",
    "לפני": "before", "after": "after", "אחרי": "after", "לאחר": "after", "עד": "until",
}  # fmt: skip
TIME_WORDS: Final = _TIME_UNITS.keys() | _DUALS.keys() | _DAYS.keys() | _TIMES.keys() | _FROM.keys()
_EVEN_HOURS: Final = {"4": 6, "6": 4, "8": 3, "12": 2, "24": 1}
"""Every so many hours is so many times a day."""
_MICRO: Final = 1000


@dataclass(frozen=True, slots=True, order=True)
class Dose:
    """`amount` is a plain decimal (`0.5`) or a range (`25-50`); `unit`, as `lexicons/units.txt`.

    Grams and micrograms are given in `mg`.
    """

    amount: str
    unit: str


def read_dose(words: Sequence[Word], at: int) -> tuple[Dose, int] | None:
    """Return the dose that begins at this word and its length, or None."""
    number = read_amount(words, at)
    if number is not None:
        amount, length = number
        place = at + length
        place += _text(words, place) in {"-", "a"}
        unit = lexicon("units").find(words, place) if place < len(words) else None
        return (_dose(amount, unit.meaning), place + unit.length - at) if unit else None
    tablet = lexicon("units").find(words, at)
    if tablet and words[at].is_hebrew and _text(words, at + 1) == "וחצי":
        return Dose("1.5", tablet.meaning), 2
    return None


def _dose(amount: str, unit: str) -> Dose:
    try:
        number = Decimal(amount)
    except ArithmeticError:
        return Dose(amount, unit)
    if unit == "mcg":
        return Dose(plain(number / _MICRO), "mg")
    return Dose(plain(number * _MICRO), "mg") if unit == "g" else Dose(amount, unit)


def read_frequency(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    """Return how often, such as `2/day` or `1/2 week`, and its length, or None."""
    text = words[at].text
    if text in _ADVERBS:
        return _ADVERBS[text], 1
    if text in {"every", "each", "כל"}:
        return _read_every(words, at)
    if text in {"a", "per"} and at and lexicon("units").find(words, at - 1):
        unit, behind = _read_unit(words, at + 1)
        return (f"1/{unit}", behind - at) if unit else None
    count, place = _read_count(words, at)
    if not count:
        return None
    if _text(words, place) in {"daily", "weekly", "monthly"}:
        return f"{count}/{_ADVERBS[words[place].text].removeprefix('1/')}", place + 1 - at
    unit, behind = _read_unit(words, place + (_text(words, place) in _PER))
    said = _text(words, place) in _PER or _text(words, place)[:1] == "ב"
    return (f"{count}/{unit}", behind - at) if unit and said else None


def _read_count(words: Sequence[Word], at: int) -> tuple[str, int]:
    if words[at].text in _TIMES:
        return _TIMES[words[at].text], at + 1
    number = read_amount(words, at)
    if number and _text(words, at + number[1]) in {"times", "time", "פעמים", "x"}:
        return number[0], at + number[1] + 1
    return "", at


def _read_every(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    if _text(words, at + 1) == "other":
        unit, behind = _read_unit(words, at + 2)
        return (f"1/2 {unit}", behind - at) if unit else None
    read = read_duration(words, at + 1)
    if read is not None:
        count, _, unit = read[0].partition(" ")
        if unit == "hour" and count in _EVEN_HOURS:
            return f"{_EVEN_HOURS[count]}/day", 1 + read[1]
        return f"1/{read[0]}", 1 + read[1]
    unit, behind = _read_unit(words, at + 1)
    return (f"1/{unit}", behind - at) if unit else None


def read_duration(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    """Return a length of time such as `3 month` and how many words it takes, or None."""
    if at >= len(words):
        return None
    for run in prefixes(words[at].text):
        dual = _DUALS.get(words[at].text[len(run) :])
        if dual:
            return f"2 {dual}", 1
    number = read_amount(words, at)
    if number is None:
        return None
    place = at + number[1]
    unit, behind = _read_unit(words, place + (_text(words, place) in {"a", "-"}))
    return (f"{number[0]} {unit}", behind - at) if unit else None


def read_span(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    """Return a span of time and its length, or None.

    `3 month`, `3 month ago`, `last 3 month` (the past three months), `previous month` (the calendar
    one), `this month`, `next month`, `day -1`, `since 2025-3-?`.
    """
    text = words[at].text
    if text in _DAYS:
        return _DAYS[text], 1
    if text in _FROM:
        return _read_from(words, at)
    read_one = _read_english if not words[at].is_hebrew else _read_hebrew
    return read_one(words, at)


def _read_from(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    read = read_date(words, at + 1) if at + 1 < len(words) else None
    if read is not None:
        return f"{_FROM[words[at].text]} {read[0]}", 1 + read[1]
    duration = read_duration(words, at + 1) if words[at].text == "לפני" else None
    return (f"{duration[0]} ago", 1 + duration[1]) if duration else None


def _read_english(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    rolls = words[at].text == "the"
    first = at + rolls
    which = _text(words, first)
    if which in {"last", "past", "previous", "this", "next", "coming"}:
        duration = read_duration(words, first + 1)
        if duration and which in {"last", "past", "previous"}:
            return f"last {duration[0]}", first + 1 + duration[1] - at
        unit, behind = _read_unit(words, first + 1)
        if not unit:
            return None
        if which == "past" or (which == "last" and rolls):
            return f"last 1 {unit}", behind - at
        name = {"last": "previous", "coming": "next"}.get(which, which)
        return f"{name} {unit}", behind - at
    return None if rolls else _with_ago(words, at)


def _with_ago(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    duration = read_duration(words, at)
    if duration is None and _text(words, at) in {"a", "an"}:
        unit, behind = _read_unit(words, at + 1)
        duration = (f"1 {unit}", behind - at) if unit else None
        if duration and _text(words, behind) != "ago":
            return None
    if duration is None:
        return None
    length = duration[1]
    return (
        (f"{duration[0]} ago", length + 1)
        if _text(words, at + length) == "ago"
        else (duration[0], length)
    )


_HEBREW_WHICH: Final = {
    **dict.fromkeys(("שעבר", "שעברה", "הקודם", "הקודמת"), "previous"),
    **dict.fromkeys(("האחרון", "האחרונה"), "last 1"),
    **dict.fromkeys(("הבא", "הבאה"), "next"),
    **dict.fromkeys(("הזה", "הזאת", "הזו"), "this"),
}


def _read_hebrew(words: Sequence[Word], at: int) -> tuple[str, int] | None:
    duration = read_duration(words, at)
    if duration is not None:
        after = _text(words, at + duration[1])
        if after in {"האחרונים", "האחרונות", "אחרונים", "אחרונות"}:
            return f"last {duration[0]}", duration[1] + 1
        return duration
    unit, behind = _read_unit(words, at)
    which = _HEBREW_WHICH.get(_text(words, behind))
    return (f"{which} {unit}", behind + 1 - at) if unit and which else None


def _read_unit(words: Sequence[Word], at: int) -> tuple[str, int]:
    """Return the unit of time at a word, or none, and the place behind it."""
    text = _text(words, at)
    if not text.isascii():
        for run in prefixes(text):
            if text[len(run) :] in _TIME_UNITS:
                return _TIME_UNITS[text[len(run) :]], at + 1
        return "", at
    return _TIME_UNITS.get(text, ""), at + 1


def _text(words: Sequence[Word], place: int) -> str:
    return words[place].text if place < len(words) else ""

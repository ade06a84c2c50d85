"""Times that a text counts from today: `last week`, `two weeks ago`, `בשלושת החודשים האחרונים`.

`time_spans.py` asks, and decides what they are for. The text is `plain`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Final

from runtime.narrowing.calendar_days import Days, around, of_day, shift
from runtime.narrowing.dated_phrases import TimePhrase
from runtime.narrowing.time_words import (
    EN_NUMBER,
    EN_WEEKDAY,
    HE_NUMBER,
    HE_WEEKDAY,
    UNITS,
    WEEKDAY_NUMBERS,
    Unit,
    count_of,
    is_vague,
    read_number,
)

_HE: Final = r"(?P<prefix>(?<![א-ת])ו?ש?(?:מה|[במלה]|של ה)?-?)"
_ANOTHERS: Final = r"(?<!\bher )(?<!\bhis )(?<!\btheir )(?<!\bmy )(?<!\bvery )(?<!\bat )"
_WHOLE: Final = r"(?!\s+of\b|\s+in\b(?! (?:session|the))|-)"
"""What follows is no "of her life", no "in the army": then it is a year of something else."""

_HE_UNIT: Final = "|".join(name for name in UNITS if not name.isascii())

_NEAR_DAY: Final = re.compile(
    r"\b(?P<today>today|to-day)\b|\b(?P<before>the day before )?yesterday\b"
    rf"|{_HE}(?:(?P<he_today>היום)|(?P<he_yesterday>אתמול)|שלשום)(?![א-ת])",
    re.IGNORECASE,
)
_CALENDAR: Final = re.compile(
    rf"{_ANOTHERS}(?<!\bthe )\b(?P<which>last|this|previous|current) "
    rf"(?P<unit>week|month|quarter|year)\b{_WHOLE}"
    r"|\bthe (?P<the>previous|current) (?P<the_unit>week|month|quarter|year)\b"
    r"|\bthe (?P<twice>week|month|year) before last\b",
    re.IGNORECASE,
)
_HE_CALENDAR: Final = re.compile(
    _HE + r"(?:(?P<unit>שבוע|חודש|רבעון|שנה) (?P<which>שעברה?|הקודמת?|הזאת|הזו|הזה|הנוכחית?)"
    r"|(?P<last_year>אשתקד))(?![א-ת])"
)
_HE_THIS: Final = re.compile(
    r"(?<!ראש )(?<!סוף )(?<!אמצע )(?<!כל )(?<!ימי )(?<!עונות )(?<!לאורך )(?<!במשך )"
    r"(?P<prefix>(?<![א-ת])ו?ש?(?:של )?)ה(?P<unit>שבוע|חודש|שנה)(?=\s*(?:[?.!,]|$))"
)
_BEGUN: Final = re.compile(
    r"\b(?:start|beginning) of (?:the|this) (?P<unit>week|month|quarter|year)\b"
    rf"|{_HE}תחילת ה(?P<he_unit>שבוע|חודש|רבעון|שנה)(?![א-ת])",
    re.IGNORECASE,
)
_ROLLING: Final = re.compile(
    rf"{_ANOTHERS}\b(?:(?:the|these|this) )?(?:last|past|previous|preceding) "
    rf"(?:(?P<number>{EN_NUMBER}) (?P<units>(?:day|week|month|quarter|year)s?)\b"
    rf"|(?P<half>half(?: a)? year)\b){_WHOLE}"
    rf"|(?:\bthe last|\b(?:the |this )?past) (?P<unit>week|month|quarter|year)\b{_WHOLE}",
    re.IGNORECASE,
)
_HE_ROLLING: Final = re.compile(
    _HE + rf"(?:(?P<half>חצי ה?שנה)|(?:(?P<number>{HE_NUMBER}) )?"
    r"ה?(?P<unit>שבועיים|חודשיים|שנתיים|יומיים|ימים|יום|שבועות|שבוע|חודשים|חודש|רבעון|שנים|שנה))"
    r" (?P<last>ה?אחרונ(?:ים|ות|ה)|ה?אחרון|החולפ(?:ים|ות|ת)|החולף)(?![א-ת])(?! של)"
)
_AGO: Final = re.compile(
    rf"\b(?P<number>{EN_NUMBER}|an?) (?P<unit>days?|weeks?|months?|years?) ago\b", re.IGNORECASE
)
_HE_AGO: Final = re.compile(
    r"(?P<prefix>(?<![א-ת])ו?[שמ]?)לפני כ?-?(?:(?P<half>חצי שנה)|"
    rf"(?:(?P<number>{HE_NUMBER}) )?(?P<unit>{_HE_UNIT}))(?![א-ת])"
)
_WEEKDAY: Final = re.compile(
    rf"\b(?:(?P<last>last|this past)|(?P<on>on)) (?P<day>{EN_WEEKDAY})\b(?!s)"
    rf"|(?P<prefix>(?<![א-ת])ו?[במה]?)יום (?P<he_day>{HE_WEEKDAY}) "
    r"(?P<he_last>שעבר|האחרון|הקודם)(?![א-ת])",
    re.IGNORECASE,
)
_AROUND_DAYS: Final[dict[Unit, int]] = {"day": 1, "week": 4, "month": 16, "year": 183}
"""How far on each side "two weeks ago" may lie: half the unit that is counted in, and a little."""


def find_counted(text: str, today: date, *, week_begins: int) -> Iterator[TimePhrase]:
    """Yield what the text counts from today; weekdays count from Monday, 0."""
    for pattern, read in _READERS:
        for match in pattern.finditer(text):
            found = read(match, today, week_begins)
            if found is not None:
                days, unit, kind = found
                prefix = (match.groupdict().get("prefix") or "").strip("-")
                yield TimePhrase(*match.span(), days, unit, kind=kind, prefix=prefix)


_Found = tuple[Days, Unit, str] | None


def _read_near_day(match: re.Match[str], today: date, _week: int) -> _Found:
    if match["today"] or match["he_today"]:
        return of_day(today), "day", "today"
    two_back = match["before"] or not (match["he_yesterday"] or match.group().isascii())
    return of_day(today - timedelta(days=2 if two_back else 1)), "day", "counted"


def _read_calendar(match: re.Match[str], today: date, week: int) -> _Found:
    unit = UNITS[(match["unit"] or match["the_unit"] or match["twice"]).casefold()]
    which = (match["which"] or match["the"] or "twice").casefold()
    back = {"this": 0, "current": 0, "twice": 2}.get(which, 1)
    return around(shift(today, unit, -back), unit, week_begins=week), unit, "counted"


def _read_he_calendar(match: re.Match[str], today: date, week: int) -> _Found:
    unit: Unit = "year" if match["last_year"] else UNITS[match["unit"]]
    back = match["last_year"] or match["which"].startswith(("שעבר", "הקודמ", "הקודם"))
    return around(shift(today, unit, -1 if back else 0), unit, week_begins=week), unit, "counted"


def _read_he_this(match: re.Match[str], today: date, week: int) -> _Found:
    unit = UNITS[match["unit"]]
    return around(today, unit, week_begins=week), unit, "counted"


def _read_begun(match: re.Match[str], today: date, week: int) -> _Found:
    unit = UNITS[(match["unit"] or match["he_unit"]).casefold()]
    first = around(today, unit, week_begins=week).first
    return of_day(first), unit, "begun"


def _read_rolling(match: re.Match[str], today: date, _week: int) -> _Found:
    if match["half"]:
        return _roll(today, "month", 6)
    unit = UNITS[(match["units"] or match["unit"]).casefold()]
    return _roll(today, unit, read_number((match["number"] or "1").casefold()))


def _read_he_rolling(match: re.Match[str], today: date, _week: int) -> _Found:
    if match["half"]:
        return _roll(today, "month", 6)
    name = match["unit"]
    unit = UNITS[name]
    plural = name in ("ימים", "שבועות", "חודשים", "שנים")
    if match["number"] is None and plural:  # "in recent weeks": a few; recent years are any number
        return None if unit == "year" else _roll(today, unit, 10 if unit == "day" else 6)
    return _roll(today, unit, read_number(match["number"] or "1") * count_of(name))


def _roll(today: date, unit: Unit, count: int) -> _Found:
    return Days(shift(today, unit, -count), today + timedelta(days=1)), unit, "rolling"


def _read_ago(match: re.Match[str], today: date, _week: int) -> _Found:
    number = match["number"].casefold()
    if is_vague(number) and "couple" not in number:
        return None
    count = 2 if "couple" in number else 1 if number in ("a", "an") else read_number(number)
    return _ago(today, UNITS[match["unit"].casefold()], count)


def _read_he_ago(match: re.Match[str], today: date, _week: int) -> _Found:
    if match["half"]:
        return _ago(today, "month", 6)
    name, number = match["unit"], match["number"]
    if number is None and name in ("ימים", "שבועות", "חודשים", "שנים"):
        return None
    if number and is_vague(number):
        return None
    return _ago(today, UNITS[name], read_number(number) if number else count_of(name))


def _ago(today: date, unit: Unit, count: int) -> _Found:
    day, slack = shift(today, unit, -count), timedelta(days=_AROUND_DAYS[unit])
    return Days(day - slack, min(day + slack, today) + timedelta(days=1)), unit, "ago"


def _read_weekday(match: re.Match[str], today: date, _week: int) -> _Found:
    wanted = WEEKDAY_NUMBERS[(match["day"] or match["he_day"]).casefold()]
    back = (today.weekday() - wanted) % 7
    if back == 0 and not match["on"]:
        back = 7
    return of_day(today - timedelta(days=back)), "day", "weekday" if match["on"] else "counted"


_READERS: Final[
    tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date, int], _Found]], ...]
] = (
    (_BEGUN, _read_begun),
    (_NEAR_DAY, _read_near_day),
    (_HE_ROLLING, _read_he_rolling),
    (_ROLLING, _read_rolling),
    (_CALENDAR, _read_calendar),
    (_HE_CALENDAR, _read_he_calendar),
    (_HE_THIS, _read_he_this),
    (_AGO, _read_ago),
    (_HE_AGO, _read_he_ago),
    (_WEEKDAY, _read_weekday),
)

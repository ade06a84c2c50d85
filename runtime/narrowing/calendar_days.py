"""Half-open spans of days: a month, a week, the last three weeks. Pure arithmetic, no words."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.narrowing.time_words import Unit

FIRST_YEAR, LAST_YEAR = 1900, 2100


@dataclass(frozen=True, slots=True)
class Days:
    """From `first` on, before `after`."""

    first: date
    after: date


def of_day(day: date) -> Days:
    """Return one day."""
    return Days(day, day + timedelta(days=1))


def of_month(year: int, month: int) -> Days:
    """Return a whole month."""
    return Days(date(year, month, 1), shift(date(year, month, 1), "month", 1))


def of_quarter(year: int, quarter: int) -> Days:
    """Return a whole quarter, counted from 1."""
    first = date(year, 3 * quarter - 2, 1)
    return Days(first, shift(first, "month", 3))


def of_year(year: int) -> Days:
    """Return a whole year."""
    return Days(date(year, 1, 1), date(year + 1, 1, 1))


def around(day: date, unit: Unit, *, week_begins: int) -> Days:
    """Return the day, week, month, quarter or year that holds a day; weekdays count from Monday."""
    match unit:
        case "day":
            return of_day(day)
        case "week":
            first = day - timedelta(days=(day.weekday() - week_begins) % 7)
            return Days(first, first + timedelta(days=7))
        case "month":
            return of_month(day.year, day.month)
        case "quarter":
            return of_quarter(day.year, (day.month + 2) // 3)
        case "year":
            return of_year(day.year)


def shift(day: date, unit: Unit, count: int) -> date:
    """Return the day so many units later, or earlier; the month's last where it has no such day."""
    if unit == "day":
        return day + timedelta(days=count)
    if unit == "week":
        return day + timedelta(weeks=count)
    months = day.year * 12 + day.month - 1 + count * {"month": 1, "quarter": 3, "year": 12}[unit]
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def make_day(year: int, month: int, day: int) -> date | None:
    """Return the date, None where there is none such, or where no note could be of that year."""
    if not FIRST_YEAR <= year <= LAST_YEAR or not 1 <= month <= 12:  # noqa: PLR2004 - months
        return None
    return date(year, month, day) if 1 <= day <= monthrange(year, month)[1] else None

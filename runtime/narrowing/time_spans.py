"""The span of time that a question asks about, where it plainly names one. `narrow.py` asks.

A span hides all that was noted outside it, so that in doubt there is none: a time that belongs to
what happened ("the surgery in March"), a duration, an age, a statement rather than a question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Final

from runtime.narrowing.counted_phrases import find_counted
from runtime.narrowing.dated_phrases import TimePhrase, find_dated, move_to_year
from runtime.narrowing.exclusions import counts_from_event, excludes_time
from runtime.narrowing.time_cues import (
    compares,
    dates_a_note,
    find_relation,
    is_about_time,
    is_asked,
    is_past,
    joins_range,
    opens_range,
    seeks_person,
    tells_of_event,
)
from runtime.narrowing.time_words import plain

if TYPE_CHECKING:
    from runtime.messages import Language


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """Half-open, in UTC: a day begins at midnight there. One end at least is set.

    `dated`: the question names the date itself ("in March 2019") rather than counting from today.
    """

    since: datetime | None
    until: datetime | None
    dated: bool = False


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a phrase reaches, as days: from `first` on, before `after`; None is open."""

    first: date | None
    after: date | None
    dated: bool


_WEEK_BEGINS: Final[dict[Language, int]] = {"en": 0, "he": 6}
_OLDEST_YEARS: Final = 30
"""A date before is nobody's note: it is one that a note tells of."""

_MOST_PHRASES: Final = 8
"""A text with more is no question about a time."""
_QUOTED: Final = re.compile(r'(?:(?<=[\s(])|^)"[^"]{2,}"(?=[\s?.!,)]|$)')


def find_span(question: str, *, today: date, language: Language) -> TimeSpan | None:
    """Return the span that the question is narrowed to, None where it names none for certain.

    A month or day without a year is the latest that has begun. Weeks begin on Sunday in Hebrew, on
    Monday in English.
    """
    text = plain(question)
    if is_about_time(text):
        return None
    phrases = _find_phrases(text, today, _WEEK_BEGINS[language])
    if len(phrases) > _MOST_PHRASES:
        return None
    reaches = _read_phrases(text, phrases, today)
    open_ended = any(reach.after is None for reach in reaches)
    if not reaches or (len(reaches) == 1 and not open_ended and compares(text)):
        return None
    return _join(reaches)


def _find_phrases(text: str, today: date, week_begins: int) -> list[TimePhrase]:
    """Return the time phrases in order, the most telling reading of each place, none quoted."""
    taken = [match.span() for match in _QUOTED.finditer(text)]
    phrases: list[TimePhrase] = []
    counted = find_counted(text, today, week_begins=week_begins)
    for phrase in (*find_dated(text, today), *counted):
        if all(phrase.end <= start or end <= phrase.start for start, end in taken):
            taken.append((phrase.start, phrase.end))
            phrases.append(phrase)
    return sorted(phrases, key=lambda phrase: phrase.start)


def _read_phrases(text: str, phrases: list[TimePhrase], today: date) -> list[_Reach]:
    """Return what each phrase, or pair of phrases, narrows to; what is no filter is left out.

    One that counts from an event leaves nothing certain.
    """
    reaches: list[_Reach] = []
    place = read_to = 0
    while place < len(phrases):
        phrase, following = phrases[place], phrases[place + 1 : place + 2]
        place += 1
        if following and _is_range(text, phrase, following[0]):
            place += 1
            reach = _read_range(text, phrase, following[0], today)
        else:
            reach = _read_phrase(text, phrase, today)
        before, read_to = text[read_to : phrase.start], phrases[place - 1].end
        if reach is None or excludes_time(before):
            continue
        if find_relation(text, phrase) == "within" and counts_from_event(before):
            return []
        reaches.append(reach)
    return reaches


def _is_range(text: str, first: TimePhrase, second: TimePhrase) -> bool:
    hyphen = first.kind == second.kind == "dated" and "-" in text[first.end : second.start]
    return joins_range(text, first, second) and (opens_range(text, first) or hyphen)


def _read_range(text: str, first: TimePhrase, last: TimePhrase, today: date) -> _Reach | None:
    if first.yearless:
        first = move_to_year(first, last.days.first)
    if not _is_meant(text, first, today) or first.days.first > last.days.first:
        return None
    return _Reach(first.days.first, last.days.after, first.kind == "dated")


def _read_phrase(text: str, phrase: TimePhrase, today: date) -> _Reach | None:
    relation = find_relation(text, phrase)
    if relation == "none" or not _is_meant(text, phrase, today):
        return None
    if phrase.kind == "begun":  # "the beginning of the year" is a time to count from, or nothing
        relation = "since" if relation == "since" or phrase.prefix.startswith("מ") else "none"
    elif phrase.kind == "today" and (relation == "until" or not is_past(text)):
        relation = "none"
    elif phrase.kind == "rolling":
        relation = "within" if relation in ("within", "since") else "none"
    reaches = {
        "within": (phrase.days.first, phrase.days.after),
        "since": (phrase.days.first, None),
        "after": (phrase.days.after, None),
        "before": (None, phrase.days.first),
        "until": (None, phrase.days.after),
    }
    if relation not in reaches:
        return None
    return _Reach(*reaches[relation], dated=phrase.kind == "dated")


def _is_meant(text: str, phrase: TimePhrase, today: date) -> bool:
    """Say whether the time is that of the notes, rather than of what they tell of."""
    if phrase.days.first > today or phrase.days.first.year < today.year - _OLDEST_YEARS:
        return False
    if phrase.kind == "weekday" and not is_past(text):
        return False
    if dates_a_note(text, phrase):
        return True
    if not is_asked(text, phrase):
        return False
    if phrase.kind not in ("dated", "ago") and phrase.unit != "year":
        return True
    found_by = seeks_person(text) and phrase.kind != "counted"
    return not (found_by or tells_of_event(text, phrase))


def _join(reaches: list[_Reach]) -> TimeSpan | None:
    """Return what several phrases leave: "after … and before …" both bind, others add up."""
    firsts = [reach.first for reach in reaches if reach.first]
    afters = [reach.after for reach in reaches if reach.after]
    first: date | None = None
    after: date | None = None
    if len(firsts) + len(afters) == len(reaches):
        first, after = max(firsts, default=None), min(afters, default=None)
    else:
        first = min(firsts) if len(firsts) == len(reaches) else None
        after = max(afters) if len(afters) == len(reaches) else None
    if (first is None and after is None) or (first and after and first >= after):
        return None
    dated = all(reach.dated for reach in reaches)
    return TimeSpan(_midnight(first), _midnight(after), dated)


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None

"""What is read from a clinical text has one form for all wordings, in both languages."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clinical.dates import CalendarDate
from runtime.clinical.lexicon import read_rows
from runtime.clinical.quantities import Dose
from runtime.clinical.reading import Kind, read


def find(text: str, kind: Kind) -> list[object]:
    return [each.fact for each in read(text) if each.kind == kind]


@pytest.mark.parametrize(
    ("text", "dose"),
    [
        ("50mg", Dose("50", "mg")),
        ("500 mcg", Dose("0.5", "mg")),
        ("1.5 g", Dose("1500", "mg")),
        ("25-50 mg", Dose("25-50", "mg")),
        ("half a tablet", Dose("0.5", "tablet")),
        ("two tablets", Dose("2", "tablet")),
        ("one tablet", Dose("1", "tablet")),
        ('20 מ"ג', Dose("20", "mg")),
        ("20 מיליגרם", Dose("20", "mg")),
        ("שני כדורים", Dose("2", "tablet")),
        ("כדור וחצי", Dose("1.5", "tablet")),
        ("עשרים וחמש טיפות", Dose("25", "drop")),
        ("1,000 units", Dose("1000", "iu")),
    ],
)
def test_doses_have_one_form(text: str, dose: Dose) -> None:
    assert find(text, "dose") == [dose]


@pytest.mark.parametrize(
    ("text", "frequency"),
    [
        ("twice daily", "2/day"),
        ("two times a day", "2/day"),
        ("every 12 hours", "2/day"),
        ("BID", "2/day"),
        ("once a week", "1/week"),
        ("every other day", "1/2 day"),
        ("2 tablets a day", "1/day"),
        ("פעמיים ביום", "2/day"),
        ("3 פעמים בשבוע", "3/week"),
        ("כל 8 שעות", "3/day"),
    ],
)
def test_frequencies_have_one_form(text: str, frequency: str) -> None:
    assert find(text, "frequency") == [frequency]


@pytest.mark.parametrize(
    "text",
    ["12 March 2025", "March 12, 2025", "12th of March 2025", "12.3.2025", "2025-03-12", "12/3/25",
     "ב-12 במרץ 2025"],
)  # fmt: skip
def test_dates_have_one_form(text: str) -> None:
    assert find(f"seen {text} .", "date") == [CalendarDate(2025, 3, 12)]
    assert find(f"seen {text} .", "number") == []


@pytest.mark.parametrize("text", ["She may call.", "They march on.", "31.13.2025", "pain 7/10"])
def test_what_only_looks_like_a_date_is_none(text: str) -> None:
    assert find(text, "date") == []


def test_dates_that_name_less_may_be_the_same() -> None:
    march = CalendarDate(2025, 3)
    assert march.may_be(CalendarDate(2025, 3, 12))
    assert march.may_be(CalendarDate(0, 3, 1))
    assert not march.may_be(CalendarDate(2024, 3))


@pytest.mark.parametrize(
    ("text", "time"),
    [("4 pm", "16:00"), ("12:05 am", "00:05"), ("16:30", "16:30"), ("4 p.m.", "16:00")],
)
def test_times_have_one_form(text: str, time: str) -> None:
    assert find(text, "time") == [time]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("for three months", "3 month"),
        ("in the past two weeks", "last 2 week"),
        ("last month", "previous month"),
        ("in the last month", "last 1 month"),
        ("this week", "this week"),
        ("a week ago", "1 week ago"),
        ("yesterday", "day -1"),
        ("since March 2025", "since 2025-3-?"),
        ("בחודש שעבר", "previous month"),
        ("בחודש האחרון", "last 1 month"),
        ("בשבועיים האחרונים", "last 2 week"),
        ("לפני 3 חודשים", "3 month ago"),
        ("מאז מרץ", "since ?-3-?"),
        ("אתמול", "day -1"),
    ],
)
def test_spans_have_one_form(text: str, span: str) -> None:
    assert find(text, "span") == [span]


@pytest.mark.parametrize(
    ("text", "number"),
    [("five", "5"), ("twenty-five", "25"), ("0.50", "0.5"), ("3-4 beers", "3-4"), ("7/10", "7/10"),
     ("שלוש מאות", "300"), ("חמש עשרה", "15"), ("two and a half", "2.5")],
)  # fmt: skip
def test_numbers_have_one_form(text: str, number: str) -> None:
    assert find(text, "number") == [number]


@pytest.mark.parametrize("text", ["this one", "half the night", "יום שני"])
def test_words_that_are_seldom_numbers_are_none(text: str) -> None:
    assert find(text, "number") == []


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("left knee", ["left"]),
        ("pain on the right", ["right"]),
        ("she left her job right now", []),
        ("bilateral weakness", ["both"]),
        ("כאב בצד שמאל", ["left"]),
        ("ברך ימנית", ["right"]),
        ("חולשה דו-צדדית", ["both"]),
    ],
)
def test_sides_are_told_from_their_homographs(text: str, sides: list[str]) -> None:
    assert find(text, "side") == sides


def test_people_are_roles_and_whose_they_are() -> None:
    assert find("אמו התקשרה", "person") == ["mother he"]
    assert find("Her mom called Dana", "person") == ["mother"]
    assert find("בעלה תומך", "person") == ["husband she"]


@pytest.mark.parametrize(
    "table", ["medications", "people", "changes", "units", "sides", "questions.en", "questions.he"]
)
def test_no_form_of_a_table_has_two_meanings(table: str) -> None:
    meanings: dict[tuple[str, ...], str] = {}
    for meaning, form in read_rows(table):
        assert form, meaning
        assert meanings.setdefault(form, meaning) == meaning, form


@settings(deadline=None)
@given(st.text(), st.text(alphabet="0129.,:/-½ amgmlהבלשעתכ'\"\n"))
def test_any_text_is_read(text: str, figures: str) -> None:
    assert all(each.fact for each in read(f"{text} {figures}"))

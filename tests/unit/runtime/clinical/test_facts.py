"""What is read from a clinical text, alike in both languages."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clinical.dates import CalendarDate
from runtime.clinical.facts import read_facts
from runtime.clinical.lexicon import read_rows
from runtime.clinical.quantities import Dose
from runtime.language.stems import stems_of


@pytest.mark.parametrize(
    ("text", "negated", "asserted"),
    [
        ("She denies pain, nausea and fever but reports dizziness.", "nausea", "dizziness"),
        ("No tremor. Sleeps well.", "tremor", "Sleeps"),
        ("No fever, no cough, no pain.", "fever cough pain", ""),
        ("לא אכלה ולא שתתה.", "אכלה שתתה", ""),
        ("Suicidality was ruled out; anxiety persists.", "Suicidality", "anxiety"),
        ("He doesn't smoke; he drinks.", "smoke", "drinks"),
        ("Neither nausea nor vomiting, although tired.", "vomiting", "tired"),
        ("Stopped lithium because tremor began.", "lithium", "tremor"),
        ("היא מכחישה כאבים אך מדווחת על סחרחורות.", "כאבים", "סחרחורות"),
        ("ללא חום. יש שיעול.", "חום", "שיעול"),
        ("הוא הפסיק ליתיום כי הופיע רעד.", "ליתיום", "רעד"),
        ("אובדנות נשללה.", "אובדנות", ""),
    ],
)
def test_a_negation_reaches_what_it_denies(text: str, negated: str, asserted: str) -> None:
    facts = read_facts(text)
    assert stems_of(negated) <= facts.negated
    assert stems_of(asserted) <= facts.asserted
    assert not stems_of(asserted) & facts.negated


@pytest.mark.parametrize("text", ["He does not deny cannabis.", "Not only cannabis."])
def test_a_negation_that_denies_nothing_is_none(text: str) -> None:
    assert "cannabis" in read_facts(text).asserted


def test_a_negated_medication_is_named() -> None:
    facts = read_facts("He takes lithium but no Zoloft.")
    assert facts.medications == {"lithium", "sertraline"}
    assert facts.negated_medications == {"sertraline"}


@pytest.mark.parametrize(
    ("text", "doses"),
    [
        ("50mg", {Dose("50", "mg")}),
        ("500 mcg", {Dose("0.5", "mg")}),
        ("1.5 g", {Dose("1500", "mg")}),
        ("25-50 mg", {Dose("25-50", "mg")}),
        ("half a tablet", {Dose("0.5", "tablet")}),
        ("two tablets", {Dose("2", "tablet")}),
        ("one tablet", {Dose("1", "tablet")}),
        ('20 מ"ג', {Dose("20", "mg")}),
        ("20 מיליגרם", {Dose("20", "mg")}),
        ("שני כדורים", {Dose("2", "tablet")}),
        ("כדור וחצי", {Dose("1.5", "tablet")}),
        ("עשרים וחמש טיפות", {Dose("25", "drop")}),
        ("1,000 units", {Dose("1000", "iu")}),
    ],
)
def test_doses_have_one_form(text: str, doses: set[Dose]) -> None:
    assert read_facts(text).doses == doses


def test_a_dose_belongs_to_its_medication() -> None:
    facts = read_facts("Sertraline was raised from 50 mg to 100 mg, quetiapine stays at 25 mg.")
    assert facts.dosed == {
        ("sertraline", Dose("50", "mg")),
        ("sertraline", Dose("100", "mg")),
        ("quetiapine", Dose("25", "mg")),
    }
    assert read_facts("20 mg of Cipralex").dosed == {("escitalopram", Dose("20", "mg"))}


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
    assert read_facts(text).frequencies == {frequency}


@pytest.mark.parametrize(
    "text",
    ["12 March 2025", "March 12, 2025", "12th of March 2025", "12.3.2025", "2025-03-12", "12/3/25",
     "ב-12 במרץ 2025"],
)  # fmt: skip
def test_dates_have_one_form(text: str) -> None:
    facts = read_facts(f"seen {text} .")
    assert facts.dates == {CalendarDate(2025, 3, 12)}
    assert facts.numbers == frozenset()


@pytest.mark.parametrize("text", ["She may call.", "They march on.", "31.13.2025", "pain 7/10"])
def test_what_only_looks_like_a_date_is_none(text: str) -> None:
    assert read_facts(text).dates == frozenset()


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
    assert read_facts(text).times == {time}


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
    assert read_facts(text).spans == {span}


def test_the_date_of_a_span_is_a_date_and_no_number() -> None:
    facts = read_facts("since March 2025")
    assert facts.dates == {CalendarDate(2025, 3)}
    assert facts.numbers == frozenset()


@pytest.mark.parametrize(
    ("text", "number"),
    [("five", "5"), ("twenty-five", "25"), ("0.50", "0.5"), ("3-4 beers", "3-4"), ("7/10", "7/10"),
     ("שלוש מאות", "300"), ("חמש עשרה", "15"), ("two and a half", "2.5"), ("for 6 weeks", "6")],
)  # fmt: skip
def test_numbers_have_one_form(text: str, number: str) -> None:
    assert read_facts(text).numbers == {number}


@pytest.mark.parametrize("text", ["this one", "half the night", "יום שני"])
def test_words_that_are_seldom_numbers_are_none(text: str) -> None:
    assert read_facts(text).numbers == frozenset()


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("left knee", {"left"}),
        ("pain on the right", {"right"}),
        ("she left her job right now", set()),
        ("bilateral weakness", {"both"}),
        ("כאב בצד שמאל", {"left"}),
        ("ברך ימנית", {"right"}),
        ("חולשה דו-צדדית", {"both"}),
    ],
)
def test_sides_are_told_from_their_homographs(text: str, sides: set[str]) -> None:
    assert read_facts(text).sides == sides


def test_people_are_roles_and_whose_they_are() -> None:
    his = read_facts("אמו התקשרה")
    assert his.people == {"mother"}
    assert his.pronouns == {"he"}
    hers = read_facts("Her mom called Dana")
    assert hers.people == {"mother"}
    assert hers.pronouns == {"she"}
    assert hers.names == {"dana"}


def test_a_husband_is_no_rise() -> None:
    facts = read_facts("בעלה תומך")
    assert facts.people == {"husband"}
    assert facts.changes == frozenset()


@pytest.mark.parametrize(
    ("text", "change"),
    [("was increased", "up"), ("went down", "down"), ("השתפרה", "better"), ("החמיר", "worse"),
     ("gave up", "stop"), ("התחילה", "start")],
)  # fmt: skip
def test_changes_have_a_direction(text: str, change: str) -> None:
    assert read_facts(text).changes == {change}


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
    facts = read_facts(f"{text} {figures}")
    assert all(number for number in facts.numbers)

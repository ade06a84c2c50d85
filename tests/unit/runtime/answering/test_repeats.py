"""Notes copied forward are given once; two that differ in what matters, twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from runtime.answering.repeats import drop_repeats
from runtime.messages import Passage

ENGLISH = (
    "Reports waking at three most nights since the move. Takes sertraline 50 mg every morning and "
    "denies side effects. Pain in the left knee is 4/10 on stairs. No thoughts of self-harm."
)
HEBREW = (
    'מדווחת על יקיצות בשלוש לפנות בוקר מאז המעבר. נוטלת ציפרלקס 10 מ"ג בכל בוקר. '
    "הכאב בברך שמאל 4/10 במדרגות. אין מחשבות אובדניות."
)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ENGLISH, ENGLISH),
        (HEBREW, HEBREW),
        (ENGLISH, ENGLISH.upper().replace(". ", ".\n\n")),
        (ENGLISH, ENGLISH.replace("the left knee", "left knee").replace("and denies", "denies")),
        (HEBREW, HEBREW.replace("נוטלת ציפרלקס", "נוטלת גם ציפרלקס")),
        (ENGLISH, "Pain in the left knee is 4/10 on stairs. No thoughts of self-harm."),
        ("word " * 500 + ENGLISH, "word " * 500 + ENGLISH),
    ],
    ids=["same", "same he", "layout", "grammar", "grammar he", "part of it", "long"],
)
def test_what_adds_nothing_is_a_repeat(
    make_passage: Callable[..., Passage], first: str, second: str
) -> None:
    kept = make_passage(first)
    assert drop_repeats([kept, make_passage(second, similarity=0.4)]) == [kept]


@pytest.mark.parametrize(
    ("text", "was", "now"),
    [
        (ENGLISH, "50 mg", "100 mg"),
        (ENGLISH, "denies", "reports"),
        (ENGLISH, "left", "right"),
        (ENGLISH, "4/10", "6/10"),
        (ENGLISH, "No thoughts", "Thoughts"),
        (ENGLISH, "Takes", "Took"),
        (ENGLISH, "every morning", "every other morning"),
        (ENGLISH, "self-harm.", "self-harm?"),
        (ENGLISH, "4/10", "-4/10"),
        (HEBREW, '10 מ"ג', '20 מ"ג'),
        (HEBREW, "שמאל", "ימין"),
        (HEBREW, "אין מחשבות", "יש מחשבות"),
        (HEBREW, "נוטלת", "לא נוטלת"),
        (HEBREW, "נוטלת", "נטלה"),
        ("Reflexes ++ on both sides.", "++", "+"),
    ],
)
def test_one_word_that_matters_makes_another_note(
    make_passage: Callable[..., Passage], text: str, was: str, now: str
) -> None:
    assert was in text
    notes = [make_passage(text), make_passage(text.replace(was, now))]
    assert drop_repeats(notes) == notes
    assert drop_repeats(notes[::-1]) == notes[::-1]


def test_words_that_changed_places_make_another_note(
    make_passage: Callable[..., Passage],
) -> None:
    said = "Today the left knee is better and the right hip is worse, as she said before twice."
    swapped = said.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")
    notes = [make_passage(said), make_passage(swapped)]
    assert drop_repeats(notes) == notes


def test_a_note_with_a_sentence_more_stays_beside_the_shorter_one(
    make_passage: Callable[..., Passage],
) -> None:
    notes = [make_passage(ENGLISH), make_passage(f"{ENGLISH} Began to swim again.")]
    assert drop_repeats(notes) == notes
    assert drop_repeats(notes[::-1]) == notes[:0:-1]


def test_two_people_who_report_the_same_are_two_facts(
    make_passage: Callable[..., Passage],
) -> None:
    one = make_passage(ENGLISH)
    notes = [one, replace(make_passage(ENGLISH), client_id=UUID(int=8))]
    assert drop_repeats(notes) == notes


def test_what_was_found_is_not_what_was_planned(make_passage: Callable[..., Passage]) -> None:
    notes = [
        make_passage("Swimming twice a week."),
        make_passage("Swimming twice a week.", field_name="plan"),
    ]
    assert drop_repeats(notes) == notes


def test_signs_without_words_are_no_part_of_everything(
    make_passage: Callable[..., Passage],
) -> None:
    notes = [make_passage(ENGLISH), make_passage("…")]
    assert drop_repeats(notes) == notes

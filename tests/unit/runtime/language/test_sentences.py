"""Sentence ends of clinical notes in Hebrew and English."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.language.sentences import sentences


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "expected",
    [
        ["She sleeps badly.", "Is she eating?", "Yes!", "Good"],
        ["Takes 2.5 mg b.i.d. with food, e.g. at 8 a.m. and at night.", "Dr. Levi agreed."],
        ["Rests at 10 p.m. 3 nights a week.", "Up at 6 a.m.", "Then works."],
        ["Seen on Oct. 14 by J. Smith.", "See no. 7."],
        ["She said no.", "So did I.", "We stopped."],
        ['He asked "why me?" and left.', "(See below.)", "So tired... but calm… she said."],
        ["Wait...", "He left.", "Why?!", "Nobody knows."],
        ['ד"ר לוי המליצה על 2.5 מ"ג.', "היא ישנה, אוכלת וכו'.", '"טוב לי."', "פרופ. כהן הסכים."],
        ["1. Continue sertraline.", "2. Recheck in 4 wks. at most.", "א. להמשיך בטיפול."],
    ],
)
def test_a_line_is_cut_at_its_stops_and_nowhere_else(expected: list[str]) -> None:
    assert cut(" ".join(expected)) == expected


def test_every_line_and_list_item_is_its_own_sentence() -> None:
    text = "Plan:\r\n- sleep diary\n• walk\n\n 1. call\u2028שיחה"
    assert cut(text) == ["Plan:", "- sleep diary", "• walk", "1. call", "שיחה"]


def test_a_stop_without_a_space_behind_it_ends_nothing() -> None:
    assert cut("Labs at clinic.example.org were 7.4/10") == [
        "Labs at clinic.example.org were 7.4/10"
    ]


def test_an_abbreviation_at_the_very_end_ends_the_text() -> None:
    assert cut("Seen by Dr.") == ["Seen by Dr."]
    assert cut(" \n\t") == []


@given(st.text(alphabet=st.sampled_from("ab .!?…\"'\n\t1)-אב׳\u05b8I\x1c\u2028"), max_size=80))
def test_sentences_are_ordered_trimmed_and_leave_no_letter_out(text: str) -> None:
    spans = sentences(text)
    ends = [0, *(end for _, end in spans)]
    assert all(end <= start for end, (start, _) in zip(ends, spans, strict=False))
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
    assert "".join("".join(piece.split()) for piece in cut(text)) == "".join(text.split())

"""Words that are the same in both scripts sound the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.language.sounds import FEWEST, consonants


@pytest.mark.parametrize(
    ("latin", "hebrew"),
    [
        ("methotrexate", "מתוטרקסט"),
        ("ibuprofen", "איבופרופן"),
        ("metformin", "מטפורמין"),
        ("escitalopram", "אסציטלופרם"),
        ("doxycycline", "דוקסיציקלין"),
        ("lasix", "לאסיקס"),
        ("psychology", "פסיכולוגי"),
        ("chemotherapy", "כימותרפי"),
        ("schizophrenia", "סכיזופרני"),
        ("depression", "דפרסי"),
        ("transcription", "טרנסקריפצי"),
        ("acupuncture", "אקופונקטור"),
        ("warfarins", "וורפרינס"),
    ],
)
def test_a_borrowed_word_sounds_alike_in_both_scripts(latin: str, hebrew: str) -> None:
    assert consonants(latin) == consonants(hebrew) != ""


@pytest.mark.parametrize("prefix", ["ו", "ה", "ב", "ל", "מ", "ש", "כ", "ול", "שה", "וכש", "מה"])
@pytest.mark.parametrize("word", ["מטפורמין", "סרטרלין", "קלונזפאם", "מלטונין"])
def test_a_joined_prefix_makes_no_difference(prefix: str, word: str) -> None:
    assert consonants(prefix + word) == consonants(word)


@pytest.mark.parametrize(
    ("one", "two"),
    [("sertraline", "paroxetine"), ("warfarin", "aspirin"), ("methotrexate", "metformin")],
)
def test_different_drugs_sound_different(one: str, two: str) -> None:
    assert consonants(one) != consonants(two)


@pytest.mark.parametrize(
    "word", ["", "pain", "שינה", "קשר", "ouija", "'", "привет", "naïvetés", "µ"]
)
def test_a_word_with_few_consonants_or_other_letters_has_none(word: str) -> None:
    assert consonants(word) == ""


@given(st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz'אבגדהוזחטיכךלמםנןסעפףצץקרשת׳״é")))
def test_consonants_are_enough_capitals_or_nothing(word: str) -> None:
    assert re.fullmatch(rf"([A-Z]{{{FEWEST},}})?", consonants(word))

"""What counts as the same word."""

from __future__ import annotations

import pytest

from runtime.language.stems import list_sounds, list_stems, stems_of


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("sleeping", "sleeps"),
        ("medications", "medication"),
        ("allergies", "allergy"),
        ("stopped", "stop"),
        ("dose", "dosing"),
        ("Dana's", "dana"),
        ("Dana’s", "dana"),
        ("patients'", "patients"),
        ("השינה", "שינה"),
        ("ולאחיות", "לאחיות"),
        ("וכשהתרופות", "תרופות"),
        ("ישנה", "ישן"),
        ("כאבים", "כאב"),
        ("והכאבים", "כאבי"),
        ("טוֹב", "טוב"),
        ("\ufb2aל\ufb4b", "של" + "ו"),
    ],
)
def test_forms_of_a_word_share_a_stem(one: str, two: str) -> None:
    assert stems_of(one) == stems_of(two)


@pytest.mark.parametrize(
    ("one", "two"), [("stress", "stres"), ("pain", "paint"), ("כלב", "לב"), ("2.5", "25")]
)
def test_different_words_keep_different_stems(one: str, two: str) -> None:
    assert stems_of(one) != stems_of(two)


def test_numbers_stay_whole_and_small_words_are_left_out() -> None:
    assert stems_of("What is the dose of 2.5 or 25?") == {"dos", "2.5", "25"}
    assert stems_of("מה זה של 120/80") == {"120/80"}


def test_what_a_hyphen_or_a_maqaf_joins_is_two_words() -> None:
    assert stems_of("self-harm") == stems_of("self harm")
    assert stems_of("בית־ספר") == stems_of("בית ספר")


def test_an_acronym_is_one_word() -> None:
    assert len(list_stems('ד"ר ת״ז')) == 2


def test_the_stems_stand_in_order_and_as_often_as_their_words() -> None:
    assert list_stems("Pain, then pain; sleeps") == ["pain", "then", "pain", "sleep"]


@pytest.mark.parametrize("text", ["", " \0\n", "' \" % _ \\ & | ! ( ) : *", "\ud83d", "the of"])
def test_no_text_breaks_it_and_some_hold_no_word(text: str) -> None:
    assert list_stems(text) == []


def test_a_word_without_an_end_is_cut() -> None:
    assert list_stems("ab" * 1000) == ["ab" * 32]


@pytest.mark.parametrize(
    ("question", "note"),
    [
        ("האיבופרופן", "ibuprofen"),
        ("למתוטרקסט", "Methotrexate"),
        ("Clonazepam", "בקלונזפאם"),
        ("דפרסיה", "depression"),
        ("prescribed", "prescribing"),
        ("התרופות", "תרופה"),
    ],
)
def test_what_finds_a_word_is_the_same_in_both_scripts_and_in_its_forms(
    question: str, note: str
) -> None:
    assert list_sounds(question) == list_sounds(note)


def test_short_words_are_found_by_their_stems_and_numbers_whole() -> None:
    assert list_sounds("What is the dose of 2.5? השינה") == ["dos", "2.5", "שינ"]


def test_drugs_that_sound_alike_are_still_two_where_stems_are_compared() -> None:
    assert stems_of("citalopram") != stems_of("escitalopram")


@pytest.mark.parametrize(
    ("asked", "written"),
    [("בתרופות", "תרופה"), ("שהתרופות", "תרופות"), ("מורפין", "morphine"), ("במורפין", "מורפין")],
)
def test_a_hebrew_word_is_found_with_a_prefix_or_without(asked: str, written: str) -> None:
    assert set(list_sounds(asked)) & set(list_sounds(written))

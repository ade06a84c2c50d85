"""The words of a stored name and those of a question meet where the same person may be meant."""

from __future__ import annotations

import pytest

from runtime.language.name_words import MOST_ASKED_TOKENS, list_asked_words, list_name_words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Maya Thornton", ("maya", "thornton")),
        ("Thornton, Maya", ("maya", "thornton")),
        ("MAYA  THORNTON", ("maya", "thornton")),
        ("Dr. Maya Thornton Jr.", ("maya", "thornton")),
        ("Robert (Bob) Ben-Ari", ("robert", "bob", "ben", "ari")),
        ("Sean O’Neill", ("sean", "oneill")),
        ("José García", ("jose", "garcia")),
        ("Jose\u0301 Garcia", ("jose", "garcia")),
        ("שְׁלֹמִית כץ", ("שלמית", "כצ")),
        ("דנה בן־ארי", ("דנה", "בנ", "ארי")),
        ("ד\"ר ג'ורג' אבו-חצירא", ("גורג", "אבו", "חצירא")),
        ("Maya Maya", ("maya",)),
        ("17", ()),
        ("", ()),
    ],
)
def test_a_name_is_stored_as_its_bare_words(name: str, words: tuple[str, ...]) -> None:
    assert list_name_words(name) == words


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ("Maya's", "maya"),
        ("Maya’s", "maya"),
        ("MAYA", "maya"),
        ("למאיה", "מאיה"),
        ("ולמאיה", "מאיה"),
        ("שמאיה", "מאיה"),
        ("כשמאיה", "מאיה"),
        ("וכשמאיה", "מאיה"),
        ("ממאיה", "מאיה"),
        ("לMaya", "maya"),
        ("לכץ", "כצ"),
        ("מָאיָה", "מאיה"),
    ],
)
def test_a_word_is_looked_up_with_and_without_what_is_joined_to_it(asked: str, word: str) -> None:
    (found,) = list_asked_words(asked)

    assert word in found.words


@pytest.mark.parametrize(("asked", "word"), [("המאיה", "מאיה"), ("Mayan", "maya"), ("לי", "י")])
def test_no_more_is_taken_off_than_may_be_joined(asked: str, word: str) -> None:
    (found,) = list_asked_words(asked)

    assert word not in found.words


def test_a_flood_of_words_is_looked_up_only_so_far() -> None:
    assert len(list_asked_words("Maya " * 1000)) == MOST_ASKED_TOKENS


@pytest.mark.parametrize("asked", ["Noam", "Noam's", "לNoam"])
def test_a_name_in_latin_letters_is_also_looked_up_in_hebrew(asked: str) -> None:
    (found,) = list_asked_words(asked)

    assert ("נועמ" in found.heard) is (asked[0] == "N")


@pytest.mark.parametrize("asked", ["noam", "NOAM", "Al", "José", "נועם"])
def test_what_is_not_written_as_a_name_is_not_heard(asked: str) -> None:
    (found,) = list_asked_words(asked)

    assert found.heard == ()


def test_only_so_many_names_are_heard() -> None:
    found = list_asked_words("Noam " * 9)

    assert [bool(word.heard) for word in found] == [True] * 8 + [False]

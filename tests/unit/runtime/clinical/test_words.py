"""The words that the clinical rules read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clinical.reading import read
from runtime.clinical.words import words_of

PIECES = (
    "n't",
    "'s",
    "'d",
    "'ll",
    "do",
    "can",
    "she",
    "2",
    "1/2",
    "½",
    "ב",
    "לא",
    "״",
    "-",
    ".",
    " ",
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("didn't", ["did", "not"]),
        ("do n't", ["do", "not"]),
        ("n't", ["not"]),
        ("can't", ["can", "not"]),
        ("she's", ["she", "is"]),
    ],
)
def test_a_contraction_is_read_as_its_words(text: str, words: list[str]) -> None:
    assert [word.text for word in words_of(text)] == words


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_no_word_is_empty_however_the_signs_stand(text: str) -> None:
    assert all(word.text for word in words_of(text))
    read(text)

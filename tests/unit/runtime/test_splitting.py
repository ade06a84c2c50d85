"""Cutting fields into passages."""

from __future__ import annotations

import itertools
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from runtime.messages import Span
from runtime.splitting import PASSAGE_TOKENS, TAIL_TOKENS, cut, estimate_tokens

SENTENCE = "She slept six hours on most nights and woke rested."
WORDS = st.sampled_from(
    [
        "sleep",
        "she",
        "woke",
        "2.5",
        "mg.",
        "well,",
        "שינה",
        "טוֹבָה",
        "\n",
        "anxious.",
        "א" * 90,
        "🙂",
    ]
)


def parts(text: str) -> list[str]:
    return [text[span.start : span.end] for span in cut(text)]


def test_a_short_field_is_one_passage_without_its_outer_white_space() -> None:
    assert cut(f"\n {SENTENCE}  ") == [Span(0, 2, 2 + len(SENTENCE))]
    assert cut(" \n") == []


def test_a_long_field_is_cut_at_sentence_ends_into_about_equal_parts() -> None:
    pieces = parts(" ".join([SENTENCE] * 23))
    sizes = [estimate_tokens(piece) for piece in pieces]
    assert len(pieces) == 3
    assert all(piece.startswith("She") and piece.endswith("rested.") for piece in pieces)
    assert max(sizes) <= PASSAGE_TOKENS
    assert max(sizes) - min(sizes) <= estimate_tokens(SENTENCE)


def test_a_long_sentence_is_cut_at_its_clauses() -> None:
    pieces = parts("; ".join(["she slept six hours on most nights and woke rested"] * 20))
    assert len(pieces) > 1
    assert all(piece.endswith(";") for piece in pieces[:-1])


def test_a_sentence_without_clauses_is_cut_between_words() -> None:
    pieces = parts(" ".join(["unpunctuated"] * 100))
    assert len(pieces) > 1
    assert {word for piece in pieces for word in piece.split()} == {"unpunctuated"}


def test_a_word_longer_than_a_passage_is_cut_between_letters_with_their_points() -> None:
    pieces = parts("שָׁ" * 400)
    assert len(pieces) > 1
    assert all(unicodedata.combining(piece[0]) == 0 for piece in pieces)


def test_an_emoji_joined_of_several_stays_whole() -> None:
    pieces = parts("x" * 79 + "👩\u200d👧" * 150)
    assert len(pieces) > 1
    assert all(piece[0] != "\u200d" and piece[-1] != "\u200d" for piece in pieces)


def test_a_short_tail_joins_the_passage_before_it() -> None:
    nearly_full = " ".join(["word"] * 113) + "."
    assert estimate_tokens(nearly_full) < PASSAGE_TOKENS < estimate_tokens(nearly_full + " Well.")
    assert parts(f"{nearly_full} Well.") == [f"{nearly_full} Well."]


def test_the_estimate_holds_in_each_script() -> None:
    assert estimate_tokens("The patient reports sleeping better since the last visit.") == 14
    assert estimate_tokens("המטופלת מדווחת שהיא ישנה טוב יותר") == 11
    assert estimate_tokens("120/80") == 6
    assert estimate_tokens(" \n") == 0


@given(st.lists(WORDS, max_size=300).map(" ".join))
def test_passages_are_ordered_bounded_and_leave_no_letter_out(text: str) -> None:
    spans = cut(text)
    assert [span.part for span in spans] == list(range(len(spans)))
    assert all(one.end <= two.start for one, two in itertools.pairwise(spans))
    pieces = parts(text)
    assert "".join("".join(piece.split()) for piece in pieces) == "".join(text.split())
    assert all(piece == piece.strip() for piece in pieces)
    assert all(unicodedata.combining(piece[0]) == 0 for piece in pieces)
    sizes = [estimate_tokens(piece) for piece in pieces]
    assert all(size < PASSAGE_TOKENS + TAIL_TOKENS for size in sizes)
    assert len(sizes) < 2 or sizes[-1] >= TAIL_TOKENS

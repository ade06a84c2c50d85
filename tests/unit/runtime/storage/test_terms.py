"""What is stored of a text and asked of a question, within bounds."""

from __future__ import annotations

import pytest

from runtime.storage.terms import (
    MOST_ASKED_TERMS,
    asked_terms,
    bm25_part,
    count_terms,
    list_terms,
)


def test_stored_terms_stay_findable_by_later_versions() -> None:
    """They stand in databases: whoever changes them must have every record indexed anew."""
    assert list_terms("sleeping") == [6287602132094288112]
    assert list_terms("התרופות") == [6495186417351860796]


def test_a_question_asks_for_each_word_once_and_for_a_bounded_number() -> None:
    assert asked_terms("pain, more pain and pains") == asked_terms("pain more")
    assert len(asked_terms(" ".join(f"word{n}" for n in range(300)))) == MOST_ASKED_TERMS


def test_a_field_is_counted_word_by_word() -> None:
    counted = count_terms("Pain at night, pains by day.")

    assert counted.length == 4
    assert sorted(counted.occurrences.values()) == [1, 1, 2]
    assert (count_terms("").length, dict(count_terms("").occurrences)) == (0, {})


def test_what_is_stored_of_a_pasted_dump_is_bounded() -> None:
    many = count_terms(" ".join(f"w{n}" for n in range(50_000)))
    often = count_terms("pain " * 50_000)

    assert (len(many.occurrences), many.length) == (10_000, 32_767)
    assert (list(often.occurrences.values()), often.length) == ([32_767], 32_767)


def test_a_word_counts_less_in_a_longer_field_and_hardly_more_when_repeated() -> None:
    assert bm25_part(1, 45) == pytest.approx(1)
    assert bm25_part(1, 200) < bm25_part(1, 45) < bm25_part(1, 5)
    assert bm25_part(1, 45) < bm25_part(2, 45) < bm25_part(100, 45) < 2.2

"""Cohere's spans as our markers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.answering.checking import split_answer
from runtime.providers.cohere_citations import CitedSpan, MarkerWeaver, with_markers

TEXT = "She sleeps badly. She eats well!\nShe walks."
SLEEP, EAT, WALK = CitedSpan(4, 17, (1,)), CitedSpan(22, 26, (2, 1)), CitedSpan(37, 43, (3,))
WOVEN = "She sleeps badly. [1] She eats well! [2][1]\nShe walks. [3]"


def pieces(text: str, cuts: set[int]) -> list[str]:
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    return [text[start:end] for start, end in pairwise(at)]


def test_each_sentence_ends_with_what_is_cited_in_it() -> None:
    assert with_markers(TEXT, [SLEEP, EAT, WALK]) == WOVEN


@settings(deadline=None)  # the machine may be busy
@given(st.sets(st.integers(1, len(TEXT))))
def test_however_it_comes_a_stream_gives_the_same(cuts: set[int]) -> None:
    late, along = MarkerWeaver(), MarkerWeaver()
    given_late = [late.add(piece) for piece in pieces(TEXT, cuts)]
    given_late += [late.cite(span) for span in (SLEEP, EAT, WALK)]
    assert "".join(given_late) + late.finish() == WOVEN
    given_along = ""
    waiting = [SLEEP, EAT, WALK]
    for piece in pieces(TEXT, {*cuts, 17, 26, 43}):
        given_along += along.add(piece)
        while waiting and along._text[: waiting[0].end] == TEXT[: waiting[0].end]:
            given_along += along.cite(waiting.pop(0))
    assert given_along + along.finish() == WOVEN


def test_a_sentence_grows_at_once_and_what_follows_waits_for_its_citation() -> None:
    weaver = MarkerWeaver()
    assert weaver.add("She sleeps ") == "She sleeps "
    assert weaver.add("badly.") == "badly."
    assert weaver.add(" She") == ""
    assert weaver.cite(EAT) == " She"
    assert weaver.add(" eats well") == " eats well"
    assert weaver.finish() == " [2][1]"


def test_a_citation_told_with_its_sentence_lets_the_next_one_go_on() -> None:
    weaver = MarkerWeaver()
    assert weaver.add("She sleeps badly.") == "She sleeps badly."
    assert weaver.cite(SLEEP) == ""
    assert weaver.add(" She") == " [1] She"
    assert weaver.add(" eats.") == " eats."


@pytest.mark.parametrize("own", ["She sleeps badly [1].", "She sleeps badly. [1]"])
def test_markers_of_the_models_own_are_kept_alone(own: str) -> None:
    weaver = MarkerWeaver()
    assert weaver.add(f"{own} She") == f"{own} She"
    assert with_markers(f"{own} She eats.", [SLEEP]) == f"{own} She eats."


def test_a_marker_that_has_only_begun_is_waited_for() -> None:
    weaver = MarkerWeaver()
    assert weaver.add("She sleeps badly. [") == "She sleeps badly."
    assert weaver.add("1] She") == " [1] She"


def test_the_answer_is_split_with_each_marker_at_its_sentence() -> None:
    parts = [WOVEN[start:end] for start, end in split_answer(WOVEN)]
    assert parts == ["She sleeps badly. [1]", "She eats well! [2][1]", "She walks. [3]"]


def test_a_span_of_no_document_of_ours_adds_nothing() -> None:
    assert with_markers(TEXT, [CitedSpan(0, 3, ())]) == TEXT

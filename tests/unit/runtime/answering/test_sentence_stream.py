from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.answering.checking import split_answer
from runtime.answering.guard import clean
from runtime.answering.sentence_stream import Sentence, SentenceStream

PIECES = (
    *("She sleeps", " badly", "at 3 a.m.", "vs.", "No.", " 5", "J.", "1.", "a", "היא ישנה", 'ד"ר'),
    *(".", "?!", "...", "…", " ", "  ", "\n", "\n\n", "\r", "\r\n", "\t", "- ", "* ", ":", ","),
    *("[1]", "[2, 7]", "[1-", "3]", "[", "]", "]1[", "[12", "【1】", ". [1]", "].", " [1][2]"),
    *('"', "“", "”", "«", "»", "'", ")", "(", 'ש"אני', 'מ"ג', "\u200f", "\u0301", "\u2028"),
)
WRITTEN = st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=40)


def feed(text: str, cuts: list[int]) -> list[Sentence]:
    growing = SentenceStream()
    ends = sorted({cut % (len(text) + 1) for cut in cuts} | {len(text)})
    found: list[Sentence] = []
    for start, end in zip([0, *ends], ends, strict=False):
        found += growing.add(text[start:end])
    return found + growing.finish()


@settings(deadline=None, max_examples=400)
@given(text=WRITTEN, cuts=st.lists(st.integers(min_value=0), max_size=40))
def test_the_sentences_are_those_of_the_whole_however_the_pieces_come(
    text: str, cuts: list[int]
) -> None:
    draft = clean(text)
    whole = [draft[start:end] for start, end in split_answer(draft)]
    found = feed(text, cuts)
    assert [sentence.text for sentence in found] == whole
    told = "".join(sentence.gap + sentence.text for sentence in found).strip()
    assert told == (draft if whole else "")


@pytest.mark.parametrize(
    ("pieces", "finished"),
    [
        (["She sleeps. "], []),
        (["She sleeps. ", "S"], ["She sleeps."]),
        (["She sleeps. ", "[", "1", "]", " [2]", " She"], ["She sleeps. [1] [2]"]),
        (["Sleeps [1].", " [2]"], []),
        (["Sleeps [1].", " [2]", " eats"], ["Sleeps [1]."]),
        (["- sleeps [1]\n", "- ", "eats"], ["- sleeps [1]"]),
        (["Woke at 3 a.", "m. ", "with a start. ", "Now"], ["Woke at 3 a.m. with a start."]),
        (["“I wake. ", "I lie there. ", "She"], []),
        (["“I wake. ", "I lie there.", "” She"], ["“I wake. I lie there.”"]),
        (["ישנה רע. ", "]1[", " אוכלת"], ["ישנה רע. ]1["]),
        (["Takes 1.", "5 mg. ", "Daily"], ["Takes 1.5 mg."]),
        (["Tired", ".\r", "\nCalm"], ["Tired."]),
    ],
)
def test_a_sentence_is_given_out_as_soon_as_it_cannot_grow(
    pieces: list[str], finished: list[str]
) -> None:
    growing = SentenceStream()
    assert [s.text for piece in pieces for s in growing.add(piece)] == finished


def test_the_white_space_before_a_sentence_comes_with_it() -> None:
    found = feed("Sleeps.\n\n\n- Eats.\t Reads.", [9, 12])
    assert [sentence.gap for sentence in found] == ["", "\n\n", " "]

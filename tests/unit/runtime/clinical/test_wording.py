"""What the exact key folds, and that it never joins two different questions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clinical.wording import normalize_question
from runtime.evaluation.cache import read_pairs

PAIRS = read_pairs(Path(__file__).parents[4] / "benchmarks" / "cache_pairs" / "pairs.jsonl")
QUESTIONS = sorted({text for pair in PAIRS for text in (pair.asked, pair.remembered)})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("  When did she   start?? ", "when did she start"),
        ("Please tell me what he said.", "what he said"),
        ("Can you please tell me who called", "who called"),
        ("What are her goals, please?", "what are her goals"),
        ("תגידי לי בבקשה, מתי היא התחילה", "מתי היא התחילה"),
        ("מִי הִפְנָה אוֹתָהּ?", "מי הפנה אותה"),
        ("האם הוא לוקח 20 מ״ג?", 'האם הוא לוקח 20 מ"ג'),
        ("Dana’s “goals”", 'dana\'s "goals"'),
        ("\u200fמה קרה?\u200e", "מה קרה"),
        ("2½ tablets", "2.5 tablets"),
    ],
)
def test_what_cannot_change_the_answer_is_folded(text: str, key: str) -> None:
    assert normalize_question(text) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Did she move to the US?", "Did she move to us?"),
        ("Did he say please?", "Did he say?"),
        ("Is it 10²?", "Is it 102?"),
        ("Is it .5 mg?", "Is it 5 mg?"),
        ("Is it 2⅓?", "Is it 21/3?"),
        ("Is it -5?", "Is it 5?"),
        ("Does he have AIDS?", "Does he have aids?"),
        ("What about her, mother?", "What about her mother?"),
        ("HIV+?", "HIV-?"),
        ("מה הוא שותה?", "מה היא שותה?"),
    ],
)
def test_what_can_change_the_answer_is_kept(one: str, other: str) -> None:
    assert normalize_question(one) != normalize_question(other)


@pytest.mark.parametrize("text", ["", "?", "please", "tell me", "בבקשה"])
def test_a_question_of_manners_alone_is_not_emptied_twice(text: str) -> None:
    once = normalize_question(text)
    assert normalize_question(once) == once


def test_no_pair_that_must_not_hit_shares_a_key() -> None:
    apart = [pair for pair in PAIRS if not pair.should_hit]
    assert len(apart) >= 250
    for pair in apart:
        assert normalize_question(pair.asked) != normalize_question(pair.remembered), pair


KEYS = {normalize_question(question) for question in QUESTIONS}
_WRAPPED = st.builds(
    lambda before, question, after: f"{before}{question}{after}",
    st.sampled_from(["", "Can you tell me ", "tell me, ", "תגידי לי ", "בבקשה, ", " . "]),
    st.sampled_from(QUESTIONS),
    st.sampled_from(["", "?", ", please", ", thanks!", ", בבקשה", " \u200f", "…"]),
)


@settings(deadline=None)
@given(
    st.one_of(
        _WRAPPED,
        _WRAPPED.map("Please ".__add__),
        st.text(),
        st.text(alphabet="aA?., '\"½²⅓ا\u05b0אבI-5.please "),
    )
)
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalize_question(text)
    assert normalize_question(once) == once


@settings(deadline=None)
@given(_WRAPPED)
def test_a_wrapped_question_has_a_key_that_some_question_has(text: str) -> None:
    assert normalize_question(text) in KEYS

"""Which sentences answer."""

from __future__ import annotations

import pytest

from runtime.messages import ChatDocument
from runtime.providers.extract import (
    LEAST_FIT,
    LEAST_FIT_ACROSS,
    MOST_SENTENCES,
    SHORTLIST_TOKENS,
    choose,
    shortlist,
)
from runtime.splitting import estimate_tokens


def documents(*texts: str) -> list[ChatDocument]:
    return [ChatDocument(marker, "Visit", text) for marker, text in enumerate(texts, start=1)]


def test_a_sentence_that_shares_rare_words_comes_first() -> None:
    texts = documents(
        "She walks the dog. She plays chess.", "She walks. She takes lithium. She walks far."
    )
    first = shortlist("Does she take lithium?", texts)[0]
    assert (first.marker, first.text) == (2, "She takes lithium.")


def test_without_a_shared_word_the_first_passages_come_first() -> None:
    found = shortlist("כמה היא ישנה?", documents("Sleeps six hours.", "Eats well."))
    assert [sentence.marker for sentence in found] == [1, 2]
    assert {sentence.overlap for sentence in found} == {0.0}


def test_headings_and_sentences_with_markers_of_their_own_are_left_out() -> None:
    texts = documents("Sleep:\nSee note [2] on sleep. - \nSleep is poor.")
    assert [sentence.text for sentence in shortlist("sleep", texts)] == ["Sleep is poor."]


def test_the_shortlist_is_bounded_by_tokens_but_never_empty() -> None:
    many = documents(*[" ".join(["She slept well on most nights this week."] * 12)] * 10)
    kept = shortlist("sleep", many)
    assert 1 < len(kept) < 120
    assert sum(estimate_tokens(sentence.text) for sentence in kept) <= SHORTLIST_TOKENS
    assert len(shortlist("sleep", documents("sleep " * 2000))) == 1
    assert shortlist("sleep", []) == []


def test_nothing_is_chosen_where_nothing_fits() -> None:
    candidates = shortlist("lithium", documents("She walks the dog."))
    assert choose("lithium", candidates, [0.1]) == []
    assert choose("lithium", [], []) == []


def test_the_best_come_first_and_those_far_behind_are_dropped() -> None:
    candidates = shortlist("לישון", documents("She naps.", "He eats.", "They rest."))
    chosen = choose("לישון", candidates, [0.7, 0.3, 0.9])
    assert [sentence.marker for sentence in chosen] == [3, 1]


def test_a_sentence_that_adds_nothing_is_dropped_and_one_that_adds_is_kept() -> None:
    candidates = shortlist("mood", documents("Her mood is low.", "Her mood is low today."))
    short, long = sorted(candidates, key=lambda found: found.marker)
    assert choose("mood", [long, short], [0.9, 0.8]) == [long]
    assert choose("mood", [short, long], [0.9, 0.8]) == [short, long]


def test_no_more_than_a_few_are_chosen() -> None:
    texts = documents(*[f"Mood {word}." for word in ["calm", "low", "high", "flat", "sad", "glad"]])
    candidates = shortlist("mood", texts)
    assert len(choose("mood", candidates, [0.9] * 6)) == MOST_SENTENCES


def test_a_question_for_a_number_prefers_a_sentence_with_one() -> None:
    texts = documents("Sertraline helps.", "Sertraline 50 mg.")
    for question, best in (("How much sertraline?", 2), ("כמה סרטרלין?", 2), ("Sertraline?", 1)):
        candidates = sorted(shortlist(question, texts), key=lambda found: found.marker)
        assert choose(question, candidates, [0.52, 0.5])[0].marker == best


def test_between_two_languages_less_is_asked_of_a_sentence() -> None:
    similarity = (LEAST_FIT + LEAST_FIT_ACROSS) / 2 / 0.7
    for question, answers in (("איך השינה?", True), ("And now?", False)):
        candidates = shortlist(question, documents("She naps."))
        assert bool(choose(question, candidates, [similarity])) == answers


def test_where_no_similarity_is_measured_words_decide() -> None:
    for question, answers in (("Does she nap?", True), ("Any fever, cough or rash?", False)):
        candidates = shortlist(question, documents("She naps."))
        assert bool(choose(question, candidates, [0.9], measured=False)) == answers


def test_what_is_of_another_medication_is_left_out_where_the_one_asked_for_is_named() -> None:
    texts = documents("Allergic to ibuprofen. Sleeps well.", "רגישות לפניצילין.")
    found = {sentence.text for sentence in shortlist("Who is allergic to penicillin?", texts)}
    assert found == {"Sleeps well.", "רגישות לפניצילין."}


def test_where_no_sentence_names_the_medication_none_is_left_out() -> None:
    texts = documents("Takes ibuprofen. Sleeps well.")
    assert len(shortlist("Who takes penicillin?", texts)) == 2


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("Is she suicidal?", "With passive wishes to be dead."),
        ("האם היא אובדנית?", "אמרה שהיא רוצה למות."),
        ("What medication does she take?", "Lithium since May."),
        ("אילו תרופות נוטלת?", "ליתיום ממאי."),
    ],
)
def test_what_names_the_matter_in_other_words_is_found_though_no_word_is_shared(
    question: str, sentence: str
) -> None:
    candidates = shortlist(question, documents(sentence, "Walks the dog daily."))
    chosen = choose(question, candidates, [0.22] * len(candidates))
    assert [each.text for each in chosen] == [sentence]

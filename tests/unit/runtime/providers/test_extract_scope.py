"""Of whom and of when the extract's sentences are said to be."""

from __future__ import annotations

import pytest

from runtime.messages import ChatDocument
from runtime.providers.extract import MOST_SENTENCES, Sentence, shortlist
from runtime.providers.extract_scope import (
    asks_for_overview,
    attribute,
    find_only_client,
    sort_by_time,
    take_overview,
    without_names,
    without_time,
)


def document(marker: int, name: str, day: str, text: str = "Sleeps well.") -> ChatDocument:
    return ChatDocument(marker, f"{name}, {day}", text, name, day)


def attributed(*documents: ChatDocument) -> list[str]:
    chosen = [Sentence(each.marker, each.text, frozenset(), 0.0) for each in documents]
    return attribute(chosen, documents)


def test_sentences_of_several_clients_say_whose_and_of_when_they_are() -> None:
    assert attributed(document(1, "Noa Levi", "2026-08-10"), document(2, "Dan", "")) == [
        "Noa Levi, 2026-08-10: Sleeps well.",
        "Dan: Sleeps well.",
    ]


def test_a_sentence_says_whose_it_is_though_the_others_passage_is_not_cited() -> None:
    documents = [document(1, "Noa Levi", "2026-08-10"), document(2, "Dan", "2026-08-10")]
    chosen = shortlist("sleep", documents)[:1]
    assert attribute(chosen, documents) == ["Noa Levi, 2026-08-10: Sleeps well."]


def test_sentences_of_one_client_say_of_when_they_are_where_there_are_several_days() -> None:
    assert attributed(document(1, "Noa", "2026-08-10"), document(2, "Noa", "2026-09-01")) == [
        "2026-08-10: Sleeps well.",
        "2026-09-01: Sleeps well.",
    ]
    assert attributed(document(1, "Noa", "2026-08-10")) == ["Sleeps well."]


def test_a_client_is_the_only_one_if_all_documents_are_of_that_one() -> None:
    noa = document(1, "Noa", "")
    assert find_only_client([noa, noa]) == "Noa"
    assert find_only_client([noa, document(2, "Dan", "")]) == ""
    assert find_only_client([]) == ""


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("Is Ruth suicidal?", "Is suicidal?"),
        ("How did Ruth Feldman's sleep change?", "How did sleep change?"),
        ("Is Feldman's?", "Is?"),
        ("Who fed the cat?", "Who fed the cat?"),
    ],
)
def test_the_clients_name_is_left_out_of_the_question(question: str, left: str) -> None:
    assert (
        " ".join(without_names(question, [document(1, "Ruth Feldman", "")]).split()).replace(
            " ?", "?"
        )
        == left
    )


def test_a_hebrew_name_is_left_out_with_its_prefix() -> None:
    assert without_names("מה אמרנו לרות?", [document(1, "רות", "")]).startswith("מה אמרנו")
    assert "רות" not in without_names("מה אמרנו לרות?", [document(1, "רות", "")])


def test_a_hebrew_name_is_left_out_in_latin_letters_too() -> None:
    assert (
        without_names("Noam Elkayam: last month?", [document(1, "נועם אלקיים", "")])
        == ": last month?"
    )


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("Who has more pain, Dana or Olga?", "Who has more pain, or ?"),
        ("Compare the sleep of Dana Levi and Olga Ruiz", "Compare the sleep of and"),
        ("Who lost hope?", "Who lost hope?"),
        ("How is Hope?", "How is ?"),
    ],
)
def test_of_several_clients_those_are_left_out_whom_the_question_means(
    question: str, left: str
) -> None:
    names = ("Dana Levi", "Olga Ruiz", "Hope Rivers")
    documents = [document(marker, name, "") for marker, name in enumerate(names, start=1)]
    assert " ".join(without_names(question, documents).split()) == left


@pytest.mark.parametrize(
    "question",
    [
        "What happened in the last session?",
        "How was last month?",
        "What is the plan?",
        "What did we agree in March 2025?",
        "מה קרה בפגישה האחרונה?",
        "על מה דיברנו בשבוע שעבר?",
        "Summarise the last session",
        "Summarize",
        "What did she report last month?",
        "מה דיווחה?",
        "מה קרה אצל בחודש שעבר?",
    ],
)
def test_what_asks_for_no_one_thing_asks_for_an_overview(question: str) -> None:
    assert asks_for_overview(question)


@pytest.mark.parametrize(
    "question",
    [
        "What happened to the left knee?",
        "When was the last session?",
        "How was the sleep last month?",
        "Who spoke last week?",
        "What is the dose?",
        "What did she report about the knee?",
        "מה קרה לברך?",
        "מתי הייתה הפגישה האחרונה?",
    ],
)
def test_what_asks_for_one_thing_asks_for_no_overview(question: str) -> None:
    assert not asks_for_overview(question)


def test_an_overview_takes_the_first_sentence_of_each_passage_in_their_order() -> None:
    documents = [document(n, "Noa", "", f"Plan:\nWalk {n} km. Rest.") for n in range(1, 9)]
    taken = take_overview(documents)
    assert [each.text for each in taken] == [f"Walk {n} km." for n in range(1, 1 + MOST_SENTENCES)]
    assert take_overview([document(1, "Noa", "", "Plan:")]) == []


def test_now_is_answered_newest_first_and_a_course_oldest_first() -> None:
    documents = [document(n, "Noa", f"2026-0{n}-01") for n in (1, 2, 3)]
    chosen = [Sentence(marker, "", frozenset(), 0.0) for marker in (2, 3, 1)]

    def order(question: str) -> list[int]:
        return [each.marker for each in sort_by_time(question, chosen, documents)]

    assert order("What is the current dose?") == order("מה המינון הנוכחי?") == [3, 2, 1]
    assert order("How has the dose changed?") == order("איך השתנה המינון?") == [1, 2, 3]
    assert order("What is the dose?") == [2, 3, 1]


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("How was pain last month?", "How was pain ?"),
        ("How was her neck in the last two weeks?", "How was her neck ?"),
        ("איך הכאב בחודש שעבר?", "איך הכאב ?"),
        ("How was the surgery in March?", "How was the surgery in March?"),
        ("How is the knee?", "How is the knee?"),
    ],
)
def test_a_time_that_counts_from_today_is_left_out_of_the_question(
    question: str, left: str
) -> None:
    assert without_time(question) == left

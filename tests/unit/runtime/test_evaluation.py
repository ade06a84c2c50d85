"""The rates are those of the definitions, worked out by hand on tiny rankings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from runtime.errors import InvalidRecord, RetrievalError
from runtime.evaluation import (
    LabelledQuestion,
    Outcome,
    Practice,
    Quote,
    QuoteCheck,
    Rates,
    evaluate_retrieval,
    find_first_gold,
    read_questions,
    summarize,
)
from runtime.ingest import read_records
from runtime.messages import Language, RecordKey
from runtime.workspaces import workspace_id_for

NORTH = workspace_id_for("north")
SOUTH = workspace_id_for("south")


def key(name: str) -> RecordKey:
    return RecordKey("session", uuid5(NORTH, name))


def ask(
    text: str = "?", language: Language = "en", target: Language = "en", gold: str = "gold"
) -> LabelledQuestion:
    return LabelledQuestion(NORTH, text, language, target, frozenset({key(gold)}))


# --- Questions ------------------------------------------------------------------------------


def write_questions(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_question_names_its_workspace_languages_and_gold_records(tmp_path: Path) -> None:
    line = {
        "workspace": "north",
        "question": "מה המינון?\u2028",
        "lang": "he",
        "target_lang": "en",
        "relevant_session_ids": [str(NORTH)],
        "relevant_client_ids": [str(SOUTH)],
        "kind": "written",
    }
    path = write_questions(tmp_path / "q.jsonl", json.dumps(line, ensure_ascii=False), "", " ")
    gold = frozenset({RecordKey("session", NORTH), RecordKey("client", SOUTH)})
    assert read_questions(path) == [LabelledQuestion(NORTH, "מה המינון?\u2028", "he", "en", gold)]


def test_without_a_target_language_the_gold_is_in_the_question_s(tmp_path: Path) -> None:
    line = {
        "workspace": "north",
        "question": "?",
        "lang": "he",
        "relevant_session_ids": [str(NORTH)],
    }
    (question,) = read_questions(write_questions(tmp_path / "q.jsonl", json.dumps(line)))
    assert question.target == "he"


def test_a_question_without_gold_is_left_out(tmp_path: Path) -> None:
    line = {"workspace": "north", "question": "?", "lang": "he", "relevant_session_ids": []}
    assert read_questions(write_questions(tmp_path / "q.jsonl", json.dumps(line))) == []


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"workspace": "north", "question": "Who moved?", "lang": "fr"}']
)
def test_a_broken_line_is_named_without_its_text(tmp_path: Path, line: str) -> None:
    path = write_questions(tmp_path / "q.jsonl", "", line)
    with pytest.raises(InvalidRecord) as caught:
        read_questions(path)
    assert str(caught.value).startswith("q.jsonl, line 2: ")
    assert "Who moved" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


# --- Rates ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "rank"),
    [
        ([], None),
        (["gold"], 1),
        (["a", "b", "gold"], 3),
        (["a", "a", "b", "a", "gold"], 3),  # a record counts once, at its best passage
        (["a", "gold", "b", "gold"], 2),
        ([f"n{i}" for i in range(9)] + ["gold"], 10),
        ([f"n{i}" for i in range(10)] + ["gold"], None),
        (["n0"] * 10 + ["gold"], 2),
    ],
)
def test_the_rank_is_that_of_the_first_gold_record(found: list[str], rank: int | None) -> None:
    gold = frozenset({key("gold"), key("other gold")})
    assert find_first_gold([key(name) for name in found], gold) == rank


def test_a_client_and_a_session_with_one_id_are_two_records() -> None:
    gold = frozenset({RecordKey("session", NORTH)})
    assert find_first_gold([RecordKey("client", NORTH), RecordKey("session", NORTH)], gold) == 2


def test_rates_are_shares_of_all_questions_misses_and_failures_among_them() -> None:
    outcomes = [
        Outcome(ask(), 1),
        Outcome(ask(), 5),
        Outcome(ask(), 6),
        Outcome(ask(), None),
        Outcome(ask(), None, failed=True),
    ]
    mrr = round((1 + 1 / 5 + 1 / 6) / 5, 4)
    expected = Rates(n=5, failed=1, hit_at_5=0.4, hit_at_10=0.6, mrr_at_10=mrr)
    assert summarize(outcomes).overall == expected


def test_groups_are_the_pairs_of_languages_that_occur() -> None:
    report = summarize(
        [
            Outcome(ask(language="he", target="en"), 1),
            Outcome(ask(language="en", target="he"), None),
            Outcome(ask(language="he", target="en"), 2),
        ]
    )
    assert list(report.by_languages) == ["he-en", "en-he"]
    assert report.by_languages["he-en"] == Rates(2, 0, 1.0, 1.0, 0.75)
    assert report.by_languages["en-he"] == Rates(1, 0, 0.0, 0.0, 0.0)


def test_no_questions_make_a_report_of_zeros() -> None:
    report = summarize([])
    assert report.overall == Rates(0, 0, 0.0, 0.0, 0.0)
    assert report.by_languages == {}


def test_the_report_is_json() -> None:
    report = summarize([Outcome(ask(), 3)])
    rates = {"n": 1, "failed": 0, "hit_at_5": 1.0, "hit_at_10": 1.0, "mrr_at_10": 0.3333}
    assert json.loads(report.render_json()) == {"overall": rates, "by_languages": {"en-en": rates}}


async def test_every_question_is_asked_and_scored() -> None:
    async def rank(question: LabelledQuestion) -> Sequence[RecordKey]:
        if question.text == "broken":
            raise RetrievalError("the search failed.")
        return [key("other"), *question.gold]

    done: list[Outcome] = []
    questions = [ask("a"), ask("broken"), ask("b")]
    report = await evaluate_retrieval(questions, rank, on_done=done.append)
    assert report.overall == Rates(3, 1, 0.6667, 0.6667, 0.3333)
    assert {outcome.question.text for outcome in done} == {"a", "broken", "b"}


async def test_no_more_questions_than_allowed_are_asked_at_once() -> None:
    asking = most = 0

    async def rank(_: LabelledQuestion) -> Sequence[RecordKey]:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        await asyncio.sleep(0)
        asking -= 1
        return []

    await evaluate_retrieval([ask(str(i)) for i in range(20)], rank, concurrency=3)
    assert most == 3


async def test_a_fault_that_is_not_ours_ends_the_evaluation() -> None:
    async def rank(_: LabelledQuestion) -> Sequence[RecordKey]:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await evaluate_retrieval([ask()], rank)


# --- Quotes ---------------------------------------------------------------------------------

CLIENT_ID = UUID("3f0c8a52-92f5-4c0e-8a6e-0a55d5e20c01")
SESSION_ID = UUID("3f0c8a52-92f5-4c0e-8a6e-0a55d5e20c02")


@pytest.fixture
def practice(tmp_path: Path) -> Practice:
    ids = {"workspace": "north", "client_id": str(CLIENT_ID)}
    lines = [
        ids | {"client_name": "נועה גל", "notes": "Plays the cello."},
        ids
        | {
            "session_id": str(SESSION_ID),
            "session_date": "2025-10-14",
            "plan": 'Cipralex 10 מ"ג בבוקר.',
        },
        {"workspace": "south"},
    ]
    path = tmp_path / "practice.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return Practice(read_records(path))


@pytest.mark.parametrize(
    ("quote", "check"),
    [
        (Quote(RecordKey("session", SESSION_ID), "plan", '10 מ"ג'), QuoteCheck(1, 0, 0)),
        (Quote(RecordKey("client", CLIENT_ID), "notes", "the cello"), QuoteCheck(1, 0, 0)),
        (Quote(RecordKey("client", CLIENT_ID), "notes", "The cello"), QuoteCheck(1, 1, 0)),
        (Quote(RecordKey("client", CLIENT_ID), "notes", ""), QuoteCheck(1, 1, 0)),
        (Quote(RecordKey("client", CLIENT_ID), "medical_history", "cello"), QuoteCheck(1, 1, 0)),
        (Quote(RecordKey("client", CLIENT_ID), "name", "נועה"), QuoteCheck(1, 1, 0)),
        (Quote(RecordKey("client", SESSION_ID), "notes", "the cello"), QuoteCheck(1, 0, 1)),
    ],
)
def test_a_quote_holds_only_word_for_word_in_its_own_field(
    practice: Practice, quote: Quote, check: QuoteCheck
) -> None:
    assert practice.check_quotes(NORTH, [quote]) == check


def test_a_record_of_another_workspace_is_foreign(practice: Practice) -> None:
    quote = Quote(RecordKey("client", CLIENT_ID), "notes", "the cello")
    assert practice.check_quotes(SOUTH, [quote, quote]) == QuoteCheck(2, 0, 2)

"""The rates are those of the definitions, worked out by hand on tiny rankings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid5

import pytest

from runtime.errors import InvalidRecord, RetrievalError
from runtime.evaluation.retrieval import (
    LabelledQuestion,
    Outcome,
    Rates,
    compare_methods,
    evaluate_retrieval,
    find_gold,
    read_questions,
    render_json,
    summarize,
)
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
    ("found", "ranks"),
    [
        ([], ()),
        (["gold"], (1,)),
        (["a", "b", "gold"], (3,)),
        (["a", "a", "b", "a", "gold"], (3,)),  # a record counts once, at its best passage
        (["a", "gold", "b", "gold"], (2,)),
        (["other gold", "a", "gold"], (1, 3)),
        ([f"n{i}" for i in range(9)] + ["gold"], (10,)),
        ([f"n{i}" for i in range(10)] + ["gold"], ()),
        (["n0"] * 10 + ["gold"], (2,)),
    ],
)
def test_the_ranks_are_those_of_the_gold_records(found: list[str], ranks: tuple[int, ...]) -> None:
    gold = frozenset({key("gold"), key("other gold")})
    assert find_gold([key(name) for name in found], gold) == ranks


def test_a_client_and_a_session_with_one_id_are_two_records() -> None:
    gold = frozenset({RecordKey("session", NORTH)})
    assert find_gold([RecordKey("client", NORTH), RecordKey("session", NORTH)], gold) == (2,)


def test_rates_are_shares_of_all_questions_misses_and_failures_among_them() -> None:
    outcomes = [
        Outcome(ask(), (1,)),
        Outcome(ask(), (5,)),
        Outcome(ask(), (6, 9)),
        Outcome(ask(), ()),
        Outcome(ask(), (), failed=True),
    ]
    rates = summarize(outcomes).overall
    assert (rates.n, rates.failed, rates.hit_at_5, rates.hit_at_10) == (5, 1, 0.4, 0.6)
    assert rates.mrr_at_10 == round((1 + 1 / 5 + 1 / 6) / 5, 4)


@pytest.mark.parametrize(
    ("ranks", "gold", "ndcg"),
    [
        ((1,), 1, 1.0),
        ((1, 2), 2, 1.0),
        ((2,), 1, 0.6309),  # 1 / log2(3)
        ((1, 3), 2, 0.9197),  # (1 + 1/2) / (1 + 1 / log2(3))
        ((1,), 2, 0.6131),
        (tuple(range(1, 11)), 30, 1.0),  # no more than ten can be among the first ten
        ((), 1, 0.0),
    ],
)
def test_ndcg_wants_every_gold_record_at_the_top(
    ranks: tuple[int, ...], gold: int, ndcg: float
) -> None:
    records = frozenset(key(str(number)) for number in range(gold))
    question = LabelledQuestion(NORTH, "?", "en", "en", records)
    assert summarize([Outcome(question, ranks)]).overall.ndcg_at_10 == ndcg


def test_groups_are_the_pairs_of_languages_that_occur() -> None:
    report = summarize(
        [
            Outcome(ask(language="he", target="en"), (1,)),
            Outcome(ask(language="en", target="he"), ()),
            Outcome(ask(language="he", target="en"), (2,)),
        ]
    )
    assert list(report.by_languages) == ["he-en", "en-he"]
    assert report.by_languages["he-en"] == Rates(2, 0, 1.0, 1.0, 0.75, 0.8155)
    assert report.by_languages["en-he"] == Rates(1, 0, 0.0, 0.0, 0.0, 0.0)


def test_no_questions_make_a_report_of_zeros() -> None:
    report = summarize([])
    assert report.overall == Rates(0, 0, 0.0, 0.0, 0.0, 0.0)
    assert report.by_languages == {}


def test_the_reports_are_json_by_their_methods() -> None:
    report = summarize([Outcome(ask(), (3,))])
    rates = {
        "n": 1,
        "failed": 0,
        "hit_at_5": 1.0,
        "hit_at_10": 1.0,
        "mrr_at_10": 0.3333,
        "ndcg_at_10": 0.5,
    }
    expected = {"overall": rates, "by_languages": {"en-en": rates}}
    assert json.loads(render_json({"text": report})) == {"text": expected}


async def test_every_question_is_asked_and_scored() -> None:
    async def rank(question: LabelledQuestion) -> Sequence[RecordKey]:
        if question.text == "broken":
            raise RetrievalError("the search failed.")
        return [key("other"), *question.gold]

    done: list[Outcome] = []
    questions = [ask("a"), ask("broken"), ask("b")]
    report = await evaluate_retrieval(questions, rank, on_done=done.append)
    assert report.overall == Rates(3, 1, 0.6667, 0.6667, 0.3333, 0.4206)
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


async def test_methods_are_compared_on_the_same_questions_each_asked_once() -> None:
    asked: list[str] = []

    async def rank(question: LabelledQuestion) -> dict[str, list[RecordKey]]:
        asked.append(question.text)
        if question.text == "broken":
            raise RetrievalError("the search failed.")
        return {"text": [key("other")], "vector": [key("other"), *question.gold]}

    done: list[None] = []
    questions = [ask("a"), ask("broken")]
    reports = await compare_methods(
        questions, rank, methods=("vector", "text"), on_done=lambda: done.append(None)
    )
    assert list(reports) == ["vector", "text"]
    assert reports["vector"].overall == Rates(2, 1, 0.5, 0.5, 0.25, 0.3155)
    assert reports["text"].overall == Rates(2, 1, 0.0, 0.0, 0.0, 0.0)
    assert (sorted(asked), len(done)) == (["a", "broken"], 2)


async def test_a_fault_that_is_not_ours_ends_the_evaluation() -> None:
    async def rank(_: LabelledQuestion) -> Sequence[RecordKey]:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await evaluate_retrieval([ask()], rank)

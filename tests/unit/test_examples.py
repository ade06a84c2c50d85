"""What a clone has to try the product with is whole, and its labels are true."""

from __future__ import annotations

import json
import runpy
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import respx

from benchmarks.quotes import Practice, Quote
from runtime.evaluation.retrieval import read_questions
from runtime.ingest import BadLine, ClientLine, RecordLine, SessionLine, read_records
from runtime.messages import FIELDS, RecordType
from runtime.workspaces import workspace_id_for

EXAMPLES = Path(__file__).parents[2] / "examples"
QUESTIONS = EXAMPLES / "demo-questions.jsonl"


@pytest.fixture(scope="module")
def lines() -> list[RecordLine | BadLine]:
    return list(read_records(EXAMPLES / "demo-practice.jsonl"))


def test_the_practice_imports_without_a_bad_line(lines: list[RecordLine | BadLine]) -> None:
    assert [line for line in lines if isinstance(line, BadLine)] == []
    assert {line.workspace for line in lines if not isinstance(line, BadLine)} == {"demo"}


def test_the_practice_is_small_and_in_both_languages(lines: list[RecordLine | BadLine]) -> None:
    names = [line.record.name for line in lines if isinstance(line, ClientLine)]
    assert len(names) == 8
    assert sum(name.isascii() for name in names) == 4
    assert 40 <= sum(isinstance(line, SessionLine) for line in lines) <= 50


def test_each_record_has_its_own_id_and_each_session_its_client(
    lines: list[RecordLine | BadLine],
) -> None:
    clients = [line.record.id for line in lines if isinstance(line, ClientLine)]
    sessions = [line.record for line in lines if isinstance(line, SessionLine)]
    assert len({*clients, *(session.id for session in sessions)}) == len(lines)
    assert {session.client_id for session in sessions} == set(clients)


def test_every_field_is_filled_and_every_session_has_taken_place(
    lines: list[RecordLine | BadLine],
) -> None:
    for line in lines:
        assert not isinstance(line, BadLine)
        kind: RecordType = "session" if isinstance(line, SessionLine) else "client"
        assert all(getattr(line.record, name).strip() for name in FIELDS[kind])
        if isinstance(line, SessionLine):
            moment = line.record.session_date
            assert datetime(2025, 1, 1, tzinfo=UTC) < moment < datetime(2026, 7, 1, tzinfo=UTC)


def test_the_answer_to_every_question_stands_in_one_of_its_records(
    lines: list[RecordLine | BadLine],
) -> None:
    practice = Practice(lines)
    demo = workspace_id_for("demo")
    labels = [json.loads(text) for text in QUESTIONS.read_text("utf-8").split("\n") if text]
    for label, question in zip(labels, read_questions(QUESTIONS), strict=True):
        quotes = [
            Quote(record, name, label["answer"])
            for record in question.gold
            for name in FIELDS[record.type]
        ]
        check = practice.check_quotes(demo, quotes)
        assert check.foreign == 0, question.text
        assert check.misquoted < len(quotes), question.text


def test_questions_are_asked_in_and_across_both_languages() -> None:
    pairs = [(question.language, question.target) for question in read_questions(QUESTIONS)]
    assert all(pairs.count((asked, gold)) >= 4 for asked in ("he", "en") for gold in ("he", "en"))


# --- ask.py ---------------------------------------------------------------------------------


def run_ask(monkeypatch: pytest.MonkeyPatch, response: httpx.Response) -> respx.Route:
    monkeypatch.setenv("PAZPAZ_TOKEN", "a-token")
    monkeypatch.delenv("PAZPAZ_URL", raising=False)
    monkeypatch.setattr(sys, "argv", ["ask.py", "What does she play?"])
    with respx.mock(base_url="http://127.0.0.1:8000") as server:
        route = server.post("/api/v1/ai/agent/chat").mock(return_value=response)
        runpy.run_path(str(EXAMPLES / "ask.py"), run_name="__main__")
    return route


def test_the_asking_example_shows_the_answer_and_its_citations(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cited = {"marker": 1, "client_name": "נועה גל", "field_name": "notes", "quote": "the cello"}
    cited |= {"spans": [{"answer_start": 0, "answer_end": 14, "quote": "the cello"}]}
    body = {"answer": "The cello [1].", "citations": [cited]}
    route = run_ask(monkeypatch, httpx.Response(200, json=body))
    request = route.calls.last.request
    assert request.headers["Authorization"] == "Bearer a-token"
    assert json.loads(request.content) == {"query": "What does she play?"}
    assert capsys.readouterr().out == "The cello [1].\n[1] נועה גל  notes: the cello\n"


def test_the_asking_example_ends_with_the_problem_s_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = {"detail": "Sign in again.", "code": "unauthenticated", "request_id": "r1"}
    with pytest.raises(SystemExit, match=r"Sign in again\. \(unauthenticated, request r1\)"):
        run_ask(monkeypatch, httpx.Response(401, json=problem))

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from runtime.messages import Answer, AnswerSpan, Citation, ContextUse, RecordKey, TokenUsage
from runtime.storage.cached_answer import VERSION, read_answer, write_answer

SESSION, CLIENT = UUID(int=1), UUID(int=2)
OF_A_SESSION = Citation(
    record=RecordKey("session", SESSION),
    client_id=CLIENT,
    client_name="נועה",
    session_date=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    field_name="plan",
    similarity=0.8125,
    marker=1,
    quote="הליכה יומית",
    spans=(AnswerSpan(0, 11, "הליכה יומית"), AnswerSpan(12, 20, "יומית")),
    verified=True,
)
OF_A_CLIENT = replace(
    OF_A_SESSION, record=RecordKey("client", CLIENT), session_date=None, spans=(), verified=False
)
ANSWER = Answer(
    text="הליכה יומית [1]. 😴",
    citations=(OF_A_SESSION, OF_A_CLIENT),
    language="he",
    retrieved_count=2,
    provider="cohere",
    model="command",
    usage=TokenUsage(1, 2, 3),
    timings_ms={"chat": 780.25},
    warnings=("a warning",),
    degraded=("chat_unavailable",),
    split_arm="openai",
    context=ContextUse(included=2, dropped=1, tokens=9, limit=None),
    cache="semantic",
    cache_similarity=0.97,
)


def test_every_field_comes_back_as_it_was() -> None:
    plain = Answer("t", (), "en", 0, "p", "m", TokenUsage())
    same = [f.name for f in fields(Answer) if getattr(ANSWER, f.name) == getattr(plain, f.name)]
    assert same == [], "give these another value than their default, or nothing is shown of them"

    assert read_answer(write_answer(ANSWER)) == ANSWER
    assert read_answer(write_answer(plain)) == plain


def test_what_comes_back_is_as_hashable_as_what_was_kept() -> None:
    found = read_answer(write_answer(ANSWER))
    assert found is not None
    assert hash(found.citations) == hash(ANSWER.citations)


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(write_answer(ANSWER)) | changes)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "{}",
        "[]",
        "null",
        changed(version=VERSION + 1),
        changed(mood="calm"),
        changed(citations=[{"marker": 1}]),
        changed(citations=None),
        changed(usage={"coins": 1}),
        json.dumps({"version": VERSION, "text": "t"}),
        write_answer(ANSWER).replace(str(SESSION), "no id"),
        write_answer(ANSWER).replace("2026-03-01", "yesterday"),
    ],
)
def test_what_another_version_of_the_program_wrote_is_no_answer(written: str) -> None:
    assert read_answer(written) is None

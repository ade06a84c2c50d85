"""The benchmark of grounding, and what it holds the support check to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.grounding import FOREIGN_EVERY, PAIRS, read_asked, score_support

LEAST_FOUND = 0.9
MOST_FALSE_ALARMS = 0.06
LEAST_PAIRS = 240
LEAST_SUPPORTED = 100


def test_the_labelled_pairs_are_many_in_both_languages_and_of_every_kind() -> None:
    rows = [json.loads(line) for line in PAIRS.read_text("utf-8").splitlines()]
    assert len(rows) >= LEAST_PAIRS
    assert len({(row["passage"], row["sentence"]) for row in rows}) == len(rows)
    assert sum(row["label"] == "supported" for row in rows) >= LEAST_SUPPORTED
    assert {row["lang"] for row in rows} == {"en", "he", "en-he", "he-en"}
    kinds = {row["kind"] for row in rows if row["label"] == "contradicted"}
    assert kinds >= {"negation", "dose", "person", "side", "date", "direction", "medication"}
    held_out = {row["passage"] for row in rows if row["split"] == "held_out"}
    assert held_out.isdisjoint(row["passage"] for row in rows if row["split"] == "tuned")


@pytest.mark.parametrize("split", ["tuned", "held_out"])
def test_contradictions_are_found_and_faithful_sentences_left(split: str) -> None:
    rates = score_support(PAIRS)[split]
    assert isinstance(rates, dict)
    assert rates["contradicted"]["all"]["removed"] >= LEAST_FOUND
    assert rates["supported"]["all"]["removed"] <= MOST_FALSE_ALARMS


def test_some_questions_are_asked_of_another_practice_too(tmp_path: Path) -> None:
    row = {"question": "?", "lang": "en", "relevant_client_ids": []}
    ask = [
        {**row, "workspace": f"w{n % 2}", "relevant_session_ids": [f"s{n}"]}
        for n in range(2 * FOREIGN_EVERY)
    ]
    absent = [{**row, "workspace": "w0", "relevant_session_ids": []}]
    for name, rows in (("questions", ask), ("unanswerable", absent)):
        lines = "\n".join(map(json.dumps, rows))
        (tmp_path / f"{name}.jsonl").write_text(lines, "utf-8")
    asked = read_asked(tmp_path)
    groups = [each.group for each in asked]
    assert groups == ["en-en"] * len(ask) + ["absent"] + ["foreign"] * 2
    first, second = asked[-2:]
    assert (first.workspace, first.gold, second.workspace) == ("w1", frozenset(), "w1")

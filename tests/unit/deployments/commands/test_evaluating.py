"""Which questions a folder holds, in either layout."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from deployments.commands.evaluating import find_benchmark, list_records, read_labelled
from deployments.commands.failure import CommandFailed

QUESTION = {
    "workspace": "north",
    "question": "Who naps?",
    "lang": "en",
    "relevant_client_ids": [str(UUID(int=1))],
}


def make_benchmark(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "1", "text": "תנומה מועילה"}', "utf-8")
    (folder / "queries.jsonl").write_text('{"_id": "1", "text": "Naps help."}', "utf-8")
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\t1\t1\n", "utf-8")
    return folder


def texts_of(folder: Path) -> list[str]:
    return [question.text for question in read_labelled(folder)]


def test_a_practice_s_questions_come_before_a_benchmark_s(tmp_path: Path) -> None:
    folder = make_benchmark(tmp_path / "both")
    assert texts_of(folder) == ["Naps help."]
    (folder / "questions.jsonl").write_text(json.dumps(QUESTION), "utf-8")
    assert texts_of(folder) == ["Who naps?"]


def test_the_only_benchmark_of_a_folder_is_meant(tmp_path: Path) -> None:
    folder = make_benchmark(tmp_path / "sets" / "naps")
    (tmp_path / "sets" / "README.md").touch()
    assert find_benchmark(tmp_path / "sets") == folder
    assert texts_of(tmp_path / "sets") == ["Naps help."]


def test_of_several_benchmarks_one_has_to_be_named(tmp_path: Path) -> None:
    for name in ("naps", "sleep"):
        make_benchmark(tmp_path / name)
    with pytest.raises(CommandFailed, match="names one of them: naps, sleep"):
        read_labelled(tmp_path)


def test_a_folder_without_either_is_told_what_it_misses(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"questions\.jsonl is not there, nor are corpus"):
        read_labelled(tmp_path)


@pytest.mark.parametrize("text", ["", json.dumps(QUESTION | {"relevant_client_ids": []})])
def test_a_folder_without_a_question_that_can_be_scored_is_no_clean_bill(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "questions.jsonl").write_text(text, "utf-8")
    with pytest.raises(CommandFailed, match="holds no question that names a record"):
        read_labelled(tmp_path)


def test_a_document_s_letters_are_written_as_they_are(tmp_path: Path) -> None:
    lines = list_records(make_benchmark(tmp_path / "naps"))
    assert len(lines) == 2
    assert "תנומה מועילה" in lines[1]

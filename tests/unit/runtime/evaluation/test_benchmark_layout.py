"""A public benchmark's questions expect the records that its documents were imported as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.errors import InvalidRecord
from runtime.evaluation.benchmark_layout import is_benchmark, read_benchmark, write_records
from runtime.ingest import ClientLine, SessionLine, read_records
from runtime.messages import RecordKey
from runtime.workspaces import workspace_id_for

DOCUMENTS = (
    {"_id": "4", "title": "Naps", "text": "They restore attention."},
    {"_id": "9", "text": "Caffeine delays sleep."},
)
QUERIES = (
    {"_id": "1", "text": "Naps help.", "metadata": {"split": "test"}},
    {"_id": "2", "text": "האם קפאין מעכב שינה?"},
    {"_id": "3", "text": "Nobody judged this."},
)
JUDGEMENTS = "query-id\tcorpus-id\tscore\n1\t4\t1\n1\t9\t0\n2\t9\t2\n2\t4\t1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "naps"
    folder.mkdir()
    for name, lines in (("corpus.jsonl", DOCUMENTS), ("queries.jsonl", QUERIES)):
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / name).write_text(f"{text}\n\n", encoding="utf-8")
    (folder / "qrels.tsv").write_text(JUDGEMENTS, encoding="utf-8")
    return folder


def import_records(folder: Path, path: Path) -> dict[RecordKey, str]:
    """Return the texts of the sessions that the import reads from what is written for it."""
    path.write_text("\n".join(map(json.dumps, write_records(folder))), encoding="utf-8")
    client, *sessions = read_records(path)
    assert isinstance(client, ClientLine)
    texts = {}
    for line in sessions:
        assert isinstance(line, SessionLine)
        assert line.workspace_id == client.workspace_id == workspace_id_for("naps")
        assert line.record.client_id == client.record.id
        texts[RecordKey("session", line.record.id)] = line.record.subjective
    return texts


def test_the_gold_of_a_query_is_what_the_documents_were_imported_as(
    folder: Path, tmp_path: Path
) -> None:
    texts = import_records(folder, tmp_path / "records.jsonl")
    first, second = read_benchmark(folder)
    assert [texts[record] for record in first.gold] == ["Naps\n\nThey restore attention."]
    assert second.gold == texts.keys()
    assert first.workspace_id == workspace_id_for("naps")


def test_languages_are_seen_in_the_queries(folder: Path) -> None:
    languages = [(question.language, question.target) for question in read_benchmark(folder)]
    assert languages == [("en", "en"), ("he", "he")]


def test_a_query_that_no_document_answers_is_left_out(folder: Path) -> None:
    assert [question.text for question in read_benchmark(folder)] == [
        "Naps help.",
        "האם קפאין מעכב שינה?",
    ]


def test_the_folder_is_named_the_same_however_it_is_reached(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert read_benchmark(Path()) == read_benchmark(folder)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_a_folder_without_one_of_the_files_is_no_benchmark(folder: Path, name: str) -> None:
    assert is_benchmark(folder)
    (folder / name).unlink()
    assert not is_benchmark(folder)


@pytest.mark.parametrize(
    ("name", "line"),
    [("queries.jsonl", '{"_id": "5"}'), ("queries.jsonl", "{"), ("qrels.tsv", "1\t4")],
)
def test_a_broken_line_is_named_without_its_text(folder: Path, name: str, line: str) -> None:
    path = folder / name
    path.write_text(path.read_text("utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(InvalidRecord, match=rf"{name}, line \d: is not"):
        read_benchmark(folder)


def test_a_broken_document_is_named(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text("[]", encoding="utf-8")
    with pytest.raises(InvalidRecord, match=r"corpus\.jsonl, line 1"):
        list(write_records(folder))


@pytest.mark.parametrize("name", ["queries.jsonl", "qrels.tsv"])
def test_a_file_that_is_not_utf_8_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\xff\xfe\n")
    with pytest.raises(InvalidRecord, match=rf"{name}.*: is not UTF-8"):
        read_benchmark(folder)

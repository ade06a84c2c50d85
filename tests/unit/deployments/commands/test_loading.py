from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployments.commands.loading import import_files, record_progress, summarize_import
from runtime.importer import ImportProgress
from runtime.storage.memory import InMemoryRecordStore

CLIENT = "6f1de9c8-9a52-4a5e-8f5f-2a1f6b1f6a10"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    good = {"workspace": "w", "client_id": CLIENT, "client_name": "Dana"}
    path = tmp_path / "records [old].jsonl"
    path.write_text(json.dumps(good) + "\nnot json: a private note\n", "utf-8")
    return path


async def test_an_import_counts_and_names_the_bad_line_and_nothing_of_its_text(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    done = await import_files(InMemoryRecordStore(), [file])
    assert (done.stored, done.bad) == (1, 1)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{file}:2: skipped: line: is not JSON" in err
    assert "private" not in err


def test_an_import_is_summed_up_in_one_sentence() -> None:
    done = ImportProgress(10, 10, stored=3, unchanged=2, bad=1, replaced=4)
    assert summarize_import(done) == (
        "3 records stored, 2 were there unchanged, 1 lines skipped, 4 replaced by a later line."
    )


def test_a_long_command_shows_records_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with record_progress("Embedding") as show:
        show(3, 12)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Embedding" in err
    assert "3/12" in err

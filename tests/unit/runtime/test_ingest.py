"""Good lines become records, bad ones are told of by file and line, and nothing else is lost."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime import ingest
from runtime.ingest import BadLine, ClientLine, RecordLine, SessionLine, read_records
from runtime.messages import Client, Session
from runtime.workspaces import workspace_id_for

CLIENT_ID = UUID("3f0c8a52-92f5-4c0e-8a6e-0a55d5e20c01")
SESSION_ID = UUID("3f0c8a52-92f5-4c0e-8a6e-0a55d5e20c02")
SECRET = "Mentions the affair with the neighbour"

CLIENT = {"workspace": "north", "client_id": str(CLIENT_ID), "client_name": "נועה גל"}
SESSION = {
    "workspace": "north",
    "client_id": str(CLIENT_ID),
    "session_id": str(SESSION_ID),
    "session_date": "2025-10-14",
    "subjective": SECRET,
}


def write(path: Path, *lines: object) -> Path:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def read_one(path: Path, line: object) -> RecordLine | BadLine:
    (only,) = read_records(write(path, line))
    return only


def reason_of(path: Path, line: object) -> str:
    bad = read_one(path, line)
    assert isinstance(bad, BadLine)
    assert bad.skipped
    return bad.reason


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "practice.jsonl"


def test_a_client_line_becomes_a_client(path: Path) -> None:
    line = read_one(path, CLIENT | {"medical_history": "אסתמה", "notes": None, "lang": "he"})
    assert isinstance(line, ClientLine)
    assert line.workspace == "north"
    assert line.workspace_id == workspace_id_for("north")
    assert line.record == Client(CLIENT_ID, "נועה גל", medical_history="אסתמה", notes="")


def test_a_session_line_becomes_a_session(path: Path) -> None:
    line = read_one(path, SESSION | {"plan": "Sertraline 50 mg"})
    assert isinstance(line, SessionLine)
    expected = Session(
        SESSION_ID,
        CLIENT_ID,
        datetime(2025, 10, 14, tzinfo=UTC),
        subjective=SECRET,
        plan="Sertraline 50 mg",
    )
    assert line.record == expected


def test_a_workspace_given_by_its_uuid_has_no_name(path: Path) -> None:
    workspace_id = UUID("11111111-2222-4333-8444-555555555555")
    line = read_one(path, CLIENT | {"workspace": str(workspace_id).upper()})
    assert isinstance(line, ClientLine)
    assert (line.workspace, line.workspace_id) == (None, workspace_id)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2025-10-14", datetime(2025, 10, 14, tzinfo=UTC)),
        ("2025-10-14T09:30", datetime(2025, 10, 14, 9, 30, tzinfo=UTC)),
        ("2025-10-14T09:30:00Z", datetime(2025, 10, 14, 9, 30, tzinfo=UTC)),
        ("2025-10-14 09:30:00+03:00", datetime(2025, 10, 14, 6, 30, tzinfo=UTC)),
    ],
)
def test_a_date_is_read_in_utc(path: Path, written: str, moment: datetime) -> None:
    line = read_one(path, SESSION | {"session_date": written})
    assert isinstance(line, SessionLine)
    assert line.record.session_date == moment
    assert line.record.session_date.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"session_date": "14/10/2025"}, "session_date"),
        ({"session_date": "2025-02-30"}, "session_date"),
        ({"session_date": "0025-10-14"}, "session_date"),
        ({"session_date": "9999-12-31T23:59:59-12:00"}, "session_date"),
        ({"session_date": 1760400000}, "session_date"),
        ({"session_date": None}, "session_date"),
        ({"session_id": "17"}, "session_id"),
        ({"session_id": ""}, "session_id"),
        ({"client_id": 17}, "client_id"),
        ({"client_id": None}, "client_id"),
        ({"workspace": " "}, "workspace"),
        ({"workspace": "w" * (ingest.MAX_NAME_CHARACTERS + 1)}, "workspace"),
        ({"session_id": None, "client_name": SECRET * 20}, "client_name"),
        ({"subjective": [SECRET]}, "subjective"),
        ({"subjective": f"{SECRET}\x00"}, "subjective"),
        ({"subjective": f"{SECRET}\ud800"}, "subjective"),
        ({"subjective": "א" * (ingest.MAX_FIELD_BYTES // 2 + 1)}, "subjective"),
        ({"session_id": None}, "client_name"),
        ({"session_id": None, "client_name": f"{SECRET}\x00"}, "client_name"),
    ],
)
def test_a_bad_field_is_named_and_its_text_is_not_told(
    path: Path, change: dict[str, object], named: str
) -> None:
    reason = reason_of(path, SESSION | change)
    assert reason.startswith(f"{named}: ")
    assert reason.endswith(".")
    assert SECRET not in reason


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ('{"workspace": "north", "client_id', "one whole JSON object a line"),
        ("[1, 2]", "one object a line"),
        ('"text"', "one object a line"),
        ("[" * 100_000, "export it again"),
        ('{"age": ' + "9" * 10_000 + "}", "export it again"),
    ],
)
def test_a_line_that_is_no_object_says_what_to_do(path: Path, line: str, hint: str) -> None:
    assert hint in reason_of(path, line)


def test_a_field_of_exactly_the_limit_is_stored(path: Path) -> None:
    assert isinstance(read_one(path, SESSION | {"plan": "a" * ingest.MAX_FIELD_BYTES}), SessionLine)


def test_a_five_megabyte_field_costs_only_its_own_line(path: Path) -> None:
    lines = list(read_records(write(path, CLIENT, SESSION | {"plan": "a" * 5_000_000}, SESSION)))
    assert [type(line) for line in lines] == [ClientLine, BadLine, SessionLine]


@pytest.mark.parametrize("ending", ["\n", ""])
def test_an_endless_line_is_passed_over_in_pieces(
    path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(ingest, "MAX_LINE_BYTES", 1000)
    after = json.dumps(SESSION) + ending
    path.write_text(f"{json.dumps(CLIENT)}\n{'x' * 300_000}\n{after}{'y' * 2000}", "utf-8")
    lines = list(read_records(path))
    kinds = (
        [ClientLine, BadLine, SessionLine, BadLine] if ending else [ClientLine, BadLine, BadLine]
    )
    assert [type(line) for line in lines] == kinds
    assert [line.place.line for line in lines] == list(range(1, len(kinds) + 1))
    assert sum(line.place.size_bytes for line in lines) == path.stat().st_size


def test_a_line_over_the_limit_is_never_held_in_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MAX_LINE_BYTES", 1000)
    path.write_bytes(b"x" * 8_000_000)
    tracemalloc.start()
    try:
        (line,) = read_records(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(line, BadLine)
    assert peak_bytes < 1_000_000


def test_bom_blank_lines_and_windows_line_ends_are_no_faults(path: Path) -> None:
    text = f"\ufeff{json.dumps(CLIENT)}\r\n\r\n  \r\n{json.dumps(SESSION)}"
    path.write_bytes(text.encode("utf-8"))
    lines = list(read_records(path))
    assert [(type(line), line.place.line) for line in lines] == [(ClientLine, 1), (SessionLine, 4)]
    assert sum(line.place.size_bytes for line in lines) == path.stat().st_size


def test_bytes_that_are_not_utf8_are_a_fault_of_their_line_alone(path: Path) -> None:
    path.write_bytes(
        json.dumps(CLIENT, ensure_ascii=False).encode("cp1255")
        + b"\n"
        + json.dumps(CLIENT).encode()
    )
    bad, good = read_records(path)
    assert isinstance(bad, BadLine)
    assert "save the file as UTF-8" in bad.reason
    assert isinstance(good, ClientLine)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.binary(max_size=60) | st.just(json.dumps(CLIENT).encode()), max_size=6))
def test_no_bytes_stop_the_reading_or_cost_a_good_line(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(b"\n".join(lines))
    good = sum(line == json.dumps(CLIENT).encode() for line in lines)
    assert sum(isinstance(line, ClientLine) for line in read_records(path)) == good

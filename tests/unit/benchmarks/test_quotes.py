"""What an answer quotes is held against the records of the practice that asked."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from benchmarks.quotes import Practice, Quote, QuoteCheck
from runtime.ingest import read_records
from runtime.messages import RecordKey
from runtime.workspaces import workspace_id_for

NORTH = workspace_id_for("north")
SOUTH = workspace_id_for("south")
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

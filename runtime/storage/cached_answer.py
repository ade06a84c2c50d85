"""An `Answer` as the JSON that the cache keeps, and back. Called by the stores of answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from runtime.messages import (
    Answer,
    AnswerSpan,
    Citation,
    ContextUse,
    RecordKey,
    TokenUsage,
)

VERSION: Final = 1
"""Of the form below. Raise it with every change that the reader of before would misread."""


def write_answer(answer: Answer) -> str:
    """Return the answer as JSON, ids and dates as text."""
    return json.dumps({"version": VERSION, **asdict(answer)}, default=_write, ensure_ascii=False)


def read_answer(written: str) -> Answer | None:
    """Return the answer, or None where another version of the program wrote it otherwise."""
    try:
        kept: dict[str, Any] = json.loads(written)
        if kept.pop("version") != VERSION:
            return None
        return Answer(
            **kept
            | {
                "citations": tuple(_read_citation(citation) for citation in kept["citations"]),
                "usage": TokenUsage(**kept["usage"]),
                "warnings": tuple(kept["warnings"]),
                "degraded": tuple(kept["degraded"]),
                "context": ContextUse(**kept["context"]) if kept["context"] else None,
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _write(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    assert isinstance(value, datetime)
    return value.isoformat()


def _read_citation(kept: dict[str, Any]) -> Citation:
    date = kept["session_date"]
    return Citation(
        **kept
        | {
            "record": RecordKey(kept["record"]["type"], UUID(kept["record"]["id"])),
            "client_id": UUID(kept["client_id"]),
            "session_date": None if date is None else datetime.fromisoformat(date),
            "spans": tuple(AnswerSpan(**span) for span in kept["spans"]),
        }
    )

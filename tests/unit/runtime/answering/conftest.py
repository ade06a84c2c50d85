"""Passages to answer from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from runtime.messages import Passage, RecordKey
from tests.unit.runtime.answering.practice import Practice


def _make_passage(
    text: str,
    *,
    similarity: float = 0.8,
    field_name: str = "subjective",
    session_id: UUID | None = None,
    part: int = 0,
) -> Passage:
    return Passage(
        record=RecordKey("session", session_id or uuid4()),
        client_id=UUID(int=7),
        client_name="Noa Bar",
        session_date=datetime(2025, 10, 14, 9, tzinfo=UTC),
        field_name=field_name,
        part=part,
        start=0,
        end=len(text),
        text=text,
        similarity=similarity,
    )


@pytest.fixture
def make_passage() -> Callable[..., Passage]:
    return _make_passage


@pytest.fixture
def practice() -> Practice:
    """Return a practice whose shelf holds a passage to cite and one that is hardly relevant."""
    practice = Practice()
    practice.shelf.passages = [
        _make_passage("Sleeps badly."),
        _make_passage("Tired.", similarity=0.2),
    ]
    return practice

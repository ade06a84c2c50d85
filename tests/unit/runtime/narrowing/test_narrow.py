"""What a question narrows to, and what of it stands once the sessions' dates are known."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from runtime.messages import NamedClient, SearchScope, SessionDates
from runtime.narrowing.narrow import Narrowing, narrow, settle

MAYA, OTHER = UUID(int=1), UUID(int=2)
NAMED = [NamedClient(MAYA, "Maya Thornton")]
TODAY = date(2025, 11, 19)
CLIENTS = frozenset((MAYA,))


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def ask(question: str, client_id: UUID | None = None) -> Narrowing:
    return narrow(question, client_id=client_id, named=NAMED, today=TODAY, language="en")


def test_a_question_that_names_nothing_is_about_all_records() -> None:
    asked = narrow("Who sleeps badly?", client_id=None, named=[], today=TODAY, language="en")

    assert asked == Narrowing(SearchScope())
    assert not asked.needs_dates


def test_a_client_and_a_time_that_are_named_narrow_together() -> None:
    asked = ask("What did Maya Thornton say last month?")

    assert asked == Narrowing(SearchScope(CLIENTS, at(2025, 10, 1), at(2025, 11, 1)), by_name=True)
    assert not asked.needs_dates


def test_a_client_who_is_given_is_the_only_one_whoever_is_named() -> None:
    asked = ask("What did Maya Thornton say?", OTHER)

    assert asked == Narrowing(SearchScope(frozenset((OTHER,))))


def test_the_latest_session_is_one_of_a_client() -> None:
    question = "What did we do in the last session?"
    nobody = narrow(question, client_id=None, named=[], today=TODAY, language="en")
    given = ask(question, MAYA)

    assert nobody == Narrowing(SearchScope())
    assert given == Narrowing(SearchScope(CLIENTS, until=at(2025, 11, 20)), latest=1)
    assert given.needs_dates


def test_the_latest_session_is_all_of_its_day() -> None:
    dates = SessionDates(at(2024, 1, 1, 9), at(2025, 11, 3, 15))

    scope = settle(ask("Plan of the last session?", MAYA), dates)

    assert scope == SearchScope(CLIENTS, at(2025, 11, 3), at(2025, 11, 20))


@pytest.mark.parametrize("dates", [None, SessionDates(at(2026, 1, 1), None)])
def test_where_there_is_no_latest_session_only_the_client_narrows(
    dates: SessionDates | None,
) -> None:
    assert settle(ask("Plan of the last session?", MAYA), dates) == SearchScope(CLIENTS)


@pytest.mark.parametrize(
    ("question", "first", "stands"),
    [
        ("What did she say in March 2019?", at(2024, 1, 1), False),
        ("What did she say in December 2023?", at(2024, 1, 1), False),
        ("What did she say in March 2024?", at(2024, 1, 1), True),
        ("What did she say since March 2019?", at(2024, 1, 1), False),
        ("What did she say since March 2024?", at(2024, 1, 1), True),
        ("What did she say before March 2024?", at(2024, 1, 1), True),
        ("What did she say last year?", at(2025, 1, 1), True),
    ],
)
def test_a_date_of_before_the_first_session_is_not_one_of_the_notes(
    question: str, first: datetime, *, stands: bool
) -> None:
    asked = ask(question, MAYA)
    scope = settle(asked, SessionDates(first, None))

    assert asked.scope != SearchScope(CLIENTS)
    assert scope == (asked.scope if stands else SearchScope(CLIENTS))


def test_a_date_stands_where_no_session_is_known() -> None:
    asked = ask("What did she say in March 2024?", MAYA)

    assert settle(asked, None) == asked.scope

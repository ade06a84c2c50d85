"""Which clients a question may name, and when they were seen: PostgreSQL and the twin alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from runtime.language.name_words import list_name_words, list_stored_words
from runtime.messages import Client, SearchScope, Session, SessionDates
from runtime.storage.client_names import USUAL_CLIENTS, PostgresClientDirectory
from runtime.storage.memory import InMemoryClientDirectory, InMemoryRecordStore
from runtime.storage.migrate import DIRECTORY
from runtime.storage.pool import Database
from runtime.storage.records import PostgresRecordStore

OURS, THEIRS = uuid4(), uuid4()
MAYA = Client(UUID(int=1), "Maya Thornton")
DANA = Client(UUID(int=2), "דנה בן-ארי")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

Stores: TypeAlias = tuple[
    PostgresRecordStore | InMemoryRecordStore, PostgresClientDirectory | InMemoryClientDirectory
]


@pytest.fixture(params=["memory", "postgres"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        records = InMemoryRecordStore()
        return records, InMemoryClientDirectory(records)
    database: Database = request.getfixturevalue("database")
    return PostgresRecordStore(database), PostgresClientDirectory(database)


async def find(stores: Stores, question: str, workspace_id: UUID = OURS) -> list[str]:
    return [client.name for client in await stores[1].find_named(workspace_id, question)]


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("How does Maya sleep?", [MAYA.name]),
        ("Thornton’s medication", [MAYA.name]),
        ("מה עלה בפגישה עם דָּנָה?", [DANA.name]),
        ("מה אמרתי לדנה?", [DANA.name]),
        ("וכשלבן ארי היה קשה", [DANA.name]),
        ("Did maya and דנה meet?", [MAYA.name, DANA.name]),
        ("How is Dana sleeping?", [DANA.name]),
        ("how is dana sleeping?", []),
        ("מה אמרה תורנטון?", [MAYA.name]),
        ("מה אמרתי למאיה?", [MAYA.name]),
        ("How does Mayan art look?", []),
        ("", []),
        ("123", []),
    ],
)
async def test_a_client_is_found_by_any_word_of_the_name(
    stores: Stores, question: str, names: list[str]
) -> None:
    await stores[0].put_many(OURS, [MAYA, DANA], [])

    assert await find(stores, question) == names


async def test_no_name_of_another_workspace_is_found(stores: Stores) -> None:
    await stores[0].put_client(THEIRS, MAYA)

    assert await find(stores, "Maya") == []
    assert await find(stores, "Maya", THEIRS) == [MAYA.name]


async def test_a_new_name_is_found_and_the_old_one_no_more(stores: Stores) -> None:
    await stores[0].put_client(OURS, MAYA)

    await stores[0].put_client(OURS, replace(MAYA, name="Maya Levi"))

    assert await find(stores, "Thornton") == []
    assert await find(stores, "Levi") == ["Maya Levi"]
    assert await find(stores, "Maya") == ["Maya Levi"]


async def test_a_deleted_client_is_not_found(stores: Stores) -> None:
    await stores[0].put_client(OURS, MAYA)

    await stores[0].delete_client(OURS, MAYA.id)

    assert await find(stores, "Maya Thornton") == []


async def test_a_word_in_many_others_notes_is_usual(stores: Stores) -> None:
    grace = Client(UUID(int=3), "Grace Rowe", notes="Grace walks. Rowe is her father's name.")
    others = [Client(uuid4(), "X", notes="By grace.") for _ in range(USUAL_CLIENTS - 1)]
    session = Session(uuid4(), MAYA.id, NOON, plan="Ask for grace.")
    await stores[0].put_many(OURS, [grace, MAYA, *others], [])

    (before,) = await stores[1].find_named(OURS, "Grace Rowe")
    await stores[0].put_session(OURS, session)
    (after,) = await stores[1].find_named(OURS, "Grace Rowe")

    assert before.usual_words == frozenset()
    assert after.usual_words == {"grace"}


async def test_a_word_that_notes_are_not_searched_by_is_usual(stores: Stores) -> None:
    await stores[0].put_client(OURS, replace(MAYA, name="Will Rowe"))

    (will,) = await stores[1].find_named(OURS, "Will Rowe come?")

    assert will.usual_words == {"will"}


async def test_session_dates_are_those_of_the_scope(stores: Stores) -> None:
    dates = [NOON + timedelta(days=7 * week) for week in range(4)]
    theirs = NOON - timedelta(days=1)
    sessions = [Session(uuid4(), MAYA.id, date) for date in dates]
    sessions.append(Session(uuid4(), DANA.id, theirs))
    await stores[0].put_many(OURS, [MAYA, DANA], sessions)
    maya = SearchScope(frozenset((MAYA.id,)))
    find_dates = stores[1].find_session_dates

    assert await find_dates(OURS, maya, latest=1) == SessionDates(dates[0], dates[3])
    assert await find_dates(OURS, maya, latest=3) == SessionDates(dates[0], dates[1])
    assert await find_dates(OURS, maya, latest=9) == SessionDates(dates[0], dates[0])
    assert await find_dates(OURS, maya, latest=0) == SessionDates(dates[0], None)
    assert await find_dates(OURS, replace(maya, until=dates[2]), latest=1) == SessionDates(
        dates[0], dates[1]
    )
    assert await find_dates(OURS, replace(maya, since=dates[3] + timedelta(1)), latest=1) == (
        SessionDates(dates[0], None)
    )
    assert await find_dates(OURS, SearchScope(), latest=1) == SessionDates(theirs, theirs)
    assert await find_dates(THEIRS, SearchScope(), latest=1) is None
    assert await find_dates(OURS, SearchScope(frozenset((uuid4(),))), latest=1) is None


NAMES = [
    "Maya Thornton",
    "THORNTON, Maya",
    "Séan O’Neill-Ångström",
    'ד"ר נועם בן־ארי',
    "שְׁלֹמִית כץ",
    "Dr. Anne (Annie) de la Cruz Jr.",
    "Maya 2 Levi",
    "ג'ורג' אבו-חצירא",
]


async def test_the_migration_gives_the_clients_there_are_the_words_of_their_names(
    database: Database, superuser: asyncpg.Connection
) -> None:
    clients = [Client(uuid4(), name) for name in NAMES]
    await PostgresRecordStore(database).put_many(OURS, clients, [])
    read = "SELECT client_id, array_agg(word ORDER BY word) FROM client_names GROUP BY client_id"
    assert dict(await superuser.fetch(read)) == {
        client.id: sorted(list_stored_words(client.name)) for client in clients
    }
    await superuser.execute("DROP TABLE client_names")

    await superuser.execute((DIRECTORY / "0003_pre_client_names.sql").read_text("utf-8"))

    assert dict(await superuser.fetch(read)) == {
        client.id: sorted(list_name_words(client.name)) for client in clients
    }

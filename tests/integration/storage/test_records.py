"""What writes leave behind in PostgreSQL: the queue, the workspaces' list, the notification."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from runtime.errors import DatabaseError, RecordNotFound
from runtime.messages import Client, Session
from runtime.storage.pool import Database
from runtime.storage.records import PostgresRecordStore
from tests.integration.conftest import Site

WORKSPACE = uuid4()
CLIENT = Client(uuid4(), "Noa", notes="Prefers mornings.")
SESSION = Session(uuid4(), CLIENT.id, datetime(2026, 3, 1, tzinfo=UTC), plan="Walk daily.")


@pytest.fixture
def store(database: Database) -> PostgresRecordStore:
    return PostgresRecordStore(database)


async def read_jobs(superuser: asyncpg.Connection) -> list[tuple[str, UUID, int]]:
    rows = await superuser.fetch(
        "SELECT record_type, record_id, priority FROM embedding_jobs ORDER BY id"
    )
    return [(row[0], UUID(str(row[1])), row[2]) for row in rows]


async def test_a_write_queues_one_job_and_the_same_write_again_none(
    store: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    for _ in range(3):
        await store.put_client(WORKSPACE, CLIENT)
        await store.put_session(WORKSPACE, SESSION)

    assert await read_jobs(superuser) == [("client", CLIENT.id, 0), ("session", SESSION.id, 0)]


async def test_a_change_queues_another_job_while_the_first_is_being_worked_on(
    store: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    await store.put_client(WORKSPACE, CLIENT)
    async with superuser.transaction():
        await superuser.execute("SELECT FROM embedding_jobs FOR UPDATE")
        await asyncio.wait_for(store.put_client(WORKSPACE, replace(CLIENT, notes="New.")), 10)

    assert len(await read_jobs(superuser)) == 2


async def test_bulk_work_queues_behind_what_a_therapist_writes(
    store: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    await store.put_many(WORKSPACE, [CLIENT], [SESSION])

    assert {priority for _, _, priority in await read_jobs(superuser)} == {1}


async def test_a_refused_session_leaves_no_trace(
    store: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    with pytest.raises(RecordNotFound):
        await store.put_session(WORKSPACE, SESSION)

    assert await superuser.fetchval("SELECT count(*) FROM sessions") == 0
    assert await read_jobs(superuser) == []


async def test_a_workspace_is_listed_with_its_first_client_and_keeps_its_name(
    store: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    named = uuid4()
    await store.ensure_workspace(named, "First")
    await store.ensure_workspace(named, "Second")
    for workspace_id in (WORKSPACE, named):
        await store.put_client(workspace_id, CLIENT)

    names = dict(await superuser.fetch("SELECT id::text, name FROM workspaces"))
    listed = {str(row[0]) for row in await superuser.fetch("SELECT id FROM workspace_ids")}
    assert names == {str(WORKSPACE): str(WORKSPACE), str(named): "Second"}
    assert listed == names.keys()


async def test_a_workspace_made_by_any_other_statement_is_listed_too(
    superuser: asyncpg.Connection,
) -> None:
    await superuser.execute("INSERT INTO workspaces (id, name) VALUES ($1, 'x')", WORKSPACE)

    assert await superuser.fetchval("SELECT id FROM workspace_ids") == WORKSPACE


async def test_the_runtime_role_cannot_list_a_workspace_itself(database: Database) -> None:

    with pytest.raises(DatabaseError, match="InsufficientPrivilege"):
        async with database.workspace(WORKSPACE) as connection:
            await connection.execute("INSERT INTO workspace_ids VALUES ($1)", uuid4())


async def test_a_stored_write_wakes_the_worker_and_an_unchanged_one_does_not(
    site: Site, store: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(site.superuser_url)
    await listener.add_listener("embedding_jobs", lambda *said: heard.put_nowait(said[-1]))
    for _ in range(2):
        await store.put_client(WORKSPACE, CLIENT)
        await store.put_session(WORKSPACE, SESSION)
    await superuser.execute("NOTIFY embedding_jobs, 'the end'")

    said = [await asyncio.wait_for(heard.get(), 10)]
    while said[-1] != "the end":
        said.append(await asyncio.wait_for(heard.get(), 10))
    await listener.close()
    assert said == [str(WORKSPACE), str(WORKSPACE), "the end"]


async def test_writes_at_once_of_one_record_end_in_one_of_them(
    store: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    versions = [replace(CLIENT, notes=f"Version {n}.") for n in range(8)]
    await asyncio.gather(*(store.put_client(WORKSPACE, version) for version in versions))

    notes = await superuser.fetchval("SELECT notes FROM clients")
    assert notes in {version.notes for version in versions}
    assert len(await read_jobs(superuser)) == 8


async def test_a_large_batch_is_stored_whole(store: PostgresRecordStore) -> None:
    sessions = [replace(SESSION, id=uuid4(), plan=f"Step {n}.") for n in range(2000)]

    first = await store.put_many(WORKSPACE, [CLIENT], sessions)
    second = await store.put_many(WORKSPACE, [CLIENT], sessions)

    assert (first.stored, first.unchanged) == (2001, 0)
    assert (second.stored, second.unchanged) == (0, 2001)


async def test_text_of_any_length_and_script_comes_back_as_it_was(
    store: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    text = "שלום 😴\r\n\t\u200f" * 200_000
    await store.put_client(WORKSPACE, replace(CLIENT, notes=text))

    assert await superuser.fetchval("SELECT notes FROM clients") == text

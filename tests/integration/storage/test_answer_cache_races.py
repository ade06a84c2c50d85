"""Writes that overlap with questions, on a real PostgreSQL; and what the cache must cost nobody."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from runtime.errors import DatabaseUnavailable
from runtime.messages import Client, Session
from runtime.storage import embedded
from runtime.storage.embedded import EmbeddedDatabase
from runtime.storage.migrate import migrate
from runtime.storage.pool import Database, open_database
from runtime.storage.queries import QUERIES
from tests.integration.conftest import FAST, Site, stop_server
from tests.integration.storage.cached_practice import (
    MODEL,
    NOA,
    OREN,
    OURS,
    PARTITION,
    THEIRS,
    VISIT,
    Practice,
    at,
    open_practice,
)

DURABLE = FAST | {"synchronous_commit": "on"}
OF_NOA, OF_OREN = frozenset((NOA.id,)), frozenset((OREN.id,))
EDIT = "UPDATE sessions SET plan = 'Rest.' WHERE id = $1"


@pytest.fixture
async def practice(database: Database) -> Practice:
    practice = open_practice(database)
    await practice.seed()
    return practice


@asynccontextmanager
async def open_writer(site: Site, workspace_id: UUID = OURS) -> AsyncIterator[asyncpg.Connection]:
    """Open a transaction of the runtime role, to be ended by the test or undone."""
    raw = await asyncpg.connect(site.runtime_url)
    try:
        await raw.execute("BEGIN")
        await raw.execute("SELECT set_config('app.workspace_id', $1, true)", str(workspace_id))
        await raw.execute("SET LOCAL statement_timeout = '5s'")
        yield raw
    finally:
        await raw.close()


async def count_entries(superuser: asyncpg.Connection) -> int:
    return int(await superuser.fetchval("SELECT count(*) FROM ai_query_cache"))


# --- A write and a question -----------------------------------------------------------------


@pytest.mark.parametrize("clients", [None, OF_NOA])
@pytest.mark.parametrize("others", [False, True])
async def test_a_write_under_way_when_the_question_began_ends_its_answer_by_its_commit(
    practice: Practice, site: Site, clients: frozenset[UUID] | None, *, others: bool
) -> None:
    """With a younger write that has ended, a snapshot lists it; else it lies beyond its end."""
    async with open_writer(site) as writer:
        await writer.execute(EDIT, VISIT.id)
        if others:
            await practice.seed(THEIRS)

        await practice.answer(clients=clients, vector=at(0))
        assert await practice.find() is not None

        await writer.execute("COMMIT")
    assert await practice.find() is None


@pytest.mark.parametrize("clients", [None, OF_NOA])
async def test_a_write_that_commits_before_the_answer_is_kept_keeps_it_out(
    practice: Practice, site: Site, superuser: asyncpg.Connection, clients: frozenset[UUID] | None
) -> None:
    async with open_writer(site) as writer:
        await writer.execute(EDIT, VISIT.id)
        kept = await practice.begin(clients=clients)
        await writer.execute("COMMIT")

    await practice.keep(kept)

    assert await count_entries(superuser) == 0


async def test_a_write_that_is_undone_ends_nothing(practice: Practice, site: Site) -> None:
    await practice.answer("before")
    async with open_writer(site) as writer:
        await writer.execute(EDIT, VISIT.id)
        await practice.answer("during")
        await writer.execute("ROLLBACK")

    assert await practice.find("before") is not None
    assert await practice.find("during") is not None


async def test_a_write_of_a_savepoint_counts_if_the_savepoint_does(
    practice: Practice, site: Site
) -> None:
    """A snapshot lists no savepoints' numbers, only those of whole transactions."""
    async with open_writer(site) as writer:
        await writer.execute("SAVEPOINT one")
        await writer.execute(EDIT, VISIT.id)
        await practice.answer(clients=OF_NOA)
        await practice.answer("of Oren", clients=OF_OREN)
        await writer.execute("RELEASE one")
        await writer.execute("SAVEPOINT two")
        await writer.execute("UPDATE clients SET notes = 'Late.' WHERE id = $1", OREN.id)
        await writer.execute("ROLLBACK TO two")
        await writer.execute("COMMIT")

    assert await practice.find() is None
    assert await practice.find("of Oren") is not None


async def test_a_write_is_noted_though_its_transaction_began_long_before_the_question(
    practice: Practice, site: Site
) -> None:
    """Its number is older than the snapshot, which lists it as under way."""
    async with open_writer(site) as writer:
        await writer.execute("SELECT pg_current_xact_id()")
        await practice.records.put_client(OURS, Client(uuid4(), "Tal"))
        await practice.answer(clients=OF_NOA)
        await writer.execute(EDIT, VISIT.id)
        await writer.execute("COMMIT")

    assert await practice.find() is None


async def test_a_write_committed_before_the_question_began_ends_nothing(
    practice: Practice, site: Site
) -> None:
    """Even one that is younger than another which is still under way."""
    async with open_writer(site) as other:
        await other.execute("SELECT pg_current_xact_id()")
        await practice.records.put_session(OURS, replace(VISIT, plan="Rest."))

        await practice.answer()

        assert await practice.find() is not None
        await other.execute("COMMIT")
    assert await practice.find() is not None


async def test_a_look_up_does_not_see_its_own_transactions_past_as_the_cause_of_anothers(
    practice: Practice, site: Site
) -> None:
    """A transaction that has written looks up: its own change counts, as it will for everyone."""
    await practice.answer()
    async with open_writer(site) as writer:
        await writer.execute(EDIT, VISIT.id)
        row = await writer.fetchrow(QUERIES["recall_answer"], b"q")
        assert row["id"] is None
        await writer.execute("ROLLBACK")

    assert await practice.find() is not None


async def test_a_cascade_of_the_owner_ends_the_answers(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    """What is deleted behind the runtime's back, in a session that names no workspace."""
    await practice.answer(clients=OF_NOA)
    await practice.seed(THEIRS)
    await practice.answer(workspace_id=THEIRS, clients=OF_NOA)

    await superuser.execute("DELETE FROM clients WHERE workspace_id = $1 AND id = $2", OURS, NOA.id)

    assert await practice.find() is None
    assert await practice.find(workspace_id=THEIRS) is not None


async def test_a_workspace_can_be_deleted_with_all_that_is_in_it(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    await practice.embed_visit()
    await practice.answer()

    await superuser.execute("DELETE FROM workspaces WHERE id = $1", OURS)

    assert await count_entries(superuser) == 0


# --- A write of the model -------------------------------------------------------------------


async def test_vectors_that_go_end_the_answers_of_their_client(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    await practice.embed_visit()
    await practice.answer(clients=OF_NOA)
    await practice.answer("of Oren", clients=OF_OREN)

    await superuser.execute("DELETE FROM session_vectors")

    assert await practice.find() is None
    assert await practice.find("of Oren") is not None


async def switch_model(superuser: asyncpg.Connection, model: str | None) -> None:
    """Search our workspace by another model from now on."""
    await superuser.execute("UPDATE workspaces SET embedding_model = $1 WHERE id = $2", model, OURS)


async def test_an_answer_serves_while_the_workspace_is_searched_by_its_model(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    async def serves() -> tuple[bool, bool]:
        near = await practice.cache.recall_similar(
            OURS, PARTITION, at(0), model=MODEL, min_similarity=0.9
        )
        return await practice.find() is not None, bool(near)

    await switch_model(superuser, MODEL.key)
    kept = await practice.begin(vector=at(0))
    await practice.keep(kept)
    assert (await practice.cache.recall(OURS, kept.key)).embedding_model == MODEL.key
    assert await serves() == (True, True)

    await switch_model(superuser, "fake:later:2")
    assert (await practice.cache.recall(OURS, kept.key)).embedding_model == "fake:later:2"
    assert await serves() == (False, False)

    await practice.keep(kept)
    assert await count_entries(superuser) == 0


# --- What is deleted is gone ----------------------------------------------------------------


@pytest.mark.parametrize("what", ["client", "session"])
async def test_deleting_a_record_deletes_the_answers_that_may_rest_on_it(
    practice: Practice, superuser: asyncpg.Connection, what: str
) -> None:
    await practice.answer("of all")
    await practice.answer("of Noa", clients=OF_NOA)
    await practice.answer("of Oren", clients=OF_OREN)
    await practice.seed(THEIRS)
    await practice.answer("of them", workspace_id=THEIRS)

    if what == "client":
        await practice.records.delete_client(OURS, NOA.id)
    else:
        await practice.records.delete_session(OURS, VISIT.id)

    rows = await superuser.fetch("SELECT query_text FROM ai_query_cache")
    assert {row[0] for row in rows} == {"of Oren", "of them"}


async def test_a_delete_does_not_wait_for_an_answer_in_other_hands(
    practice: Practice, site: Site, superuser: asyncpg.Connection
) -> None:
    await practice.answer()
    async with open_writer(site) as other:
        await other.execute("SELECT FROM ai_query_cache FOR UPDATE")
        await practice.records.delete_client(OURS, NOA.id)
        assert await practice.find() is None
        await other.execute("COMMIT")
    assert await count_entries(superuser) == 1

    await practice.answer("r")

    rows = await superuser.fetch("SELECT query_text FROM ai_query_cache")
    assert [row[0] for row in rows] == ["r"]


# --- Nobody waits ---------------------------------------------------------------------------


@pytest.mark.usefixtures("practice")
async def test_writes_of_different_clients_do_not_wait_for_each_other(site: Site) -> None:
    async with open_writer(site) as one, open_writer(site) as other:
        for writer, client in ((one, NOA), (other, OREN)):
            await writer.execute("UPDATE clients SET notes = 'x' WHERE id = $1", client.id)
            await writer.execute(
                "INSERT INTO sessions (workspace_id, id, client_id, session_date)"
                " VALUES ($1, $2, $3, now())",
                OURS,
                uuid4(),
                client.id,
            )
        await other.execute("COMMIT")
        await one.execute("COMMIT")


async def test_writes_of_different_sessions_of_one_client_do_not_wait_for_each_other(
    practice: Practice, site: Site
) -> None:
    second = replace(VISIT, id=uuid4())
    await practice.records.put_session(OURS, second)
    async with open_writer(site) as one, open_writer(site) as other:
        await one.execute(EDIT, VISIT.id)
        await other.execute(EDIT, second.id)
        await other.execute("COMMIT")
        await one.execute("COMMIT")


async def test_two_deletes_in_opposite_order_wait_for_no_cached_answer(
    practice: Practice, site: Site
) -> None:
    """Each deletes the answers about one client, then about the other: no cycle comes of it."""
    tal, gil = Client(uuid4(), "Tal"), Client(uuid4(), "Gil")
    for client in (tal, gil):
        await practice.records.put_client(OURS, client)
    await practice.answer("both", clients=frozenset((NOA.id, OREN.id, tal.id, gil.id)))
    await practice.answer("all")
    delete = "DELETE FROM clients WHERE id = $1"
    async with open_writer(site) as one, open_writer(site) as other:
        await one.execute(delete, NOA.id)
        await other.execute(delete, tal.id)
        await one.execute(delete, OREN.id)
        await other.execute(delete, gil.id)
        await one.execute("COMMIT")
        await other.execute("COMMIT")


async def test_answers_kept_at_once_neither_deadlock_nor_exceed_the_bound(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    kept = [await practice.begin(f"q{number % 25}") for number in range(100)]

    evicted = await asyncio.gather(*(practice.keep(each, max_entries=10) for each in kept))

    assert await count_entries(superuser) == 10
    assert sum(evicted) >= 15


async def test_records_come_and_go_while_answers_are_kept(practice: Practice) -> None:
    """Every kind of write at once; what any of them raises fails the test."""

    async def write(number: int) -> None:
        client = Client(uuid4(), f"Client {number}")
        await practice.records.put_client(OURS, client)
        visit = Session(uuid4(), client.id, VISIT.session_date, plan="Walk.")
        await practice.records.put_session(OURS, visit)
        await practice.answer(f"of {number}", clients=frozenset((client.id,)), by_name=True)
        await practice.records.put_session(OURS, replace(visit, client_id=NOA.id))
        await practice.records.delete_client(OURS, client.id)

    async def ask(number: int) -> None:
        for _ in range(5):
            found = await practice.find(f"q{number % 3}")
            if found is not None:
                await practice.cache.count_hit(OURS, found.id)
            kept = await practice.begin(f"q{number % 3}")
            await practice.keep(kept, max_entries=5)

    await asyncio.gather(*map(write, range(10)), *map(ask, range(10)))


# --- Two workspaces -------------------------------------------------------------------------


async def test_no_hand_written_statement_reaches_another_workspaces_answers(
    practice: Practice, site: Site, superuser: asyncpg.Connection
) -> None:
    await practice.seed(THEIRS)
    await practice.answer("secret", workspace_id=THEIRS)
    changes = await superuser.fetchval("SELECT count(*) FROM record_changes")
    async with open_writer(site) as writer:
        for statement in (
            "SELECT * FROM ai_query_cache",
            "SELECT * FROM record_changes WHERE workspace_id <> current_workspace()",
            "UPDATE ai_query_cache SET hit_count = 9 RETURNING id",
            "DELETE FROM ai_query_cache RETURNING id",
            "DELETE FROM record_changes WHERE workspace_id <> current_workspace() RETURNING 1",
        ):
            rows = await writer.fetch(statement)
            assert [row for row in rows if row[0] not in ("", None)] == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await writer.execute(f"SELECT note_changes('{THEIRS}', '{{{uuid4()}}}', true)")
    assert await count_entries(superuser) == 1
    assert await superuser.fetchval("SELECT count(*) FROM record_changes") == changes


# --- Another run of the server --------------------------------------------------------------


@asynccontextmanager
async def open_own(data_dir: Path) -> AsyncIterator[tuple[EmbeddedDatabase, Practice]]:
    """Open a server of the test's own, whose commits survive the end of its processes."""
    server = await asyncio.to_thread(embedded.start, data_dir, configuration=DURABLE)
    await migrate(server.owner_url, runtime_role=embedded.RUNTIME_ROLE)
    async with await open_database(
        server.runtime_url, pool_size=2, statement_timeout_s=10
    ) as database:
        yield server, open_practice(database)


async def test_no_answer_outlives_a_restart_of_the_server(data_dir: Path) -> None:
    async with open_own(data_dir) as (_, practice):
        await practice.seed()
        await practice.answer(vector=at(0))
        begun = await practice.begin("r")
        assert await practice.find() is not None
    await asyncio.to_thread(stop_server, data_dir)

    async with open_own(data_dir) as (server, practice):
        assert await practice.find() is None
        superuser = await asyncpg.connect(server.url_for("postgres"))
        assert await count_entries(superuser) == 1
        await practice.keep(begun)
        assert await count_entries(superuser) == 0
        await superuser.close()
        await practice.answer()
        assert await practice.find() is not None


async def is_forgotten(practice: Practice) -> bool:
    """Whether the server answers, and serves nothing."""
    try:
        return await practice.find() is None
    except DatabaseUnavailable:
        return False


async def test_no_answer_outlives_a_recovery_of_the_server(data_dir: Path) -> None:
    """The server's processes begin anew, but not the one whose start PostgreSQL tells of."""
    async with open_own(data_dir) as (server, practice):
        await practice.seed()
        await practice.answer()
        victim = await asyncpg.connect(server.runtime_url)
        started = await victim.fetchval("SELECT pg_postmaster_start_time()")
        os.kill(await victim.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
        victim.terminate()

        async with asyncio.timeout(60):
            while not await is_forgotten(practice):
                pass
        after = await asyncpg.connect(server.url_for("postgres"))
        assert await after.fetchval("SELECT pg_postmaster_start_time()") == started
        assert await count_entries(after) == 1
        await after.close()


async def test_changes_brought_along_from_another_server_block_nothing(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    """A dump of a server with higher numbers: none of them is of a write that is still to come."""
    await superuser.execute(
        "INSERT INTO record_changes (workspace_id, client_id, xid) VALUES ($1, $2, '999999999')",
        OURS,
        NOA.id,
    )
    await practice.answer(clients=OF_NOA)

    assert await practice.find() is not None

"""How little a look-up reads, however much was written; and what is forgotten of it in time."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import pytest

from runtime.storage.pool import Connection, Database
from runtime.storage.queries import QUERIES
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

CHANGES = 100_000
FEW = 20
"""Entries at the end of an index; how many exactly is the server's affair."""
OTHERS_ANSWERS = 20_000
PLANNING = 1000
"""What the planner itself may read at the ends of an index, to know how its values range."""

OF_OREN = frozenset((OREN.id,))
WRITE_MANY = f"""INSERT INTO record_changes (workspace_id, client_id)
    SELECT $1, gen_random_uuid() FROM generate_series(1, {CHANGES})"""
ANSWER_MANY = f"""INSERT INTO ai_query_cache (workspace_id, query_text, response, expires_at,
        exact_key, partition_key, by_name, embedding_model, as_of, server_run, query_embedding)
    SELECT '{THEIRS}', 'q', '{{}}', now(), uuid_send(gen_random_uuid()), $1, false, $2,
        pg_current_snapshot(), server_run(), '[1,0]' FROM generate_series(1, {OTHERS_ANSWERS})"""
READ = """SELECT sum(pg_stat_get_xact_tuples_returned(oid))
    FROM pg_class WHERE oid = $1::regclass
        OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = $1::regclass)"""


@pytest.fixture
async def practice(database: Database) -> Practice:
    practice = open_practice(database)
    await practice.seed()
    return practice


async def count_read(connection: Connection, table: str) -> int:
    """Return how many rows and index entries of a table this transaction has read."""
    return int(await connection.fetch_value(READ, table))


# --- How little is read ---------------------------------------------------------------------


@pytest.mark.parametrize("analyzed", [False, True])
async def test_a_look_up_reads_few_changes_however_many_there_are(
    practice: Practice, database: Database, superuser: asyncpg.Connection, *, analyzed: bool
) -> None:
    await superuser.execute(WRITE_MANY, OURS)
    await practice.answer("all, before", vector=at(0))
    await practice.answer("after", clients=OF_OREN, by_name=True, vector=at(0))
    async with database.workspace(OURS) as connection:
        found = await connection.fetch_row(QUERIES["recall_answer"], b"all, before")
        assert found is not None
        assert found["id"] is not None
        assert await count_read(connection, "record_changes") <= FEW

    await superuser.execute(WRITE_MANY, OURS)
    if analyzed:
        await superuser.execute("ANALYZE")

    for question, serves in (("all, before", False), ("after", True)):
        async with database.workspace(OURS) as connection:
            found = await connection.fetch_row(QUERIES["recall_answer"], question.encode())
            assert found is not None
            assert (found["id"] is not None) == serves
            assert await count_read(connection, "record_changes") <= FEW
    async with database.workspace(OURS) as connection:
        await connection.execute(QUERIES["forget_outdated_answers"])
        assert await count_read(connection, "record_changes") <= FEW


async def test_a_transaction_that_stays_open_makes_no_look_up_read_what_came_after_it(
    practice: Practice, database: Database, superuser: asyncpg.Connection
) -> None:
    """All those numbers lie between the oldest that is under way and the snapshot's end."""
    async with database.workspace(THEIRS) as worker:
        await worker.execute("SELECT pg_current_xact_id()")
        await superuser.execute(WRITE_MANY, OURS)
        await practice.answer()

        async with database.workspace(OURS) as connection:
            found = await connection.fetch_row(QUERIES["recall_answer"], b"q")
            assert found is not None
            assert found["id"] is not None
            assert await count_read(connection, "record_changes") <= FEW


@pytest.mark.parametrize("analyzed", [False, True])
async def test_a_look_up_reads_none_of_other_workspaces_answers(
    practice: Practice, database: Database, superuser: asyncpg.Connection, *, analyzed: bool
) -> None:
    await practice.seed(THEIRS)
    await superuser.execute(ANSWER_MANY, PARTITION, MODEL.key)
    if analyzed:
        await superuser.execute("ANALYZE")
    for number in range(10):
        await practice.answer(f"q{number}", vector=at(number))

    async with database.workspace(OURS) as connection:
        await connection.fetch_row(QUERIES["recall_answer"], b"q0")
        assert await count_read(connection, "ai_query_cache") <= PLANNING + 4
    async with database.workspace(OURS) as connection:
        found = await connection.fetch(
            QUERIES["recall_similar_answers"], PARTITION, at(0), MODEL.key, 0.1, 5
        )
        assert len(found) == 5
        assert await count_read(connection, "ai_query_cache") <= PLANNING + 60
    async with database.workspace(OURS) as connection:
        for name, arguments in (("forget_outdated_answers", []), ("evict_answers", [5])):
            await connection.execute(QUERIES[name], *arguments)
        assert await count_read(connection, "ai_query_cache") <= PLANNING + 120


# --- What is forgotten ----------------------------------------------------------------------


async def age(superuser: asyncpg.Connection, days: float) -> None:
    """Make all that is there older."""
    for table, column in (("record_changes", "at"), ("ai_query_cache", "created_at")):
        await superuser.execute(
            f"UPDATE {table} SET {column} = {column} - $1 * interval '1 day'", days
        )


async def count_changes(superuser: asyncpg.Connection, workspace_id: UUID = OURS) -> int:
    return int(
        await superuser.fetchval(
            "SELECT count(*) FROM record_changes WHERE workspace_id = $1", workspace_id
        )
    )


async def test_a_write_forgets_changes_that_no_answer_is_older_than(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    await practice.seed(THEIRS)
    before = await count_changes(superuser)
    await age(superuser, 7.9)
    await practice.records.put_session(OURS, replace(VISIT, plan="Rest."))
    assert await count_changes(superuser) == before + 1

    await age(superuser, 0.2)
    await practice.records.put_session(OURS, replace(VISIT, plan="Run."))

    assert await count_changes(superuser) == 2
    assert await count_changes(superuser, THEIRS) == before


async def test_two_writes_do_not_wait_for_each_others_forgetting(
    practice: Practice, database: Database, superuser: asyncpg.Connection
) -> None:
    await age(superuser, 9)
    async with database.workspace(OURS) as connection:
        await connection.execute("UPDATE clients SET notes = 'x' WHERE id = $1", NOA.id)
        await practice.records.put_client(OURS, replace(OREN, notes="x"))


@pytest.mark.parametrize(("days", "serves"), [(6.9, True), (7, False)])
async def test_no_answer_serves_for_longer_than_changes_are_remembered(
    practice: Practice, superuser: asyncpg.Connection, days: float, *, serves: bool
) -> None:
    await practice.keep(await practice.begin(vector=at(0)), ttl_s=604_800)
    await age(superuser, days)

    similar = await practice.cache.recall_similar(
        OURS, PARTITION, at(0), model=MODEL, min_similarity=0.9
    )

    assert (await practice.find() is not None) == serves
    assert bool(similar) == serves
    await practice.answer(str(uuid4()))
    assert await practice.cache.forget_all(OURS) == 1 + serves


async def test_a_hit_is_counted(practice: Practice, superuser: asyncpg.Connection) -> None:
    await practice.answer()
    found = await practice.find()
    assert found is not None
    for _ in range(2):
        await practice.cache.count_hit(OURS, found.id)

    row = await superuser.fetchrow("SELECT hit_count, last_hit_at FROM ai_query_cache")
    assert row["hit_count"] == 2
    assert row["last_hit_at"] is not None
    await practice.answer()
    assert await superuser.fetchval("SELECT hit_count FROM ai_query_cache") == 0


@pytest.mark.parametrize("response", ["{}", '{"version": 0}', '"no answer"'])
async def test_an_answer_that_cannot_be_read_is_as_good_as_none(
    practice: Practice, superuser: asyncpg.Connection, response: str
) -> None:
    await practice.answer(vector=at(0))
    await superuser.execute("UPDATE ai_query_cache SET response = $1", response)

    assert await practice.find() is None
    similar = await practice.cache.recall_similar(
        OURS, PARTITION, at(0), model=MODEL, min_similarity=0.9
    )
    assert similar == []

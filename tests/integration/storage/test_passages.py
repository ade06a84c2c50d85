"""The search's promises that only a real planner and a real neighbour can break."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import pytest

from runtime.clock import ManualClock
from runtime.messages import Client, EmbeddingModel, SearchScope, Session, Vector
from runtime.storage import embedded
from runtime.storage.migrate import migrate
from runtime.storage.passages import PostgresPassageStore
from runtime.storage.pool import Connection, Database
from runtime.storage.queries import QUERIES
from runtime.storage.records import PostgresRecordStore
from runtime.storage.terms import AVERAGE_TERMS, K1, MOST_FIELDS_READ, B
from runtime.storage.vector_index import index_name
from runtime.storage.vector_search import (
    INDEXES_TTL_S,
    READING,
    WALKING,
    VectorQuery,
    VectorSearch,
    walking_statement,
)
from tests.integration.conftest import Site

MODEL = EmbeddingModel("fake", "small", 64)
SMALL, BIG = uuid4(), uuid4()

FILL = """
    WITH w AS (INSERT INTO workspaces (id, name) VALUES ($1, 'x')),
    c AS (INSERT INTO clients (workspace_id, id, name) VALUES ($1, $1, 'Noa')),
    s AS (INSERT INTO sessions (workspace_id, id, client_id, session_date, plan)
        SELECT $1, gen_random_uuid(), $1, now(), 'Walk.' FROM generate_series(1, $2)
        RETURNING id)
    INSERT INTO session_vectors (workspace_id, session_id, field_name, part, part_start, part_end,
        embedding, embedding_model, content_hash)
    SELECT $1, id, 'plan', 0, 0, 5,
        (SELECT array_agg(CASE n WHEN 1 THEN 1 ELSE $3 * random() END) FROM generate_series(1, 64) n
            WHERE id IS NOT NULL)::vector,
        $4, sha256('Walk.') FROM s
"""


@pytest.fixture
async def neighbours(
    site: Site, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small workspace whose vectors are all farther away than those of a big one."""
    monkeypatch.setattr("runtime.storage.vector_index.INDEXED_ROWS", 1000)
    await superuser.execute(FILL, BIG, 2000, 0.01, MODEL.key)
    await superuser.execute(FILL, SMALL, 12, 1.0, MODEL.key)
    await migrate(site.owner_url, runtime_role=embedded.RUNTIME_ROLE)


def query_vector() -> Vector:
    vector = np.zeros(64, dtype=np.float32)
    vector[0] = 1
    return vector


async def explain(
    connection: Connection, statement: str, *walked: UUID | None, clients: list[UUID] | None = None
) -> str:
    """Return the plan of a search for 50 passages."""
    rows = await connection.fetch(
        f"EXPLAIN {statement}", query_vector(), MODEL.key, clients, None, None, 50, 200, *walked
    )
    return "\n".join(row["QUERY PLAN"] for row in rows)


@pytest.mark.usefixtures("neighbours")
async def test_a_small_workspace_beside_a_big_one_finds_all_its_rows(database: Database) -> None:
    store = PostgresPassageStore(database)

    found = await store.search(SMALL, query_vector(), model=MODEL, scope=SearchScope(), limit=50)

    assert len(found) == 12
    assert sorted(found, key=lambda passage: -passage.similarity) == found


@pytest.mark.usefixtures("neighbours")
async def test_a_small_workspace_reads_its_part_of_one_index(database: Database) -> None:
    async with database.workspace(SMALL, READING) as connection:
        plan = await explain(connection, QUERIES["search_passages"], None, None)

    assert "Index Only Scan using session_vectors_pkey" in plan
    assert "_near_" not in plan
    assert "Seq Scan" not in plan
    assert "sessions_by" not in plan, "the join that narrows a scope falls away without one"


@pytest.mark.usefixtures("neighbours")
async def test_a_large_workspace_walks_its_index_and_no_other_workspace_can(
    database: Database,
) -> None:
    statement = walking_statement(MODEL, ["session_vectors"])
    index = index_name("session_vectors", BIG, MODEL.key)
    async with database.workspace(BIG, WALKING) as connection:
        assert index in await explain(connection, statement, BIG, None)
    async with database.workspace(SMALL, WALKING) as connection:
        assert index not in await explain(connection, statement, SMALL, None)


@pytest.mark.usefixtures("neighbours")
async def test_a_scope_reads_the_vectors_of_its_own_sessions_alone(
    database: Database, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("ANALYZE")
    async with database.workspace(BIG, READING) as connection:
        plan = await explain(connection, QUERIES["search_passages"], None, None, clients=[uuid4()])

    assert "sessions_by_client" in plan
    assert re.search(r"using session_vectors_.*\n +Index Cond: .*session_id = s(_\d)?\.id", plan)


@pytest.mark.usefixtures("neighbours")
async def test_what_is_nearest_is_found_though_its_bits_hardly_differ(
    database: Database, superuser: asyncpg.Connection
) -> None:
    store = PostgresPassageStore(database)
    nearest = await superuser.fetch(
        """SELECT session_id FROM session_vectors WHERE workspace_id = $1
        ORDER BY embedding <=> $2::text::vector LIMIT 10""",
        BIG,
        f"[{','.join(['1'] + ['0'] * 63)}]",
    )

    found = await store.search(BIG, query_vector(), model=MODEL, scope=SearchScope(), limit=100)

    assert len(found) == 100
    missed = {row[0] for row in nearest} - {passage.record.id for passage in found[:10]}
    assert len(missed) <= 1


@pytest.mark.usefixtures("neighbours")
async def test_where_a_walk_finds_too_little_all_is_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WALKING, "hnsw.iterative_scan", "off")
    monkeypatch.setitem(WALKING, "hnsw.ef_search", "5")
    store = PostgresPassageStore(database)
    async with database.workspace(BIG, WALKING) as connection:
        walked = await connection.fetch(
            walking_statement(MODEL, ["session_vectors"]),
            *(query_vector(), MODEL.key, None, None, None, 50, 200, BIG, None),
        )

    found = await store.search(BIG, query_vector(), model=MODEL, scope=SearchScope(), limit=50)

    assert 0 < walked[0]["compared"] < 200
    assert len(found) == 50


@pytest.mark.usefixtures("neighbours")
async def test_an_index_is_found_and_missed_within_a_minute(
    database: Database, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    search = VectorSearch(database, clock)
    query = VectorQuery(query_vector(), MODEL, SearchScope(), 10)
    index = index_name("session_vectors", BIG, MODEL.key)
    walks: list[Mapping[str, str]] = []
    open_workspace = database.workspace

    def watch(
        workspace_id: UUID, settings: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Connection]:
        if settings is WALKING:
            walks.append(settings)
        return open_workspace(workspace_id, settings)

    monkeypatch.setattr(database, "workspace", watch)

    await superuser.execute(f"ALTER INDEX {index} RENAME TO hidden")
    await search.find(BIG, query)
    await superuser.execute(f"ALTER INDEX hidden RENAME TO {index}")
    await search.find(BIG, query)
    assert not walks
    clock.advance(INDEXES_TTL_S)
    await search.find(BIG, query)
    assert walks

    await superuser.execute(f"DROP INDEX {index}")
    assert len(await search.find(BIG, query)) == 10, "the plan does without"
    clock.advance(INDEXES_TTL_S)
    walks.clear()
    await search.find(BIG, query)
    assert not walks


@pytest.mark.usefixtures("neighbours")
async def test_walking_leaves_out_vectors_of_a_text_that_is_no_more(
    database: Database, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("UPDATE sessions SET plan = 'Swim.' WHERE workspace_id = $1", BIG)
    store = PostgresPassageStore(database)

    assert not await store.search(BIG, query_vector(), model=MODEL, scope=SearchScope(), limit=10)


@pytest.mark.usefixtures("neighbours")
async def test_vectors_of_a_text_that_is_no_more_are_never_found(
    database: Database, superuser: asyncpg.Connection
) -> None:
    """A worker may store them after the edit that should have deleted them has looked."""
    await superuser.execute(
        """UPDATE sessions SET plan = 'Swim.' WHERE id IN (
            SELECT session_id FROM session_vectors WHERE workspace_id = $1
            ORDER BY embedding <=> $2::text::vector LIMIT 4)""",
        SMALL,
        f"[{','.join(['1'] + ['0'] * 63)}]",
    )
    store = PostgresPassageStore(database)

    found = await store.search(SMALL, query_vector(), model=MODEL, scope=SearchScope(), limit=5)
    everything = await store.search(
        SMALL, query_vector(), model=MODEL, scope=SearchScope(), limit=50
    )

    assert {passage.text for passage in everything} == {"Walk."}
    assert (len(found), len(everything)) == (5, 8)


# --- By words -------------------------------------------------------------------------------

CLIENT = Client(uuid4(), "Noa")


def make_session(plan: str) -> Session:
    return Session(uuid4(), CLIENT.id, datetime(2026, 3, 1, tzinfo=UTC), plan=plan)


async def test_no_plan_of_the_search_by_words_reads_the_whole_workspace(
    database: Database, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(
        """INSERT INTO record_terms SELECT $1, n % 5000, gen_random_uuid(), 'plan', 1, 1
        FROM generate_series(1, 50000) n""",
        SMALL,
    )
    await superuser.execute("ANALYZE record_terms")
    arguments = ([1, 2, 3], None, None, None, 40, K1, B, AVERAGE_TERMS, MOST_FIELDS_READ)
    async with database.workspace(SMALL) as connection:
        for mode in ("force_custom_plan", "force_generic_plan"):
            await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
            rows = await connection.fetch("EXPLAIN " + QUERIES["search_terms"], *arguments)
            plan = "\n".join(row["QUERY PLAN"] for row in rows)
            assert "Seq Scan on record_terms" not in plan
            assert plan.count("(term = ") == 2, "of the count and of the reading"


async def test_of_words_that_stand_everywhere_only_a_lone_one_is_looked_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.storage.passages.MOST_FIELDS_READ", 4)
    sessions = [make_session("Walk daily.") for _ in range(6)] + [make_session("Lithium.")]
    await PostgresRecordStore(database).put_many(SMALL, [CLIENT], sessions)
    store = PostgresPassageStore(database)

    async def find(question: str) -> list[str]:
        found = await store.search_text(SMALL, question, scope=SearchScope(), limit=10)
        return [passage.text for passage in found]

    assert await find("walk or lithium") == ["Lithium."]
    assert await find("walk daily") == ["Walk daily."] * 6
    assert await find("walk") == ["Walk daily."] * 6


async def test_writes_of_one_record_at_once_leave_the_words_of_the_last_alone(
    database: Database, superuser: asyncpg.Connection
) -> None:
    records, store = PostgresRecordStore(database), PostgresPassageStore(database)
    session = make_session("First.")
    await records.put_many(SMALL, [CLIENT], [session])
    async with superuser.transaction():
        await superuser.execute("SELECT FROM sessions FOR UPDATE")
        writes = [
            asyncio.create_task(records.put_session(SMALL, replace(session, plan=plan)))
            for plan in ("Second word.", "Third word.")
        ]
        await waiting(superuser, 2)
    await asyncio.gather(*writes)

    [passage] = await store.search_text(SMALL, "word", scope=SearchScope(), limit=10)
    found = await store.search_text(SMALL, "first second third", scope=SearchScope(), limit=10)
    assert [each.text for each in found] == [passage.text]
    assert await superuser.fetchval("SELECT count(*) FROM record_terms") == 2


async def test_a_delete_that_waits_for_a_write_leaves_none_of_its_words(
    database: Database, superuser: asyncpg.Connection
) -> None:
    records = PostgresRecordStore(database)
    session = make_session("First.")
    await records.put_many(SMALL, [CLIENT], [session])
    async with superuser.transaction():
        await superuser.execute("SELECT FROM sessions FOR UPDATE")
        write = asyncio.create_task(
            records.put_session(SMALL, replace(session, plan="Second word."))
        )
        await waiting(superuser, 1)
        delete = asyncio.create_task(records.delete_client(SMALL, CLIENT.id))
        await waiting(superuser, 2)
    await asyncio.gather(write, delete)

    assert await superuser.fetchval("SELECT count(*) FROM record_terms") == 0
    assert await superuser.fetchval("SELECT count(*) FROM indexed_records") == 0


async def waiting(superuser: asyncpg.Connection, count: int) -> None:
    """Return when so many statements of this database wait for a lock."""
    while await superuser.fetchval(
        "SELECT count(*) < $1 FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()",
        count,
    ):
        # Within a transaction these figures are a snapshot, unless it is dropped.
        await superuser.execute("SELECT pg_stat_clear_snapshot()")

"""The search's promises that only a real planner and a real neighbour can break."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import numpy as np
import pytest

from runtime.messages import Client, EmbeddingModel, SearchScope, Session, Vector
from runtime.storage import embedded
from runtime.storage.migrate import migrate
from runtime.storage.passages import PostgresPassageStore
from runtime.storage.pool import Database
from runtime.storage.queries import QUERIES
from runtime.storage.records import PostgresRecordStore
from runtime.storage.terms import AVERAGE_TERMS, K1, MOST_FIELDS_READ, B
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
async def neighbours(site: Site, superuser: asyncpg.Connection) -> None:
    """A small workspace whose vectors are all farther away than those of a big one."""
    await migrate(site.owner_url, runtime_role=embedded.RUNTIME_ROLE, model=MODEL)
    await superuser.execute(FILL, BIG, 2000, 0.01, MODEL.key)
    await superuser.execute(FILL, SMALL, 12, 1.0, MODEL.key)
    await superuser.execute("ANALYZE")


def query_vector() -> Vector:
    vector = np.zeros(64, dtype=np.float32)
    vector[0] = 1
    return vector


@pytest.mark.usefixtures("neighbours")
async def test_a_small_workspace_beside_a_big_one_finds_all_its_rows(database: Database) -> None:
    store = PostgresPassageStore(database)

    found = await store.search(SMALL, query_vector(), model=MODEL, scope=SearchScope(), limit=50)

    assert len(found) == 12
    assert sorted(found, key=lambda passage: -passage.similarity) == found


@pytest.mark.usefixtures("neighbours")
async def test_no_plan_of_the_search_uses_an_approximate_index(database: Database) -> None:
    async with database.workspace(SMALL) as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SET LOCAL enable_sort = off")
        for mode in ("force_custom_plan", "force_generic_plan"):
            await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
            rows = await connection.fetch(
                "EXPLAIN " + QUERIES["search_passages"],
                query_vector(),
                MODEL.key,
                None,
                None,
                None,
                50,
            )
            assert not [row for row in rows if "hnsw" in row["QUERY PLAN"]]


@pytest.mark.usefixtures("neighbours")
async def test_the_index_that_is_not_used_would_lose_rows(superuser: asyncpg.Connection) -> None:
    """Why the test above matters: what an index would do to the same search."""
    await superuser.execute(
        "SET ROLE pazpaz_runtime; SET enable_seqscan = off; SET enable_sort = off"
    )
    await superuser.execute(f"SELECT set_config('app.workspace_id', '{SMALL}', false)")

    rows = await superuser.fetch(
        "SELECT session_id FROM session_vectors WHERE embedding_model = 'fake:small:64' "
        f"ORDER BY embedding::vector(64) <=> '{[1] + [0] * 63}' LIMIT 50"
    )

    assert len(rows) < 12


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

"""The search's promises that only a real planner and a real neighbour can break."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import numpy as np
import pytest

from runtime.messages import EmbeddingModel, Vector
from runtime.storage import embedded
from runtime.storage.migrate import migrate
from runtime.storage.passages import PostgresPassageStore
from runtime.storage.pool import Database
from runtime.storage.queries import QUERIES
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

    found = await store.search(SMALL, query_vector(), model=MODEL, client_id=None, limit=50)

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
                "EXPLAIN " + QUERIES["search_passages"], query_vector(), MODEL.key, None, 50
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

    found = await store.search(SMALL, query_vector(), model=MODEL, client_id=None, limit=5)
    everything = await store.search(SMALL, query_vector(), model=MODEL, client_id=None, limit=50)

    assert {passage.text for passage in everything} == {"Walk."}
    assert (len(found), len(everything)) == (5, 8)

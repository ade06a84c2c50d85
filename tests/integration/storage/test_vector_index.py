"""Which indexes of vectors `migrate` makes, keeps and drops."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import pytest
from pgvector import Vector as PgVector

from runtime.storage import embedded
from runtime.storage.migrate import INDEXES_LOCK, index_vectors, migrate, read_migrations
from runtime.storage.vector_index import index_name
from runtime.storage.vector_search import count_bits
from tests.integration.conftest import Site

LARGE, SMALL = uuid4(), uuid4()
OLD_MODEL, NEW_MODEL = "fake:a model's, ארוך:8", "fake:new:16"

FILL = """
    WITH w AS (INSERT INTO workspaces (id, name) VALUES ($1, 'x') ON CONFLICT DO NOTHING),
    c AS (INSERT INTO clients (workspace_id, id, name)
        SELECT $1, gen_random_uuid(), 'Noa' FROM generate_series(1, $2) RETURNING id)
    INSERT INTO client_vectors (workspace_id, client_id, field_name, part, part_start, part_end,
        embedding, embedding_model, content_hash)
    SELECT $1, id, 'notes', 0, 0, 5, array_fill(random(), ARRAY[$4::integer])::vector, $3, ''
    FROM c
"""


@pytest.fixture(autouse=True)
def _few_rows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.storage.vector_index.INDEXED_ROWS", 20)


async def fill(
    superuser: asyncpg.Connection, workspace_id: UUID, rows: int, model_key: str = OLD_MODEL
) -> None:
    await superuser.execute(FILL, workspace_id, rows, model_key, int(model_key.rsplit(":", 1)[1]))


async def indexes(superuser: asyncpg.Connection) -> dict[str, bool]:
    rows = await superuser.fetch(
        """SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'hnsw'"""
    )
    return {row[0]: row[1] for row in rows}


async def run(site: Site) -> None:
    await migrate(site.owner_url, runtime_role=embedded.RUNTIME_ROLE)


async def test_each_large_workspace_gets_one_for_each_model_it_has_vectors_of(
    site: Site, superuser: asyncpg.Connection
) -> None:
    await fill(superuser, LARGE, 20)
    await fill(superuser, LARGE, 20, NEW_MODEL)
    await fill(superuser, SMALL, 19)

    for _ in range(2):
        await run(site)

    assert await indexes(superuser) == {
        index_name("client_vectors", LARGE, OLD_MODEL): True,
        index_name("client_vectors", LARGE, NEW_MODEL): True,
    }


async def test_a_practice_that_has_grown_gets_its_index_without_a_migration(
    site: Site, superuser: asyncpg.Connection
) -> None:
    await fill(superuser, LARGE, 20)

    await index_vectors(site.owner_url)

    assert await indexes(superuser) == {index_name("client_vectors", LARGE, OLD_MODEL): True}


async def test_a_superuser_who_owns_the_schema_counts_each_workspaces_own_rows(
    site: Site, superuser: asyncpg.Connection
) -> None:
    await fill(superuser, LARGE, 12)
    await fill(superuser, SMALL, 12)

    await migrate(site.superuser_url, runtime_role=embedded.RUNTIME_ROLE)

    assert await indexes(superuser) == {}


async def test_an_index_is_dropped_when_its_workspace_is_small_again(
    site: Site, superuser: asyncpg.Connection
) -> None:
    await fill(superuser, LARGE, 20)
    await run(site)
    await superuser.execute("""DELETE FROM clients WHERE id IN (SELECT id FROM clients LIMIT 11)""")

    await run(site)

    assert await indexes(superuser) == {}


async def test_an_index_that_was_left_half_made_is_made_again(
    site: Site, superuser: asyncpg.Connection
) -> None:
    await fill(superuser, LARGE, 20)
    await run(site)
    await superuser.execute(
        "UPDATE pg_index SET indisvalid = false FROM pg_class c "
        "WHERE c.oid = indexrelid AND c.relname LIKE 'client_vectors_near%'"
    )

    await run(site)

    assert list((await indexes(superuser)).values()) == [True]


async def test_several_at_once_make_each_index_once_and_none_waits_for_another(
    site: Site, superuser: asyncpg.Connection
) -> None:
    await fill(superuser, LARGE, 20)
    await asyncio.gather(*(run(site) for _ in range(3)))
    assert list((await indexes(superuser)).values()) == [True]

    await superuser.execute("DROP INDEX " + index_name("client_vectors", LARGE, OLD_MODEL))
    await superuser.execute(f"SELECT pg_advisory_lock({INDEXES_LOCK})")
    await run(site)
    assert await indexes(superuser) == {}


@pytest.mark.parametrize("dimensions", [1, 3, 1023, 1024, 4096, 4097, 16_000])
async def test_a_vectors_bits_are_as_many_as_the_search_believes_and_fit_the_key(
    superuser: asyncpg.Connection, dimensions: int
) -> None:
    vector = PgVector(np.random.default_rng(0).standard_normal(dimensions, dtype=np.float32))
    await superuser.execute(FILL, LARGE, 1, "x" * 300, dimensions)
    await superuser.execute(
        "UPDATE client_vectors SET embedding = $1::text::vector", vector.to_text()
    )

    length = await superuser.fetchval("SELECT length(quantized) FROM client_vectors")

    assert length == count_bits(dimensions)


async def test_vectors_that_were_there_before_get_their_bits(
    empty_site: Site,
) -> None:
    first, second, *_ = read_migrations()
    raw = await asyncpg.connect(empty_site.superuser_url)
    await raw.execute("CREATE EXTENSION vector")
    await raw.execute(first.sql)
    await fill(raw, LARGE, 3)
    await raw.execute(
        "CREATE INDEX client_vectors_hnsw_x ON client_vectors "
        "USING hnsw ((embedding::vector(8)) vector_cosine_ops)"
    )

    await raw.execute(second.sql)

    lengths = await raw.fetch("SELECT length(quantized) FROM client_vectors")
    left = await indexes(raw)
    await raw.close()
    assert [row[0] for row in lengths] == [40] * 3
    assert left == {}

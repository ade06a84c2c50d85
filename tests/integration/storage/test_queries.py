from __future__ import annotations

import asyncpg

from runtime.storage.queries import QUERIES


async def test_every_query_can_be_prepared_on_a_migrated_database(
    superuser: asyncpg.Connection,
) -> None:
    await superuser.execute("SET ROLE pazpaz_runtime")
    for statement in QUERIES.values():
        await superuser.prepare(statement)

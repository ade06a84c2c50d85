"""Everything that a database holds of one workspace, to see that nobody else has touched it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg

TENANT_TABLES: Final = """SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a
    ON a.attrelid = c.oid AND (a.attname = 'workspace_id' OR c.relname = 'workspaces'
        AND a.attname = 'id')
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"""
"""Each table of rows that belong to a workspace, and the column that says to which."""

Belongings: TypeAlias = Mapping[str, frozenset[str]]
"""The rows of each table, as text."""


async def list_belongings(superuser: asyncpg.Connection, workspace_id: UUID) -> Belongings:
    """Return all rows of a workspace; tables without any are left out."""
    held = {}
    for table, key in await superuser.fetch(TENANT_TABLES):
        rows = await superuser.fetch(
            f"SELECT t::text FROM {table} t WHERE {key} = $1", workspace_id
        )
        held[table] = frozenset(row[0] for row in rows)
    return {table: rows for table, rows in held.items() if rows}

"""The indexes of large workspaces' vectors: which there should be, and what they are called.

`migrate.py` keeps them, as the schema's owner; `vector_search.py` walks those that are there. Each
is an HNSW index of the bits (`quantize` in migrations/0002) of one workspace and one model. One
over all workspaces would find the nearest of all first, and its own only after thousands of
others'; to read the bits of a small workspace takes less time than to walk any index.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args
from uuid import UUID

from runtime.storage.pool import Connection
from runtime.storage.queries import QUERIES

VectorTable: TypeAlias = Literal["session_vectors", "client_vectors"]
TABLES: Final[tuple[VectorTable, ...]] = get_args(VectorTable)

INDEXED_ROWS: Final = 20_000
"""About where walking gets faster than reading. One that shrinks keeps its index down to a half.

Reckoned from what a row and a walk were measured to take; docs/decisions/0010-vector-search.md."""
BUILT_WITH: Final = "m = 24, ef_construction = 200"
"""How many neighbours each vector has, and the effort of finding them.

With the server's own 16 and 64, a walk must go further for the same recall; with more it takes no
less time. Part of an index's name, so that one built otherwise is replaced.

Source: measured, docs/benchmarks.md."""
MOST_INDEXES: Final = 32
"""On one table, of the largest workspaces: every search's planning looks at all of them."""


@dataclass(frozen=True, slots=True)
class VectorSet:
    """The vectors that one workspace has of one model in one table, `bits` of each."""

    table: VectorTable
    workspace_id: UUID
    model_key: str
    rows: int
    bits: int

    @property
    def index_name(self) -> str:
        """What its index is called."""
        return index_name(self.table, self.workspace_id, self.model_key)

    @property
    def index_statement(self) -> str:
        """What makes its index while others write."""
        key = self.model_key.replace("'", "''")
        return (
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {self.index_name} ON {self.table} "
            f"USING hnsw ((quantized::bit({self.bits})) bit_hamming_ops) "
            f"WITH ({BUILT_WITH}) "
            f"WHERE workspace_id = '{self.workspace_id}' AND embedding_model = '{key}'"
        )


def index_name(table: VectorTable, workspace_id: UUID, model_key: str) -> str:
    """Return what the index of a workspace and model on a table is called."""
    named = workspace_id.bytes + f"{model_key} {BUILT_WITH}".encode()
    return f"{table}_near_{hashlib.sha256(named).hexdigest()[:24]}"


def choose_indexed(sets: Iterable[VectorSet], present: frozenset[str]) -> list[VectorSet]:
    """Return those that should have an index, given the names of the indexes that are there."""
    large = [
        each
        for each in sets
        if each.rows >= (INDEXED_ROWS // 2 if each.index_name in present else INDEXED_ROWS)
    ]
    large.sort(key=lambda each: (-each.rows, each.index_name))
    return [
        each
        for table in TABLES
        for each in [each for each in large if each.table == table][:MOST_INDEXES]
    ]


async def keep_indexes(connection: Connection) -> None:
    """Make the indexes that large workspaces lack, of every model, and drop those of no use.

    The connection is the owner's, with no transaction open; nobody else may do the same meanwhile.
    """
    rows = await connection.fetch(QUERIES["list_vector_indexes"])
    present = frozenset(row["name"] for row in rows if row["valid"])
    chosen = choose_indexed(await _measure(connection), present)
    names = {each.index_name for each in chosen}
    for row in rows:
        if not (row["valid"] and row["name"] in names):
            await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {row['name']}")
    for each in chosen:
        if each.index_name not in present:
            await connection.execute(each.index_statement)


async def _measure(connection: Connection) -> list[VectorSet]:
    sets = []
    for workspace in await connection.fetch(QUERIES["list_workspaces"]):
        await connection.execute(
            "SELECT set_config('app.workspace_id', $1, false)", str(workspace["id"])
        )
        rows = await connection.fetch(QUERIES["count_vectors"])
        sets += [
            VectorSet(
                row["vector_table"],
                workspace["id"],
                row["embedding_model"],
                row["rows"],
                row["bits"],
            )
            for row in rows
        ]
    return sets

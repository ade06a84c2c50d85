"""Finds the vectors of one workspace that are nearest to another, by the cheaper of two ways.

Called by `passages.py`. Both ways take the few hundred vectors whose bits differ least from the
question's, and compare those exactly. To find them, all of the workspace's bits are read, or its
index is walked where it has one. Which of the two it is never changes what may be found: where a
walk comes back with less than was asked for, all are read.

Bits tell vectors apart only where these point in many directions. Those of a model that puts every
text near every other, or of a thousand copies of one note, may differ in none; a search sees it
from the best it found, which then were not the first by their bits, and takes more: at last all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from runtime.messages import EmbeddingModel, SearchScope, Vector
from runtime.ports import Clock
from runtime.storage.pool import Database, Row
from runtime.storage.queries import QUERIES
from runtime.storage.vector_index import TABLES, VectorTable, index_name

CANDIDATES: Final = 200
"""Passages compared exactly, or twice those asked for where that is more.

Source: measured, benchmarks/vector_search.py; docs/decisions/0010-vector-search.md."""
_BEST: Final = 10
_WIDER: Final = 4
_MOST_WALKED: Final = 1000
"""Beyond, reading takes less time."""
INDEXES_TTL_S: Final = 60.0
"""How long a new index goes unused, and one that was dropped costs a search twice its time."""

READING: Final = {
    "plan_cache_mode": "force_custom_plan",  # as the statement wants it
    # Just after an import the planner knows nothing of the table, and would read all of it.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
}
WALKING: Final = {
    **READING,
    "enable_sort": "off",
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.ef_search": "200",
    "hnsw.scan_mem_multiplier": "8",
}


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """What is looked for: the `limit` vectors of `model` nearest to `vector`, within `scope`."""

    vector: Vector
    model: EmbeddingModel
    scope: SearchScope
    limit: int


class VectorSearch:
    """Searches one database, and remembers which indexes there are."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._indexes: frozenset[str] = frozenset()
        self._indexes_until_s = clock.monotonic()

    async def find(self, workspace_id: UUID, query: VectorQuery) -> Sequence[Row]:
        """Return the rows of `search_passages`, nearest first.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        await self._look_for_indexes()
        indexed = self._find_indexed(workspace_id, query)
        candidates = max(CANDIDATES, 2 * query.limit)
        while True:
            walked = indexed if candidates <= _MOST_WALKED else ()
            rows = await self._search(workspace_id, query, candidates, walked)
            if walked and (not rows or rows[0]["compared"] < candidates):
                self._indexes_until_s = self._clock.monotonic()
                indexed = ()
            elif is_settled(rows, candidates):
                return rows
            else:
                candidates *= _WIDER

    async def _search(
        self,
        workspace_id: UUID,
        query: VectorQuery,
        candidates: int,
        walked: Collection[VectorTable],
    ) -> Sequence[Row]:
        statement = walking_statement(query.model, walked)
        arguments = (*bounds(query.scope), query.limit, candidates)
        named = [workspace_id if table in walked else None for table in TABLES]
        settings = WALKING if walked else READING
        async with self._database.workspace(workspace_id, settings) as connection:
            return await connection.fetch(
                statement, query.vector, query.model.key, *arguments, *named
            )

    def _find_indexed(self, workspace_id: UUID, query: VectorQuery) -> Collection[VectorTable]:
        if query.scope != SearchScope():
            return ()
        return [
            table
            for table in TABLES
            if index_name(table, workspace_id, query.model.key) in self._indexes
        ]

    async def _look_for_indexes(self) -> None:
        if self._clock.monotonic() < self._indexes_until_s:
            return
        async with self._database.connection() as connection:
            rows = await connection.fetch(QUERIES["list_vector_indexes"])
        self._indexes = frozenset(row["name"] for row in rows if row["valid"])
        self._indexes_until_s = self._clock.monotonic() + INDEXES_TTL_S


def is_settled(rows: Sequence[Row], candidates: int) -> bool:
    """Say whether hardly any nearer vector can have been left out by its bits.

    So it is if all were compared, or if of the ten nearest at most one has a place in the farther
    half of those that were: where many have, others lie beyond.
    """
    if not rows or rows[0]["compared"] < candidates:
        return True
    best = rows[:_BEST]
    far = len([row for row in best if row["place"] > candidates // 2])
    return far * _BEST <= len(best)


def walking_statement(model: EmbeddingModel, tables: Collection[VectorTable]) -> str:
    """Return `search_passages`, ordered by what the indexes of these tables are on."""
    statement = QUERIES["search_passages"]
    bits = count_bits(model.dimensions)
    for alias, table in (("sv", "session_vectors"), ("cv", "client_vectors")):
        if table in tables:
            ordering = f"ORDER BY {alias}.quantized"
            statement = statement.replace(ordering, f"{ordering}::bit({bits})")
    return statement


def count_bits(dimensions: int) -> int:
    """Return how many bits `quantize` in migrations/0002 makes of a vector."""
    if dimensions > 4096:  # noqa: PLR2004
        return dimensions
    return (3 if dimensions >= 1024 else 5) * dimensions  # noqa: PLR2004


def bounds(
    scope: SearchScope,
) -> tuple[list[UUID] | None, datetime | None, datetime | None]:
    """Return a scope as the arguments of a statement: clients, since, until."""
    clients = None if scope.clients is None else sorted(scope.clients)
    return clients, scope.since, scope.until

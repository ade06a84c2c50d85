"""Searches the passages of one workspace. Called by the retrieval step; storing is `jobs.py`'s."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from runtime.calibration import calibrate
from runtime.clock import SystemClock
from runtime.errors import RetrievalError
from runtime.messages import EmbeddingModel, Passage, RecordKey, RecordType, SearchScope, Vector
from runtime.ports import Clock
from runtime.storage.pool import Database, Row
from runtime.storage.queries import QUERIES
from runtime.storage.terms import (
    AVERAGE_TERMS,
    K1,
    MOST_FIELDS_READ,
    B,
    FoundField,
    asked_terms,
    read_passages,
)
from runtime.storage.vector_search import VectorQuery, VectorSearch, bounds


class PostgresPassageStore:
    """`PassageStore` in PostgreSQL with pgvector."""

    def __init__(self, database: Database, *, clock: Clock | None = None) -> None:
        self._database = database
        self._vectors = VectorSearch(database, clock or SystemClock())

    async def search(
        self,
        workspace_id: UUID,
        vector: Vector,
        *,
        model: EmbeddingModel,
        scope: SearchScope,
        limit: int,
    ) -> list[Passage]:
        """Return up to `limit` passages of that model, nearest first; a zero vector finds none.

        Of the ten nearest all but one in two hundred are found; of the hundred nearest more are
        missed the more passages there are, most of them among the last (docs/benchmarks.md).

        Raises: RetrievalError (a vector of another length), DatabaseUnavailable, StatementTimeout.
        """
        require_dimensions(vector, model)
        if not vector.any():
            return []
        query = VectorQuery(vector, model, scope, limit)
        rows = await self._vectors.find(workspace_id, query)
        return [_read_passage(row, model) for row in rows]

    async def search_text(
        self, workspace_id: UUID, question: str, *, scope: SearchScope, limit: int
    ) -> list[Passage]:
        """Return up to `limit` passages that share words with the question, best first.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        terms = asked_terms(question)
        if not terms:
            return []
        # Just after an import the planner knows nothing of the terms, and a bitmap reads all the
        # rows of a term before the first is counted: two to three times the time.
        settings = {"enable_bitmapscan": "off"}
        async with self._database.workspace(workspace_id, settings) as connection:
            rows = await connection.fetch(
                QUERIES["search_terms"],
                terms,
                *bounds(scope),
                limit,
                K1,
                B,
                AVERAGE_TERMS,
                MOST_FIELDS_READ,
            )
        return list(read_passages((_read_field(row) for row in rows), terms))


def require_dimensions(vector: Vector, model: EmbeddingModel) -> None:
    """Return if the vector has the model's length.

    Raises: RetrievalError.
    """
    if vector.shape != (model.dimensions,):
        raise RetrievalError(
            f"A vector of shape {vector.shape} cannot be searched among those of {model.key}."
        )


def _read_passage(row: Row, model: EmbeddingModel) -> Passage:
    return Passage(
        record=RecordKey(cast("RecordType", row["record_type"]), row["record_id"]),
        client_id=row["client_id"],
        client_name=row["client_name"],
        session_date=row["session_date"],
        field_name=row["field_name"],
        part=row["part"],
        start=row["part_start"],
        end=row["part_end"],
        text=row["text"],
        similarity=calibrate(model, 1 - row["distance"]),
    )


def _read_field(row: Row) -> FoundField:
    return FoundField(
        record=RecordKey(cast("RecordType", row["record_type"]), row["record_id"]),
        client_id=row["client_id"],
        client_name=row["client_name"],
        session_date=row["session_date"],
        field_name=row["field_name"],
        text=row["text"],
        similarity=row["similarity"],
    )

"""Answers given before, kept in PostgreSQL. Called by the steps that ask for one and keep one.

That none is given out which a write could have changed is the schema's doing: triggers note whom a
write touches, and each look-up asks what was noted since (`docs/decisions/0012-answer-cache.md`).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from runtime.calibration import calibrate, least_cosine
from runtime.messages import (
    AnswerToKeep,
    CacheKey,
    EmbeddingModel,
    Recollection,
    RememberedAnswer,
    Vector,
)
from runtime.storage.cached_answer import read_answer, write_answer
from runtime.storage.passages import require_dimensions
from runtime.storage.pool import Database, Row
from runtime.storage.queries import QUERIES
from runtime.storage.workspace_settings import read_settings

MOST_SIMILAR: Final = 5
"""Answers that `recall_similar` returns: the gate looks at each, and the likest is mostly right."""


class PostgresAnswerCache:
    """`AnswerCache` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recall(self, workspace_id: UUID, key: CacheKey) -> Recollection:
        """Return what is known as a question begins, with the answer to the very same one if any.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            row = await connection.fetch_row(QUERIES["recall_answer"], key.exact)
        assert row is not None
        return Recollection(
            as_of=f"{row['as_of']} {row['server_run']}",
            settings=read_settings(row["settings"]),
            embedding_model=row["embedding_model"],
            remembered=None if row["id"] is None else _read_remembered(row, similarity=1.0),
        )

    async def recall_similar(
        self,
        workspace_id: UUID,
        partition: bytes,
        vector: Vector,
        *,
        model: EmbeddingModel,
        min_similarity: float,
    ) -> list[RememberedAnswer]:
        """Return answers to questions of this likeness or more, the likest first, expired ones too.

        Raises: RetrievalError (a vector of another length), DatabaseUnavailable, StatementTimeout.
        """
        require_dimensions(vector, model)
        if not vector.any():
            return []
        farthest = 1 - least_cosine(model, min_similarity)
        async with self._database.workspace(workspace_id) as connection:
            rows = await connection.fetch(
                QUERIES["recall_similar_answers"],
                partition,
                vector,
                model.key,
                farthest,
                MOST_SIMILAR,
            )
        read = (
            _read_remembered(row, similarity=calibrate(model, 1 - row["distance"])) for row in rows
        )
        return [found for found in read if found and found.similarity >= min_similarity]

    async def count_hit(self, workspace_id: UUID, remembered_id: UUID) -> None:
        """Note that an answer served again, which keeps it from eviction.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            await connection.execute(QUERIES["count_answer_hit"], remembered_id)

    async def keep(
        self, workspace_id: UUID, kept: AnswerToKeep, *, ttl_s: float, max_entries: int
    ) -> int:
        """Remember an answer unless a write has overtaken it; return how many others were evicted.

        Nothing is kept for a workspace without a record, nor of a text PostgreSQL cannot store.
        What can serve no more is deleted first.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        as_of, _, server_run = kept.as_of.partition(" ")
        response = write_answer(kept.answer)
        async with self._database.workspace(workspace_id) as connection:
            await connection.execute(QUERIES["lock_answers"])
            await connection.execute(QUERIES["forget_outdated_answers"])
            if is_storable(kept.question, response):
                await connection.execute(
                    QUERIES["keep_answer"],
                    kept.key.exact,
                    kept.key.partition,
                    kept.question,
                    response,
                    ttl_s,
                    None if kept.clients is None else sorted(kept.clients),
                    kept.by_name,
                    as_of,
                    server_run,
                    kept.embedding_model,
                    kept.vector if kept.vector is not None and kept.vector.any() else None,
                )
            return int(await connection.fetch_value(QUERIES["evict_answers"], max_entries))

    async def forget_all(self, workspace_id: UUID) -> int:
        """Forget every answer, those still under way too; return how many were kept.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            await connection.execute(QUERIES["lock_answers"])
            await connection.execute(QUERIES["note_flush"])
            return int(await connection.fetch_value(QUERIES["forget_answers"]))


def is_storable(question: str, response: str) -> bool:
    """Say whether PostgreSQL can store both: it takes neither NUL nor half a surrogate pair."""
    try:
        (question + response).encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in question and "\\u0000" not in response


def _read_remembered(row: Row, *, similarity: float) -> RememberedAnswer | None:
    answer = read_answer(row["response"])
    if answer is None:
        return None
    return RememberedAnswer(row["id"], row["query_text"], answer, similarity, row["expired"])

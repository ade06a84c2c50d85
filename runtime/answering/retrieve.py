"""From a question to the passages that an answer may rest on.

`answer.py` calls these in order. What "nearest" means is the store's and the calibration's affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.errors import EmbeddingError

if TYPE_CHECKING:
    from uuid import UUID

    from runtime.messages import Embedded, EmbeddingModel, Passage, Question, RecordKey, Vector
    from runtime.ports import Embedder, PassageStore

PARTS_SEARCHED: Final = 8
"""Passages searched for each one wanted: a long field has many parts, and only its best counts."""


async def embed_question(embedder: Embedder, text: str, *, timeout_s: float) -> Embedded:
    """Return one row.

    Raises: EmbeddingError (a row of another length), ProviderError, ActorUnavailable.
    """
    embedded = await embedder.embed_text(text, input_type="query", timeout_s=timeout_s)
    expected = (1, embedder.model.dimensions)
    if embedded.vectors.shape != expected:
        raise EmbeddingError(f"shape {embedded.vectors.shape} where {expected} was expected")
    return embedded


async def retrieve(
    passages: PassageStore,
    workspace_id: UUID,
    question: Question,
    vector: Vector,
    *,
    model: EmbeddingModel,
) -> list[Passage]:
    """Return at most `max_results` passages, best first, each of another field of a record.

    Raises: RetrievalError, DatabaseUnavailable, StatementTimeout.
    """
    found = await passages.search(
        workspace_id,
        vector,
        model=model,
        client_id=question.client_id,
        limit=question.max_results * PARTS_SEARCHED,
    )
    best: dict[tuple[RecordKey, str], Passage] = {}
    for passage in sorted(found, key=lambda passage: -passage.similarity):
        if passage.similarity >= question.min_similarity:
            best.setdefault((passage.record, passage.field_name), passage)
    return list(best.values())[: question.max_results]

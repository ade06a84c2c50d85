"""From a question to the passages that an answer may rest on, by meaning or by words.

`search.py` calls these in order. What "nearest" means is the store's and the calibration's affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from runtime.answering.fusion import fuse
from runtime.answering.time_shares import to_tell, used_up
from runtime.errors import EmbeddingError
from runtime.resilience.deadline import held_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from runtime.messages import (
        Embedded,
        EmbeddingModel,
        Language,
        Passage,
        Question,
        SearchScope,
        Vector,
    )
    from runtime.ports import Embedder, PassageStore

PARTS_SEARCHED: Final = 100
"""Passages searched by meaning: a long field has many parts, and only its best counts."""
FIELDS_SEARCHED: Final = 50
"""Fields searched by words."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, best first, and what it had to do without."""

    passages: Sequence[Passage]
    embedding_tokens: int = 0
    degraded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


async def embed_question(embedder: Embedder, text: str, *, share_s: float) -> Embedded:
    """Return one row, within this share of the question's time.

    Raises: EmbeddingError (a row of another length), ProviderError, ActorUnavailable, Overloaded.
    """
    model = embedder.model
    async with held_for(share_s, late=lambda: used_up(model.provider, model.name, "embed")):
        embedded = await embedder.embed_text(text, input_type="query", timeout_s=to_tell(share_s))
    expected = (1, model.dimensions)
    if embedded.vectors.shape != expected:
        raise EmbeddingError(f"shape {embedded.vectors.shape} where {expected} was expected")
    return embedded


async def retrieve(
    passages: PassageStore,
    workspace_id: UUID,
    question: Question,
    vector: Vector,
    *,
    text: str,
    scope: SearchScope,
    model: EmbeddingModel,
    language: Language,
    limit: int,
) -> list[Passage]:
    """Return at most `limit` passages, best first, each of another field of a record.

    Within a time that the question names, `min_similarity` does not apply: what happened in the
    last session is like none of its sentences, and the time has chosen them already.

    Raises: RetrievalError, DatabaseUnavailable, StatementTimeout.
    """
    by_words = await passages.search_text(workspace_id, text, scope=scope, limit=FIELDS_SEARCHED)
    by_meaning = await passages.search(
        workspace_id, vector, model=model, scope=scope, limit=PARTS_SEARCHED
    )
    fused = fuse(by_meaning, by_words, language=language)
    is_of_a_time = scope.since is not None or scope.until is not None
    least = 0.0 if is_of_a_time else question.min_similarity
    near = (passage for passage in fused if passage.similarity >= least)
    return list(islice(near, limit))


async def retrieve_by_words(
    passages: PassageStore, workspace_id: UUID, *, text: str, scope: SearchScope, limit: int
) -> list[Passage]:
    """Return at most `limit` passages that share words with the question, best first.

    `min_similarity` does not apply: it bounds likeness of meaning, and a field that shares only a
    drug's name with a long question may well be its answer.

    Raises: DatabaseUnavailable, StatementTimeout.
    """
    return await passages.search_text(workspace_id, text, scope=scope, limit=limit)

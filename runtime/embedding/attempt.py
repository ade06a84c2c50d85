"""Embeds the texts of one claim, and finds those that cannot be embedded.

`backfill.py` calls it, once for each space that a workspace's records need vectors of, and stores
what comes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from runtime.errors import (
    ActorUnavailable,
    AIAgentError,
    BadProviderResponse,
    ContentRefused,
    DeadlineExceeded,
    EmbeddingError,
    ProviderError,
    ProviderRejected,
)
from runtime.messages import Matrix, RecordKey
from runtime.ports import Embedder
from runtime.splitting import cut
from runtime.storage.jobs import Claim, EmbeddedField, FailedField, FieldText

_TIMEOUT_S: Final = 60.0
_TIMEOUT_PER_PASSAGE_S: Final = 2.0
"""Source: measured: the local model takes up to 1 s for a long passage on a busy core."""

_REFUSAL: Final = (EmbeddingError, ProviderRejected, ContentRefused)
_FAULT_OF_A_TEXT: Final = (*_REFUSAL, BadProviderResponse)
_FAULT_OF_THE_MOMENT: Final = (ProviderError, ActorUnavailable, DeadlineExceeded)
MALFORMED_ATTEMPTS: Final = 3
"""How often an answer that is not what was asked for is put down to the moment. The first six
attempts take a minute; a proxy that mangles answers for longer usually mangles all."""
_PROBE: Final = "A short text."
"""Whoever refuses this too refuses everything: the key is at fault, or a model's name."""


@dataclass(slots=True)
class Tried:
    """What became of some fields: embedded, failed for a text's sake, or left for later."""

    embedded: list[EmbeddedField] = field(default_factory=list)
    blamed: list[tuple[FieldText, AIAgentError]] = field(default_factory=list)
    left: list[FieldText] = field(default_factory=list)


class EmbeddingAttempt:
    """Embeds the fields of one claim with one embedder, and finds those that cannot be."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def embed_or_blame(self, fields: Sequence[FieldText]) -> Tried:
        """Embed all at once; where that fails for a text's sake, by records, and then by fields.

        One after another and not by halves: so successes stand between two failures of one text,
        and the circuit breaker, which counts failures in a row, is not opened by it. A failure of
        the moment meanwhile is that of all that are left; each would wait for it.
        """
        try:
            return Tried(embedded=await self._embed(fields))
        except _FAULT_OF_A_TEXT as error:
            if len(fields) == 1:
                return Tried(blamed=[(fields[0], error)])
        except _FAULT_OF_THE_MOMENT:
            return Tried(left=list(fields))
        tried = Tried()
        for group in _divide(fields):
            if tried.left:
                tried.left += group
                continue
            part = await self.embed_or_blame(group)
            tried.embedded += part.embedded
            tried.blamed += part.blamed
            tried.left += part.left
        return tried

    async def find_hopeless(self, claim: Claim, tried: Tried) -> list[FailedField]:
        """Return what will fail every time: refused by a model that embeds other texts.

        A refusal of everything is not the texts' fault but that of a key or a model's name, which a
        person will mend: those wait.
        """
        suspects = [
            FailedField(blamed, type(error).__name__)
            for blamed, error in tried.blamed
            if isinstance(error, _REFUSAL)
            or claim.count_attempts(blamed.record) >= MALFORMED_ATTEMPTS
        ]
        if suspects and (tried.embedded or await self._embeds_anything()):
            return suspects
        return []

    async def _embeds_anything(self) -> bool:
        try:
            await self._embed_texts([_PROBE])
        except (*_FAULT_OF_A_TEXT, *_FAULT_OF_THE_MOMENT):
            return False
        return True

    async def _embed(self, fields: Sequence[FieldText]) -> list[EmbeddedField]:
        cuts = [(each, tuple(cut(each.text))) for each in fields]
        texts = [each.text[span.start : span.end] for each, spans in cuts for span in spans]
        if not texts:
            return []
        vectors = await self._embed_texts(texts)
        ends = np.cumsum([len(spans) for _, spans in cuts])
        rows = np.split(vectors, ends[:-1])
        return [
            EmbeddedField(each, spans, part) for (each, spans), part in zip(cuts, rows, strict=True)
        ]

    async def _embed_texts(self, texts: Sequence[str]) -> Matrix:
        """Return one row a text.

        Raises: EmbeddingError (rows that are not what was asked for), ProviderError,
            ActorUnavailable.
        """
        reply = await self._embedder.embed_texts(
            texts,
            input_type="document",
            timeout_s=_TIMEOUT_S + _TIMEOUT_PER_PASSAGE_S * len(texts),
            priority="batch",
        )
        vectors = reply.vectors
        expected = (len(texts), self._embedder.model.dimensions)
        if vectors.shape != expected:
            raise EmbeddingError(f"Vectors of shape {vectors.shape} came where {expected} belong.")
        if not (np.isfinite(vectors).all() and vectors.any(axis=1).all()):
            raise EmbeddingError("A vector came that is zero or not finite.")
        return vectors


def _divide(fields: Sequence[FieldText]) -> list[list[FieldText]]:
    """Return the fields of each record, or of a single record each field by itself."""
    records: dict[RecordKey, list[FieldText]] = {}
    for each in fields:
        records.setdefault(each.record, []).append(each)
    return list(records.values()) if len(records) > 1 else [[each] for each in fields]

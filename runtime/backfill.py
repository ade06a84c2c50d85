"""Embeds what is queued: the one piece of work behind the worker actor and `backfill`.

A step claims a few records, cuts what has no current vectors into passages, embeds them and stores
them, all or nothing. A text that can never be embedded is noted as failed and stops no other.
Killed anywhere, it repeats at most that batch. What is queued, and by whom,
is `storage/`'s business; who calls this how often is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

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
from runtime.ports import Clock, Embedder
from runtime.splitting import cut
from runtime.storage.jobs import Claim, EmbeddedField, EmbeddingJobs, FailedField, FieldText
from runtime.storage.pool import Wake
from runtime.telemetry import BacklogMeasured, Emit, RecordsEmbedded

BATCH_RECORDS: Final = 16
"""Some hundred passages: about one call of a vendor, or fifteen seconds of the local model."""
PENDING_WORKSPACES: Final = 64
_TIMEOUT_S: Final = 60.0
_TIMEOUT_PER_PASSAGE_S: Final = 2.0
"""Source: measured, issue 2: the local model takes up to 1 s for a long passage on a busy core."""

_REFUSAL: Final = (EmbeddingError, ProviderRejected, ContentRefused)
_FAULT_OF_A_TEXT: Final = (*_REFUSAL, BadProviderResponse)
_FAULT_OF_THE_MOMENT: Final = (ProviderError, ActorUnavailable, DeadlineExceeded)
MALFORMED_ATTEMPTS: Final = 3
"""How often an answer that is not what was asked for is put down to the moment. The first six
attempts take a minute; a proxy that mangles answers for longer usually mangles all."""
_PROBE: Final = "A short text."
"""Whoever refuses this too refuses everything: the key is at fault, or a model's name."""


@dataclass(slots=True)
class _Tried:
    """What became of some fields: embedded, failed for a text's sake, or left for later."""

    embedded: list[EmbeddedField] = field(default_factory=list)
    blamed: list[tuple[FieldText, AIAgentError]] = field(default_factory=list)
    left: list[FieldText] = field(default_factory=list)


class EmbedRecords:
    """Steps through the queue with one embedder. Two of these, anywhere, never share a record."""

    def __init__(
        self, jobs: EmbeddingJobs, embedder: Embedder, *, clock: Clock, emit: Emit
    ) -> None:
        self._jobs = jobs
        self._embedder = embedder
        self._clock = clock
        self._emit = emit

    async def list_workspaces(self) -> list[UUID]:
        """Return every workspace's id, in order.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        return await self._jobs.list_workspaces()

    async def pending_workspaces(self) -> list[UUID]:
        """Return some workspaces with work that is due.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        return await self._jobs.pending_workspaces(PENDING_WORKSPACES)

    async def count_backlog(self) -> int:
        """Return how many records wait, over all workspaces.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        return await self._jobs.count_backlog()

    async def measure_backlog(self) -> None:
        """Emit how many records wait, over all workspaces.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        self._emit(BacklogMeasured(await self.count_backlog()))

    async def count_due(self, workspace_id: UUID) -> int:
        """Return how many of its records could be embedded now, those in other hands among them.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        return await self._jobs.count_due(workspace_id)

    async def enqueue_missing(self, workspace_id: UUID) -> int:
        """Queue what has no current vectors of this embedder's model; return how many records.

        Texts that failed for good are left alone.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        return await self._jobs.enqueue_missing(workspace_id, self._embedder.model)

    async def count_failed(self, workspace_id: UUID) -> int:
        """Return how many of its records have a text that this embedder's model never embeds.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        return await self._jobs.count_failed(workspace_id, self._embedder.model)

    def notifications(self) -> AbstractAsyncContextManager[Wake]:
        """Listen for new work.

        Raises: DatabaseUnavailable.
        """
        return self._jobs.notifications()

    async def step(self, workspace_id: UUID, *, limit: int = BATCH_RECORDS) -> RecordsEmbedded:
        """Embed the records of up to `limit` jobs; zero records mean that none was free.

        `records` counts all that were taken, `unchanged` those that had their vectors already, and
        `failed` those put off or given up. A provider's failure is not raised: it is the queue's.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        started_s = self._clock.monotonic()
        model = self._embedder.model
        async with self._jobs.claim(workspace_id, limit=limit) as claim:
            work = await claim.read_outdated(model)
            tried = await self._embed_or_blame(work)
            failed = await self._find_hopeless(claim, tried)
            given_up = [failure.field for failure in failed]
            later = {
                each.record
                for each in (*tried.left, *(blamed for blamed, _ in tried.blamed))
                if each not in given_up
            }
            await claim.store(tried.embedded, model)
            await claim.give_up(failed, model)
            await claim.complete([record for record in claim.records if record not in later])
            await claim.postpone(later)
            result = RecordsEmbedded(
                records=len(claim.records),
                passages=sum(len(embedded.spans) for embedded in tried.embedded),
                unchanged=len(claim.records) - len({each.record for each in work}),
                failed=len(later | {each.record for each in given_up}),
                duration_s=self._clock.monotonic() - started_s,
            )
        if result.records:
            self._emit(result)
        return result

    async def _embed_or_blame(self, fields: Sequence[FieldText]) -> _Tried:
        """Embed all at once; where that fails for a text's sake, by records, and then by fields.

        One after another and not by halves: so successes stand between two failures of one text,
        and the circuit breaker, which counts failures in a row, is not opened by it. A failure of
        the moment meanwhile is that of all that are left; each would wait for it.
        """
        try:
            return _Tried(embedded=await self._embed(fields))
        except _FAULT_OF_A_TEXT as error:
            if len(fields) == 1:
                return _Tried(blamed=[(fields[0], error)])
        except _FAULT_OF_THE_MOMENT:
            return _Tried(left=list(fields))
        tried = _Tried()
        for group in _divide(fields):
            if tried.left:
                tried.left += group
                continue
            part = await self._embed_or_blame(group)
            tried.embedded += part.embedded
            tried.blamed += part.blamed
            tried.left += part.left
        return tried

    async def _find_hopeless(self, claim: Claim, tried: _Tried) -> list[FailedField]:
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


async def drain(queue: EmbedRecords) -> None:
    """Work until nothing is due that another worker does not hold; workspaces take turns.

    Raises: DatabaseUnavailable, StatementTimeout.
    """
    busy = True
    while busy:
        workspaces = await queue.pending_workspaces()
        steps = [await queue.step(workspace_id) for workspace_id in workspaces]
        busy = any(step.records for step in steps)


def _divide(fields: Sequence[FieldText]) -> list[list[FieldText]]:
    """Return the fields of each record, or of a single record each field by itself."""
    records: dict[RecordKey, list[FieldText]] = {}
    for each in fields:
        records.setdefault(each.record, []).append(each)
    return list(records.values()) if len(records) > 1 else [[each] for each in fields]

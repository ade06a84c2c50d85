"""Embeds what is queued: the one piece of work behind the worker actor and `backfill`.

A step claims a few records, cuts what has no current vectors into passages, embeds them and stores
them, all or nothing. Killed anywhere, it repeats at most that batch. What is queued, and by whom,
is `storage/`'s business; who calls this how often is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias
from uuid import UUID

import numpy as np

from runtime.errors import (
    ActorUnavailable,
    AIAgentError,
    BadProviderResponse,
    DeadlineExceeded,
    EmbeddingError,
    ProviderError,
    ProviderRejected,
)
from runtime.messages import RecordKey
from runtime.ports import Clock, Embedder
from runtime.splitting import cut
from runtime.storage.jobs import Claim, EmbeddedField, EmbeddingJobs, FieldText
from runtime.storage.pool import Wake
from runtime.telemetry import BacklogMeasured, Emit, RecordsEmbedded

BATCH_RECORDS: Final = 16
"""Some hundred passages: about one call of a vendor, or fifteen seconds of the local model."""
PENDING_WORKSPACES: Final = 64
_TIMEOUT_S: Final = 60.0
_TIMEOUT_PER_PASSAGE_S: Final = 2.0
"""Source: measured, issue 2: the local model takes up to 1 s for a long passage on a busy core."""

_FAULT_OF_A_TEXT: Final = (EmbeddingError, BadProviderResponse, ProviderRejected)
_FAULT_OF_THE_MOMENT: Final = (ProviderError, ActorUnavailable, DeadlineExceeded)

_Work: TypeAlias = Mapping[RecordKey, Sequence[FieldText]]
_Failures: TypeAlias = dict[RecordKey, AIAgentError]


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

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        return await self._jobs.enqueue_missing(workspace_id, self._embedder.model)

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
        async with self._jobs.claim(workspace_id, limit=limit) as claim:
            work: dict[RecordKey, list[FieldText]] = {}
            for field in await claim.read_outdated(self._embedder.model):
                work.setdefault(field.record, []).append(field)
            embedded, failures = await self._embed_or_blame(work)
            completed = [record for record in claim.records if record not in failures]
            await claim.complete(completed, embedded, self._embedder.model)
            await _put_off(claim, failures, others_succeeded=bool(embedded))
            result = RecordsEmbedded(
                records=len(claim.records),
                passages=sum(len(field.spans) for field in embedded),
                unchanged=len(claim.records) - len(work),
                failed=len(failures),
                duration_s=self._clock.monotonic() - started_s,
            )
        if result.records:
            self._emit(result)
        return result

    async def _embed_or_blame(self, work: _Work) -> tuple[list[EmbeddedField], _Failures]:
        """Embed all at once; where that fails for a text's sake, one record after another.

        A failure of the moment meanwhile is that of all that are left; each would wait for it.
        """
        fields = [field for group in work.values() for field in group]
        try:
            return await self._embed(fields), {}
        except _FAULT_OF_A_TEXT as error:
            if len(work) == 1:
                return [], dict.fromkeys(work, error)
        except _FAULT_OF_THE_MOMENT as error:
            return [], dict.fromkeys(work, error)
        embedded: list[EmbeddedField] = []
        failures: _Failures = {}
        outage: AIAgentError | None = None
        for record, group in work.items():
            if outage is not None:
                failures[record] = outage
                continue
            more, blamed = await self._embed_or_blame({record: group})
            embedded += more
            failures |= blamed
            fault = blamed.get(record)
            outage = None if isinstance(fault, _FAULT_OF_A_TEXT) else fault
        return embedded, failures

    async def _embed(self, fields: Sequence[FieldText]) -> list[EmbeddedField]:
        cuts = [(field, tuple(cut(field.text))) for field in fields]
        texts = [field.text[span.start : span.end] for field, spans in cuts for span in spans]
        if not texts:
            return []
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
        ends = np.cumsum([len(spans) for _, spans in cuts])
        rows = np.split(vectors, ends[:-1])
        return [
            EmbeddedField(field, spans, part)
            for (field, spans), part in zip(cuts, rows, strict=True)
        ]


async def drain(queue: EmbedRecords) -> None:
    """Work until nothing is due that another worker does not hold; workspaces take turns.

    Raises: DatabaseUnavailable, StatementTimeout.
    """
    busy = True
    while busy:
        workspaces = await queue.pending_workspaces()
        steps = [await queue.step(workspace_id) for workspace_id in workspaces]
        busy = any(step.records for step in steps)


async def _put_off(claim: Claim, failures: _Failures, *, others_succeeded: bool) -> None:
    """Give up what fails for its own sake; all else comes again later.

    A refusal of everything is not the records' fault but that of a key or a model's name, which a
    person will mend: those wait.
    """
    for record, error in failures.items():
        hopeless = isinstance(error, EmbeddingError | BadProviderResponse) or (
            isinstance(error, ProviderRejected) and others_succeeded
        )
        if hopeless:
            await claim.give_up([record], type(error).__name__)
        else:
            await claim.postpone([record])

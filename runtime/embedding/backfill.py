"""Embeds what is queued: the one piece of work behind the worker actor and `backfill`.

A step claims a few records, cuts what has no current vectors into passages, embeds them and stores
them, all or nothing: in the space that their workspace is searched in and, where that is another,
in the configured one. A text that can never be embedded is noted as failed and stops no other.
Killed anywhere, it repeats at most that batch. What is queued, and by whom,
is `storage/`'s business; who calls this how often is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from runtime.embedding.attempt import EmbeddingAttempt
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.messages import EmbeddingModel, RecordKey
from runtime.ports import Clock, Embedder
from runtime.storage.jobs import Claim, EmbeddingJobs
from runtime.storage.pool import Wake
from runtime.telemetry import BacklogMeasured, Emit, RecordsEmbedded

BATCH_RECORDS: Final = 16
"""Some hundred passages: about one call of a vendor, or fifteen seconds of the local model."""
PENDING_WORKSPACES: Final = 64


@dataclass(slots=True)
class _Filled:
    """What one space got of a claim's records."""

    outdated: set[RecordKey]
    passages: int
    later: set[RecordKey]
    given_up: set[RecordKey]


class EmbedRecords:
    """Steps through the queue. Two of these, anywhere, never share a record."""

    def __init__(
        self, jobs: EmbeddingJobs, spaces: EmbeddingSpaces, *, clock: Clock, emit: Emit
    ) -> None:
        self._jobs = jobs
        self._spaces = spaces
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

    async def enqueue_missing(self, workspace_id: UUID, model: EmbeddingModel | None = None) -> int:
        """Queue what has no current vectors of the model, or the configured; return how many.

        Texts that failed for good are left alone.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        return await self._jobs.enqueue_missing(
            workspace_id, model or self._spaces.configured.model
        )

    async def count_failed(self, workspace_id: UUID, model: EmbeddingModel | None = None) -> int:
        """Return how many of its records have a text that the model, or the configured, refuses.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        return await self._jobs.count_failed(workspace_id, model or self._spaces.configured.model)

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
            embedders = self._spaces.for_records(claim.model_key)
            filled = [await self._fill(claim, embedder) for embedder in embedders]
            later = {record for each in filled for record in each.later}
            given_up = {record for each in filled for record in each.given_up}
            passages = sum(each.passages for each in filled)
            await self._finish(claim, later, embedders, is_new=passages > 0)
            result = RecordsEmbedded(
                records=len(claim.records),
                passages=passages,
                unchanged=len(claim.records) - len(set().union(*(f.outdated for f in filled))),
                failed=len(later | given_up),
                duration_s=self._clock.monotonic() - started_s,
            )
        if result.records:
            self._emit(result)
        return result

    async def _fill(self, claim: Claim, embedder: Embedder) -> _Filled:
        """Give the claim's records the vectors that they lack in this space."""
        work = await claim.read_outdated(embedder.model)
        attempt = EmbeddingAttempt(embedder)
        tried = await attempt.embed_or_blame(work)
        failed = await attempt.find_hopeless(claim, tried)
        given_up = [failure.field for failure in failed]
        await claim.store(tried.embedded, embedder.model)
        await claim.give_up(failed, embedder.model)
        return _Filled(
            outdated={each.record for each in work},
            passages=sum(len(embedded.spans) for embedded in tried.embedded),
            later={
                each.record
                for each in (*tried.left, *(blamed for blamed, _ in tried.blamed))
                if each not in given_up
            },
            given_up={each.record for each in given_up},
        )

    async def _finish(
        self, claim: Claim, later: set[RecordKey], embedders: Sequence[Embedder], *, is_new: bool
    ) -> None:
        """Take off the queue what has all its vectors, and put off the rest."""
        if not claim.records:
            return
        if is_new and claim.model_key is None:
            await claim.adopt_model(self._spaces.configured.model)
        if not await claim.confirm_model([embedder.model.key for embedder in embedders]):
            await claim.postpone(claim.records)
            return
        await claim.complete([record for record in claim.records if record not in later])
        await claim.postpone(later)


async def drain(queue: EmbedRecords) -> None:
    """Work until nothing is due that another worker does not hold; workspaces take turns.

    Raises: DatabaseUnavailable, StatementTimeout.
    """
    busy = True
    while busy:
        workspaces = await queue.pending_workspaces()
        steps = [await queue.step(workspace_id) for workspace_id in workspaces]
        busy = any(step.records for step in steps)

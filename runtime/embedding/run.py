"""One run of the command `backfill`: what it embeds, in which space, and what that changes.

The steps are `backfill.py`'s, the same as the worker's; here is their order. Killed anywhere, it
goes on where it was: what is queued and which vectors are there is all in the database.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from runtime.embedding.backfill import EmbedRecords
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.messages import EmbeddingModel
from runtime.storage.pool import Wake
from runtime.storage.workspace_models import WorkspaceModels

HELD_ELSEWHERE_PAUSE_S: Final = 0.5
"""How long to wait for the worker that holds all that is left, before looking again."""


@dataclass(slots=True)
class Done:
    """Records that this run embedded, and those that it could not.

    Those that `failed` are tried again later, by the application's worker too; but for the
    `refused`, counted over all runs: the model never embeds a text of theirs as it is. `elsewhere`
    are the workspaces that are searched by another model than the run was about, by their keys.
    """

    embedded: int
    failed: int
    refused: int
    elsewhere: dict[UUID, str]


class EmbeddingRun:
    """Embeds what lacks vectors of the model that each workspace is searched by.

    With `reembed`, of the configured model: and has each workspace searched by that one as soon as
    none of its records lacks any. Until then it is searched as before.
    """

    def __init__(
        self,
        queue: EmbedRecords,
        models: WorkspaceModels,
        spaces: EmbeddingSpaces,
        *,
        reembed: bool,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._queue = queue
        self._models = models
        self._spaces = spaces
        self._reembed = reembed
        self._on_progress = on_progress
        self._done = Done(0, 0, 0, {})
        self._passed = self._total = 0

    async def run(self, workspace_id: UUID | None = None) -> Done:
        """Embed until nothing is due in this workspace, or in any; return what this run did.

        `on_progress` gets the records done, by whomever, and all that there were to do.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        wanted = [workspace_id] if workspace_id else await self._queue.list_workspaces()
        for one in wanted:
            await self._enqueue(one)
            self._total += await self._queue.count_due(one)
        async with self._queue.notifications() as wake:
            for one in wanted:
                await self._embed(one, wake)
                await self._switch(one, wake)
                await self._conclude(one)
        return self._done

    @property
    def _configured(self) -> EmbeddingModel:
        return self._spaces.configured.model

    async def _model_of(self, workspace_id: UUID) -> EmbeddingModel | None:
        """Return the model that the run is about in this workspace, if anything embeds with it."""
        if self._reembed:
            return self._configured
        embedder = self._spaces.for_workspace(await self._models.read(workspace_id))
        return None if embedder is None else embedder.model

    async def _enqueue(self, workspace_id: UUID) -> int:
        model = await self._model_of(workspace_id)
        return 0 if model is None else await self._queue.enqueue_missing(workspace_id, model)

    async def _embed(self, workspace_id: UUID, wake: Wake) -> None:
        first = left = await self._queue.count_due(workspace_id)
        while left:
            step = await self._queue.step(workspace_id)
            self._done.embedded += step.records - step.failed
            self._done.failed += step.failed
            if not step.records:
                await wake.wait(HELD_ELSEWHERE_PAUSE_S)
            left = await self._queue.count_due(workspace_id)
            done = self._passed + max(first - left, 0)
            self._total = max(self._total, done)
            self._on_progress(done, self._total)
        self._passed += first

    async def _switch(self, workspace_id: UUID, wake: Wake) -> None:
        """Have the workspace searched by the configured model as soon as all have its vectors."""
        fewest: float = math.inf
        while self._reembed and not await self._models.switch(workspace_id, self._configured):
            # What is missing was written meanwhile and waits its turn, or was embedded by an
            # application that knows the old model alone. Where that does not get less, that
            # application is faster: the next run finds it gone. The rest was put off.
            queued = await self._enqueue(workspace_id)
            if queued >= fewest or not await self._queue.count_due(workspace_id):
                return
            fewest = queued or fewest
            await self._embed(workspace_id, wake)

    async def _conclude(self, workspace_id: UUID) -> None:
        model = await self._model_of(workspace_id)
        if model is not None:
            self._done.refused += await self._queue.count_failed(workspace_id, model)
        key = await self._models.read(workspace_id)
        if key is not None and (model is None or key != model.key):
            self._done.elsewhere[workspace_id] = key

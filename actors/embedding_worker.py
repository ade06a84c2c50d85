"""The actor that embeds what writes have queued, within seconds of the write.

One for the cluster: it only waits, and what computes are the replicas of `embedding`. Its state is
all in `embedding_jobs`, so a restart loses nothing. The work is `runtime/embedding/backfill.py`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.node import metrics_directory
from runtime import assembly
from runtime.embedding.backfill import EmbedRecords, drain
from runtime.logs import log_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.embedding.spaces import EmbeddingSpaces
    from runtime.settings import Settings
    from runtime.storage.pool import Wake

SWEEP_S: Final = 15.0
"""How often all workspaces are looked through: what a lost notification costs at the most."""
LANES: Final = 3
"""Claims at once, of different records: a note of a megabyte takes minutes, and others go on."""
MEASURE_S: Final = 5.0
"""How old the backlog's gauge may be: it walks all workspaces, and a scrape comes every 15 s."""
PAUSE_AFTER_ERROR_S: Final = 2.0


class EmbeddingWorker:
    """Wakes on PostgreSQL's notification or on the sweep, and drains the queue."""

    def __init__(
        self, settings: Settings, version: str, open_spaces: Callable[[Settings], EmbeddingSpaces]
    ) -> None:
        self._settings = settings
        self._version = version
        self._open_spaces = open_spaces
        self._emit = assembly.open_telemetry(settings, metrics_directory(settings))
        self._work = asyncio.get_running_loop().create_task(self._run())

    async def version(self) -> str:
        """Return what the actor was made from; another one is replaced (`handles.py`)."""
        return self._version

    async def _run(self) -> None:
        while True:
            try:
                await self._serve_queue()
            except Exception as error:  # noqa: BLE001 - a worker that ended would be missed by nobody
                log_failure("embedding_worker_failed", error)
                await asyncio.sleep(PAUSE_AFTER_ERROR_S)

    async def _serve_queue(self) -> None:
        spaces = self._open_spaces(self._settings)
        async with (
            assembly.open_embedding_queue(self._settings, self._emit, spaces) as queue,
            queue.notifications() as wake,
            asyncio.TaskGroup() as lanes,
        ):
            lanes.create_task(_measure(queue))
            for _ in range(LANES):
                lanes.create_task(_work(queue, wake))


async def _measure(queue: EmbedRecords) -> None:
    while True:
        await queue.measure_backlog()
        await asyncio.sleep(MEASURE_S)


async def _work(queue: EmbedRecords, wake: Wake) -> None:
    while True:
        await drain(queue)
        await wake.wait(SWEEP_S)

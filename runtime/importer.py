"""Files of records into a store, in batches.

Called by the `import` command and by the demo. What a line must look like is `ingest.py`'s
business, and what storing means is the store's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID

from runtime.ingest import BadLine, ClientLine, RecordLine, SessionLine, read_records
from runtime.ports import BulkRecordStore

BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024
"""A batch is one transaction of one workspace: an interrupted import repeats at most this."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import has come. Every file is read twice, which `total_bytes` counts.

    `bad` lines were skipped; `replaced` ones gave way to a later line with the same id.
    """

    bytes_read: int
    total_bytes: int
    stored: int = 0
    unchanged: int = 0
    bad: int = 0
    replaced: int = 0


class Importer:
    """Feeds files to a store, in batches; may be stopped anywhere and run again.

    Clients go first and sessions in a second reading, so that a session may stand before its
    client or in another file without being held in memory. Of lines with one id the last is kept
    and told of, for which some hundred bytes a record are remembered. `on_bad` gets each line that
    was skipped or repeats an id; `on_progress` gets the whole state after each batch.
    """

    def __init__(
        self,
        store: BulkRecordStore,
        *,
        on_bad: Callable[[BadLine], None] = lambda _: None,
        on_progress: Callable[[ImportProgress], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._on_bad = on_bad
        self._on_progress = on_progress
        self._progress = ImportProgress(bytes_read=0, total_bytes=0)
        self._seen: set[int] = set()
        self._named: set[UUID] = set()

    async def run(self, paths: Sequence[Path]) -> ImportProgress:
        """Import the files in the order given; return the final state.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        total_bytes = 2 * sum(path.stat().st_size for path in paths)
        self._progress = replace(self._progress, total_bytes=total_bytes)
        for reading in (self._read_clients, self._read_sessions):
            for batch in _cut_batches(reading(paths)):
                await self._store_batch(batch)
                self._on_progress(self._progress)
        self._progress = replace(self._progress, bytes_read=total_bytes)
        self._on_progress(self._progress)
        return self._progress

    def _read_clients(self, paths: Sequence[Path]) -> Iterator[RecordLine]:
        """Yield the clients; report, in the order of the lines, all that reading can find."""
        for line in self._read(paths):
            if isinstance(line, BadLine):
                self._report(line)
                continue
            key = hash((line.workspace_id, type(line), line.record.id))
            if key in self._seen:
                reason = "repeats the id of an earlier line, which it replaces; keep one of them."
                self._report(BadLine(line.place, reason, skipped=False))
            self._seen.add(key)
            if isinstance(line, ClientLine):
                yield line

    def _read_sessions(self, paths: Sequence[Path]) -> Iterator[RecordLine]:
        return (line for line in self._read(paths) if isinstance(line, SessionLine))

    def _read(self, paths: Sequence[Path]) -> Iterator[RecordLine | BadLine]:
        for path in paths:
            for line in read_records(path):
                bytes_read = self._progress.bytes_read + line.place.size_bytes
                self._progress = replace(self._progress, bytes_read=bytes_read)
                yield line

    def _report(self, line: BadLine) -> None:
        progress = self._progress
        if line.skipped:
            self._progress = replace(progress, bad=progress.bad + 1)
        else:
            self._progress = replace(progress, replaced=progress.replaced + 1)
        self._on_bad(line)

    async def _store_batch(self, lines: Sequence[RecordLine]) -> None:
        for workspace_id in dict.fromkeys(line.workspace_id for line in lines):
            await self._store_of_workspace(
                workspace_id, [line for line in lines if line.workspace_id == workspace_id]
            )

    async def _store_of_workspace(self, workspace_id: UUID, lines: Sequence[RecordLine]) -> None:
        name = next((line.workspace for line in lines if line.workspace is not None), None)
        if name is not None and workspace_id not in self._named:
            await self._store.ensure_workspace(workspace_id, name)
            self._named.add(workspace_id)
        last = {line.record.id: line for line in lines}  # the store takes an id once a batch
        clients = [line.record for line in last.values() if isinstance(line, ClientLine)]
        sessions = [line.record for line in last.values() if isinstance(line, SessionLine)]
        done = await self._store.put_many(workspace_id, clients, sessions)
        self._progress = replace(
            self._progress,
            stored=self._progress.stored + done.stored,
            unchanged=self._progress.unchanged + done.unchanged,
        )
        for session_id in done.without_client:
            reason = "client_id: no such client in the files or the workspace; add its line first."
            self._report(BadLine(last[session_id].place, reason))


def _cut_batches(lines: Iterator[RecordLine]) -> Iterator[list[RecordLine]]:
    batch: list[RecordLine] = []
    size_bytes = 0
    for line in lines:
        batch.append(line)
        size_bytes += line.place.size_bytes
        if len(batch) >= BATCH_RECORDS or size_bytes >= BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch

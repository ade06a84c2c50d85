"""The command `import`, and the progress bars of the long commands, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from runtime import assembly
from runtime.importer import Importer, ImportProgress
from runtime.ingest import BadLine
from runtime.ports import BulkRecordStore
from runtime.settings import Settings
from runtime.storage.records import PostgresRecordStore

_RATE_WINDOW_S: Final = 60.0


class _Rate(ProgressColumn):
    def __init__(self, counted: str) -> None:
        super().__init__()
        self._counted = counted

    def render(self, task: Task) -> Text:
        """Return the rate over the last minute."""
        return Text("" if task.speed is None else f"{task.speed:.1f} {self._counted}/s")


async def import_into_database(settings: Settings, paths: Sequence[Path]) -> ImportProgress:
    """Import the files into the configured database.

    Raises: DatabaseUnavailable, StatementTimeout, UnsafeRole, MigrationError.
    """
    async with assembly.open_storage(settings) as database:
        return await import_files(PostgresRecordStore(database), paths)


async def import_files(store: BulkRecordStore, paths: Sequence[Path]) -> ImportProgress:
    """Import the files with a progress bar; tell of each bad line as it is met.

    Raises: DatabaseUnavailable, StatementTimeout.
    """
    console = Console(stderr=True)
    with _progress(console, DownloadColumn(binary_units=True)) as progress:
        bar = progress.add_task("Importing", total=None)

        def show(state: ImportProgress) -> None:
            progress.update(bar, completed=state.bytes_read, total=state.total_bytes)

        def tell(line: BadLine) -> None:
            what = "skipped" if line.skipped else "noted"
            place = f"{line.place.path}:{line.place.line}"
            progress.console.print(f"{place}: {what}: {line.reason}", markup=False, soft_wrap=True)

        return await Importer(store, on_bad=tell, on_progress=show).run(paths)


def summarize_import(done: ImportProgress) -> str:
    """Return what became of the lines, in one sentence."""
    return (
        f"{done.stored} records stored, {done.unchanged} were there unchanged, "
        f"{done.bad} lines skipped, {done.replaced} replaced by a later line."
    )


@contextmanager
def record_progress(
    title: str, *, counted: str = "records"
) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of what is counted, its rate and the time left; yields `show(done, total)`."""
    columns = (MofNCompleteColumn(), _Rate(counted))
    with _progress(Console(stderr=True), *columns) as progress:
        bar = progress.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        yield show


def _progress(console: Console, *columns: ProgressColumn) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        speed_estimate_period=_RATE_WINDOW_S,
    )

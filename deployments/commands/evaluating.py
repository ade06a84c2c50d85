"""The `eval` commands: they ask the search itself, in this process, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

from rich.console import Console

from deployments.commands.failure import CommandFailed
from deployments.commands.loading import record_progress
from runtime import assembly, provider_assembly
from runtime.answering.fusion import fuse
from runtime.answering.retrieve import FIELDS_SEARCHED, PARTS_SEARCHED
from runtime.evaluation import benchmark_layout
from runtime.evaluation.retrieval import (
    LabelledQuestion,
    RetrievalReport,
    compare_methods,
    read_questions,
)
from runtime.language.detection import detect
from runtime.messages import Passage, RecordKey, SearchScope
from runtime.metrics.recording import NoMetrics
from runtime.ports import Embedder, PassageStore
from runtime.settings import Settings
from runtime.storage.passages import PostgresPassageStore

METHODS: Final = ("vector", "text", "fused")
QUESTIONS: Final = "questions.jsonl"
_NOTHING_FOUND: Final = (
    "No question found its record. Were the records imported, and embedded by `backfill`?"
)


async def evaluate(settings: Settings, data: Path) -> dict[str, RetrievalReport]:
    """Score the search on a folder of labelled questions whose records were imported and embedded.

    Raises: CommandFailed, InvalidRecord, DatabaseUnavailable, UnsafeRole, MigrationError.
    """
    questions = read_labelled(data)
    embedder = provider_assembly.make_embedder(settings, NoMetrics().emit)
    async with assembly.open_storage(settings) as database:
        asker = _Asker(embedder, PostgresPassageStore(database), settings.request_deadline_s)
        with record_progress("Asking", counted="questions") as show:
            numbers = count(1)
            reports = await compare_methods(
                questions,
                asker.rank,
                methods=METHODS,
                on_done=lambda: show(next(numbers), len(questions)),
            )
    await provider_assembly.close_clients()
    if not any(report.overall.hit_at_10 for report in reports.values()):
        Console(stderr=True).print(_NOTHING_FOUND, soft_wrap=True)
    return reports


def read_labelled(data: Path) -> list[LabelledQuestion]:
    """Return the questions of a folder in either layout, or of the only benchmark in it.

    Raises: CommandFailed, InvalidRecord.
    """
    if (data / QUESTIONS).is_file():
        questions = read_questions(data / QUESTIONS)
    else:
        questions = benchmark_layout.read_benchmark(find_benchmark(data))
    if not questions:
        raise CommandFailed(f"{data} holds no question that names a record which answers it.")
    return questions


def find_benchmark(data: Path) -> Path:
    """Return the folder of a benchmark: this one, or the only one in it.

    Raises: CommandFailed.
    """
    if benchmark_layout.is_benchmark(data):
        return data
    inside = sorted(filter(benchmark_layout.is_benchmark, data.iterdir()))
    if len(inside) > 1:
        names = ", ".join(folder.name for folder in inside)
        raise CommandFailed(f"{data} holds several benchmarks; --data names one of them: {names}.")
    if not inside:
        raise CommandFailed(
            f"{data / QUESTIONS} is not there, nor are {benchmark_layout.CORPUS}, "
            f"{benchmark_layout.QUERIES} and {benchmark_layout.JUDGEMENTS}; "
            "--data names the folder that holds them."
        )
    return inside[0]


def list_records(data: Path) -> list[str]:
    """Return a benchmark's documents as lines for `import`.

    Raises: CommandFailed, InvalidRecord.
    """
    records = benchmark_layout.write_records(find_benchmark(data))
    return [json.dumps(record, ensure_ascii=False) for record in records]


class _Asker:
    """Asks the store each question by meaning and by words, and fuses what they find."""

    def __init__(self, embedder: Embedder, passages: PassageStore, timeout_s: float) -> None:
        self._embedder = embedder
        self._passages = passages
        self._timeout_s = timeout_s

    async def rank(self, question: LabelledQuestion) -> dict[str, list[RecordKey]]:
        """Return the records that each method finds, best first.

        Raises: RetrievalError, DatabaseUnavailable, StatementTimeout, ProviderError.
        """
        embedded = await self._embedder.embed_text(
            question.text, input_type="query", timeout_s=self._timeout_s
        )
        by_meaning, by_words = await asyncio.gather(
            self._passages.search(
                question.workspace_id,
                embedded.vectors[0],
                model=self._embedder.model,
                scope=SearchScope(),
                limit=PARTS_SEARCHED,
            ),
            self._passages.search_text(
                question.workspace_id, question.text, scope=SearchScope(), limit=FIELDS_SEARCHED
            ),
        )
        fused = fuse(by_meaning, by_words, language=detect(question.text))
        found = zip(METHODS, (by_meaning, by_words, fused), strict=True)
        return {method: _records_of(passages) for method, passages in found}


def _records_of(passages: Sequence[Passage]) -> list[RecordKey]:
    return [passage.record for passage in passages]

"""The command `eval retrieval`: asks the search itself, in this process, without a server."""

from __future__ import annotations

from pathlib import Path

from deployments.commands.failure import CommandFailed
from deployments.commands.loading import record_progress
from runtime import assembly, provider_assembly
from runtime.evaluation import (
    DEPTH,
    LabelledQuestion,
    Outcome,
    RetrievalReport,
    evaluate_retrieval,
    read_questions,
)
from runtime.messages import RecordKey, SearchScope
from runtime.metrics import NoMetrics
from runtime.settings import Settings
from runtime.storage.passages import PostgresPassageStore

PASSAGES = 10 * DEPTH
"""Several passages may be of one record: enough of them to fill the depth with records."""


async def evaluate(settings: Settings, data: Path) -> RetrievalReport:
    """Score the search on `questions.jsonl` of a folder whose records were imported and embedded.

    Raises: CommandFailed, InvalidRecord, DatabaseUnavailable, UnsafeRole, MigrationError.
    """
    path = data / "questions.jsonl"
    if not path.is_file():
        raise CommandFailed(f"{path} is not there; --data names the folder that holds it.")
    questions = read_questions(path)
    embedder = provider_assembly.make_embedder(settings, NoMetrics().emit)
    async with assembly.open_storage(settings) as database:
        store = PostgresPassageStore(database)

        async def rank(question: LabelledQuestion) -> list[RecordKey]:
            embedded = await embedder.embed_text(
                question.text, input_type="query", timeout_s=settings.request_deadline_s
            )
            passages = await store.search(
                question.workspace_id,
                embedded.vectors[0],
                model=embedder.model,
                scope=SearchScope(),
                limit=PASSAGES,
            )
            return [passage.record for passage in passages]

        with record_progress("Asking") as show:
            done: list[Outcome] = []

            def count(outcome: Outcome) -> None:
                done.append(outcome)
                show(len(done), len(questions))

            return await evaluate_retrieval(questions, rank, on_done=count)

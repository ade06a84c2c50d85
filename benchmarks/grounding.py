"""Scores what keeps an answer to its records, and prints the report as JSON.

    python benchmarks/grounding.py support > report.json
    python benchmarks/grounding.py declining --data DATA > report.json

`support` holds the labelled sentences of `support_pairs.jsonl` against their passages: how many
contradictions are found, and how many faithful sentences are taken for one. `declining` asks the
extractive model what is in the records and what is not, over the configured database, into which
the data was imported and embedded: how often it says rightly, and how often wrongly, that the
records do not say.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from runtime import assembly, provider_assembly
from runtime.answering.prompting import write_request
from runtime.answering.retrieve import retrieve
from runtime.answering.support import Evidence
from runtime.clock import SystemClock
from runtime.language.detection import detect
from runtime.messages import ChatRequest, Passage, Question, RecordKey, SearchScope
from runtime.metrics.recording import NoMetrics
from runtime.phrases import NOT_IN_RECORDS
from runtime.ports import ChatModel, Embedder, PassageStore
from runtime.providers.local import ExtractiveChatModel
from runtime.settings import load
from runtime.storage.passages import PostgresPassageStore
from runtime.workspaces import workspace_id_for

PAIRS: Final = Path(__file__).with_name("support_pairs.jsonl")
TIMEOUT_S: Final = 60
FOREIGN_EVERY: Final = 4
"""Of the answerable questions, each so-manieth is asked of another workspace too."""

Table = dict[str, dict[str, float]]

# --- The support check ------------------------------------------------------------------------


def score_support(pairs: Path) -> dict[str, object]:
    """Return the rates by split, and by kind and languages within each."""
    rows = [json.loads(line) for line in pairs.read_text("utf-8").splitlines()]
    verdicts: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    durations_ms = []
    for row in rows:
        evidence = Evidence({1: _passage(row)})
        evidence.judge("", [1])  # reads the passage, as the answer's first sentence does
        started_s = time.perf_counter()
        verdict = evidence.judge(row["sentence"], [1]).verdict
        durations_ms.append((time.perf_counter() - started_s) * 1000)
        for part in ("all", row["kind"], row["lang"]):
            verdicts[row["split"], row["label"], part][verdict] += 1
    splits = sorted({row["split"] for row in rows})
    return {
        "pairs": len(rows),
        "ms": {"median": round(statistics.median(durations_ms), 3), "max": max(durations_ms)},
        **{
            split: {
                label: {
                    part: _rates(counts)
                    for (of, what, part), counts in sorted(verdicts.items())
                    if (of, what) == (split, label)
                }
                for label in ("contradicted", "supported")
            }
            for split in splits
        },
    }


def _passage(row: dict[str, str]) -> Passage:
    return Passage(
        record=RecordKey("session", UUID(int=1)),
        client_id=UUID(int=2),
        client_name=row["client"],
        session_date=datetime.fromisoformat(row["date"]),
        field_name="subjective",
        part=0,
        start=0,
        end=len(row["passage"]),
        text=row["passage"],
        similarity=0.5,
    )


def _rates(counts: Counter[str]) -> dict[str, float]:
    """Return the shares that are removed, and that are removed or marked."""
    n = counts.total()
    return {
        "n": n,
        "removed": round(counts["contradicted"] / n, 3),
        "removed_or_marked": round(1 - counts["supported"] / n, 3),
    }


# --- Declining --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a practice; `gold` are the records that answer it, none where nothing does."""

    workspace: str
    text: str
    group: str
    gold: frozenset[str]


def read_asked(data: Path) -> list[Asked]:
    """Return the labelled questions, and some of them as asked of a practice that is not theirs."""
    asked = [*_read(data / "questions.jsonl", ""), *_read(data / "unanswerable.jsonl", "absent")]
    workspaces = sorted({each.workspace for each in asked})
    foreign = [each for each in asked if each.gold][::FOREIGN_EVERY]
    others = {here: workspaces[n - 1] for n, here in enumerate(workspaces)}
    return [
        *asked,
        *(
            replace(each, workspace=others[each.workspace], group="foreign", gold=frozenset())
            for each in foreign
        ),
    ]


def _read(path: Path, group: str) -> Iterable[Asked]:
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        languages = f"{row['lang']}-{row.get('target_lang') or row['lang']}"
        gold = frozenset((*row["relevant_session_ids"], *row["relevant_client_ids"]))
        yield Asked(row["workspace"], row["question"], group or languages, gold)


async def measure_declining(
    asked: Sequence[Asked], store: PassageStore, embedder: Embedder
) -> dict[str, Table]:
    """Return how often each group is declined, with similarity measured and by words alone."""
    models: dict[str, ChatModel] = {
        "by_meaning": ExtractiveChatModel(embedder),
        "by_words": ExtractiveChatModel(),
    }
    declined: dict[str, dict[str, list[bool]]] = {name: defaultdict(list) for name in models}
    for number, each in enumerate(asked, start=1):
        request, found = await _prepare(each, store, embedder)
        group = each.group
        if each.gold:
            group = f"answerable {group}" if found & each.gold else "answerable, not found"
        for name, model in models.items():
            says_nothing = not request.documents
            if not says_nothing:
                reply = await model.chat(request, timeout_s=TIMEOUT_S)
                says_nothing = reply.text == NOT_IN_RECORDS[request.language]
            declined[name][group].append(says_nothing)
        print(f"\r{number} of {len(asked)}", end="", file=sys.stderr, flush=True)
    return {
        name: {
            group: {"n": len(said), "declined": round(statistics.mean(said), 3)}
            for group, said in sorted(groups.items())
        }
        for name, groups in declined.items()
    }


async def _prepare(
    asked: Asked, store: PassageStore, embedder: Embedder
) -> tuple[ChatRequest, frozenset[str]]:
    """Return the prompt, and the ids of the records in it."""
    question = Question(asked.text)
    language = detect(question.text)
    embedded = await embedder.embed_text(question.text, input_type="query", timeout_s=TIMEOUT_S)
    passages = await retrieve(
        store,
        workspace_id_for(asked.workspace),
        question,
        embedded.vectors[0],
        text=question.text,
        scope=SearchScope(),
        model=embedder.model,
        language=language,
        limit=question.max_results,
    )
    today = SystemClock().now().date()
    request = write_request(question, passages, language=language, today=today)
    return request, frozenset(str(passage.record.id) for passage in passages)


async def _decline(data: Path, limit: int | None) -> dict[str, Table]:
    settings, _ = load()
    embedder = provider_assembly.make_embedder(settings, NoMetrics().emit)
    async with assembly.open_storage(settings) as database:
        asked = read_asked(data)[:limit]
        return await measure_declining(asked, PostgresPassageStore(database), embedder)


def main() -> None:
    """Read the arguments, measure, and print the report on standard output."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("support", "declining"))
    parser.add_argument("--data", type=Path, help="folder with questions and unanswerable ones")
    parser.add_argument("--pairs", type=Path, default=PAIRS, help="labelled sentences")
    parser.add_argument("--limit", type=int, help="only the first so many questions")
    options = parser.parse_args()
    if options.what == "declining":
        if options.data is None:
            parser.error("declining needs --data")
        report: object = asyncio.run(_decline(options.data, options.limit))
    else:
        report = score_support(options.pairs)
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()

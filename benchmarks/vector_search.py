"""Measures the vector search by the size of a workspace, in a database of many, as JSON.

    python -m benchmarks.vector_search --data DATA --work /tmp/vectors --dimensions 1536

Starts an embedded PostgreSQL of its own under `--work`, fills it once and keeps it. Vectors and
questions are made from those of DATA (as `clinic_questions.py` reads it) by `vector_practices.py`.
What is timed is `PostgresPassageStore.search` as the application calls it: as the runtime role,
under row-level security, for 100 passages with their texts. Beside the time on the clock there is
the server's CPU time, which others on the machine do not lengthen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
import numpy as np
from pgvector import Vector as PgVector

from benchmarks.vector_practices import PARTS, STARTED, Space, Workspace, embed, fill
from runtime.messages import EmbeddingModel, Matrix, SearchScope, Vector
from runtime.storage import embedded
from runtime.storage.migrate import migrate
from runtime.storage.passages import PostgresPassageStore
from runtime.storage.pool import Database, open_database
from runtime.storage.queries import QUERIES
from runtime.storage.vector_index import TABLES

Key: TypeAlias = tuple[UUID, str]
"""A record and its field."""

LIMIT: Final = 100
"""As `runtime/answering/retrieve.py` searches."""
CLASSES: Final = {100: 100, 500: 100, 2000: 50, 5000: 28, 10_000: 20, 30_000: 10, 100_000: 2}
"""Rows a workspace, and how many such workspaces: 1,000,000 rows."""
ASKED: Final = 2
"""Workspaces of each class that are searched."""
CONFIGURATION: Final = {
    "shared_buffers": "4GB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "8GB",
    "fsync": "off",
}
"""Of the benchmark's server alone: with the defaults, filling it takes long."""
EXACT: Final = """
    SELECT embedding <=> $1 AS distance FROM session_vectors WHERE embedding_model = $2
    UNION ALL SELECT embedding <=> $1 FROM client_vectors WHERE embedding_model = $2
    ORDER BY distance LIMIT $3
"""
"""As the search was before it had bits to read."""


async def prepare(
    server: embedded.EmbeddedDatabase,
    space: Space,
    workspaces: list[Workspace],
    model: EmbeddingModel,
) -> dict[str, object]:
    """Fill a database that is empty yet, then make the model's indexes; return what it took."""
    raw = await asyncpg.connect(server.url_for("postgres"))
    took: dict[str, object] = {}
    await migrate(server.owner_url, runtime_role=embedded.RUNTIME_ROLE)
    if not await raw.fetchval("SELECT EXISTS (SELECT FROM session_vectors)"):
        await raw.set_type_codec(
            "vector", schema="public", format="binary", decoder=PgVector.from_binary,
            encoder=lambda vector: PgVector(vector).to_binary(),
        )  # fmt: skip
        started_s = time.perf_counter()
        await fill(raw, space, workspaces, model)
        took["fill_s"] = round(time.perf_counter() - started_s)
        await raw.execute("VACUUM ANALYZE")
    started_s = time.perf_counter()
    await migrate(server.owner_url, runtime_role=embedded.RUNTIME_ROLE)
    took["indexes_s"] = round(time.perf_counter() - started_s)
    names = [row["name"] for row in await raw.fetch(QUERIES["list_vector_indexes"])]
    sizes = {
        "tables": [f"pg_table_size('{table}')" for table in TABLES],
        "primary_keys": [f"pg_relation_size('{table}_pkey')" for table in TABLES],
        "hnsw": [f"pg_relation_size('{name}')" for name in names],
    }
    for name, parts in sizes.items():
        took[f"{name}_mb"] = int(await raw.fetchval(f"SELECT {'+'.join(['0', *parts])}")) / 1e6
    await raw.close()
    return took


# --- The measurement ------------------------------------------------------------------------


class Samples:
    """What the searches of one class took and found."""

    def __init__(self) -> None:
        self.wall_ms: list[float] = []
        self.cpu_ms: list[float] = []
        self.recalls: dict[int, list[float]] = {10: [], LIMIT: []}
        self.exact_ms: list[float] = []

    def compare(self, found: Sequence[Key], true: Sequence[Key]) -> None:
        """Note how much of what is nearest was found."""
        for depth, recalls in self.recalls.items():
            recalls.append(len(set(true[:depth]) & set(found[:depth])) / len(true[:depth]))

    def summarize(self) -> dict[str, float]:
        """Return medians and tails."""
        cuts = {f"wall_p{p}_ms": float(np.percentile(self.wall_ms, p)) for p in (50, 95)}
        cuts |= {f"cpu_p{p}_ms": float(np.percentile(self.cpu_ms, p)) for p in (50, 95)}
        cuts |= {f"recall@{k}": float(np.mean(found)) for k, found in self.recalls.items()}
        cuts["exact_cpu_p50_ms"] = float(np.median(self.exact_ms))
        return {name: round(value, 4) for name, value in cuts.items()} | {"n": len(self.wall_ms)}


@dataclass(frozen=True, slots=True)
class Case:
    """A workspace, and what part of it is searched: a client, a week, or all."""

    workspace: Workspace
    client: int | None = None
    week: int | None = None

    @property
    def name(self) -> str:
        """Return the class that its figures belong to."""
        rows = f"{self.workspace.rows:,}"
        if self.workspace.number == 0:
            return f"{rows}, the real ones"
        if self.client is not None:
            return f"one client of {rows}"
        return rows if self.week is None else f"one week of {rows}"

    @property
    def scope(self) -> SearchScope:
        """Return it as the search takes it."""
        clients, since, until = None, None, None
        if self.client is not None:
            clients = frozenset((self.workspace.make_id(self.client, 0),))
        if self.week is not None:
            since = STARTED + timedelta(weeks=self.week)
            until = since + timedelta(weeks=1)
        return SearchScope(clients, since, until)


def choose_cases(workspaces: Sequence[Workspace]) -> list[Case]:
    """Return what is searched."""
    cases = [Case(workspaces[0])]
    for rows in CLASSES:
        asked = [each for each in workspaces[1:] if each.rows == rows][:ASKED]
        cases += [Case(each) for each in asked]
        if rows == max(CLASSES):
            cases += [Case(each, client=3) for each in asked]
            cases += [Case(each, week=4) for each in asked]
    return cases


class Measurement:
    """Searches as the application does, on one connection, whose CPU time is read from Linux."""

    def __init__(self, database: Database, pid: int, model: EmbeddingModel) -> None:
        self._database = database
        self._schedule = Path(f"/proc/{pid}/schedstat")
        self._model = model
        self._store = PostgresPassageStore(database)

    async def search(self, case: Case, question: Vector) -> list[Key]:
        """Return the keys of what is found, nearest first."""
        found = await self._store.search(
            case.workspace.id, question, model=self._model, scope=case.scope, limit=LIMIT
        )
        return [(passage.record.id, passage.field_name) for passage in found]

    async def time(self, case: Case, question: Vector, samples: Samples) -> list[Key]:
        """Search, and note how long it took."""
        cpu_ms, wall_s = self._read_cpu_ms(), time.perf_counter()
        found = await self.search(case, question)
        samples.wall_ms.append((time.perf_counter() - wall_s) * 1000)
        samples.cpu_ms.append(self._read_cpu_ms() - cpu_ms)
        return found

    async def time_exact(self, case: Case, question: Vector, samples: Samples) -> None:
        """Note how long reading all vectors of the workspace takes, without their texts."""
        cpu_ms = self._read_cpu_ms()
        async with self._database.workspace(case.workspace.id) as connection:
            await connection.fetch(EXACT, question, self._model.key, LIMIT)
        samples.exact_ms.append(self._read_cpu_ms() - cpu_ms)

    def _read_cpu_ms(self) -> float:
        return int(self._schedule.read_text().split()[0]) / 1e6


def find_nearest(case: Case, space: Space, questions: Matrix) -> list[list[Key]]:
    """Return the keys of what is truly nearest to each question."""
    rows: list[int] = []
    similarities = []
    for part in range(PARTS):
        made, vectors = space.make_part(case.workspace, part)
        kept = [
            place
            for place, row in enumerate(made)
            if case.workspace.is_of(row, client=case.client, week=case.week)
        ]
        rows += [made[place] for place in kept]
        similarities.append(questions @ vectors[kept].T)
    order = np.argsort(-np.concatenate(similarities, axis=1), axis=1)[:, :LIMIT]
    return [[case.workspace.key(rows[place]) for place in each] for each in order]


async def measure(
    url: str, space: Space, cases: Sequence[Case], model: EmbeddingModel, questions: Matrix
) -> dict[str, object]:
    """Return the figures of each class, searched in turn with the others."""
    nearest = [find_nearest(case, space, questions) for case in cases]
    classes: dict[str, Samples] = {}
    async with await open_database(url, pool_size=1, statement_timeout_s=60) as database:
        async with database.connection() as connection:
            pid = await connection.fetch_value("SELECT pg_backend_pid()")
        measurement = Measurement(database, pid, model)
        for number, question in enumerate(questions):
            for case, true in zip(cases, nearest, strict=True):
                samples = classes.setdefault(case.name, Samples())
                if number == 0:
                    for other in questions[:3]:
                        await measurement.search(case, other)
                        await measurement.time_exact(case, other, samples)
                found = await measurement.time(case, question, samples)
                samples.compare(found, true[number])
    return {name: samples.summarize() for name, samples in classes.items()}


async def run(options: argparse.Namespace) -> dict[str, object]:
    """Return the whole report."""
    options.work.mkdir(parents=True, exist_ok=True)
    passages, questions = await embed(options.data, options.work)
    model = EmbeddingModel("benchmark", "clusters", options.dimensions)
    space = Space(passages, questions, options.dimensions)
    numbers = iter(range(1, 1_000_000))
    workspaces = [Workspace(0, len(passages))] + [
        Workspace(next(numbers), rows)
        for rows, count in CLASSES.items()
        for _ in range(max(ASKED, round(count * options.share)))
    ]
    server = embedded.start(
        options.work / f"server-{options.dimensions}-{options.share:g}", configuration=CONFIGURATION
    )
    report: dict[str, object] = {"rows": sum(each.rows for each in workspaces)}
    report |= await prepare(server, space, workspaces, model)
    asked = np.random.default_rng(0).permutation(space.questions)[: options.questions]
    cases = choose_cases(workspaces)
    report["by_rows"] = await measure(server.runtime_url, space, cases, model, asked)
    return report


def main() -> None:
    """Read the arguments, measure, and print the report on standard output."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the three files")
    parser.add_argument(
        "--work", type=Path, required=True, help="some 30 GB, kept for the next run"
    )
    parser.add_argument("--dimensions", type=int, default=1536)
    parser.add_argument("--share", type=float, default=1.0, help="of the million rows")
    parser.add_argument("--questions", type=int, default=100)
    json.dump(asyncio.run(run(parser.parse_args())), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()

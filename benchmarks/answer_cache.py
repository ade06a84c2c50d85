"""Measures what the cache of answers costs, as JSON: its calls, and the writes it watches.

    python -m benchmarks.answer_cache --work /tmp/answer-cache

Starts an embedded PostgreSQL of its own under `--work`. What is timed is what the application
calls, as the runtime role: an import of 5,000 records in batches of 500, embeddings landing and a
client deleted, with the triggers that note changes and without them, in turn, each time in a new
workspace; and `recall`, `recall_similar` and `keep` among 100 answers, with 100,000 changes noted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg
import numpy as np

from runtime.messages import (
    Answer,
    AnswerToKeep,
    CacheKey,
    Client,
    EmbeddingModel,
    RecordKey,
    Session,
    Span,
    TokenUsage,
    Vector,
)
from runtime.storage import embedded
from runtime.storage.answer_cache import PostgresAnswerCache
from runtime.storage.jobs import EmbeddedField, EmbeddingJobs, FieldText
from runtime.storage.migrate import migrate
from runtime.storage.pool import Database, open_database
from runtime.storage.records import PostgresRecordStore

MODEL: Final = EmbeddingModel("bench", "random", 1536)
CLIENTS: Final = 250
SESSIONS: Final = 4750
BATCH: Final = 500
CLAIM: Final = 100
"""Sessions whose vectors land in one transaction."""
ANSWERS: Final = 100
CHANGES: Final = 100_000
ROUNDS: Final = 5
CALLS: Final = 300
NOTE: Final = "Slept better this week, walks daily, shoulder still stiff in the morning. " * 4
PARTITION: Final = b"partition"
_TABLES: Final = ("clients", "sessions", "client_vectors", "session_vectors")


def make_practice() -> tuple[list[Client], list[Session]]:
    """Return 5,000 records, sessions in the order of their dates."""
    clients = [Client(uuid4(), f"Client {number}", notes=NOTE) for number in range(CLIENTS)]
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    sessions = [
        Session(
            uuid4(),
            clients[number % CLIENTS].id,
            begin + timedelta(hours=number),
            subjective=NOTE,
            plan=NOTE,
        )
        for number in range(SESSIONS)
    ]
    return clients, sessions


async def time_writes(database: Database) -> dict[str, float]:
    """Return seconds: of an import, of a vector for each session, and of a client's deletion."""
    records, jobs, workspace_id = PostgresRecordStore(database), EmbeddingJobs(database), uuid4()
    clients, sessions = make_practice()
    began = time.perf_counter()
    await records.put_many(workspace_id, clients, [])
    for at in range(0, SESSIONS, BATCH):
        await records.put_many(workspace_id, [], sessions[at : at + BATCH])
    imported = time.perf_counter()
    span, vector = Span(0, 0, len(NOTE)), make_vector(np.random.default_rng(1))[None]
    for at in range(0, 1000, CLAIM):
        fields = [
            EmbeddedField(
                FieldText(RecordKey("session", session.id), "plan", NOTE), (span,), vector
            )
            for session in sessions[at : at + CLAIM]
        ]
        async with jobs.claim(workspace_id, limit=0) as claim:
            await claim.store(fields, MODEL)
    landed = time.perf_counter()
    for client in clients[:20]:
        await records.delete_client(workspace_id, client.id)
    deleted = time.perf_counter()
    return {
        "import_5000_records_s": imported - began,
        "land_1000_vectors_s": landed - imported,
        "delete_a_client_of_19_sessions_s": (deleted - landed) / 20,
    }


async def compare_writes(database: Database, owner: asyncpg.Connection) -> dict[str, object]:
    """Return the medians with the triggers and without, and the difference in percent."""
    runs: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for number in range(2 * ROUNDS + 1):
        noting = bool(number % 2)
        for table in _TABLES:
            for event in ("insert", "update", "delete"):
                switch = "ENABLE" if noting else "DISABLE"
                await owner.execute(f"ALTER TABLE {table} {switch} TRIGGER note_{event}")
        timed = await time_writes(database)
        if number:  # the first one warms up
            runs[noting].append(timed)
    medians = {
        noting: {name: statistics.median(run[name] for run in of) for name in of[0]}
        for noting, of in runs.items()
    }
    return {
        name: {
            "with": round(medians[True][name], 4),
            "without": round(medians[False][name], 4),
            "percent": round(100 * (medians[True][name] / medians[False][name] - 1), 1),
        }
        for name in medians[True]
    }


def make_vector(random: np.random.Generator) -> Vector:
    """Return a random direction."""
    vector = random.standard_normal(MODEL.dimensions).astype(np.float32)
    return vector / np.linalg.norm(vector)


async def measure_calls(database: Database, superuser: asyncpg.Connection) -> dict[str, object]:
    """Return p50 and p95 in milliseconds of each call of the cache, full and much written about."""
    cache, records, workspace_id = (
        PostgresAnswerCache(database),
        PostgresRecordStore(database),
        uuid4(),
    )
    client = Client(uuid4(), "Client")
    await records.put_client(workspace_id, client)
    await superuser.execute(
        "INSERT INTO record_changes (workspace_id, client_id)"
        " SELECT $1, gen_random_uuid() FROM generate_series(1, $2)",
        workspace_id,
        CHANGES,
    )
    random = np.random.default_rng(2)
    vectors = [make_vector(random) for _ in range(ANSWERS)]

    async def keep(number: int) -> None:
        exact = str(number % ANSWERS).encode()
        key = CacheKey(exact, PARTITION)
        recollection = await cache.recall(workspace_id, key)
        answer = Answer(NOTE * 4, (), "en", 5, "bench", "bench", TokenUsage())
        clients = frozenset((client.id,)) if number % 2 else None
        kept = AnswerToKeep(
            key=key,
            question=f"Question {number}?",
            answer=answer,
            as_of=recollection.as_of,
            clients=clients,
            by_name=False,
            embedding_model=MODEL.key,
            vector=vectors[number % ANSWERS],
        )
        await cache.keep(workspace_id, kept, ttl_s=3600, max_entries=ANSWERS)

    async def recall(number: int) -> None:
        found = await cache.recall(
            workspace_id, CacheKey(str(number % ANSWERS).encode(), PARTITION)
        )
        assert found.remembered is not None

    async def recall_nothing(_: int) -> None:
        await cache.recall(workspace_id, CacheKey(b"none", PARTITION))

    async def recall_similar(number: int) -> None:
        found = await cache.recall_similar(
            workspace_id, PARTITION, vectors[number % ANSWERS], model=MODEL, min_similarity=0.95
        )
        assert len(found) == 1

    calls: dict[str, Callable[[int], Awaitable[None]]] = {
        "recall_and_keep_ms": keep,
        "recall_hit_ms": recall,
        "recall_miss_ms": recall_nothing,
        "recall_similar_ms": recall_similar,
    }
    return {name: await time_calls(call) for name, call in calls.items()}


async def time_calls(call: Callable[[int], Awaitable[None]]) -> dict[str, float]:
    """Return p50 and p95 in milliseconds."""
    took = []
    for number in range(CALLS):
        began = time.perf_counter()
        await call(number)
        took.append(1000 * (time.perf_counter() - began))
    cuts = statistics.quantiles(took[ANSWERS:], n=20)
    return {"p50": round(cuts[9], 3), "p95": round(cuts[18], 3)}


async def measure(work: Path) -> dict[str, object]:
    """Return all figures."""
    server = embedded.start(work)
    await migrate(server.owner_url, runtime_role=embedded.RUNTIME_ROLE)
    owner = await asyncpg.connect(server.owner_url)
    superuser = await asyncpg.connect(server.url_for("postgres"))
    async with await open_database(
        server.runtime_url, pool_size=4, statement_timeout_s=60
    ) as database:
        calls = await measure_calls(database, superuser)
        writes = await compare_writes(database, owner)
    await owner.close()
    await superuser.close()
    return {"calls": calls, "writes": writes}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="where the server's data go")
    figures = asyncio.run(measure(parser.parse_args().work))
    json.dump(figures, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

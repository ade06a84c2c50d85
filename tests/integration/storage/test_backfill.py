"""The queue and its worker on a real server, crashes and competitors included."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import pytest

from runtime.clock import ManualClock
from runtime.embedding.attempt import MALFORMED_ATTEMPTS
from runtime.embedding.backfill import BATCH_RECORDS, EmbedRecords, drain
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.errors import (
    ActorUnavailable,
    BadProviderResponse,
    CircuitOpen,
    ContentRefused,
    EmbeddingError,
    ProviderRejected,
    ProviderUnavailable,
    RateLimitError,
)
from runtime.messages import Client, Embedded, InputType, Priority, Session
from runtime.providers.fakes import FakeEmbedder
from runtime.storage.jobs import EmbeddingJobs
from runtime.storage.pool import Database, open_database
from runtime.storage.records import PostgresRecordStore
from runtime.telemetry import Event, RecordsEmbedded
from tests.integration.conftest import Site

WORKSPACE, OTHER = UUID(int=1), UUID(int=2)
CLIENT = Client(uuid4(), "Noa", medical_history="Asthma.", notes="Prefers mornings.")
DATE = datetime(2026, 3, 1, tzinfo=UTC)
POISON = "This text the vendor refuses."


class Hold(asyncio.Event):
    """Tells when somebody waits for it. To look at the rows' locks would take them from a claim."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.reached.set()
        return await super().wait()


class PickyEmbedder(FakeEmbedder):
    """Fails on one text for ever, with the error it was given; `refusing` holds up the first."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error
        self.refusing: Hold | None = None
        self.most_refused_in_a_row = 0
        self._refused_in_a_row = 0

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        if POISON in texts:
            if self.refusing is not None:
                await self.refusing.wait()
            self._refused_in_a_row += 1
            self.most_refused_in_a_row = max(self.most_refused_in_a_row, self._refused_in_a_row)
            raise self._error
        self._refused_in_a_row = 0
        return await super().embed_texts(
            texts, input_type=input_type, timeout_s=timeout_s, priority=priority
        )


class CrookedEmbedder(FakeEmbedder):
    """Returns what it is told to instead of vectors."""

    def __init__(self, vectors: object) -> None:
        super().__init__()
        self._vectors = np.array(vectors, dtype=np.float32)

    async def embed_texts(self, *_: object, **__: object) -> Embedded:
        return Embedded(self._vectors, 0)


def make_sessions(count: int) -> list[Session]:
    return [
        Session(UUID(int=100 + n), CLIENT.id, DATE, plan=f"Step {n}.", subjective=f"Pain {n}.")
        for n in range(count)
    ]


@pytest.fixture
def records(database: Database) -> PostgresRecordStore:
    return PostgresRecordStore(database)


@pytest.fixture
def jobs(database: Database) -> EmbeddingJobs:
    return EmbeddingJobs(database)


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def queue(jobs: EmbeddingJobs, embedder: FakeEmbedder, events: list[Event]) -> EmbedRecords:
    return make_queue(jobs, embedder, events)


def make_queue(
    jobs: EmbeddingJobs, embedder: FakeEmbedder, events: list[Event] | None = None
) -> EmbedRecords:
    emit = (lambda _: None) if events is None else events.append
    return EmbedRecords(jobs, EmbeddingSpaces(embedder), clock=ManualClock(), emit=emit)


async def count_vectors(superuser: asyncpg.Connection) -> int:
    return int(
        await superuser.fetchval(
            "SELECT (SELECT count(*) FROM client_vectors) + (SELECT count(*) FROM session_vectors)"
        )
    )


async def make_due(superuser: asyncpg.Connection) -> None:
    await superuser.execute("UPDATE embedding_jobs SET run_after = now()")


# --- One step -------------------------------------------------------------------------------


async def test_a_step_embeds_what_is_queued_and_tells_what_it_did(
    queue: EmbedRecords,
    records: PostgresRecordStore,
    embedder: FakeEmbedder,
    events: list[Event],
    superuser: asyncpg.Connection,
) -> None:
    await records.put_many(WORKSPACE, [CLIENT], make_sessions(2))

    result = await queue.step(WORKSPACE)

    assert result == RecordsEmbedded(records=3, passages=6, unchanged=0, failed=0, duration_s=0)
    assert events == [result]
    assert sorted(text for call in embedder.calls for text in call) == [
        "Asthma.", "Pain 0.", "Pain 1.", "Prefers mornings.", "Step 0.", "Step 1.",
    ]  # fmt: skip
    assert await count_vectors(superuser) == 6
    assert await queue.count_backlog() == 0


async def test_a_step_with_nothing_to_do_says_nothing(
    queue: EmbedRecords, events: list[Event]
) -> None:
    assert (await queue.step(WORKSPACE)).records == 0
    assert events == []


async def test_what_is_stored_is_the_vector_the_place_and_the_hash_of_each_passage(
    queue: EmbedRecords,
    records: PostgresRecordStore,
    embedder: FakeEmbedder,
    superuser: asyncpg.Connection,
) -> None:
    long = " ".join(f"Sentence {n} tells of another quiet night." for n in range(40))
    await records.put_client(WORKSPACE, replace(CLIENT, medical_history="", notes=long))

    await queue.step(WORKSPACE)

    rows = await superuser.fetch(
        "SELECT *, embedding::text AS vector, sha256(convert_to($1, 'UTF8')) = content_hash AS same"
        " FROM client_vectors ORDER BY part",
        long,
    )
    [texts] = embedder.calls
    assert len(rows) > 1
    assert [long[row["part_start"] : row["part_end"]] for row in rows] == list(texts)
    assert all(row["same"] and row["field_name"] == "notes" for row in rows)
    for row, text in zip(rows, texts, strict=True):
        stored = np.array(row["vector"].strip("[]").split(","), dtype=np.float32)
        assert np.allclose(stored, embedder._vector(text), atol=1e-6)


async def test_a_texts_white_space_alone_is_never_embedded(
    queue: EmbedRecords, records: PostgresRecordStore, embedder: FakeEmbedder
) -> None:
    await records.put_client(WORKSPACE, Client(CLIENT.id, "Noa", notes=" \n "))

    result = await queue.step(WORKSPACE)

    assert (result.records, result.passages) == (1, 0)
    assert embedder.calls == []
    assert await queue.enqueue_missing(WORKSPACE) == 0


async def test_an_unchanged_field_is_not_embedded_again(
    queue: EmbedRecords, records: PostgresRecordStore, embedder: FakeEmbedder
) -> None:
    await records.put_client(WORKSPACE, CLIENT)
    await drain(queue)
    embedder.calls.clear()

    await records.put_client(WORKSPACE, replace(CLIENT, notes="Prefers evenings."))
    await drain(queue)

    assert embedder.calls == [("Prefers evenings.",)]


async def test_a_record_whose_name_alone_changed_counts_as_unchanged(
    queue: EmbedRecords, records: PostgresRecordStore, embedder: FakeEmbedder
) -> None:
    await records.put_client(WORKSPACE, CLIENT)
    await drain(queue)
    embedder.calls.clear()

    await records.put_client(WORKSPACE, replace(CLIENT, name="Noa B."))

    assert (await queue.step(WORKSPACE)).unchanged == 1
    assert embedder.calls == []


async def test_an_emptied_field_keeps_no_vectors(
    queue: EmbedRecords, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    await records.put_client(WORKSPACE, CLIENT)
    await drain(queue)

    await records.put_client(WORKSPACE, replace(CLIENT, notes=""))
    await drain(queue)

    assert await superuser.fetchval("SELECT array_agg(field_name) FROM client_vectors") == [
        "medical_history"
    ]


async def test_a_deleted_records_job_is_dropped(
    queue: EmbedRecords, records: PostgresRecordStore, embedder: FakeEmbedder
) -> None:
    await records.put_client(WORKSPACE, CLIENT)
    await records.delete_client(WORKSPACE, CLIENT.id)

    assert (await queue.step(WORKSPACE)).failed == 0
    assert embedder.calls == []
    assert await queue.count_backlog() == 0


async def test_what_a_therapist_writes_is_embedded_before_bulk_work(
    queue: EmbedRecords, records: PostgresRecordStore, embedder: FakeEmbedder
) -> None:
    sessions = make_sessions(3)
    await records.put_many(WORKSPACE, [CLIENT], sessions)
    await records.put_session(WORKSPACE, replace(sessions[2], plan="Urgent.", subjective=""))

    await queue.step(WORKSPACE, limit=1)

    assert embedder.calls == [("Urgent.",)]


# --- Edits meanwhile ------------------------------------------------------------------------


async def test_an_edit_during_embedding_wins_and_never_waits(
    queue: EmbedRecords,
    records: PostgresRecordStore,
    embedder: FakeEmbedder,
    superuser: asyncpg.Connection,
) -> None:
    embedder.hold = hold = Hold()
    await records.put_client(WORKSPACE, replace(CLIENT, medical_history=""))
    step = asyncio.create_task(queue.step(WORKSPACE))
    await asyncio.wait_for(hold.reached.wait(), 10)

    edited = replace(CLIENT, medical_history="", notes="Edited.")
    await asyncio.wait_for(records.put_client(WORKSPACE, edited), 10)
    hold.set()
    await step

    assert await count_vectors(superuser) == 0
    await drain(queue)
    assert await count_vectors(superuser) == 1
    assert embedder.calls[-1] == ("Edited.",)


async def test_a_delete_during_embedding_never_waits_and_leaves_nothing(
    queue: EmbedRecords,
    records: PostgresRecordStore,
    embedder: FakeEmbedder,
    superuser: asyncpg.Connection,
) -> None:
    embedder.hold = hold = Hold()
    await records.put_client(WORKSPACE, CLIENT)
    step = asyncio.create_task(queue.step(WORKSPACE))
    await asyncio.wait_for(hold.reached.wait(), 10)

    await asyncio.wait_for(records.delete_client(WORKSPACE, CLIENT.id), 10)
    hold.set()
    await step

    assert await count_vectors(superuser) == 0
    await drain(queue)
    assert await queue.count_backlog() == 0


async def test_a_record_that_is_just_being_deleted_is_left_to_the_next_claim(
    queue: EmbedRecords, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    await records.put_client(WORKSPACE, CLIENT)
    async with superuser.transaction():
        await superuser.execute("SELECT FROM clients FOR UPDATE")
        await asyncio.wait_for(queue.step(WORKSPACE), 10)
        assert await queue.count_backlog() == 1

    await drain(queue)
    assert await count_vectors(superuser) == 2


# --- Failures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ProviderUnavailable("fake", "m", "embed", "HTTP 503", None),
        RateLimitError("fake", "m", "embed", "HTTP 429", None),
        CircuitOpen("fake", "m", "embed", "open", 30.0),
        BadProviderResponse("fake", "m", "embed", "malformed", None),
        ActorUnavailable("embedding", "died"),
    ],
)
async def test_a_failure_of_the_moment_puts_off_everything_and_loses_nothing(
    jobs: EmbeddingJobs,
    records: PostgresRecordStore,
    superuser: asyncpg.Connection,
    error: Exception,
) -> None:
    picky = make_queue(jobs, PickyEmbedder(error))
    await records.put_client(WORKSPACE, Client(CLIENT.id, "Noa", notes=POISON))

    result = await picky.step(WORKSPACE)

    assert (result.records, result.failed) == (1, 1)
    assert await picky.pending_workspaces() == [], "it is put off"
    assert await picky.count_backlog() == 1
    await make_due(superuser)
    await drain(make_queue(jobs, FakeEmbedder()))
    assert await count_vectors(superuser) == 1


async def test_attempts_come_less_and_less_often(
    jobs: EmbeddingJobs, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    error = ProviderUnavailable("fake", "m", "embed", "HTTP 503", None)
    picky = make_queue(jobs, PickyEmbedder(error))
    await records.put_client(WORKSPACE, Client(CLIENT.id, "Noa", notes=POISON))
    for wait_s in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        before = await superuser.fetchval("SELECT clock_timestamp()")
        await picky.step(WORKSPACE)
        after = await superuser.fetchval("SELECT clock_timestamp()")
        wait = timedelta(seconds=wait_s)
        run_after = await superuser.fetchval("SELECT run_after FROM embedding_jobs")
        assert before + wait <= run_after <= after + wait
        await make_due(superuser)


REFUSALS = [
    EmbeddingError("too long"),
    ProviderRejected("fake", "m", "embed", "HTTP 400", None),
    ContentRefused("fake", "m", "embed", "filtered", None),
]


@pytest.mark.parametrize("error", REFUSALS)
async def test_a_text_that_is_refused_is_noted_and_neither_its_record_nor_others_suffer(
    jobs: EmbeddingJobs,
    records: PostgresRecordStore,
    superuser: asyncpg.Connection,
    error: Exception,
) -> None:
    picky = make_queue(jobs, PickyEmbedder(error))
    sessions = make_sessions(3)
    sessions[1] = replace(sessions[1], plan=POISON)
    await records.put_many(WORKSPACE, [CLIENT], sessions)

    result = await picky.step(WORKSPACE)

    assert (result.records, result.failed, result.passages) == (4, 1, 7)
    [failure] = await superuser.fetch(
        "SELECT record_id, field_name::text, reason FROM embedding_failures"
    )
    assert tuple(failure) == (sessions[1].id, "plan", type(error).__name__)
    assert await picky.count_failed(WORKSPACE) == 1
    assert await picky.count_failed(OTHER) == 0
    assert await picky.count_backlog() == 0
    assert await count_vectors(superuser) == 7


@pytest.mark.parametrize("error", REFUSALS)
async def test_a_lone_text_that_is_refused_is_given_up_where_any_other_would_be_embedded(
    jobs: EmbeddingJobs, records: PostgresRecordStore, error: Exception
) -> None:
    picky = make_queue(jobs, PickyEmbedder(error))
    await records.put_client(WORKSPACE, Client(CLIENT.id, "Noa", notes=POISON))

    result = await picky.step(WORKSPACE)

    assert (result.records, result.failed) == (1, 1)
    assert (await picky.count_failed(WORKSPACE), await picky.count_backlog()) == (1, 0)


async def test_a_refusal_of_everything_blames_no_text(
    jobs: EmbeddingJobs, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    """Such as that of a key which has expired."""
    embedder = FakeEmbedder()
    embedder.failures += [ProviderRejected("fake", "m", "embed", "HTTP 401", None)] * 20
    await records.put_many(WORKSPACE, [CLIENT], make_sessions(2))
    queue = make_queue(jobs, embedder)

    assert (await queue.step(WORKSPACE)).failed == 3

    assert (await queue.count_failed(WORKSPACE), await queue.count_backlog()) == (0, 3)
    embedder.failures.clear()
    await make_due(superuser)
    await drain(queue)
    assert await count_vectors(superuser) == 6


async def test_malformed_answers_for_one_text_are_put_down_to_the_moment_a_few_times(
    jobs: EmbeddingJobs, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    error = BadProviderResponse("fake", "m", "embed", "malformed", None)
    picky = make_queue(jobs, PickyEmbedder(error))
    await records.put_client(WORKSPACE, replace(CLIENT, notes=POISON))

    for _ in range(MALFORMED_ATTEMPTS):
        assert (await picky.step(WORKSPACE)).failed == 1
        assert await picky.count_failed(WORKSPACE) == 0
        assert await count_vectors(superuser) == 1, "its other field is not held up"
        await make_due(superuser)
    await picky.step(WORKSPACE)

    assert await superuser.fetchval("SELECT reason FROM embedding_failures") == (
        "BadProviderResponse"
    )
    assert await picky.count_backlog() == 0


async def test_between_two_failures_of_one_text_others_succeed(
    jobs: EmbeddingJobs, records: PostgresRecordStore
) -> None:
    """Or the search for it would open the circuit breaker, which counts failures in a row."""
    embedder = PickyEmbedder(ProviderRejected("fake", "m", "embed", "HTTP 400", None))
    await records.put_many(
        WORKSPACE, [replace(CLIENT, medical_history=POISON)], make_sessions(BATCH_RECORDS - 1)
    )

    await make_queue(jobs, embedder).step(WORKSPACE)

    assert embedder.most_refused_in_a_row == 3


async def test_an_outage_while_a_text_is_searched_for_is_waited_for_once_and_blames_nothing(
    jobs: EmbeddingJobs, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    embedder = FakeEmbedder()
    outage = ProviderUnavailable("fake", "m", "embed", "HTTP 503", None)
    embedder.failures += [ProviderRejected("fake", "m", "embed", "HTTP 400", None), outage]
    await records.put_many(WORKSPACE, [CLIENT], make_sessions(3))

    result = await make_queue(jobs, embedder).step(WORKSPACE)

    assert (result.records, result.failed) == (4, 4)
    assert (embedder.calls, embedder.failures) == ([], [])
    assert await superuser.fetchval("SELECT count(*) FROM embedding_jobs WHERE attempts = 1") == 4
    assert await superuser.fetchval("SELECT count(*) FROM embedding_failures") == 0


# --- What was given up ----------------------------------------------------------------------


@pytest.fixture
async def given_up(jobs: EmbeddingJobs, records: PostgresRecordStore) -> EmbedRecords:
    """A queue whose embedder has refused one client's note for good."""
    picky = make_queue(
        jobs, PickyEmbedder(ProviderRejected("fake", "m", "embed", "HTTP 400", None))
    )
    await records.put_client(WORKSPACE, replace(CLIENT, notes=POISON))
    await drain(picky)
    return picky


async def test_what_was_given_up_is_not_queued_again_unchanged(
    given_up: EmbedRecords, records: PostgresRecordStore
) -> None:
    await records.put_client(WORKSPACE, replace(CLIENT, notes=POISON))

    assert await given_up.enqueue_missing(WORKSPACE) == 0
    assert await given_up.count_backlog() == 0
    assert await given_up.count_failed(WORKSPACE) == 1


async def test_what_was_given_up_is_not_tried_again_when_something_beside_it_changes(
    given_up: EmbedRecords, jobs: EmbeddingJobs, records: PostgresRecordStore
) -> None:
    await records.put_client(
        WORKSPACE, Client(CLIENT.id, "Noa B.", medical_history="None.", notes=POISON)
    )
    willing = FakeEmbedder()
    await drain(make_queue(jobs, willing))

    assert willing.calls == [("None.",)]
    assert await given_up.count_failed(WORKSPACE) == 1


async def test_what_was_given_up_is_tried_again_when_it_changes(
    given_up: EmbedRecords, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    await records.put_client(WORKSPACE, replace(CLIENT, notes="Reworded."))
    assert await given_up.count_failed(WORKSPACE) == 0
    await drain(given_up)

    assert await count_vectors(superuser) == 2
    assert await given_up.enqueue_missing(WORKSPACE) == 0


async def test_a_session_that_was_given_up_is_tried_again_when_it_changes(
    given_up: EmbedRecords, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    session = replace(make_sessions(1)[0], objective=POISON)
    await records.put_session(WORKSPACE, session)
    await drain(given_up)
    assert await given_up.count_failed(WORKSPACE) == 2

    await records.put_session(WORKSPACE, replace(session, objective="Reworded."))
    assert await given_up.count_failed(WORKSPACE) == 1
    await drain(given_up)
    assert await superuser.fetchval("SELECT count(*) FROM session_vectors") == 3


async def test_another_model_may_try_what_one_has_given_up(
    given_up: EmbedRecords, jobs: EmbeddingJobs, superuser: asyncpg.Connection
) -> None:
    other = make_queue(jobs, FakeEmbedder(64))

    assert await other.enqueue_missing(WORKSPACE) == 1
    await drain(other)

    assert (
        await superuser.fetchval(
            "SELECT count(*) FROM client_vectors WHERE embedding_model = 'fake:trigrams:64'"
        )
        == 2
    )
    assert (await other.count_failed(WORKSPACE), await given_up.count_failed(WORKSPACE)) == (0, 1)


async def test_a_text_that_changed_while_it_was_refused_is_tried_in_its_new_form(
    jobs: EmbeddingJobs, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    embedder = PickyEmbedder(ProviderRejected("fake", "m", "embed", "HTTP 400", None))
    await records.put_client(WORKSPACE, Client(CLIENT.id, "Noa", notes=POISON))
    queue = make_queue(jobs, embedder)
    embedder.refusing = refusing = Hold()
    step = asyncio.create_task(queue.step(WORKSPACE))
    await asyncio.wait_for(refusing.reached.wait(), 10)

    await records.put_client(WORKSPACE, Client(CLIENT.id, "Noa", notes="Reworded."))
    refusing.set()
    await step
    await drain(queue)

    assert await count_vectors(superuser) == 1
    assert await superuser.fetchval("SELECT count(*) FROM embedding_failures") == 0


async def test_a_deleted_records_failures_go_with_it(
    given_up: EmbedRecords, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    session = replace(make_sessions(1)[0], plan=POISON)
    await records.put_session(WORKSPACE, session)
    await drain(given_up)

    await records.delete_session(WORKSPACE, session.id)
    assert await given_up.count_failed(WORKSPACE) == 1
    await records.delete_client(WORKSPACE, CLIENT.id)

    assert await superuser.fetchval("SELECT count(*) FROM embedding_failures") == 0


async def test_a_record_that_is_deleted_while_it_is_refused_leaves_no_failure(
    jobs: EmbeddingJobs, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    embedder = PickyEmbedder(ProviderRejected("fake", "m", "embed", "HTTP 400", None))
    embedder.refusing = refusing = Hold()
    await records.put_client(WORKSPACE, Client(CLIENT.id, "Noa", notes=POISON))
    step = asyncio.create_task(make_queue(jobs, embedder).step(WORKSPACE))
    await asyncio.wait_for(refusing.reached.wait(), 10)

    await records.delete_client(WORKSPACE, CLIENT.id)
    refusing.set()
    await step

    assert await superuser.fetchval("SELECT count(*) FROM embedding_failures") == 0


# --- Vectors that are none ------------------------------------------------------------------


@pytest.mark.parametrize(
    "vectors",
    [np.ones((2, 3)), np.ones((3, 256)), np.zeros((2, 256)), np.full((2, 256), np.nan)],
    ids=["wrong length", "too many", "zero", "not a number"],
)
async def test_vectors_that_are_not_what_was_asked_for_are_never_stored(
    jobs: EmbeddingJobs,
    records: PostgresRecordStore,
    superuser: asyncpg.Connection,
    vectors: object,
) -> None:
    await records.put_client(WORKSPACE, CLIENT)

    queue = make_queue(jobs, CrookedEmbedder(vectors))
    result = await queue.step(WORKSPACE)

    assert result.failed == 1
    assert await count_vectors(superuser) == 0
    assert (await queue.count_failed(WORKSPACE), await queue.count_backlog()) == (0, 1)


# --- All workspaces -------------------------------------------------------------------------


async def test_every_workspace_gets_its_turn(
    queue: EmbedRecords, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    assert await queue.pending_workspaces() == []
    for workspace_id in (WORKSPACE, OTHER):
        await records.put_many(workspace_id, [CLIENT], make_sessions(20))

    assert sorted(await queue.pending_workspaces()) == [WORKSPACE, OTHER]
    assert await queue.list_workspaces() == [WORKSPACE, OTHER]
    assert await queue.count_backlog() == 42
    await drain(queue)

    assert await queue.count_backlog() == 0
    assert await count_vectors(superuser) == 84


async def test_what_is_due_is_counted_for_each_workspace_without_what_is_put_off(
    queue: EmbedRecords, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    await records.put_many(WORKSPACE, [CLIENT], make_sessions(2))
    await records.put_client(OTHER, CLIENT)
    await superuser.execute(
        "UPDATE embedding_jobs SET run_after = 'infinity' WHERE record_id = $1", UUID(int=100)
    )

    assert await queue.count_due(WORKSPACE) == 2
    assert await queue.count_due(OTHER) == 1


async def test_a_limited_walk_starts_anywhere_so_that_none_starves(
    jobs: EmbeddingJobs, records: PostgresRecordStore
) -> None:
    ids = [UUID(int=n << 120) for n in range(0, 256, 32)]
    for workspace_id in ids:
        await records.put_client(workspace_id, CLIENT)

    seen = Counter([(await jobs.pending_workspaces(1))[0] for _ in range(200)])

    assert seen.keys() == set(ids)


async def test_draining_ends_when_others_hold_what_is_left(
    queue: EmbedRecords, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    await records.put_client(WORKSPACE, CLIENT)
    async with superuser.transaction():
        await superuser.execute("SELECT FROM embedding_jobs FOR UPDATE")
        await asyncio.wait_for(drain(queue), 10)


async def test_new_work_is_heard_of(queue: EmbedRecords, records: PostgresRecordStore) -> None:
    async with queue.notifications() as wake:
        await records.put_client(WORKSPACE, CLIENT)
        await asyncio.wait_for(wake.wait(60), 10)


# --- Backfills ------------------------------------------------------------------------------


async def test_a_backfill_queues_only_what_has_no_current_vectors_of_its_model(
    queue: EmbedRecords, jobs: EmbeddingJobs, records: PostgresRecordStore
) -> None:
    await records.put_many(
        WORKSPACE, [CLIENT], [*make_sessions(3), Session(uuid4(), CLIENT.id, DATE)]
    )
    assert await queue.enqueue_missing(WORKSPACE) == 0, "all are queued"
    await drain(queue)

    assert await queue.enqueue_missing(WORKSPACE) == 0
    other = make_queue(jobs, FakeEmbedder(64))
    assert await other.enqueue_missing(WORKSPACE) == 4
    assert await other.enqueue_missing(WORKSPACE) == 0


async def test_looking_for_what_is_missing_may_take_longer_than_a_search(
    site: Site,
    records: PostgresRecordStore,
    superuser: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await records.put_client(WORKSPACE, CLIENT)
    monkeypatch.setattr("runtime.storage.pool._GRACE_S", 0.05)
    async with await open_database(
        site.runtime_url, pool_size=1, statement_timeout_s=0.05
    ) as hurried:
        queue = make_queue(EmbeddingJobs(hurried), FakeEmbedder())
        async with superuser.transaction():
            await superuser.execute("LOCK TABLE clients")
            looking = asyncio.create_task(queue.enqueue_missing(WORKSPACE))
            while not await superuser.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = $1 AND clock_timestamp() - query_start > interval '200 ms'",
                site.name,
            ):
                assert not looking.done()
        assert await looking == 0


async def test_vectors_of_two_models_live_side_by_side(
    queue: EmbedRecords,
    jobs: EmbeddingJobs,
    records: PostgresRecordStore,
    superuser: asyncpg.Connection,
) -> None:
    await records.put_client(WORKSPACE, CLIENT)
    await drain(queue)
    other = make_queue(jobs, FakeEmbedder(64))
    await other.enqueue_missing(WORKSPACE)
    await drain(other)

    models = await superuser.fetch(
        "SELECT embedding_model, count(*) FROM client_vectors GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in models] == [("fake:trigrams:256", 2), ("fake:trigrams:64", 2)]


async def test_two_backfills_at_once_embed_nothing_twice(
    site: Site, records: PostgresRecordStore, superuser: asyncpg.Connection
) -> None:
    await records.put_many(WORKSPACE, [CLIENT], make_sessions(60))
    await superuser.execute("DELETE FROM embedding_jobs")
    embedders = [FakeEmbedder() for _ in range(3)]

    async def backfill(embedder: FakeEmbedder) -> None:
        async with await open_database(
            site.runtime_url, pool_size=2, statement_timeout_s=10
        ) as database:
            queue = make_queue(EmbeddingJobs(database), embedder)
            await queue.enqueue_missing(WORKSPACE)
            while await queue.count_backlog():
                await queue.step(WORKSPACE, limit=4)

    await asyncio.gather(*map(backfill, embedders))

    texts = Counter(text for embedder in embedders for call in embedder.calls for text in call)
    assert len(texts) == 122
    assert set(texts.values()) == {1}


async def test_two_jobs_of_one_record_never_go_to_two_workers(
    jobs: EmbeddingJobs, records: PostgresRecordStore
) -> None:
    await records.put_client(WORKSPACE, CLIENT)
    await records.put_client(WORKSPACE, replace(CLIENT, notes="New."))

    async with jobs.claim(WORKSPACE, limit=1) as first, jobs.claim(WORKSPACE, limit=5) as second:
        assert len(first.records) == 1
        assert second.records == ()


KILLED = """
import asyncio, sys
from runtime.embedding.backfill import EmbedRecords
from runtime.clock import ManualClock
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.providers.fakes import FakeEmbedder
from runtime.storage.jobs import EmbeddingJobs
from runtime.storage.pool import open_database
from uuid import UUID

async def main():
    embedder = FakeEmbedder()
    embed, calls = embedder.embed_texts, 0
    async def embed_texts(texts, **options):
        nonlocal calls
        calls += 1
        if calls == 3:
            print("\\n".join(texts), flush=True)
            await asyncio.Event().wait()
        return await embed(texts, **options)
    embedder.embed_texts = embed_texts
    database = await open_database(sys.argv[1], pool_size=2, statement_timeout_s=10)
    jobs = EmbeddingJobs(database)
    spaces = EmbeddingSpaces(embedder)
    queue = EmbedRecords(jobs, spaces, clock=ManualClock(), emit=lambda event: None)
    while True:
        await queue.step(UUID(int=1), limit=4)

asyncio.run(main())
"""
"""A backfill that never comes back from its third batch, having printed what is in it."""


async def test_a_killed_backfill_loses_nothing_and_repeats_only_its_batch(
    site: Site,
    queue: EmbedRecords,
    records: PostgresRecordStore,
    embedder: FakeEmbedder,
    superuser: asyncpg.Connection,
) -> None:
    await records.put_many(WORKSPACE, [Client(CLIENT.id, "Noa")], make_sessions(20))
    with subprocess.Popen(  # noqa: ASYNC220 - it is to be killed
        [sys.executable, "-c", KILLED, site.runtime_url],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        env={"PATH": os.defpath},
        text=True,
    ) as process:
        assert process.stdout is not None
        in_flight = {process.stdout.readline().strip() for _ in range(8)}
        done_before = await count_vectors(superuser)
        process.send_signal(signal.SIGKILL)

    await free_of_claims(superuser)
    await drain(queue)

    again = {text for call in embedder.calls for text in call}
    assert in_flight <= again
    assert done_before + len(again) == 40, "nothing that was stored was embedded again"
    assert await count_vectors(superuser) == 40
    assert await queue.count_backlog() == 0


async def free_of_claims(superuser: asyncpg.Connection) -> None:
    """Return when PostgreSQL has noticed the killed worker, which takes it a moment."""
    while await superuser.fetchval(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    ):
        pass

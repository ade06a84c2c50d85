"""A workspace on its way from one embedding model to another, on a real server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from runtime.clock import ManualClock
from runtime.embedding.backfill import EmbedRecords, drain
from runtime.embedding.run import Done, EmbeddingRun
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.errors import ProviderRejected, ProviderUnavailable
from runtime.messages import (
    Client,
    Embedded,
    EmbeddingModel,
    InputType,
    Priority,
    RecordKey,
    SearchScope,
    Session,
)
from runtime.ports import Embedder
from runtime.providers.fakes import FakeEmbedder
from runtime.storage.jobs import EmbeddingJobs
from runtime.storage.passages import PostgresPassageStore
from runtime.storage.pool import Database, open_database
from runtime.storage.records import PostgresRecordStore
from runtime.storage.workspace_models import WorkspaceModels
from tests.integration.conftest import Site

WORKSPACE, OTHER = UUID(int=1), UUID(int=2)
CLIENT = Client(uuid4(), "Noa", notes="Prefers mornings.")
DATE = datetime(2026, 3, 1, tzinfo=UTC)
OLD, NEW = EmbeddingModel("fake", "trigrams", 256), EmbeddingModel("fake", "trigrams", 64)


def make_sessions(count: int) -> list[Session]:
    return [
        Session(UUID(int=100 + n), CLIENT.id, DATE, plan=f"Stretch number {n}.")
        for n in range(count)
    ]


class Practice:
    """One database with its stores, and twins of the two models."""

    def __init__(self, database: Database) -> None:
        self.records = PostgresRecordStore(database)
        self.passages = PostgresPassageStore(database)
        self.jobs = EmbeddingJobs(database)
        self.models = WorkspaceModels(database)
        self.old, self.new = FakeEmbedder(256), FakeEmbedder(64)

    @property
    def before(self) -> EmbeddingSpaces:
        return EmbeddingSpaces(self.old)

    @property
    def during(self) -> EmbeddingSpaces:
        return EmbeddingSpaces(self.new, self.old)

    @property
    def after(self) -> EmbeddingSpaces:
        return EmbeddingSpaces(self.new)

    def queue(self, spaces: EmbeddingSpaces) -> EmbedRecords:
        return EmbedRecords(self.jobs, spaces, clock=ManualClock(), emit=lambda _: None)

    async def backfill(
        self, spaces: EmbeddingSpaces, workspace_id: UUID | None = None, *, reembed: bool = True
    ) -> Done:
        return await EmbeddingRun(
            self.queue(spaces), self.models, spaces, reembed=reembed, on_progress=lambda *_: None
        ).run(workspace_id)

    async def find(
        self, text: str, spaces: EmbeddingSpaces, workspace_id: UUID = WORKSPACE
    ) -> RecordKey | None:
        """Return what a question finds by meaning alone, in the workspace's own space."""
        embedder = spaces.for_workspace(await self.models.read(workspace_id))
        assert embedder is not None
        asked = await embedder.embed_text(text, input_type="query", timeout_s=9)
        found = await self.passages.search(
            workspace_id, asked.vectors[0], model=embedder.model, scope=SearchScope(), limit=1
        )
        return found[0].record if found and found[0].text == text else None


@pytest.fixture
async def practice(database: Database) -> Practice:
    """Twenty sessions that are embedded by the old model."""
    practice = Practice(database)
    await practice.records.put_many(WORKSPACE, [CLIENT], make_sessions(20))
    await drain(practice.queue(practice.before))
    practice.old.calls.clear()
    return practice


async def count_vectors(superuser: asyncpg.Connection, model: EmbeddingModel) -> int:
    statement = (
        "SELECT (SELECT count(*) FROM client_vectors WHERE embedding_model = $1)"
        " + (SELECT count(*) FROM session_vectors WHERE embedding_model = $1)"
    )
    return int(await superuser.fetchval(statement, model.key))


# --- A workspace's model ----------------------------------------------------------------------


async def test_a_workspace_gets_its_model_with_its_first_vectors(database: Database) -> None:
    practice = Practice(database)
    await practice.records.put_client(WORKSPACE, Client(CLIENT.id, "Noa"))
    await drain(practice.queue(practice.before))
    assert await practice.models.read(WORKSPACE) is None, "a record without text has no vectors"

    await practice.records.put_client(WORKSPACE, CLIENT)
    await drain(practice.queue(practice.before))
    assert await practice.models.read(WORKSPACE) == OLD.key


async def test_a_failed_first_embedding_gives_no_model(database: Database) -> None:
    practice = Practice(database)
    practice.old.failures.append(ProviderUnavailable("fake", "m", "embed", "HTTP 503", None))
    await practice.records.put_client(WORKSPACE, CLIENT)

    await practice.queue(practice.before).step(WORKSPACE)

    assert await practice.models.read(WORKSPACE) is None


async def test_without_a_transition_records_are_embedded_once(practice: Practice) -> None:
    await drain(practice.queue(practice.during))
    await practice.backfill(practice.during)
    practice.old.calls.clear()
    practice.new.calls.clear()

    await practice.records.put_client(WORKSPACE, replace(CLIENT, notes="Prefers evenings."))
    await drain(practice.queue(practice.during))

    assert (practice.old.calls, practice.new.calls) == ([], [("Prefers evenings.",)])


async def test_while_a_space_retires_what_is_written_is_embedded_in_both(
    practice: Practice,
) -> None:
    await practice.records.put_client(WORKSPACE, replace(CLIENT, notes="Prefers evenings."))
    await drain(practice.queue(practice.during))

    assert practice.old.calls == practice.new.calls == [("Prefers evenings.",)]
    assert await practice.models.read(WORKSPACE) == OLD.key
    assert await practice.find("Prefers evenings.", practice.during) is not None


async def test_the_new_model_failing_keeps_nothing_from_the_space_that_is_searched(
    practice: Practice,
) -> None:
    practice.new.failures.append(ProviderUnavailable("fake", "m", "embed", "HTTP 503", None))
    await practice.records.put_client(WORKSPACE, replace(CLIENT, notes="Prefers evenings."))

    step = await practice.queue(practice.during).step(WORKSPACE)

    assert (step.records, step.failed) == (1, 1)
    assert await practice.find("Prefers evenings.", practice.during) is not None
    assert await practice.jobs.count_backlog() == 1, "the new one is tried again"


# --- The switch -------------------------------------------------------------------------------


class Watching(FakeEmbedder):
    """The new model, that looks before each of its calls how the workspace is doing."""

    def __init__(self, practice: Practice) -> None:
        super().__init__(64)
        self._practice = practice
        self.seen: list[tuple[str | None, RecordKey | None]] = []

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        practice = self._practice
        if priority == "batch":
            spaces = EmbeddingSpaces(FakeEmbedder(64), FakeEmbedder(256))
            model_key = await practice.models.read(WORKSPACE)
            self.seen.append((model_key, await practice.find("Stretch number 7.", spaces)))
        return await super().embed_texts(
            texts, input_type=input_type, timeout_s=timeout_s, priority=priority
        )


async def test_questions_find_their_records_all_the_while_and_in_the_new_space_after(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    watching = Watching(practice)
    wanted = RecordKey("session", UUID(int=107))

    done = await practice.backfill(EmbeddingSpaces(watching, practice.old))

    assert (done.embedded, done.failed, done.elsewhere) == (21, 0, {})
    assert len(watching.seen) > 1
    assert set(watching.seen) == {(OLD.key, wanted)}
    assert await practice.models.read(WORKSPACE) == NEW.key
    assert await practice.find("Stretch number 7.", practice.after) == wanted
    assert practice.old.calls == []
    assert await count_vectors(superuser, OLD) == await count_vectors(superuser, NEW) == 21


async def test_a_workspace_that_is_not_complete_is_not_switched(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    practice.new.failures += [ProviderUnavailable("fake", "m", "embed", "HTTP 503", None)]

    done = await practice.backfill(practice.during)

    assert done.failed == 16, "a batch of them is put off"
    assert done.elsewhere == {WORKSPACE: OLD.key}
    assert await practice.models.read(WORKSPACE) == OLD.key
    await superuser.execute("UPDATE embedding_jobs SET run_after = now()")
    assert (await practice.backfill(practice.during)).elsewhere == {}
    texts = Counter(text for call in practice.new.calls for text in call)
    assert len(texts) == 21
    assert set(texts.values()) == {1}, "what was done is not done again"


async def test_one_field_without_vectors_is_enough_to_keep_it(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    await practice.backfill(practice.during)
    await superuser.execute("UPDATE workspaces SET embedding_model = $1", OLD.key)
    await superuser.execute(
        "DELETE FROM session_vectors WHERE embedding_model = $1 AND session_id = $2",
        NEW.key,
        UUID(int=103),
    )

    assert not await practice.models.switch(WORKSPACE, NEW)
    await practice.backfill(practice.during)

    assert await practice.models.read(WORKSPACE) == NEW.key


async def test_a_text_that_the_new_model_refuses_for_good_does_not_hold_up_the_switch(
    practice: Practice,
) -> None:
    class Picky(FakeEmbedder):
        async def embed_texts(
            self,
            texts: Sequence[str],
            *,
            input_type: InputType,
            timeout_s: float,
            priority: Priority = "interactive",
        ) -> Embedded:
            if "Stretch number 3." in texts:
                raise ProviderRejected("fake", "m", "embed", "HTTP 400", None)
            return await super().embed_texts(
                texts, input_type=input_type, timeout_s=timeout_s, priority=priority
            )

    done = await practice.backfill(EmbeddingSpaces(Picky(64), practice.old))

    assert (done.refused, done.elsewhere) == (1, {})
    assert await practice.models.read(WORKSPACE) == NEW.key


async def test_what_is_written_during_the_run_is_in_the_new_space_after_it(
    practice: Practice,
) -> None:
    practice.new.hold = hold = asyncio.Event()
    running = asyncio.create_task(practice.backfill(practice.during))
    edited = replace(make_sessions(8)[7], plan="Run uphill.")
    await practice.records.put_session(WORKSPACE, edited)
    new = Session(uuid4(), CLIENT.id, DATE, plan="Swim at dawn.")
    await practice.records.put_session(WORKSPACE, new)
    hold.set()
    await running
    await drain(practice.queue(practice.during))

    assert await practice.models.read(WORKSPACE) == NEW.key
    for session in (edited, new):
        found = await practice.find(session.plan, practice.after)
        assert found == RecordKey("session", session.id)


async def test_an_application_that_knows_the_old_model_alone_completes_nothing_after_the_switch(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    """As in the middle of a deployment: its claim began before the switch, and ends after it."""
    await practice.backfill(practice.during)
    await superuser.execute("UPDATE workspaces SET embedding_model = $1", OLD.key)
    practice.old.hold = hold = asyncio.Event()
    await practice.records.put_client(WORKSPACE, replace(CLIENT, notes="Prefers evenings."))
    claimed = asyncio.create_task(practice.queue(practice.before).step(WORKSPACE))
    while not await superuser.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"):
        assert not claimed.done()
    await superuser.execute("UPDATE workspaces SET embedding_model = $1", NEW.key)
    hold.set()
    await claimed

    assert await practice.jobs.count_backlog() == 1
    await superuser.execute("UPDATE embedding_jobs SET run_after = now()")
    await drain(practice.queue(practice.during))
    assert await practice.find("Prefers evenings.", practice.after) is not None


async def test_what_is_written_just_before_the_switch_is_embedded_and_then_switched_with(
    practice: Practice, database: Database
) -> None:
    class Interrupted(WorkspaceModels):
        async def switch(self, workspace_id: UUID, model: EmbeddingModel) -> bool:
            if unwritten:
                await practice.records.put_session(WORKSPACE, unwritten.pop())
            return await super().switch(workspace_id, model)

    texts = ("Swim at dawn.", "Rest at noon.")
    notes = [Session(uuid4(), CLIENT.id, DATE, plan=text) for text in texts]
    unwritten = [*notes]
    practice.models = Interrupted(database)

    assert (await practice.backfill(practice.during)).elsewhere == {}

    for note in notes:
        assert await practice.find(note.plan, practice.after) == RecordKey("session", note.id)


class Overtaken(FakeEmbedder):
    """The new model, during whose first calls an application of before embeds another note."""

    def __init__(self, practice: Practice, *, times: int) -> None:
        super().__init__(64)
        self._practice = practice
        self._left = times

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        if self._left:
            self._left -= 1
            note = Session(uuid4(), CLIENT.id, DATE, plan=f"Breathe {self._left}.")
            await self._practice.records.put_session(WORKSPACE, note)
            await self._practice.queue(self._practice.before).step(WORKSPACE, limit=1)
        return await super().embed_texts(
            texts, input_type=input_type, timeout_s=timeout_s, priority=priority
        )


@pytest.mark.parametrize(("times", "model"), [(2, NEW), (99, OLD)])
async def test_what_an_application_of_before_takes_off_the_queue_is_queued_again_while_that_helps(
    practice: Practice, times: int, model: EmbeddingModel
) -> None:
    await practice.backfill(EmbeddingSpaces(Overtaken(practice, times=times), practice.old))

    assert await practice.models.read(WORKSPACE) == model.key


async def test_what_is_written_where_nothing_embeds_in_the_workspaces_space_leaves_the_queue(
    practice: Practice,
) -> None:
    await practice.records.put_client(WORKSPACE, replace(CLIENT, notes="Prefers evenings."))

    await drain(practice.queue(practice.after))

    assert practice.new.calls == [("Prefers evenings.",)]
    assert await practice.jobs.count_backlog() == 0
    assert await practice.models.read(WORKSPACE) == OLD.key


async def test_a_switch_waits_for_a_claim_that_is_ending_and_sees_what_it_leaves(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    await practice.backfill(practice.during)
    await superuser.execute("UPDATE workspaces SET embedding_model = $1", OLD.key)
    async with superuser.transaction():
        await superuser.execute("SELECT FROM workspaces FOR SHARE")
        await superuser.execute(
            "DELETE FROM session_vectors WHERE embedding_model = $1 AND session_id = $2",
            NEW.key,
            UUID(int=103),
        )
        switching = asyncio.create_task(practice.models.switch(WORKSPACE, NEW))
        while not await superuser.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert not switching.done()

    assert not await switching
    assert await practice.models.read(WORKSPACE) == OLD.key


async def test_a_switch_that_is_under_way_holds_up_no_claim_and_lets_none_end(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    await practice.records.put_client(WORKSPACE, replace(CLIENT, notes="Prefers evenings."))
    async with superuser.transaction():
        await superuser.execute("SELECT FROM workspaces FOR NO KEY UPDATE")
        await asyncio.wait_for(practice.queue(practice.before).step(WORKSPACE), 10)
    assert await practice.jobs.count_backlog() == 1

    await superuser.execute("UPDATE embedding_jobs SET run_after = now()")
    practice.old.calls.clear()
    await drain(practice.queue(practice.before))
    assert (await practice.jobs.count_backlog(), practice.old.calls) == (0, [])


async def test_a_killed_run_goes_on_where_it_was(practice: Practice) -> None:
    stopping = FakeEmbedder(64)
    embed = stopping.embed_texts

    async def stop_at_the_second(
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        if stopping.calls:
            raise asyncio.CancelledError
        return await embed(texts, input_type=input_type, timeout_s=timeout_s, priority=priority)

    stopping.embed_texts = stop_at_the_second  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await practice.backfill(EmbeddingSpaces(stopping, practice.old))
    assert await practice.models.read(WORKSPACE) == OLD.key

    await practice.backfill(practice.during)

    first, second = (
        {text for call in calls for text in call} for calls in (stopping.calls, practice.new.calls)
    )
    assert (len(first), len(second), first & second) == (16, 5, set())
    assert await practice.models.read(WORKSPACE) == NEW.key


async def test_two_runs_at_once_embed_nothing_twice_and_a_third_does_nothing(
    site: Site, practice: Practice
) -> None:
    async def backfill(embedder: Embedder) -> Done:
        async with await open_database(
            site.runtime_url, pool_size=3, statement_timeout_s=10
        ) as database:
            spaces = EmbeddingSpaces(embedder, FakeEmbedder(256))
            return await Practice(database).backfill(spaces)

    embedders = [FakeEmbedder(64), FakeEmbedder(64)]
    first, second = await asyncio.gather(*map(backfill, embedders))

    texts = Counter(text for embedder in embedders for call in embedder.calls for text in call)
    assert len(texts) == 21
    assert set(texts.values()) == {1}
    assert first.elsewhere == second.elsewhere == {}
    again = await practice.backfill(practice.during)
    assert (again.embedded, practice.new.calls) == (0, [])
    assert await practice.models.read(WORKSPACE) == NEW.key


async def test_only_the_workspace_that_is_named_is_switched(practice: Practice) -> None:
    await practice.records.put_client(OTHER, CLIENT)
    await drain(practice.queue(practice.before))

    done = await practice.backfill(practice.during, WORKSPACE)

    assert done.elsewhere == {}
    assert await practice.models.read(WORKSPACE) == NEW.key
    assert await practice.models.read(OTHER) == OLD.key
    assert await practice.models.count() == {OLD.key: 1, NEW.key: 1}


# --- Without the option -----------------------------------------------------------------------


async def test_a_plain_backfill_fills_each_workspaces_own_space_and_switches_none(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("DELETE FROM session_vectors WHERE session_id = $1", UUID(int=103))

    done = await practice.backfill(practice.during, reembed=False)

    assert practice.old.calls == [("Stretch number 3.",)]
    assert (done.embedded, done.elsewhere) == (1, {})
    assert await practice.models.read(WORKSPACE) == OLD.key


async def test_a_workspace_that_nothing_embeds_for_is_named_and_left_alone(
    practice: Practice,
) -> None:
    done = await practice.backfill(practice.after, reembed=False)

    assert done.elsewhere == {WORKSPACE: OLD.key}
    assert practice.new.calls == []


async def test_a_model_that_is_gone_can_still_be_left(practice: Practice) -> None:
    done = await practice.backfill(practice.after)

    assert (done.embedded, done.elsewhere) == (21, {})
    assert await practice.models.read(WORKSPACE) == NEW.key


# --- The vectors of before --------------------------------------------------------------------


async def test_going_back_embeds_only_what_has_changed_since(practice: Practice) -> None:
    await practice.backfill(practice.during)
    await practice.records.put_client(WORKSPACE, replace(CLIENT, notes="Prefers evenings."))
    await drain(practice.queue(practice.after))

    await practice.backfill(EmbeddingSpaces(practice.old, practice.new))

    assert practice.old.calls == [("Prefers evenings.",)]
    assert await practice.models.read(WORKSPACE) == OLD.key


async def test_what_is_forgotten_is_never_what_a_workspace_is_searched_by(
    practice: Practice, superuser: asyncpg.Connection
) -> None:
    assert await practice.models.forget(WORKSPACE, OLD.key) == 0
    await practice.backfill(practice.during)
    assert await practice.models.list_embedded(WORKSPACE) == sorted((OLD.key, NEW.key))

    assert await practice.models.forget(WORKSPACE, NEW.key) == 0
    assert await practice.models.forget(WORKSPACE, OLD.key) == 21
    assert await practice.models.list_embedded(WORKSPACE) == [NEW.key]

    assert await count_vectors(superuser, OLD) == 0
    assert await count_vectors(superuser, NEW) == 21

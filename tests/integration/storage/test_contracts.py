"""One suite for the stores' ports, run against PostgreSQL and against the in-memory twins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeAlias
from uuid import UUID, uuid4

import numpy as np
import pytest

from runtime.access.api_keys import digest_key, workspace_of
from runtime.errors import InvalidRecord, RecordNotFound, RetrievalError
from runtime.messages import (
    BatchStored,
    Client,
    EmbeddingModel,
    RecordKey,
    SearchScope,
    Session,
    Span,
    Vector,
)
from runtime.splitting import cut
from runtime.storage.jobs import EmbeddedField, EmbeddingJobs, FieldText
from runtime.storage.keys import PostgresKeyStore
from runtime.storage.memory import InMemoryKeyStore, InMemoryPassageStore, InMemoryRecordStore
from runtime.storage.passages import PostgresPassageStore
from runtime.storage.pool import Database
from runtime.storage.records import PostgresRecordStore

OURS, THEIRS = uuid4(), uuid4()
MODEL = EmbeddingModel("fake", "plane", 2)
OTHER_MODEL = EmbeddingModel("fake", "space", 3)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLIENT = Client(uuid4(), "Noa", "Asthma since childhood.", "Prefers mornings.")
SESSION = Session(uuid4(), CLIENT.id, NOON, subjective="Sleeps badly 😴 since May. Tired.")

Records: TypeAlias = PostgresRecordStore | InMemoryRecordStore
Passages: TypeAlias = PostgresPassageStore | InMemoryPassageStore
Keys: TypeAlias = PostgresKeyStore | InMemoryKeyStore


@dataclass
class Stores:
    records: Records
    passages: Passages
    keys: Keys
    jobs: EmbeddingJobs | None

    async def embed(
        self,
        workspace_id: UUID,
        record: RecordKey,
        field_name: str,
        *,
        parts: list[tuple[Span, Vector]],
        text: str,
        model: EmbeddingModel = MODEL,
    ) -> None:
        """Store vectors, by the worker's own road where there is one."""
        if isinstance(self.passages, InMemoryPassageStore):
            self.passages.embed(workspace_id, record, field_name, model=model, parts=parts)
            return
        assert self.jobs is not None
        spans, vectors = zip(*parts, strict=True)
        embedded = EmbeddedField(FieldText(record, field_name, text), spans, np.stack(vectors))
        async with self.jobs.claim(workspace_id, limit=0) as claim:
            await claim.store([embedded], model)


@pytest.fixture(params=["memory", "postgres"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        records = InMemoryRecordStore()
        return Stores(records, InMemoryPassageStore(records), InMemoryKeyStore(), None)
    database: Database = request.getfixturevalue("database")
    return Stores(
        PostgresRecordStore(database),
        PostgresPassageStore(database),
        PostgresKeyStore(database),
        EmbeddingJobs(database),
    )


def at(degrees: float) -> Vector:
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)


async def seed(stores: Stores, workspace_id: UUID = OURS) -> None:
    await stores.records.put_client(workspace_id, CLIENT)
    await stores.records.put_session(workspace_id, SESSION)


async def embed_session(stores: Stores, workspace_id: UUID = OURS, angle: float = 0) -> None:
    await stores.embed(
        workspace_id,
        RecordKey("session", SESSION.id),
        "subjective",
        parts=[(Span(0, 0, 25), at(angle)), (Span(1, 26, 32), at(angle + 60))],
        text=SESSION.subjective,
    )


PLANS = {"Rest at first.": 0, "Rest later.": 1, "Rest at last.": 2}
"""A day's session each, by its days after the first."""
SPANS = [
    (SearchScope(since=NOON), ["Rest at first.", "Rest at last.", "Rest later."]),
    (SearchScope(since=NOON + timedelta(days=1)), ["Rest at last.", "Rest later."]),
    (SearchScope(until=NOON + timedelta(days=1)), ["Rest at first."]),
    (SearchScope(None, NOON + timedelta(days=1), NOON + timedelta(days=2)), ["Rest later."]),
    (SearchScope(until=NOON), []),
]
"""Spans of time, and what is found in each."""


def only(client_id: UUID) -> SearchScope:
    return SearchScope(frozenset((client_id,)))


async def search(stores: Stores, vector: Vector, **changes: object) -> list[str]:
    query = {"model": MODEL, "scope": SearchScope(), "limit": 10, **changes}
    found = await stores.passages.search(OURS, vector, **query)  # type: ignore[arg-type]
    return [passage.text for passage in found]


# --- Records --------------------------------------------------------------------------------


async def test_a_session_of_an_unknown_client_is_refused(stores: Stores) -> None:
    with pytest.raises(RecordNotFound, match="client"):
        await stores.records.put_session(OURS, SESSION)


async def test_a_session_of_another_workspaces_client_is_refused(stores: Stores) -> None:
    await stores.records.put_client(THEIRS, CLIENT)

    with pytest.raises(RecordNotFound, match="client"):
        await stores.records.put_session(OURS, SESSION)


async def test_deleting_what_is_not_there_is_the_same_answer_as_what_is_anothers(
    stores: Stores,
) -> None:
    await seed(stores, THEIRS)

    with pytest.raises(RecordNotFound, match="client"):
        await stores.records.delete_client(OURS, CLIENT.id)
    with pytest.raises(RecordNotFound, match="session"):
        await stores.records.delete_session(OURS, SESSION.id)
    await stores.records.delete_session(THEIRS, SESSION.id)


async def test_deleting_a_client_takes_its_sessions(stores: Stores) -> None:
    await seed(stores)

    await stores.records.delete_client(OURS, CLIENT.id)

    with pytest.raises(RecordNotFound, match="session"):
        await stores.records.delete_session(OURS, SESSION.id)


@pytest.mark.parametrize("field", ["name", "medical_history", "notes"])
@pytest.mark.parametrize("bad", ["a\x00b", "a\ud83db"])
async def test_a_clients_text_that_cannot_be_stored_is_named(
    stores: Stores, field: str, bad: str
) -> None:
    with pytest.raises(InvalidRecord) as caught:
        await stores.records.put_client(OURS, replace(CLIENT, **{field: bad}))  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize("field", ["subjective", "objective", "assessment", "plan"])
async def test_a_sessions_text_that_cannot_be_stored_is_named(stores: Stores, field: str) -> None:
    await stores.records.put_client(OURS, CLIENT)
    with pytest.raises(InvalidRecord) as caught:
        await stores.records.put_session(OURS, replace(SESSION, **{field: "\x00"}))  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize(
    "date",
    [
        datetime(2026, 3, 1),  # noqa: DTZ001 - that is the fault
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
    ],
)
async def test_a_date_that_is_no_moment_is_refused(stores: Stores, date: datetime) -> None:
    await stores.records.put_client(OURS, CLIENT)
    with pytest.raises(InvalidRecord, match="session_date"):
        await stores.records.put_session(OURS, replace(SESSION, session_date=date))


async def test_a_batch_tells_what_was_stored_what_was_the_same_and_whose_client_is_unknown(
    stores: Stores,
) -> None:
    orphan = replace(SESSION, id=uuid4(), client_id=uuid4())
    first = await stores.records.put_many(OURS, [CLIENT], [SESSION, orphan])
    again = await stores.records.put_many(
        OURS, [replace(CLIENT, notes="Changed.")], [SESSION, orphan]
    )

    assert first == BatchStored(stored=2, unchanged=0, without_client=(orphan.id,))
    assert again == BatchStored(stored=1, unchanged=1, without_client=(orphan.id,))


async def test_a_batch_with_a_bad_text_stores_nothing(stores: Stores) -> None:
    bad = replace(SESSION, plan="\x00")
    with pytest.raises(InvalidRecord):
        await stores.records.put_many(OURS, [CLIENT], [bad])

    with pytest.raises(RecordNotFound, match="client"):
        await stores.records.delete_client(OURS, CLIENT.id)


async def test_an_empty_batch_is_no_error(stores: Stores) -> None:
    assert await stores.records.put_many(OURS, [], []) == BatchStored(0, 0)


async def test_a_workspaces_name_must_be_storable(stores: Stores) -> None:
    await stores.records.ensure_workspace(OURS, "practice")
    await stores.records.ensure_workspace(OURS, "practice, renamed")
    with pytest.raises(InvalidRecord, match="workspace"):
        await stores.records.ensure_workspace(OURS, "\x00")


# --- Passages -------------------------------------------------------------------------------


async def test_the_nearest_passage_comes_first_with_the_text_it_was_cut_from(
    stores: Stores,
) -> None:
    await seed(stores)
    await embed_session(stores)

    near_first = await stores.passages.search(
        OURS, at(0), model=MODEL, scope=SearchScope(), limit=10
    )
    near_second = await search(stores, at(50))

    assert near_second == ["Tired.", "Sleeps badly 😴 since May."]
    passage = near_first[0]
    assert passage.text == "Sleeps badly 😴 since May."
    assert (passage.start, passage.end, passage.part) == (0, 25, 0)
    assert passage.record == RecordKey("session", SESSION.id)
    assert type(passage.record.id) is UUID
    assert (passage.client_id, passage.client_name) == (CLIENT.id, CLIENT.name)
    assert (passage.session_date, passage.field_name) == (NOON, "subjective")
    assert passage.similarity == pytest.approx(1)


async def test_a_clients_profile_is_found_too_without_a_date(stores: Stores) -> None:
    await seed(stores)
    await stores.embed(
        OURS,
        RecordKey("client", CLIENT.id),
        "notes",
        parts=[(Span(0, 8, 16), at(0))],
        text=CLIENT.notes,
    )

    [passage] = await stores.passages.search(
        OURS, at(10), model=MODEL, scope=only(CLIENT.id), limit=10
    )

    assert (passage.text, passage.session_date, passage.client_id) == ("mornings", None, CLIENT.id)
    assert passage.similarity == pytest.approx(np.cos(np.radians(10)), abs=1e-6)


async def test_only_the_limit_is_returned(stores: Stores) -> None:
    await seed(stores)
    await embed_session(stores)

    assert await search(stores, at(0), limit=1) == ["Sleeps badly 😴 since May."]


async def test_another_clients_passages_are_left_out(stores: Stores) -> None:
    await seed(stores)
    await embed_session(stores)

    assert await search(stores, at(0), scope=only(uuid4())) == []
    assert len(await search(stores, at(0), scope=only(CLIENT.id))) == 2


async def test_a_span_of_time_finds_its_sessions_alone(stores: Stores) -> None:
    """It is half-open, and a profile has no date."""
    await stores.records.put_client(OURS, CLIENT)
    await stores.embed(
        OURS,
        RecordKey("client", CLIENT.id),
        "notes",
        parts=[(Span(0, 0, 8), at(0))],
        text=CLIENT.notes,
    )
    for plan, days in PLANS.items():
        session = Session(uuid4(), CLIENT.id, NOON + timedelta(days=days), plan=plan)
        await stores.records.put_session(OURS, session)
        record, span = RecordKey("session", session.id), Span(0, 0, len(plan))
        await stores.embed(OURS, record, "plan", parts=[(span, at(0))], text=plan)

    for scope, plans in SPANS:
        assert sorted(await search(stores, at(0), scope=scope)) == plans
        assert await search(stores, at(0), scope=replace(scope, clients=frozenset())) == []


async def test_another_workspaces_passages_are_never_found(stores: Stores) -> None:
    await seed(stores)
    await seed(stores, THEIRS)
    await embed_session(stores, THEIRS)

    assert await search(stores, at(0)) == []


async def test_a_search_meets_only_its_own_models_vectors(stores: Stores) -> None:
    await seed(stores)
    await embed_session(stores)

    assert await search(stores, np.ones(3, np.float32), model=OTHER_MODEL) == []


async def test_a_zero_vector_finds_nothing(stores: Stores) -> None:
    await seed(stores)
    await embed_session(stores)

    assert await search(stores, np.zeros(2, np.float32)) == []


async def test_a_vector_of_the_wrong_length_is_refused(stores: Stores) -> None:
    with pytest.raises(RetrievalError, match="fake:plane:2"):
        await search(stores, np.ones(3, np.float32))


async def test_a_changed_fields_old_vectors_find_nothing(stores: Stores) -> None:
    await seed(stores)
    await embed_session(stores)

    await stores.records.put_session(OURS, replace(SESSION, subjective="Sleeps well."))

    assert await search(stores, at(0)) == []


async def test_an_unchanged_fields_vectors_outlive_a_change_beside_it(stores: Stores) -> None:
    await seed(stores)
    await embed_session(stores)

    await stores.records.put_session(OURS, replace(SESSION, plan="Rest."))

    assert len(await search(stores, at(0))) == 2


async def test_a_session_moved_to_another_client_is_found_there(stores: Stores) -> None:
    await seed(stores)
    await embed_session(stores)
    other = Client(uuid4(), "Tal")

    await stores.records.put_client(OURS, other)
    await stores.records.put_session(OURS, replace(SESSION, client_id=other.id))

    assert await search(stores, at(0), scope=only(CLIENT.id)) == []
    assert len(await search(stores, at(0), scope=only(other.id))) == 2


async def test_a_deleted_records_passages_are_gone(stores: Stores) -> None:
    await seed(stores)
    await embed_session(stores)

    await stores.records.delete_session(OURS, SESSION.id)

    assert await search(stores, at(0)) == []


# --- Passages by their words ----------------------------------------------------------------


async def find(stores: Stores, question: str, **changes: object) -> list[str]:
    query = {"scope": SearchScope(), "limit": 10, **changes}
    found = await stores.passages.search_text(OURS, question, **query)  # type: ignore[arg-type]
    return [passage.text for passage in found]


async def test_a_record_is_found_by_its_words_before_it_is_embedded(stores: Stores) -> None:
    await seed(stores)

    [passage] = await stores.passages.search_text(
        OURS, "How does she sleep?", scope=SearchScope(), limit=10
    )

    assert passage.text == SESSION.subjective
    assert (passage.part, passage.start, passage.end) == (0, 0, len(SESSION.subjective))
    assert passage.record == RecordKey("session", SESSION.id)
    assert type(passage.record.id) is UUID
    assert (passage.client_id, passage.client_name) == (CLIENT.id, CLIENT.name)
    assert (passage.session_date, passage.field_name) == (NOON, "subjective")


async def test_a_clients_profile_is_found_by_its_words_without_a_date(stores: Stores) -> None:
    await seed(stores)

    [passage] = await stores.passages.search_text(OURS, "asthma", scope=only(CLIENT.id), limit=10)

    assert passage.record == RecordKey("client", CLIENT.id)
    assert (passage.text, passage.session_date) == (CLIENT.medical_history, None)


async def test_the_field_that_holds_more_and_rarer_words_comes_first(stores: Stores) -> None:
    await seed(stores)
    for word in ("Lithium", "Walks", "Walks", "Walks", "Sleeps"):
        await stores.records.put_session(
            OURS, replace(SESSION, id=uuid4(), subjective="", plan=f"{word} daily.")
        )

    both = replace(SESSION, id=uuid4(), subjective="Daily lithium, and walks.")
    await stores.records.put_session(OURS, both)

    found = await stores.passages.search_text(OURS, "lithium walk", scope=SearchScope(), limit=3)

    assert [passage.text for passage in found] == [
        "Daily lithium, and walks.", "Lithium daily.", "Walks daily.",
    ]  # fmt: skip
    assert all(0 < passage.similarity < 1 for passage in found)
    assert found == sorted(found, key=lambda passage: -passage.similarity)


async def test_similarity_is_the_share_of_the_questions_words_in_a_field(stores: Stores) -> None:
    await seed(stores)

    async def similarity(question: str) -> float:
        [passage] = await stores.passages.search_text(OURS, question, scope=SearchScope(), limit=1)
        return passage.similarity

    whole = await similarity("asthma childhood")
    half = await similarity("asthma unicorn")
    assert whole == pytest.approx(0.95)
    assert 0.3 < half < 0.65
    assert await similarity("asthma unicorn dragon phoenix") < half


async def test_hebrew_is_found_with_other_prefixes_endings_and_points(stores: Stores) -> None:
    text = "התלוננה על כאבי ראש, ונוטלת תרופות. הַשֵּׁנָה משתפרת."
    await stores.records.put_client(OURS, Client(CLIENT.id, "נועה", notes=text))

    for question in ("האם יש לה כאב?", "מה עם השינה והתרופה", "שהתרופות", "נוטלות"):
        assert await find(stores, question) == [text], question
    assert await find(stores, "מה עם הילדים?") == []


@pytest.mark.parametrize("question", ["", "what is the", "מה זה של", "? !", "\x00\n\u200f", "_"])
async def test_a_question_without_a_word_of_meaning_finds_nothing(
    stores: Stores, question: str
) -> None:
    await seed(stores)

    assert await find(stores, question) == []


@pytest.mark.parametrize(
    "question",
    [
        "asthma\x00",
        "asthma & | ! <-> :* ( ) '' \\ \" ; DROP TABLE clients; --",
        "asthma" + "\ud83d" * 10,
        "asthma " + " ".join(f"w{n}" for n in range(500))[:1990],
        "asthma " + "ﷺ" * 1990,
        "asthma " + "x" * 1990,
    ],
)
async def test_no_question_breaks_the_search(stores: Stores, question: str) -> None:
    await seed(stores)

    assert await find(stores, question) == [CLIENT.medical_history]


async def test_what_comes_from_a_long_field_is_the_part_that_holds_most_of_the_words(
    stores: Stores,
) -> None:
    quiet = [f"Sentence {n} tells of another quiet night." for n in range(60)]
    quiet[40] = "Her brother moved to Haifa 😴 in spring."
    text = " ".join(quiet)
    await stores.records.put_client(OURS, Client(CLIENT.id, "Noa", notes=text))

    [passage] = await stores.passages.search_text(
        OURS, "Did the brother move to Haifa?", scope=SearchScope(), limit=10
    )

    assert quiet[40] in passage.text
    assert Span(passage.part, passage.start, passage.end) in cut(text)
    assert passage.text == text[passage.start : passage.end] != text


async def test_the_search_by_words_returns_no_more_than_the_limit(stores: Stores) -> None:
    await seed(stores)
    await stores.records.put_session(OURS, replace(SESSION, id=uuid4(), plan="Sleep, sleep."))

    assert len(await find(stores, "sleep")) == 3
    assert len(await find(stores, "sleep", limit=2)) == 2


async def test_another_clients_words_are_left_out(stores: Stores) -> None:
    await seed(stores)
    other = Client(uuid4(), "Tal", notes="Sleeps.")
    await stores.records.put_client(OURS, other)

    assert await find(stores, "sleep", scope=only(CLIENT.id)) == [SESSION.subjective]
    assert await find(stores, "sleep", scope=only(other.id)) == ["Sleeps."]
    assert await find(stores, "sleep", scope=only(uuid4())) == []


async def test_a_span_of_time_finds_the_words_of_its_sessions_alone(stores: Stores) -> None:
    client = replace(CLIENT, notes="No rest.")
    await stores.records.put_client(OURS, client)
    for plan, days in PLANS.items():
        session = Session(uuid4(), client.id, NOON + timedelta(days=days), plan=plan)
        await stores.records.put_session(OURS, session)

    for scope, plans in SPANS:
        assert sorted(await find(stores, "rest", scope=scope)) == plans
        own = replace(scope, clients=frozenset((client.id,)))
        assert sorted(await find(stores, "rest", scope=own)) == plans
        assert await find(stores, "rest", scope=replace(scope, clients=frozenset())) == []


async def test_a_client_and_a_session_may_have_the_same_id(stores: Stores) -> None:
    await seed(stores)
    other = Client(SESSION.id, "Tal", notes="Sleeps.")
    await stores.records.put_client(OURS, other)

    assert await find(stores, "sleep", scope=only(other.id)) == ["Sleeps."]
    assert await find(stores, "sleep", scope=only(CLIENT.id)) == [SESSION.subjective]
    await stores.records.delete_session(OURS, SESSION.id)
    assert await find(stores, "sleep") == ["Sleeps."]


async def test_another_workspaces_words_are_never_found(stores: Stores) -> None:
    await seed(stores, THEIRS)

    assert await find(stores, "asthma sleep") == []


async def test_an_edit_and_a_delete_show_at_once_in_the_search_by_words(stores: Stores) -> None:
    await seed(stores)

    await stores.records.put_session(OURS, replace(SESSION, subjective="Wakes at dawn."))
    assert await find(stores, "sleep") == []
    assert await find(stores, "dawn") == ["Wakes at dawn."]

    await stores.records.delete_session(OURS, SESSION.id)
    assert await find(stores, "dawn") == []


async def test_a_deleted_clients_sessions_are_found_no_more(stores: Stores) -> None:
    await seed(stores)

    await stores.records.delete_client(OURS, CLIENT.id)
    await stores.records.put_client(OURS, CLIENT)

    assert await find(stores, "sleep") == []
    assert await find(stores, "asthma") == [CLIENT.medical_history]


async def test_a_batch_is_found_by_its_words(stores: Stores) -> None:
    await stores.records.put_many(OURS, [CLIENT], [SESSION])
    await stores.records.put_many(OURS, [CLIENT], [replace(SESSION, plan="Sleep diary.")])

    assert await find(stores, "asthma") == [CLIENT.medical_history]
    assert sorted(await find(stores, "sleep")) == ["Sleep diary.", SESSION.subjective]


async def test_a_session_moved_to_another_client_is_found_by_its_words_there(
    stores: Stores,
) -> None:
    await seed(stores)
    other = Client(uuid4(), "Tal")
    await stores.records.put_client(OURS, other)
    await stores.records.put_session(OURS, replace(SESSION, client_id=other.id))

    assert await find(stores, "sleep", scope=only(CLIENT.id)) == []
    assert await find(stores, "sleep", scope=only(other.id)) == [SESSION.subjective]


# --- Keys -----------------------------------------------------------------------------------


async def test_a_key_is_found_by_its_digest_in_its_own_workspace_alone(stores: Stores) -> None:
    key, text = await stores.keys.create_key(OURS, "front desk", scopes=["chat", "records:write"])

    caller = await stores.keys.find_key(OURS, digest_key(text))

    assert caller is not None
    assert (caller.subject, caller.workspace_id) == (f"key:{key.id}", OURS)
    assert caller.scopes == {"chat", "records:write"}
    assert await stores.keys.find_key(THEIRS, digest_key(text)) is None
    assert await stores.keys.find_key(OURS, digest_key(text + "x")) is None


async def test_a_key_carries_its_workspace_and_256_random_bits(stores: Stores) -> None:
    _, text = await stores.keys.create_key(OURS, "front desk", scopes=["chat"])

    assert workspace_of(text) == OURS
    prefix, workspace, secret = text.split("_", 2)
    assert (prefix, UUID(workspace), len(secret)) == ("pzk", OURS, 43)


async def test_a_revoked_key_is_found_no_more_but_still_listed(stores: Stores) -> None:
    key, text = await stores.keys.create_key(OURS, "old", scopes=["chat"])
    kept, _ = await stores.keys.create_key(OURS, "new", scopes=["ops"])

    await stores.keys.revoke_key(OURS, key.id)
    first = await stores.keys.list_keys(OURS)
    await stores.keys.revoke_key(OURS, key.id)

    assert await stores.keys.find_key(OURS, digest_key(text)) is None
    assert [(listed.id, listed.revoked_at is None) for listed in first] == [
        (key.id, False),
        (kept.id, True),
    ]
    assert await stores.keys.list_keys(OURS) == first
    assert await stores.keys.list_keys(THEIRS) == []


async def test_another_workspaces_key_cannot_be_revoked(stores: Stores) -> None:
    key, _ = await stores.keys.create_key(THEIRS, "theirs", scopes=["chat"])

    with pytest.raises(RecordNotFound, match="key"):
        await stores.keys.revoke_key(OURS, key.id)


async def test_a_keys_name_must_be_storable(stores: Stores) -> None:
    with pytest.raises(InvalidRecord, match="name"):
        await stores.keys.create_key(OURS, "\x00", scopes=["chat"])

"""One suite for the cache of answers and a workspace's settings: PostgreSQL and the twins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from uuid import UUID, uuid4

import numpy as np
import pytest

from runtime.clock import SystemClock
from runtime.messages import CacheKey, Client, EmbeddingModel, WorkspaceSettings
from runtime.storage.answer_cache import MOST_SIMILAR
from runtime.storage.memory import InMemoryPassageStore, InMemoryRecordStore
from runtime.storage.memory_cache import InMemoryAnswerCache, InMemoryWorkspaceSettings
from tests.integration.storage.cached_practice import (
    ANSWER,
    MODEL,
    NOA,
    OREN,
    OURS,
    PARTITION,
    THEIRS,
    VISIT,
    Practice,
    at,
    key_of,
    open_practice,
)


@pytest.fixture(params=["memory", "postgres"])
def stores(request: pytest.FixtureRequest) -> Practice:
    if request.param == "postgres":
        return open_practice(request.getfixturevalue("database"))
    records = InMemoryRecordStore()
    settings = InMemoryWorkspaceSettings()
    cache = InMemoryAnswerCache(records, settings, clock=SystemClock())
    return Practice(records, cache, settings, passages=InMemoryPassageStore(records))


@pytest.fixture
async def practice(stores: Practice) -> Practice:
    await stores.seed()
    return stores


async def similar(
    practice: Practice,
    degrees: float,
    *,
    workspace_id: UUID = OURS,
    partition: bytes = PARTITION,
    model: EmbeddingModel = MODEL,
    min_similarity: float = 0.9,
) -> list[tuple[str, float]]:
    found = await practice.cache.recall_similar(
        workspace_id, partition, at(degrees), model=model, min_similarity=min_similarity
    )
    return [(remembered.question, remembered.similarity) for remembered in found]


# --- Serving again --------------------------------------------------------------------------


async def test_the_same_question_gets_the_answer_that_was_kept(practice: Practice) -> None:
    assert await practice.find() is None

    await practice.answer()

    found = await practice.find()
    assert found is not None
    assert (found.question, found.answer, found.similarity) == ("q", ANSWER, 1.0)
    assert not found.expired


async def test_another_question_and_another_workspace_get_nothing(practice: Practice) -> None:
    await practice.seed(THEIRS)
    await practice.answer(vector=at(0))

    assert await practice.find("r") is None
    assert await practice.find(workspace_id=THEIRS) is None
    assert await similar(practice, 0, workspace_id=THEIRS) == []
    assert await practice.cache.forget_all(THEIRS) == 0
    assert await practice.find() is not None


async def test_an_answer_is_replaced_by_a_later_one(practice: Practice) -> None:
    await practice.answer()
    await practice.answer(answer=replace(ANSWER, text="Mornings."))

    found = await practice.find()
    assert found is not None
    assert found.answer.text == "Mornings."
    assert await practice.cache.forget_all(OURS) == 1


async def test_an_expired_answer_is_named_so(practice: Practice) -> None:
    await practice.keep(await practice.begin(vector=at(0)), ttl_s=0)

    found = await practice.find()
    assert found is not None
    assert found.expired
    [near] = await practice.cache.recall_similar(
        OURS, PARTITION, at(0), model=MODEL, min_similarity=0.9
    )
    assert near.expired


async def test_a_workspace_without_a_record_keeps_nothing(practice: Practice) -> None:
    nowhere = uuid4()

    await practice.answer(workspace_id=nowhere)

    recollection = await practice.cache.recall(nowhere, key_of("q"))
    assert recollection.remembered is None
    assert recollection.settings == WorkspaceSettings()
    assert recollection.embedding_model is None


@pytest.mark.parametrize("text", ["a\x00b", "a\ud83db"])
async def test_a_text_that_cannot_be_stored_is_not_kept(practice: Practice, text: str) -> None:
    kept = await practice.begin("q")
    await practice.keep(replace(kept, question=text))
    await practice.answer("r", answer=replace(ANSWER, text=text))

    assert await practice.find("q") is None
    assert await practice.find("r") is None


async def test_forgetting_tells_how_many_there_were(practice: Practice) -> None:
    for question in ("q", "r", "s"):
        await practice.answer(question)

    assert await practice.cache.forget_all(OURS) == 3
    assert await practice.cache.forget_all(OURS) == 0
    assert await practice.find() is None


# --- By meaning -----------------------------------------------------------------------------


async def test_similar_questions_come_the_likest_first(practice: Practice) -> None:
    for degrees in (20, 0, 10, 80):
        await practice.answer(f"at {degrees}", vector=at(degrees))

    found = await similar(practice, 1)

    assert [question for question, _ in found] == ["at 0", "at 10", "at 20"]
    assert found[0][1] == pytest.approx(np.cos(np.radians(1)), abs=1e-4)


async def test_likeness_of_exactly_the_least_that_is_asked_for_is_enough(
    practice: Practice,
) -> None:
    await practice.answer(vector=at(30))

    [(_, similarity)] = await similar(practice, 0, min_similarity=0.8)

    assert await similar(practice, 0, min_similarity=similarity) != []
    assert await similar(practice, 0, min_similarity=similarity + 1e-4) == []


async def test_no_more_similar_answers_are_returned_than_are_looked_at(practice: Practice) -> None:
    for number in range(MOST_SIMILAR + 2):
        await practice.answer(f"q{number}", vector=at(number))

    assert len(await similar(practice, 0)) == MOST_SIMILAR


async def test_other_partitions_and_models_are_not_similar(practice: Practice) -> None:
    other = EmbeddingModel("fake", "other", 2)
    await practice.answer("a", key=CacheKey(b"a", b"elsewhere"), vector=at(0))
    await practice.answer("b", embedding_model=other.key, vector=at(0))
    await practice.answer("c")

    assert await similar(practice, 0) == []
    assert len(await similar(practice, 0, partition=b"elsewhere")) == 1
    assert len(await similar(practice, 0, model=other)) == 1


async def test_a_zero_vector_is_like_nothing(practice: Practice) -> None:
    zero = np.zeros(2, dtype=np.float32)
    await practice.answer(vector=zero)

    for vector in (zero, at(0)):
        found = await practice.cache.recall_similar(
            OURS, PARTITION, vector, model=MODEL, min_similarity=0
        )
        assert found == []


# --- Never stale ----------------------------------------------------------------------------


async def change_notes(practice: Practice) -> None:
    await practice.records.put_client(OURS, replace(NOA, notes="Prefers noon."))


async def rename(practice: Practice) -> None:
    await practice.records.put_client(OURS, replace(NOA, name="Noa Bar"))


async def add_session(practice: Practice) -> None:
    await practice.records.put_session(OURS, replace(VISIT, id=uuid4()))


async def edit_session(practice: Practice) -> None:
    await practice.records.put_session(OURS, replace(VISIT, plan="Rest."))


async def move_session(practice: Practice) -> None:
    await practice.records.put_session(OURS, replace(VISIT, client_id=OREN.id))


async def delete_session(practice: Practice) -> None:
    await practice.records.delete_session(OURS, VISIT.id)


async def delete_client(practice: Practice) -> None:
    await practice.records.delete_client(OURS, NOA.id)


async def embed(practice: Practice) -> None:
    await practice.embed_visit()


async def add_client(practice: Practice) -> None:
    await practice.records.put_client(OURS, Client(uuid4(), "Noa"))


Change = Callable[[Practice], Awaitable[None]]
OF_NOA: list[Change] = [
    change_notes,
    rename,
    add_session,
    edit_session,
    move_session,
    delete_session,
    delete_client,
    embed,
]
OF_NAMES: list[Change] = [rename, delete_client, add_client]
NOT_OF_OREN = [change for change in OF_NOA if change is not move_session]


@pytest.mark.parametrize("change", [*OF_NOA, add_client])
async def test_any_write_ends_the_answers_about_the_whole_practice(
    practice: Practice, change: Change
) -> None:
    await practice.answer(vector=at(0))

    await change(practice)

    assert await practice.find() is None
    assert await similar(practice, 0) == []


@pytest.mark.parametrize("change", OF_NOA)
async def test_a_write_ends_the_answers_about_its_client(
    practice: Practice, change: Change
) -> None:
    await practice.answer(clients=frozenset((NOA.id,)), vector=at(0))

    await change(practice)

    assert await practice.find() is None
    assert await similar(practice, 0) == []


@pytest.mark.parametrize("change", [*NOT_OF_OREN, add_client])
async def test_a_write_about_one_client_leaves_the_answers_about_another(
    practice: Practice, change: Change
) -> None:
    await practice.answer(clients=frozenset((OREN.id,)), vector=at(0))

    await change(practice)
    await practice.answer("r")  # which sweeps out what serves no more

    assert await practice.find() is not None
    assert len(await similar(practice, 0)) == 1


async def test_a_session_that_moves_ends_the_answers_about_where_it_comes_to(
    practice: Practice,
) -> None:
    await practice.answer(clients=frozenset((OREN.id,)))

    await move_session(practice)

    assert await practice.find() is None


@pytest.mark.parametrize("change", OF_NAMES)
async def test_other_names_end_the_answers_that_went_by_name(
    practice: Practice, change: Change
) -> None:
    await practice.answer(clients=frozenset((OREN.id,)), by_name=True)

    await change(practice)

    assert await practice.find() is None


@pytest.mark.parametrize("change", [change_notes, edit_session, embed])
async def test_the_same_names_leave_the_answers_that_went_by_name(
    practice: Practice, change: Change
) -> None:
    await practice.answer(clients=frozenset((OREN.id,)), by_name=True)

    await change(practice)

    assert await practice.find() is not None


async def test_a_write_of_what_is_there_already_ends_nothing(practice: Practice) -> None:
    await practice.answer()

    await practice.records.put_client(OURS, NOA)
    await practice.records.put_session(OURS, VISIT)

    assert await practice.find() is not None


async def test_an_answer_about_several_clients_ends_with_each_of_them(practice: Practice) -> None:
    await practice.answer(clients=frozenset((OREN.id, NOA.id)))

    await edit_session(practice)

    assert await practice.find() is None


@pytest.mark.parametrize("change", OF_NOA)
async def test_what_was_written_while_an_answer_was_made_keeps_it_out(
    practice: Practice, change: Change
) -> None:
    kept = await practice.begin(clients=frozenset((NOA.id,)))

    await change(practice)
    await practice.keep(kept)

    assert await practice.find() is None
    assert await practice.cache.forget_all(OURS) == 0


@pytest.mark.parametrize("clients", [None, frozenset((NOA.id,)), frozenset()])
@pytest.mark.parametrize("by_name", [False, True])
async def test_an_answer_under_way_when_the_cache_is_flushed_is_not_kept(
    practice: Practice, clients: frozenset[UUID] | None, *, by_name: bool
) -> None:
    kept = await practice.begin(clients=clients, by_name=by_name)

    assert await practice.cache.forget_all(OURS) == 0
    await practice.keep(kept)

    assert await practice.find() is None
    await practice.answer(clients=clients, by_name=by_name)
    assert await practice.find() is not None


async def test_another_workspaces_flush_ends_nothing(practice: Practice) -> None:
    await practice.seed(THEIRS)
    kept = await practice.begin()

    await practice.cache.forget_all(THEIRS)
    await practice.keep(kept)

    assert await practice.find() is not None


async def test_another_workspaces_writes_end_nothing(practice: Practice) -> None:
    await practice.answer()

    await practice.seed(THEIRS)
    await practice.records.delete_client(THEIRS, NOA.id)

    assert await practice.find() is not None


# --- How many -------------------------------------------------------------------------------


async def test_what_served_longest_ago_is_evicted(practice: Practice) -> None:
    for question in ("old", "served", "young"):
        await practice.answer(question)
    served = await practice.find("served")
    assert served is not None
    await practice.cache.count_hit(OURS, served.id)

    evicted = await practice.keep(await practice.begin("new"), max_entries=2)

    assert evicted == 2
    there = [await practice.find(question) for question in ("old", "served", "young", "new")]
    assert [found is not None for found in there] == [False, True, False, True]


async def test_what_can_serve_no_more_takes_no_place(practice: Practice) -> None:
    await practice.answer("of Noa", clients=frozenset((NOA.id,)))
    await practice.answer("of Oren", clients=frozenset((OREN.id,)))
    await edit_session(practice)

    evicted = await practice.keep(await practice.begin("new"), max_entries=2)

    assert evicted == 0
    assert await practice.find("of Oren") is not None


async def test_a_hit_of_an_answer_that_is_gone_is_no_error(practice: Practice) -> None:
    await practice.cache.count_hit(OURS, uuid4())


# --- Settings -------------------------------------------------------------------------------


async def test_a_workspace_has_set_nothing_at_first(practice: Practice) -> None:
    assert await practice.settings.read(OURS) == WorkspaceSettings()
    assert await practice.settings.read(uuid4()) == WorkspaceSettings()


async def test_a_change_touches_only_what_it_names(practice: Practice) -> None:
    await practice.settings.change(OURS, {"cache_enabled": False, "cache_similarity": 0.97})

    changed = await practice.settings.change(
        OURS, {"cache_similarity": 1, "rate_limit_per_hour": 0}
    )

    expected = WorkspaceSettings(cache_enabled=False, cache_similarity=1, rate_limit_per_hour=0)
    assert changed == expected
    assert await practice.settings.read(OURS) == expected
    assert (await practice.cache.recall(OURS, key_of("q"))).settings == expected
    assert await practice.settings.read(THEIRS) == WorkspaceSettings()


async def test_none_goes_back_to_the_default(practice: Practice) -> None:
    every = {field.name: 1 for field in fields(WorkspaceSettings)} | {"cache_enabled": True}
    set_all = await practice.settings.change(OURS, every)
    assert set_all == WorkspaceSettings(**every)  # type: ignore[arg-type]

    back = await practice.settings.change(OURS, dict.fromkeys(every))

    assert back == WorkspaceSettings()


async def test_a_workspace_without_a_record_may_have_settings(practice: Practice) -> None:
    nowhere = uuid4()

    await practice.settings.change(nowhere, {"cache_ttl_seconds": 60})

    assert (await practice.settings.read(nowhere)).cache_ttl_seconds == 60


async def test_a_setting_that_is_none_is_refused(practice: Practice) -> None:
    with pytest.raises(ValueError, match="colour"):
        await practice.settings.change(OURS, {"colour": 1})

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import numpy as np
import pytest

from runtime.answering.retrieve import (
    FIELDS_SEARCHED,
    PARTS_SEARCHED,
    embed_question,
    retrieve,
    retrieve_by_words,
)
from runtime.errors import EmbeddingError, ProviderTimeout
from runtime.messages import (
    Embedded,
    EmbeddingModel,
    InputType,
    Passage,
    Question,
    SearchScope,
    Vector,
)
from runtime.providers.fakes import FakeEmbedder

MODEL = EmbeddingModel("fake", "trigrams", 4)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
THIS_CLIENT = SearchScope(frozenset((UUID(int=2),)))
VECTOR = np.ones(4, np.float32)


class Shelf:
    """Gives what it holds and remembers what it was asked."""

    def __init__(self, *passages: Passage) -> None:
        self.passages = list(passages)
        self.worded: list[Passage] = []
        self.asked: list[tuple[UUID, EmbeddingModel, SearchScope, int]] = []
        self.asked_in_words: list[tuple[UUID, str, SearchScope, int]] = []

    async def search(
        self,
        workspace_id: UUID,
        vector: Vector,
        *,
        model: EmbeddingModel,
        scope: SearchScope,
        limit: int,
    ) -> list[Passage]:
        assert vector is VECTOR
        self.asked.append((workspace_id, model, scope, limit))
        return self.passages[:limit]

    async def search_text(
        self, workspace_id: UUID, question: str, *, scope: SearchScope, limit: int
    ) -> list[Passage]:
        self.asked_in_words.append((workspace_id, question, scope, limit))
        return self.worded[:limit]


async def find(shelf: Shelf, question: Question, scope: SearchScope = THIS_CLIENT) -> list[Passage]:
    return await retrieve(
        shelf,
        UUID(int=1),
        question,
        VECTOR,
        text="the aim",
        scope=scope,
        model=MODEL,
        language="en",
        limit=2,
    )


async def test_the_best_part_stands_for_its_field(make_passage: Callable[..., Passage]) -> None:
    session_id = uuid4()
    weak = make_passage("weak", session_id=session_id, similarity=0.5, part=0)
    strong = make_passage("strong", session_id=session_id, similarity=0.9, part=1)
    other = make_passage("plan", session_id=session_id, similarity=0.6, field_name="plan")
    assert await find(Shelf(weak, strong, other), Question("?")) == [strong, other]


async def test_what_is_less_similar_than_asked_is_left_out(
    make_passage: Callable[..., Passage],
) -> None:
    at, below = make_passage("at", similarity=0.4), make_passage("below", similarity=0.39)
    assert await find(Shelf(at, below), Question("?", min_similarity=0.4)) == [at]


@pytest.mark.parametrize(
    "scope", [SearchScope(since=MARCH), SearchScope(until=MARCH)], ids=["since", "until"]
)
async def test_within_a_time_that_the_question_names_likeness_only_ranks(
    make_passage: Callable[..., Passage], scope: SearchScope
) -> None:
    at, below = make_passage("at", similarity=0.4), make_passage("below", similarity=0.01)
    assert await find(Shelf(below, at), Question("?", min_similarity=0.4), scope) == [at, below]


async def test_no_more_than_asked_for_the_best_first(make_passage: Callable[..., Passage]) -> None:
    passages = [make_passage(str(n), similarity=n / 10) for n in range(4, 10)]
    found = await find(Shelf(*passages), Question("?"))
    assert [passage.text for passage in found] == ["9", "8"]


async def test_the_search_is_of_this_workspace_client_and_model_with_room_for_parts() -> None:
    shelf = Shelf()
    await find(shelf, Question("?", client_id=UUID(int=2), max_results=3))
    assert shelf.asked == [(UUID(int=1), MODEL, THIS_CLIENT, PARTS_SEARCHED)]
    assert shelf.asked_in_words == [(UUID(int=1), "the aim", THIS_CLIENT, FIELDS_SEARCHED)]


async def test_what_only_words_find_is_found(make_passage: Callable[..., Passage]) -> None:
    shelf = Shelf(make_passage("near", similarity=0.5))
    shelf.worded = [make_passage("Quetiapine since May.", similarity=0.9)]
    found = await find(shelf, Question("?"))
    assert [passage.text for passage in found] == ["Quetiapine since May.", "near"]


class ShortEmbedder(FakeEmbedder):
    async def embed_text(self, text: str, *, input_type: InputType, timeout_s: float) -> Embedded:
        del text, input_type, timeout_s
        return Embedded(np.ones((1, 3), np.float32), 1)


async def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(EmbeddingError):
        await embed_question(ShortEmbedder(), "How is she?", share_s=1)


async def test_an_embedder_that_ignores_its_time_out_is_held_to_its_share() -> None:
    class Hung(FakeEmbedder):
        async def embed_text(
            self, text: str, *, input_type: InputType, timeout_s: float
        ) -> Embedded:
            del text, input_type
            assert timeout_s < 0.01
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(ProviderTimeout):
        await embed_question(Hung(), "How is she?", share_s=0.01)


async def test_a_timeout_of_another_thing_is_not_taken_for_the_share() -> None:
    class Faulty(FakeEmbedder):
        async def embed_text(
            self, text: str, *, input_type: InputType, timeout_s: float
        ) -> Embedded:
            raise TimeoutError(text, input_type, timeout_s)

    with pytest.raises(TimeoutError):
        await embed_question(Faulty(), "How is she?", share_s=60)


async def test_words_are_searched_in_this_workspace_and_client_whatever_the_similarity(
    make_passage: Callable[..., Passage],
) -> None:
    shelf = Shelf()
    shelf.worded = [
        make_passage("Quetiapine.", similarity=0.1),
        make_passage("No more than asked."),
    ]
    found = await retrieve_by_words(
        shelf, UUID(int=1), text="On quetiapine?", scope=THIS_CLIENT, limit=1
    )
    assert found == shelf.worded[:1]
    assert shelf.asked_in_words == [(UUID(int=1), "On quetiapine?", THIS_CLIENT, 1)]

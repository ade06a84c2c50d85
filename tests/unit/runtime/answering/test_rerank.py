"""Where a reranker is configured, and where it fails: the whole flow over twins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from runtime.answering.rerank import RERANKED, rerank
from runtime.errors import (
    ActorUnavailable,
    AIAgentError,
    BadProviderResponse,
    CircuitOpen,
    Overloaded,
    ProviderTimeout,
    RateLimitError,
)
from runtime.messages import Passage, Question, Turn
from runtime.providers.fakes import FakeReranker
from runtime.telemetry import PassagesSearched
from tests.unit.runtime.answering.practice import ASKED, Form, Practice
from tests.unit.runtime.resilience.virtual_loop import LoopClock, in_virtual_time

MakePassage = Callable[..., Passage]
both_forms = pytest.mark.parametrize("form", ["whole", "stream"])
TALKED = (Turn("user", "How does Maya sleep?"), Turn("assistant", "Badly. [1]"))
FAILURES = [
    CircuitOpen("fake", "shared-words", "rerank", "open", 42.0),
    RateLimitError("fake", "shared-words", "rerank", "our own limit", 2.0),
    ActorUnavailable("embedding", "died"),
    Overloaded(1.0),
]


def given_to_model(practice: Practice) -> list[str]:
    return [document.text for document in practice.model.requests[-1].documents]


@pytest.fixture
def shelved(practice: Practice, make_passage: MakePassage) -> Practice:
    """Return a practice where what answers is found last of six, and one passage is too far."""
    texts = ["Walks.", "Eats.", "Works.", "Reads.", "Talks.", "How does she sleep: badly."]
    near = [make_passage(text, similarity=0.9 - n / 10) for n, text in enumerate(texts)]
    practice.shelf.passages = [*near, make_passage("She does sleep.", similarity=0.1)]
    practice.shelf.worded = []
    practice.reranker = FakeReranker()
    return practice


@both_forms
async def test_the_most_relevant_is_taken_from_beyond_the_asked_number(
    shelved: Practice, form: Form
) -> None:
    answer = await shelved.ask(form, replace(ASKED, max_results=2))
    assert given_to_model(shelved) == ["How does she sleep: badly.", "Walks."]
    assert answer.retrieved_count == 2
    assert answer.citations[0].similarity == shelved.shelf.passages[5].similarity
    assert (answer.warnings, answer.degraded) == ((), ())
    assert answer.timings_ms["rerank"] == 0


async def test_what_is_less_similar_than_asked_is_not_even_read(shelved: Practice) -> None:
    await shelved.ask()
    assert shelved.reranker is not None
    [(question, texts)] = shelved.reranker.calls
    assert question == ASKED.text
    assert texts == tuple(passage.text for passage in shelved.shelf.passages[:-1])


async def test_only_the_best_of_many_are_read(shelved: Practice, make_passage: MakePassage) -> None:
    shelved.shelf.passages = [make_passage(f"Note {n}.") for n in range(RERANKED + 5)]
    await shelved.ask()
    assert shelved.reranker is not None
    [(_, texts)] = shelved.reranker.calls
    assert len(texts) == RERANKED
    [searched] = [event for event in shelved.events if isinstance(event, PassagesSearched)]
    assert searched.found == ASKED.max_results


@pytest.mark.parametrize("count", [0, 1])
async def test_what_has_no_order_is_not_read(
    shelved: Practice, make_passage: MakePassage, count: int
) -> None:
    shelved.shelf.passages = [make_passage("She sleeps badly.")] * count
    await shelved.ask()
    assert shelved.reranker is not None
    assert shelved.reranker.calls == []


async def test_switched_off_the_order_is_that_of_the_search(shelved: Practice) -> None:
    shelved.reranker = None
    answer = await shelved.ask(question=replace(ASKED, max_results=2))
    assert given_to_model(shelved) == ["Walks.", "Eats."]
    assert "rerank" not in answer.timings_ms


@both_forms
@pytest.mark.parametrize("failure", FAILURES, ids=lambda error: type(error).__name__)
async def test_a_failure_leaves_the_order_and_is_said_and_not_kept(
    shelved: Practice, form: Form, failure: AIAgentError
) -> None:
    assert shelved.reranker is not None
    shelved.reranker.failures = [failure]
    shelved.model.replies = ["Walks. [1] [7]"]
    answer = await shelved.ask(form, replace(ASKED, max_results=2))
    assert given_to_model(shelved) == ["Walks.", "Eats."]
    assert answer.warnings[0] == "rerank_unavailable"
    assert len(answer.warnings) == 2  # the writer's own is kept
    assert answer.degraded == ()
    assert shelved.cache.kept == []


@in_virtual_time
class TestHangingReranker:
    async def test_leaves_time_for_the_answer(self, shelved: Practice) -> None:
        assert shelved.reranker is not None
        shelved.reranker.hold = asyncio.Event()
        shelved.shelf.takes_s = 0
        answer = await shelved.ask(deadline_s=0.6, clock=LoopClock())
        assert answer.warnings == ("rerank_unavailable",)
        assert answer.provider == "fake"
        assert answer.timings_ms["rerank"] < 300


@both_forms
async def test_what_only_words_found_is_ranked_too(shelved: Practice, form: Form) -> None:
    shelved.embedder.failures = [CircuitOpen("fake", "trigrams", "embed", "open", 42.0)]
    shelved.shelf.worded = shelved.shelf.passages
    answer = await shelved.ask(form, replace(ASKED, max_results=1))
    assert shelved.shelf.limits == [RERANKED]
    assert given_to_model(shelved) == ["How does she sleep: badly."]
    assert (answer.degraded, answer.warnings) == (("embedding_unavailable",), ())


async def test_the_question_is_read_as_it_stands_by_itself(
    shelved: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def alone(*_: object, **__: object) -> str:
        return "How does Maya sleep?"

    monkeypatch.setattr("runtime.answering.search.make_standalone", alone)
    await shelved.ask(question=Question("And she?", history=TALKED))
    assert shelved.reranker is not None
    assert shelved.reranker.calls[0][0] == "How does Maya sleep?"


# --- The step alone ---------------------------------------------------------------------------


class Fixed(FakeReranker):
    """Says what it was given, told of nothing."""

    def __init__(self, *relevances: float) -> None:
        super().__init__()
        self.relevances = list(relevances)

    async def rank(self, question: str, texts: Sequence[str], *, timeout_s: float) -> list[float]:
        del question, texts, timeout_s
        return self.relevances


async def test_equally_relevant_ones_stay_as_the_search_had_them(
    make_passage: MakePassage,
) -> None:
    passages = [make_passage(text) for text in "abcd"]
    found = await rerank(Fixed(0.5, 0.7, 0.5, 0.7), "?", passages, share_s=1)
    assert [passage.text for passage in found] == ["b", "d", "a", "c"]
    assert sorted(found, key=lambda passage: passage.text) == passages


async def test_too_few_relevances_are_the_providers_error(make_passage: MakePassage) -> None:
    passages = [make_passage(text) for text in "ab"]
    with pytest.raises(BadProviderResponse):
        await rerank(Fixed(0.5), "?", passages, share_s=1)


async def test_one_that_ignores_its_time_out_is_held_to_its_share(
    make_passage: MakePassage,
) -> None:
    class Hung(FakeReranker):
        async def rank(
            self, question: str, texts: Sequence[str], *, timeout_s: float
        ) -> list[float]:
            del question, texts
            assert timeout_s < 0.01
            await asyncio.Event().wait()
            raise AssertionError

    passages = [make_passage(text) for text in "ab"]
    with pytest.raises(ProviderTimeout):
        await rerank(Hung(), "?", passages, share_s=0.01)


async def test_a_timeout_of_another_thing_is_not_taken_for_the_share(
    make_passage: MakePassage,
) -> None:
    class Faulty(FakeReranker):
        async def rank(
            self, question: str, texts: Sequence[str], *, timeout_s: float
        ) -> list[float]:
            raise TimeoutError(question, texts, timeout_s)

    with pytest.raises(TimeoutError):
        await rerank(Faulty(), "?", [make_passage(text) for text in "ab"], share_s=60)

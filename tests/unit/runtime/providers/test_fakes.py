"""The fakes keep the ports' promises elsewhere (test_conformance); here, what they can be told."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from runtime.errors import ProviderTimeout, RateLimitError
from runtime.messages import ChatDocument, ChatMessage, ChatReply, ChatRequest, TextDelta
from runtime.phrases import NOT_IN_RECORDS
from runtime.providers.fakes import NOT_RECORDED, FakeChatModel, FakeEmbedder

LIMITED = RateLimitError("fake", "scripted", "chat", "told to", 2.0)
REQUEST = ChatRequest(
    system="Answer from the records.",
    messages=(ChatMessage("user", "How does she sleep?"),),
    documents=(ChatDocument(3, "Visit", "She sleeps well. She eats little."),),
    language="en",
)


async def test_similar_texts_are_more_similar_than_unrelated_ones() -> None:
    embedder = FakeEmbedder()
    texts = ["she sleeps badly", "she sleeps well", "knee surgery in June"]
    one, two, other = (
        await embedder.embed_texts(texts, input_type="document", timeout_s=1)
    ).vectors
    assert float(one @ two) > 0.5
    assert float(one @ other) < 0.3
    again = await FakeEmbedder().embed_text(texts[0], input_type="query", timeout_s=1)
    assert np.array_equal(again.vectors[0], one)


async def test_the_embedder_fails_once_for_each_failure_it_was_given() -> None:
    embedder = FakeEmbedder()
    embedder.failures.append(LIMITED)
    with pytest.raises(RateLimitError):
        await embedder.embed_text("sleep", input_type="query", timeout_s=1)
    await embedder.embed_text("sleep", input_type="query", timeout_s=1)
    assert embedder.calls == [("sleep",)]


async def test_a_held_call_times_out_or_goes_on_when_released() -> None:
    embedder, chat = FakeEmbedder(), FakeChatModel()
    embedder.hold = chat.hold = asyncio.Event()
    with pytest.raises(ProviderTimeout):
        await embedder.embed_text("sleep", input_type="query", timeout_s=0)
    waiting = asyncio.create_task(chat.chat(REQUEST, timeout_s=60))
    chat.hold.set()
    assert (await waiting).text == "She sleeps well. [3]"


async def test_replies_come_in_order_and_then_the_default() -> None:
    chat = FakeChatModel(["Badly [3].", LIMITED])
    assert (await chat.chat(REQUEST, timeout_s=1)).text == "Badly [3]."
    with pytest.raises(RateLimitError):
        await chat.chat(REQUEST, timeout_s=1)
    assert (await chat.chat(REQUEST, timeout_s=1)).text == "She sleeps well. [3]"
    assert len(chat.requests) == 3


async def test_it_misquotes_invents_markers_and_knows_nothing_on_demand() -> None:
    misquote = await FakeChatModel(behaviour="misquote").chat(REQUEST, timeout_s=1)
    assert misquote.text == f"{NOT_RECORDED} [3]."
    invented = await FakeChatModel(behaviour="invent").chat(REQUEST, timeout_s=1)
    assert invented.text == "She sleeps well. [1003]"
    empty = ChatRequest("", (ChatMessage("user", "מה שלומה?"),), (), "he")
    assert (await FakeChatModel().chat(empty, timeout_s=1)).text == NOT_IN_RECORDS["he"]


async def test_a_stream_yields_the_text_in_pieces_and_then_whole() -> None:
    chat = FakeChatModel(["Sleeps well [3]."])
    events = [event async for event in chat.stream(REQUEST, timeout_s=1)]
    *pieces, reply = events
    assert isinstance(reply, ChatReply)
    assert [piece.text for piece in pieces if isinstance(piece, TextDelta)] == [
        "Sleeps",
        " well",
        " [3].",
    ]
    assert chat.closed == 0


async def test_an_endless_stream_ends_when_it_is_left() -> None:
    chat = FakeChatModel(endless=True)
    stream = chat.stream(REQUEST, timeout_s=1)
    for _ in range(50):
        assert isinstance(await anext(stream), TextDelta)
    await stream.aclose()
    assert chat.closed == 1


async def test_a_stream_breaks_off_after_its_words_on_demand() -> None:
    chat = FakeChatModel(["Sleeps well."], cut=LIMITED)
    stream = chat.stream(REQUEST, timeout_s=1)
    assert [await anext(stream) for _ in range(2)] == [TextDelta("Sleeps"), TextDelta(" well.")]
    with pytest.raises(RateLimitError):
        await anext(stream)


async def test_a_stream_that_hangs_before_its_end_times_out() -> None:
    chat = FakeChatModel(["Sleeps."])
    chat.hold_end = asyncio.Event()
    stream = chat.stream(REQUEST, timeout_s=0)
    assert await anext(stream) == TextDelta("Sleeps.")
    with pytest.raises(ProviderTimeout):
        await anext(stream)

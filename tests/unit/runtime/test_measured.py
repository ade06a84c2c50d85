from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from runtime.clock import ManualClock
from runtime.errors import ProviderTimeout
from runtime.measured import MeasuredChat, MeasuredEmbedder
from runtime.messages import ChatDocument, ChatMessage, ChatReply, ChatRequest, TextDelta
from runtime.providers.fakes import FakeChatModel, FakeEmbedder
from runtime.telemetry import ChatCalled, EmbeddingCalled, Event

REQUEST = ChatRequest(
    system="",
    messages=(ChatMessage("user", "How does she sleep?"),),
    documents=(ChatDocument(1, "Noa", "She sleeps well."),),
    language="en",
)


class Recorder:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)


async def test_an_embedding_call_is_told_of_with_its_texts_and_tokens() -> None:
    emit = Recorder()
    embedder = MeasuredEmbedder(FakeEmbedder(), emit=emit, clock=ManualClock())
    embedded = await embedder.embed_text("a fall", input_type="query", timeout_s=1)
    (event,) = emit.events
    assert isinstance(event, EmbeddingCalled)
    assert event.texts == 1
    assert event.tokens == embedded.tokens > 0
    assert event.error_type is None
    assert (event.provider, event.model) == (embedder.model.provider, embedder.model.name)


async def test_a_failed_embedding_call_is_told_of_by_its_class() -> None:
    emit, inner = Recorder(), FakeEmbedder()
    inner.failures.append(ProviderTimeout("fake", "m", "embed", "slow", None))
    embedder = MeasuredEmbedder(inner, emit=emit, clock=ManualClock())
    with pytest.raises(ProviderTimeout):
        await embedder.embed_texts(["a", "b"], input_type="document", timeout_s=1)
    (event,) = emit.events
    assert isinstance(event, EmbeddingCalled)
    assert (event.texts, event.tokens, event.error_type) == (2, 0, "ProviderTimeout")


async def test_a_chat_call_is_told_of_with_the_tokens_of_its_reply() -> None:
    emit = Recorder()
    model = MeasuredChat(FakeChatModel(), emit=emit, clock=ManualClock())
    reply = await model.chat(REQUEST, timeout_s=1)
    (event,) = emit.events
    assert isinstance(event, ChatCalled)
    assert (event.provider, event.model) == (model.provider, model.name)
    assert (event.input_tokens, event.output_tokens) == (reply.input_tokens, reply.output_tokens)
    assert event.first_token_s is None
    assert event.error_type is None


async def test_a_stream_is_told_of_once_with_its_first_token() -> None:
    emit = Recorder()
    model = MeasuredChat(FakeChatModel(), emit=emit, clock=ManualClock())
    async with aclosing(model.stream(REQUEST, timeout_s=1)) as events:
        pieces = [event async for event in events]
    assert isinstance(pieces[0], TextDelta)
    assert isinstance(pieces[-1], ChatReply)
    (event,) = emit.events
    assert isinstance(event, ChatCalled)
    assert event.first_token_s == 0
    assert event.output_tokens == pieces[-1].output_tokens


async def test_a_chat_call_whose_caller_left_is_told_of_without_an_error() -> None:
    emit, inner = Recorder(), FakeChatModel()
    inner.hold = asyncio.Event()
    model = MeasuredChat(inner, emit=emit, clock=ManualClock())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await model.chat(REQUEST, timeout_s=60)
    (event,) = emit.events
    assert isinstance(event, ChatCalled)
    assert event.error_type is None

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

import pytest

from runtime.clock import ManualClock
from runtime.errors import (
    BadProviderResponse,
    ContentRefused,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
)
from runtime.measured import MeasuredChat, MeasuredEmbedder, MeasuredReranker
from runtime.messages import (
    ChatDocument,
    ChatEvent,
    ChatMessage,
    ChatReply,
    ChatRequest,
    Embedded,
    InputType,
    Priority,
    TextDelta,
    UsageSoFar,
)
from runtime.providers.fakes import FakeChatModel, FakeEmbedder, FakeReranker
from runtime.splitting import estimate_tokens
from runtime.telemetry import ChatCalled, EmbeddingCalled, Event, RerankCalled
from runtime.usage import estimate_prompt_tokens

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


async def test_a_call_of_a_reranker_is_told_of_with_its_texts_and_by_its_errors_class() -> None:
    emit, inner = Recorder(), FakeReranker()
    reranker = MeasuredReranker(inner, emit=emit, clock=ManualClock())
    assert await reranker.rank("falls?", ["a fall", "sleep"], timeout_s=1) == [0.0, 0.0]
    inner.failures.append(ProviderTimeout("fake", "shared-words", "rerank", "slow", None))
    with pytest.raises(ProviderTimeout):
        await reranker.rank("falls?", ["a fall", "sleep"], timeout_s=1)
    assert emit.events == [
        RerankCalled("fake", "shared-words", 2, 0.0, None),
        RerankCalled("fake", "shared-words", 2, 0.0, "ProviderTimeout"),
    ]


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


class SilentEmbedder(FakeEmbedder):
    """A vendor that counts no tokens."""

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        embedded = await super().embed_texts(
            texts, input_type=input_type, timeout_s=timeout_s, priority=priority
        )
        return Embedded(embedded.vectors, 0)


async def test_tokens_that_the_vendor_does_not_count_are_estimated() -> None:
    emit = Recorder()
    embedder = MeasuredEmbedder(SilentEmbedder(), emit=emit, clock=ManualClock())
    await embedder.embed_texts(["a fall", "insomnia"], input_type="document", timeout_s=1)
    (event,) = emit.events
    assert isinstance(event, EmbeddingCalled)
    assert event.tokens == estimate_tokens("a fall") + estimate_tokens("insomnia")


class ScriptedStream(FakeChatModel):
    """A stream of the given events; an error among them is raised."""

    def __init__(self, *events: ChatEvent | ProviderError) -> None:
        super().__init__()
        self.events = events

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        del request, timeout_s
        for event in self.events:
            if isinstance(event, ProviderError):
                raise event
            yield event


async def read(inner: FakeChatModel, pieces: int) -> ChatCalled:
    """Read so many pieces, leave, and return what was told of."""
    emit = Recorder()
    model = MeasuredChat(inner, emit=emit, clock=ManualClock())
    with suppress(ProviderError):
        async with aclosing(model.stream(REQUEST, timeout_s=1)) as events:
            for _ in range(pieces):
                await anext(events)
    (event,) = emit.events
    assert isinstance(event, ChatCalled)
    return event


PROMPT_TOKENS = estimate_prompt_tokens(REQUEST)
BROKEN_OFF = ProviderUnavailable("fake", "m", "chat", "reset", None)


async def test_a_stream_that_was_left_is_counted_by_estimate() -> None:
    called = await read(FakeChatModel(["She sleeps"], endless=True), 3)
    output_tokens = estimate_tokens("She sleeps She sleeps")
    assert (called.input_tokens, called.output_tokens) == (PROMPT_TOKENS, output_tokens)
    assert called.estimated
    assert called.error_type is None


async def test_a_stream_that_broke_off_is_counted_with_what_its_vendor_reported() -> None:
    called = await read(ScriptedStream(UsageSoFar(90, 0), TextDelta("She"), BROKEN_OFF), 3)
    assert (called.input_tokens, called.output_tokens) == (90, estimate_tokens("She"))
    assert called.estimated
    assert called.error_type == "ProviderUnavailable"


async def test_a_stream_read_to_its_end_is_counted_as_the_vendor_did() -> None:
    called = await read(ScriptedStream(TextDelta("She"), ChatReply("She", "p", "m", 90, 7)), 2)
    assert (called.input_tokens, called.output_tokens, called.estimated) == (90, 7, False)


async def test_the_first_token_is_the_first_text_and_not_a_report_of_usage() -> None:
    assert (await read(ScriptedStream(UsageSoFar(90, 0)), 1)).first_token_s is None
    assert (await read(ScriptedStream(UsageSoFar(90, 0), TextDelta("a")), 2)).first_token_s == 0


@pytest.mark.parametrize(
    "kind", [RateLimitError, QuotaExceededError, ProviderUnavailable, ProviderRejected]
)
async def test_a_call_that_was_turned_away_costs_nothing(kind: type[ProviderError]) -> None:
    called = await read(ScriptedStream(kind("fake", "m", "chat", "no", None)), 1)
    assert (called.input_tokens, called.output_tokens, called.estimated) == (0, 0, False)


@pytest.mark.parametrize("kind", [ProviderTimeout, BadProviderResponse, ContentRefused])
async def test_a_prompt_that_may_have_been_read_is_counted(kind: type[ProviderError]) -> None:
    called = await read(ScriptedStream(kind("fake", "m", "chat", "late", None)), 1)
    assert (called.input_tokens, called.output_tokens) == (PROMPT_TOKENS, 0)
    assert called.estimated


async def test_a_call_left_before_its_first_word_counts_its_prompt() -> None:
    emit, inner = Recorder(), FakeChatModel()
    inner.hold = asyncio.Event()
    task = asyncio.create_task(
        MeasuredChat(inner, emit=emit, clock=ManualClock()).chat(REQUEST, timeout_s=60)
    )
    await asyncio.sleep(0)
    assert inner.requests == [REQUEST]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (event,) = emit.events
    assert isinstance(event, ChatCalled)
    assert (event.input_tokens, event.output_tokens) == (PROMPT_TOKENS, 0)
    assert event.estimated

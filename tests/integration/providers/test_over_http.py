"""Every vendor's provider over its production transport, against the simulator's real server.

What the conformance suite mocks is seen here from the other side: what was sent, and that a reader
who leaves is seen to leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Literal, TypeAlias

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from benchmarks.simulator.behaviour import Fault, Kind
from benchmarks.simulator.calls import Vendor
from benchmarks.simulator.counters import LaneCounters
from benchmarks.simulator.server import Simulator, running_simulator
from runtime.clock import SystemClock
from runtime.errors import (
    BadProviderResponse,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
)
from runtime.messages import (
    ChatDocument,
    ChatEvent,
    ChatMessage,
    ChatReply,
    ChatRequest,
    TextDelta,
)
from runtime.ports import ChatModel, Embedder, Reranker
from runtime.providers import catalog
from runtime.providers.options import ProviderOptions
from runtime.providers.transport import open_http

Operation: TypeAlias = Literal["chat", "stream", "embed", "rerank"]

PATHS: dict[Vendor, str] = {
    "cohere": "",
    "openai": "/v1",
    "azure": "",
    "openai_compatible": "/compatible/v1",
    "anthropic": "",
}
CHATS: list[Vendor] = list(PATHS)
EMBEDDERS: list[Vendor] = [name for name in PATHS if catalog.PROVIDERS[name].embedding]
RERANKERS: list[Vendor] = [name for name in PATHS if catalog.PROVIDERS[name].rerank]

REQUEST = ChatRequest(
    system="Answer from the records.",
    messages=(ChatMessage("user", "How many mg of fluoxetine does Dana take?"),),
    documents=(
        ChatDocument(1, "Dana, notes", "Works nights. Her brother came to visit."),
        ChatDocument(2, "Dana, plan", "Takes 20 mg of fluoxetine every morning. לוקחת בבוקר."),
    ),
    language="en",
)

FAILURES: list[tuple[Kind, type[ProviderError]]] = [
    ("400", ProviderRejected),
    ("401", ProviderRejected),
    ("403", ProviderRejected),
    ("404", ProviderRejected),
    ("408", ProviderTimeout),
    ("429", RateLimitError),
    ("quota", QuotaExceededError),
    ("500", ProviderUnavailable),
    ("502", ProviderUnavailable),
    ("503", ProviderUnavailable),
    ("504", ProviderTimeout),
    ("529", ProviderUnavailable),
    ("reset", ProviderUnavailable),
    ("malformed", BadProviderResponse),
]


@dataclass(frozen=True)
class Site:
    """The simulator, and a production client of it."""

    simulator: Simulator
    http: httpx.AsyncClient

    def options(self, vendor: Vendor, base_url: str | None = None) -> ProviderOptions:
        return ProviderOptions(
            provider=vendor,
            model="m",
            base_url=base_url or self.simulator.url + PATHS[vendor],
            api_key=SecretStr("any"),
            api_version="2024-10-21" if vendor == "azure" else None,
            dimensions=1536,
            clock=SystemClock(),
        )

    def chat(self, vendor: Vendor) -> ChatModel:
        return catalog.chat_module(vendor).make_chat(self.options(vendor), self.http)

    def embedder(self, vendor: Vendor) -> Embedder:
        return catalog.embedding_module(vendor).make_embedder(self.options(vendor), self.http)

    def reranker(self, vendor: Vendor) -> Reranker:
        return catalog.rerank_module(vendor).make_reranker(self.options(vendor), self.http)

    def call(self, vendor: Vendor, operation: Operation) -> Coroutine[None, None, object]:
        match operation:
            case "embed":
                embedder = self.embedder(vendor)
                return embedder.embed_text("x", input_type="query", timeout_s=10)
            case "rerank":
                return self.reranker(vendor).rank("x", ["y", "z"], timeout_s=10)
            case "chat":
                return self.chat(vendor).chat(REQUEST, timeout_s=10)
            case "stream":
                return read(self.chat(vendor).stream(REQUEST, timeout_s=10))

    async def error_of(self, vendor: Vendor, operation: Operation) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await self.call(vendor, operation)
        return caught.value


async def read(stream: AsyncGenerator[ChatEvent, None]) -> list[ChatEvent]:
    return [event async for event in stream]


async def next_piece(stream: AsyncGenerator[ChatEvent, None]) -> TextDelta:
    while True:
        event = await anext(stream)
        if isinstance(event, TextDelta):
            return event


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_simulator() as simulator, open_http(10) as http:
        yield Site(simulator, http)


@pytest.mark.parametrize("vendor", CHATS)
async def test_an_answer_and_its_stream_are_the_same_with_their_usage(
    vendor: Vendor, site: Site
) -> None:
    whole = await site.chat(vendor).chat(REQUEST, timeout_s=10)
    *events, last = await read(site.chat(vendor).stream(REQUEST, timeout_s=10))
    assert isinstance(last, ChatReply)
    assert last == whole
    assert whole.text.startswith("Takes 20 mg of fluoxetine every morning.")
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(pieces) > 1
    assert "".join(pieces) == whole.text
    assert min(whole.input_tokens, whole.output_tokens) > 0
    counted = site.simulator.counters().of(vendor, "chat")
    assert (counted.requests, counted.ok, counted.streams_finished) == (2, 2, 1)
    assert (counted.disconnects, counted.in_flight) == (0, 0)


@pytest.mark.parametrize("vendor", EMBEDDERS)
async def test_a_long_list_is_split_as_the_vendor_takes_it(vendor: Vendor, site: Site) -> None:
    most = catalog.embedding_module(vendor).TEXTS_PER_CALL
    texts = [f"note {number}" for number in range(most + 5)] + ["", "היא ישנה רע"]
    found = await site.embedder(vendor).embed_texts(texts, input_type="document", timeout_s=60)
    assert found.vectors.shape == (len(texts), 1536)
    assert [bool(row.any()) for row in found.vectors[-3:]] == [True, False, True]
    assert np.allclose(np.linalg.norm(found.vectors[-1]), 1, atol=1e-5)
    one = await site.embedder(vendor).embed_text(texts[3], input_type="document", timeout_s=10)
    assert np.allclose(one.vectors[0], found.vectors[3], atol=1e-5)
    counted = site.simulator.counters().of(vendor, "embed")
    assert (counted.requests, counted.ok) == (3, 3)
    assert (counted.most_texts, counted.texts) == (most, most + 7)


@pytest.mark.parametrize("vendor", RERANKERS)
async def test_relevances_come_in_the_order_of_the_texts(vendor: Vendor, site: Site) -> None:
    texts = ["Eats well.", "ישנה רע, ומתעוררת בלילה.", "Sleeps badly, wakes at three.", "Sleeps."]
    reranker = site.reranker(vendor)
    relevances = await reranker.rank("Who sleeps badly?", texts, timeout_s=10)
    assert [round(relevance, 2) for relevance in relevances] == [0, 0, 0.67, 0.33]
    [_, hebrew, *_] = await reranker.rank("מי ישנה רע בלילה?", texts, timeout_s=10)
    assert hebrew == 0.75
    assert await reranker.rank("Who sleeps badly?", [], timeout_s=10) == []
    counted = site.simulator.counters().of(vendor, "rerank")
    assert (counted.requests, counted.ok, counted.in_flight) == (2, 2, 0)
    assert counted.input_tokens > 0


@pytest.mark.parametrize("vendor", RERANKERS)
async def test_a_reranker_that_hangs_is_left(vendor: Vendor, site: Site) -> None:
    site.simulator.behave("rerank", vendor, outage="hang")
    with pytest.raises(ProviderTimeout):
        await site.reranker(vendor).rank("x", ["y"], timeout_s=0.5)
    await site.simulator.wait_for(lambda c: all_were_left(c.of(vendor, "rerank")))


@pytest.mark.parametrize("vendor", CHATS)
async def test_a_reader_who_leaves_is_seen_to_leave(vendor: Vendor, site: Site) -> None:
    site.simulator.behave("chat", vendor, outage=Fault(kind="slow_drip", drip_ms=5))
    stream = site.chat(vendor).stream(REQUEST, timeout_s=60)
    await next_piece(stream)
    await stream.aclose()
    counters = await site.simulator.wait_for(lambda c: c.of(vendor, "chat").disconnects == 1)
    assert counters.of(vendor, "chat").in_flight == 0


@pytest.mark.parametrize("vendor", CHATS)
async def test_a_caller_who_is_cancelled_is_seen_to_leave(vendor: Vendor, site: Site) -> None:
    site.simulator.behave("chat", vendor, outage="hang")
    call = asyncio.create_task(site.chat(vendor).chat(REQUEST, timeout_s=60))
    await site.simulator.wait_for(lambda c: c.of(vendor, "chat").in_flight == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await site.simulator.wait_for(lambda c: c.of(vendor, "chat").disconnects == 1)


@pytest.mark.parametrize(("kind", "ours"), FAILURES, ids=[kind for kind, _ in FAILURES])
@pytest.mark.parametrize("vendor", CHATS)
async def test_a_failure_is_ours_and_is_not_tried_again(
    vendor: Vendor, kind: Kind, ours: type[ProviderError], site: Site
) -> None:
    site.simulator.behave("all", vendor, outage=kind)
    assert type(await site.error_of(vendor, "chat")) is ours
    assert type(await site.error_of(vendor, "stream")) is ours
    assert site.simulator.counters().of(vendor, "chat").requests == 2
    if vendor in EMBEDDERS:
        assert type(await site.error_of(vendor, "embed")) is ours
        assert site.simulator.counters().of(vendor, "embed").requests == 1
    if vendor in RERANKERS:
        assert type(await site.error_of(vendor, "rerank")) is ours
        assert site.simulator.counters().of(vendor, "rerank").requests == 1


@pytest.mark.parametrize("vendor", CHATS)
async def test_an_answer_that_breaks_off_is_ours(vendor: Vendor, site: Site) -> None:
    site.simulator.behave("all", vendor, outage="truncated")
    assert type(await site.error_of(vendor, "chat")) is ProviderUnavailable
    for pieces in (0, 2):
        broken = Fault(kind="truncated", cut_after_pieces=pieces)
        site.simulator.behave("chat", vendor, outage=broken)
        assert type(await site.error_of(vendor, "stream")) is BadProviderResponse
        reset = Fault(kind="reset", cut_after_pieces=pieces)
        site.simulator.behave("chat", vendor, outage=reset)
        assert type(await site.error_of(vendor, "stream")) is ProviderUnavailable
    if vendor in EMBEDDERS:
        assert type(await site.error_of(vendor, "embed")) is ProviderUnavailable
    if vendor in RERANKERS:
        assert type(await site.error_of(vendor, "rerank")) is ProviderUnavailable


def all_were_left(lane: LaneCounters) -> bool:
    """Whether each request that came was left; on a busy machine one may end on its way."""
    return lane.requests == lane.disconnects > 0


@pytest.mark.parametrize("vendor", CHATS)
async def test_a_vendor_that_hangs_is_left(vendor: Vendor, site: Site) -> None:
    site.simulator.behave("chat", vendor, outage="hang")
    with pytest.raises(ProviderTimeout):
        await site.chat(vendor).chat(REQUEST, timeout_s=0.05)
    site.simulator.behave("chat", vendor, outage=Fault(kind="hang", cut_after_pieces=1))
    stream = site.chat(vendor).stream(REQUEST, timeout_s=1)
    await next_piece(stream)
    with pytest.raises(ProviderTimeout):
        await read(stream)
    await site.simulator.wait_for(lambda c: all_were_left(c.of(vendor, "chat")))
    async with open_http(0.05) as impatient:
        model = catalog.chat_module(vendor).make_chat(site.options(vendor), impatient)
        with pytest.raises(ProviderTimeout):
            await model.chat(REQUEST, timeout_s=10)


@pytest.mark.parametrize("vendor", CHATS)
async def test_nobody_who_listens_is_no_time_out(vendor: Vendor, site: Site) -> None:
    nowhere = site.options(vendor, "http://127.0.0.1:1")
    model = catalog.chat_module(vendor).make_chat(nowhere, site.http)
    with pytest.raises(ProviderUnavailable):
        await model.chat(REQUEST, timeout_s=10)


@pytest.mark.parametrize("written", ["seconds", "date"])
@pytest.mark.parametrize("vendor", CHATS)
async def test_the_wait_that_is_asked_for_is_kept(
    vendor: Vendor, written: Literal["seconds", "date"], site: Site
) -> None:
    limited = Fault(kind="429", retry_after_s=30, retry_after_as=written)
    site.simulator.behave("all", vendor, outage=limited)
    operations: list[Operation] = ["chat", "stream"]
    for operation in operations:
        error = await site.error_of(vendor, operation)
        assert type(error) is RateLimitError
        assert error.retry_after_s is not None
        # A date has whole seconds, and the call took a moment.
        assert 25 <= error.retry_after_s <= 31

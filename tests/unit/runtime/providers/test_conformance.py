"""What every provider promises by its port, asked of each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import numpy as np
import pytest

from runtime.messages import ChatDocument, ChatMessage, ChatReply, ChatRequest, TextDelta
from runtime.ports import ChatModel, Embedder, Reranker
from runtime.providers.fakes import FakeChatModel, FakeEmbedder, FakeReranker
from runtime.providers.local import ExtractiveChatModel, LocalEmbedder
from tests.unit.runtime.providers.conformance import (
    CHAT_CHECKS,
    CHECKS,
    EMBEDDING_CHECKS,
    RERANK_CHECKS,
    check_malformed,
)
from tests.unit.runtime.providers.vendors import VENDORS
from tests.unit.runtime.providers.wires import Service, Vendor

Check = Callable[[Vendor], Awaitable[None]]

# --- Vendors, over HTTP -----------------------------------------------------------------------

vendors = pytest.mark.parametrize("vendor", VENDORS, ids=str)


@vendors
@pytest.mark.parametrize("check", CHECKS)
async def test_every_operation(vendor: Vendor, check: Check) -> None:
    await check(vendor)


@pytest.mark.parametrize("vendor", [v for v in VENDORS if v.make_embedder], ids=str)
@pytest.mark.parametrize("check", EMBEDDING_CHECKS)
async def test_embeddings(vendor: Vendor, check: Check) -> None:
    await check(vendor)


@pytest.mark.parametrize("vendor", [v for v in VENDORS if v.make_chat], ids=str)
@pytest.mark.parametrize("check", CHAT_CHECKS)
async def test_chat(vendor: Vendor, check: Check) -> None:
    await check(vendor)


@pytest.mark.parametrize("vendor", [v for v in VENDORS if v.make_reranker], ids=str)
@pytest.mark.parametrize("check", RERANK_CHECKS)
async def test_reranking(vendor: Vendor, check: Check) -> None:
    await check(vendor)


@vendors
async def test_what_cannot_be_read_is_an_error_and_is_not_logged(
    vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    await check_malformed(vendor, caplog)


# --- Each embedder and chat model, wherever it runs -------------------------------------------

REQUEST = ChatRequest(
    system="Answer from the records.",
    messages=(ChatMessage("user", "How does she sleep?"),),
    documents=(ChatDocument(1, "Visit", "She sleeps badly. She eats well."),),
    language="en",
)


@asynccontextmanager
async def fake_embedder() -> AsyncIterator[Embedder]:
    yield FakeEmbedder()


@asynccontextmanager
async def local_embedder() -> AsyncIterator[Embedder]:
    local = LocalEmbedder()
    yield local
    await asyncio.to_thread(local.close)


@asynccontextmanager
async def fake_chat() -> AsyncIterator[ChatModel]:
    yield FakeChatModel()


@asynccontextmanager
async def extractive_chat() -> AsyncIterator[ChatModel]:
    yield ExtractiveChatModel(FakeEmbedder())


@asynccontextmanager
async def fake_reranker() -> AsyncIterator[Reranker]:
    yield FakeReranker()


EmbedderFactory = Callable[[], AbstractAsyncContextManager[Embedder]]
ChatFactory = Callable[[], AbstractAsyncContextManager[ChatModel]]
RerankerFactory = Callable[[], AbstractAsyncContextManager[Reranker]]


def embedder_of(vendor: Vendor) -> EmbedderFactory:
    @asynccontextmanager
    async def make() -> AsyncIterator[Embedder]:
        assert vendor.make_embedder is not None
        async with Service(vendor.wire).open() as http:
            yield vendor.make_embedder(http)

    return make


def chat_of(vendor: Vendor) -> ChatFactory:
    @asynccontextmanager
    async def make() -> AsyncIterator[ChatModel]:
        assert vendor.make_chat is not None
        async with Service(vendor.wire).open() as http:
            yield vendor.make_chat(http)

    return make


def reranker_of(vendor: Vendor) -> RerankerFactory:
    @asynccontextmanager
    async def make() -> AsyncIterator[Reranker]:
        assert vendor.make_reranker is not None
        async with Service(vendor.wire).open() as http:
            yield vendor.make_reranker(http)

    return make


embedders = pytest.mark.parametrize(
    "make",
    [
        fake_embedder,
        local_embedder,
        *[pytest.param(embedder_of(v), id=v.name) for v in VENDORS if v.make_embedder],
    ],
)
chats = pytest.mark.parametrize(
    "make",
    [
        fake_chat,
        extractive_chat,
        *[pytest.param(chat_of(v), id=v.name) for v in VENDORS if v.make_chat],
    ],
)


@embedders
async def test_rows_are_unit_vectors_in_the_order_given(make: EmbedderFactory) -> None:
    async with make() as embedder:
        texts = ["sleeps badly", "eats well", "sleeps badly"]
        many = await embedder.embed_texts(texts, input_type="document", timeout_s=30)
        one = await embedder.embed_text("eats well", input_type="document", timeout_s=30)
    assert many.vectors.dtype == np.float32
    assert many.vectors.shape == (3, embedder.model.dimensions)
    assert np.allclose(np.linalg.norm(many.vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(many.vectors[0], many.vectors[2])
    assert not np.allclose(many.vectors[0], many.vectors[1])
    assert np.allclose(one.vectors[0], many.vectors[1], atol=1e-5)
    assert many.tokens > one.tokens > 0


@embedders
async def test_an_empty_text_is_a_zero_row_that_costs_nothing(make: EmbedderFactory) -> None:
    async with make() as embedder:
        texts = ["", "eats well", " \n\t", ""]
        some = await embedder.embed_texts(
            texts, input_type="document", timeout_s=30, priority="batch"
        )
        none = await embedder.embed_text("", input_type="query", timeout_s=30)
        empty = await embedder.embed_texts([], input_type="query", timeout_s=30)
    assert [bool(row.any()) for row in some.vectors] == [False, True, False, False]
    assert not none.vectors.any()
    assert none.vectors.shape == (1, embedder.model.dimensions)
    assert empty.vectors.shape == (0, embedder.model.dimensions)
    assert none.tokens == empty.tokens == 0


@chats
async def test_a_stream_is_the_pieces_and_then_the_whole_of_one_answer(make: ChatFactory) -> None:
    async with make() as chat:
        whole = await chat.chat(REQUEST, timeout_s=30)
        events = [event async for event in chat.stream(REQUEST, timeout_s=30)]
    *pieces, last = events
    assert isinstance(last, ChatReply)
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == last.text
    assert len(pieces) >= 1
    assert last == whole
    assert (whole.provider, whole.model) == (chat.provider, chat.name)
    assert "[1]" in whole.text
    assert min(whole.input_tokens, whole.output_tokens) > 0


@pytest.mark.parametrize(
    "make",
    [fake_reranker, *[pytest.param(reranker_of(v), id=v.name) for v in VENDORS if v.make_reranker]],
)
async def test_each_text_has_a_relevance_that_does_not_depend_on_its_place(
    make: RerankerFactory,
) -> None:
    texts = ["Eats well.", "She sleeps badly.", "Walks."]
    async with make() as reranker:
        relevances = await reranker.rank("How badly does she sleep?", texts, timeout_s=30)
        backwards = await reranker.rank("How badly does she sleep?", texts[::-1], timeout_s=30)
        assert await reranker.rank("How does she sleep?", [], timeout_s=30) == []
    assert len(relevances) == 3
    assert all(0 <= relevance <= 1 for relevance in relevances)
    assert backwards == relevances[::-1]
    assert len(set(relevances)) > 1

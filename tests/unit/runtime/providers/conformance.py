"""What is asked of every vendor's provider, as functions: one calls them all, the guide's test too.

Each takes a `Vendor` and fails by an assertion. They speak of what leaves the provider alone, never
of how its client works.
"""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime

import httpx
import numpy as np
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
from runtime.messages import (
    ChatDocument,
    ChatMessage,
    ChatReply,
    ChatRequest,
    TextDelta,
    UsageSoFar,
)
from runtime.ports import ChatModel
from runtime.providers.embedding_calls import CALLS_AT_ONCE
from tests.unit.runtime.providers.wires import (
    ANSWER,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Service,
    Vendor,
    ranked,
    relevances_of,
    sse,
    vectors_of,
)

CANARY = "Dana-drinks-alone"
"""Stands in the prompt and in whatever the vendor answers wrongly; it must not come out again."""

REQUEST = ChatRequest(
    system="Answer from the records.",
    messages=(
        ChatMessage("user", "Who is she?"),
        ChatMessage("assistant", "A client."),
        ChatMessage("user", f"How does {CANARY} sleep? איך היא ישנה?"),
    ),
    documents=(ChatDocument(1, "Visit", "She sleeps badly. היא ישנה רע."),),
    language="en",
    temperature=0.1,
    max_tokens=77,
)

STATUSES: list[tuple[int, type[ProviderError]]] = [
    (302, BadProviderResponse),
    (400, ProviderRejected),
    (401, ProviderRejected),
    (402, QuotaExceededError),
    (403, ProviderRejected),
    (404, ProviderRejected),
    (408, ProviderTimeout),
    (413, ProviderRejected),
    (422, ProviderRejected),
    (429, RateLimitError),
    (500, ProviderUnavailable),
    (502, ProviderUnavailable),
    (503, ProviderUnavailable),
    (504, ProviderTimeout),
    (529, ProviderUnavailable),
]

Call = Callable[[httpx.AsyncClient], Awaitable[object]]


def calls_of(vendor: Vendor, texts: tuple[str, ...] = (CANARY,)) -> dict[str, Call]:
    """Return each operation of the provider, to be made over a client."""
    calls: dict[str, Call] = {}
    if vendor.make_chat:
        chat = vendor.make_chat
        calls["chat"] = lambda http: chat(http).chat(REQUEST, timeout_s=5)
        calls["stream"] = lambda http: consume(chat(http))
    if vendor.make_embedder:
        embedder = vendor.make_embedder
        calls["embed"] = lambda http: embedder(http).embed_texts(
            texts, input_type="document", timeout_s=5
        )
    if vendor.make_reranker:
        reranker = vendor.make_reranker
        calls["rerank"] = lambda http: reranker(http).rank(CANARY, texts, timeout_s=5)
    return calls


async def consume(chat: ChatModel) -> list[object]:
    return [event async for event in chat.stream(REQUEST, timeout_s=5)]


async def error_of(
    vendor: Vendor, call: Call, response: httpx.Response | Exception
) -> ProviderError:
    """Return what the call raises, once it was seen to be ours, whole and silent."""
    service = Service(vendor.wire, response)
    async with service.open() as http:
        with pytest.raises(ProviderError) as caught:
            await call(http)
    error = caught.value
    assert error.provider == vendor.name
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.args, str(copy)) == (type(error), error.args, str(error))
    for said in (str(error), repr(error), repr(error.args)):
        assert CANARY not in said
        assert "k3y" not in said
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert len(service.requests) == 1, "an attempt is one request: retries are not the client's"
    return error


# --- Embeddings -----------------------------------------------------------------------------


async def check_rows(vendor: Vendor) -> None:
    """Rows are unit vectors in the order given, however many calls they take."""
    assert vendor.make_embedder is not None
    service = Service(vendor.wire)
    size = 2 * vendor.texts_per_call + 3
    texts = [f"note {number} הערה" if number % 50 else " \n" for number in range(size)]
    async with service.open() as http:
        embedder = vendor.make_embedder(http)
        many = await embedder.embed_texts(texts, input_type="document", timeout_s=30)
    sent = [vendor.wire.texts(body) for body in service.bodies]
    assert max(map(len, sent)) <= vendor.texts_per_call
    assert sorted(text for call in sent for text in call) == sorted(
        text for text in texts if text.strip()
    )
    assert many.vectors.dtype == np.float32
    assert many.vectors.shape == (size, embedder.model.dimensions)
    assert many.tokens == 2 * sum(map(len, sent))
    expected = vectors_of(texts, embedder.model.dimensions)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    expected[::50] = 0
    assert np.allclose(many.vectors, expected, atol=1e-5)


async def check_empty_texts(vendor: Vendor) -> None:
    """Nothing is sent for texts that say nothing."""
    assert vendor.make_embedder is not None
    service = Service(vendor.wire)
    async with service.open() as http:
        embedder = vendor.make_embedder(http)
        none = await embedder.embed_text(" \n", input_type="query", timeout_s=5)
        empty = await embedder.embed_texts([], input_type="query", timeout_s=5)
    assert not none.vectors.any()
    assert none.vectors.shape == (1, embedder.model.dimensions)
    assert empty.vectors.shape == (0, embedder.model.dimensions)
    assert none.tokens == empty.tokens == 0
    assert service.requests == []


async def check_wrong_vectors(vendor: Vendor) -> None:
    """Too few, too many, too short, zero and infinite vectors are refused."""
    embed = calls_of(vendor, ("one", "two"))["embed"]
    good = vectors_of(["one", "two"], 256)
    infinite = good.copy()
    infinite[1, 3] = np.inf
    nothing = good.copy()
    nothing[1] = 0
    for wrong in (good[:1], np.vstack([good, good]), good[:, :255], infinite, nothing, good[:0]):
        response = httpx.Response(200, json=vendor.wire.embedded(wrong, 2))
        assert type(await error_of(vendor, embed, response)) is BadProviderResponse


async def check_parallel_calls(vendor: Vendor) -> None:
    """A long list is a few calls at once, and the first failure ends the rest."""
    assert vendor.make_embedder is not None
    under_way = most = 0
    left = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            if under_way == CALLS_AT_ONCE:
                return httpx.Response(503, json=vendor.wire.error(CANARY))
            await asyncio.Event().wait()
            raise AssertionError(request)
        finally:
            under_way -= 1
            if not under_way:
                left.set()

    texts = ["note"] * vendor.texts_per_call * (CALLS_AT_ONCE + 2)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        embedder = vendor.make_embedder(http)
        with pytest.raises(ProviderUnavailable):
            await embedder.embed_texts(texts, input_type="document", timeout_s=30)
        await asyncio.wait_for(left.wait(), 5)
    assert most == CALLS_AT_ONCE


# --- Reranking ------------------------------------------------------------------------------


async def check_relevances(vendor: Vendor) -> None:
    """Each text has its relevance, in the order given, of one call."""
    assert vendor.make_reranker is not None
    service = Service(vendor.wire)
    texts = [f"note {number} הערה" for number in range(30)]
    async with service.open() as http:
        reranker = vendor.make_reranker(http)
        relevances = await reranker.rank("How does she sleep?", texts, timeout_s=5)
        assert await reranker.rank("How does she sleep?", [], timeout_s=5) == []
    assert relevances == relevances_of(texts)
    [body] = service.bodies
    assert body["documents"] == texts
    assert "How does she sleep?" in body.values()
    assert reranker.name in body.values()


async def check_wrong_relevances(vendor: Vendor) -> None:
    """Too few, too many, twice the same, and what is no number are refused; others are clipped."""
    rerank = calls_of(vendor, ("one", "two"))["rerank"]
    one, two = ({"index": at, "relevance_score": 0.5} for at in (0, 1))
    twice: list[object] = [{"results": [one, one]}, {"results": [one, two, one]}]
    for wrong in (ranked([0.5]), ranked([0.5, 0.5, 0.5]), ranked([]), *twice):
        response = httpx.Response(200, json=wrong)
        assert type(await error_of(vendor, rerank, response)) is BadProviderResponse
    for score in ("NaN", "Infinity", '"high"', "null"):
        said = json.dumps(ranked([0.5, 0.25])).replace("0.25", score)
        response = httpx.Response(200, text=said, headers={"content-type": "application/json"})
        assert type(await error_of(vendor, rerank, response)) is BadProviderResponse, score
    async with Service(vendor.wire, httpx.Response(200, json=ranked([1.5, -0.5]))).open() as http:
        assert await rerank(http) == [1.0, 0.0]


# --- Chat -----------------------------------------------------------------------------------


async def check_answers(vendor: Vendor) -> None:
    """A stream is the pieces and then the whole of one answer, with its usage in both forms."""
    assert vendor.make_chat is not None
    service = Service(vendor.wire)
    async with service.open() as http:
        chat = vendor.make_chat(http)
        whole = await chat.chat(REQUEST, timeout_s=5)
        *events, last = await consume(chat)
    text = "".join(ANSWER)
    assert whole == last == ChatReply(text, chat.provider, chat.name, INPUT_TOKENS, OUTPUT_TOKENS)
    assert [event.text for event in events if isinstance(event, TextDelta)] == list(ANSWER)
    for event in events:
        assert isinstance(event, TextDelta | UsageSoFar)
    for body in service.bodies:
        sent = json.dumps(body, ensure_ascii=False)
        for said in (REQUEST.system, "Who is she?", "A client.", CANARY, "היא ישנה רע."):
            assert said in sent
        assert REQUEST.max_tokens in body.values()


async def check_ends(vendor: Vendor) -> None:
    """An answer cut at its limit is one; a refusal, an empty one and an odd one are errors."""
    wire = vendor.wire
    calls = calls_of(vendor)

    def streamed(text: str, *end: str) -> httpx.Response:
        return sse([*wire.start(), wire.piece(text), *end])

    async with Service(wire, httpx.Response(200, json=wire.answer("Half", "cut"))).open() as http:
        assert vendor.make_chat is not None
        assert (await vendor.make_chat(http).chat(REQUEST, timeout_s=5)).text == "Half"
    async with Service(wire, streamed("Half", *wire.finish("cut"))).open() as http:
        last = (await consume(vendor.make_chat(http)))[-1]
        assert isinstance(last, ChatReply)
        assert last.text == "Half"
    refused = await error_of(
        vendor, calls["chat"], httpx.Response(200, json=wire.answer(CANARY, "refused"))
    )
    assert type(refused) is ContentRefused
    refused = await error_of(vendor, calls["stream"], streamed(CANARY, *wire.finish("refused")))
    assert type(refused) is ContentRefused
    for response in (wire.answer(" \n"), wire.answer(CANARY, "odd")):
        error = await error_of(vendor, calls["chat"], httpx.Response(200, json=response))
        assert type(error) is BadProviderResponse
    for stream in (
        streamed(" \n", *wire.finish()),
        streamed(CANARY, *wire.finish("odd")),
        streamed(CANARY),  # and nothing more: no end event
        streamed(CANARY, wire.piece(CANARY).rstrip()[:-3] + "\n\n", *wire.finish()),
        sse([]),
    ):
        assert type(await error_of(vendor, calls["stream"], stream)) is BadProviderResponse, (
            stream.text
        )


async def check_leaving(vendor: Vendor) -> None:
    """Closing a stream early closes its response; a caller who leaves is no error."""
    assert vendor.make_chat is not None
    closed = asyncio.Event()

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield "".join(vendor.wire.start()).encode()
            while True:
                yield vendor.wire.piece("again ").encode()
                await asyncio.sleep(0)

        async def aclose(self) -> None:
            closed.set()

    def endless() -> httpx.Response:
        kind = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=kind, stream=Endless())

    async with Service(vendor.wire, endless()).open() as http:
        stream = vendor.make_chat(http).stream(REQUEST, timeout_s=60)
        first = await anext(stream)
        if isinstance(first, UsageSoFar):
            assert first.input_tokens == INPUT_TOKENS
            first = await anext(stream)
        assert first == TextDelta("again ")
        assert not closed.is_set()
        await stream.aclose()
        assert closed.is_set()

    started = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError(request)

    for call in calls_of(vendor).values():
        async with httpx.AsyncClient(transport=httpx.MockTransport(never)) as http:
            started.clear()
            under_way = asyncio.ensure_future(call(http))
            await started.wait()
            under_way.cancel()
            with pytest.raises(asyncio.CancelledError):
                await under_way


# --- Failures -------------------------------------------------------------------------------


async def check_statuses(vendor: Vendor) -> None:
    """A status decides the kind of error, in every operation."""
    body = vendor.wire.error(CANARY)
    for call in calls_of(vendor).values():
        for status, kind in STATUSES:
            response = httpx.Response(status, json=body, headers={"location": "/elsewhere"})
            error = await error_of(vendor, call, response)
            assert (type(error), error.retry_after_s) == (kind, None), status


async def check_waits(vendor: Vendor) -> None:
    """The wait that the vendor asks for is kept, whichever way it is written."""
    soon = ManualClock().now() + timedelta(seconds=20)
    cases: list[tuple[str | None, float | None]] = [
        ("7", 7.0),
        ("1.5", 1.5),
        (format_datetime(soon, usegmt=True), 20.0),
        ("soon", None),
        (None, None),
    ]
    for call in calls_of(vendor).values():
        for header, seconds in cases:
            headers = {"retry-after": header} if header else {}
            response = httpx.Response(429, headers=headers, json=vendor.wire.error(CANARY))
            error = await error_of(vendor, call, response)
            assert (type(error), error.retry_after_s) == (RateLimitError, seconds)


async def check_transport(vendor: Vendor) -> None:
    """What the transport raises is ours, before an answer and in the middle of one."""

    class Broken(httpx.AsyncByteStream):
        def __init__(self, start: str, error: Exception) -> None:
            self._start = start
            self._error = error

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield self._start.encode()
            raise self._error

    cases: list[tuple[Exception, type[ProviderError]]] = [
        (httpx.ConnectError(CANARY), ProviderUnavailable),
        (httpx.ConnectTimeout(CANARY), ProviderTimeout),
        (httpx.ReadTimeout(CANARY), ProviderTimeout),
        (httpx.PoolTimeout(CANARY), ProviderTimeout),
        (httpx.ReadError(CANARY), ProviderUnavailable),
        (httpx.RemoteProtocolError(CANARY), ProviderUnavailable),
        (ConnectionResetError(CANARY), ProviderUnavailable),
    ]
    for name, call in calls_of(vendor).items():
        for cause, kind in cases:
            assert type(await error_of(vendor, call, cause)) is kind, (name, cause)
            start = "".join(vendor.wire.start()) if name == "stream" else '{"half": "'
            content = "text/event-stream" if name == "stream" else "application/json"
            half = httpx.Response(
                200, headers={"content-type": content}, stream=Broken(start, cause)
            )
            assert type(await error_of(vendor, call, half)) is kind, (name, cause)


async def check_malformed(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """An answer that cannot be read is an error, and is not logged at any level."""
    caplog.set_level(logging.DEBUG)
    for name, call in calls_of(vendor).items():
        for body in ('{"half": "' + CANARY, f"<html>{CANARY}", "[1]", "null", "5", "{}"):
            if name == "stream":
                response = sse([*vendor.wire.start(), f"event: {CANARY}\ndata: {body}\n\n"])
            else:
                kind = {"content-type": "application/json"}
                response = httpx.Response(200, headers=kind, text=body)
            assert type(await error_of(vendor, call, response)) is BadProviderResponse, (name, body)
        await error_of(vendor, call, httpx.Response(400, json=vendor.wire.error(CANARY)))
        async with Service(vendor.wire).open() as http:
            await call(http)
    assert CANARY not in caplog.text
    assert "k3y" not in caplog.text


async def check_deadline(vendor: Vendor) -> None:
    """The whole call is bounded, whatever its pieces take."""

    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(never)) as http:
        if vendor.make_chat:
            chat = vendor.make_chat(http)
            with pytest.raises(ProviderTimeout):
                await chat.chat(REQUEST, timeout_s=0)
            with pytest.raises(ProviderTimeout):
                await anext(chat.stream(REQUEST, timeout_s=0))
        if vendor.make_embedder:
            embedder = vendor.make_embedder(http)
            with pytest.raises(ProviderTimeout):
                await embedder.embed_text("sleep", input_type="query", timeout_s=0)
        if vendor.make_reranker:
            with pytest.raises(ProviderTimeout):
                await vendor.make_reranker(http).rank("sleep", ["note"], timeout_s=0)


CHAT_CHECKS = [check_answers, check_ends, check_leaving]
EMBEDDING_CHECKS = [check_rows, check_empty_texts, check_wrong_vectors, check_parallel_calls]
RERANK_CHECKS = [check_relevances, check_wrong_relevances]
CHECKS = [check_statuses, check_waits, check_transport, check_deadline]

"""The simulator as the official SDKs see it, over real connections; their own retries are off."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import anthropic
import cohere
import httpx
import httpx2
import numpy as np
import openai
import pytest
from cohere.core.api_error import ApiError
from cohere.core.parse_error import ParsingError

from benchmarks.simulator.admin import started_simulator
from benchmarks.simulator.behaviour import Behaviour, Fault, Kind
from benchmarks.simulator.calls import Vendor
from benchmarks.simulator.counters import Counters, LaneCounters, LoggedCall
from benchmarks.simulator.server import Simulator, running_simulator
from runtime.providers.cohere_errors import MalformedEventError
from runtime.providers.transport import open_http

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 10.0
RECORDS = """The records below are data to answer from.

<record-0a1b2c3d n="1" about="Dana, notes">
Works nights in a bakery. Her brother came to visit in May.
</record-0a1b2c3d>

<record-0a1b2c3d n="2" about="Dana, plan">
Takes 20 mg of fluoxetine every morning. Agreed to walk for half an hour a day.
</record-0a1b2c3d>

Question:
How many mg of fluoxetine does Dana take every morning?"""
ENCODINGS: tuple[Literal["float"], Literal["base64"]] = ("float", "base64")
ANSWER = "Takes 20 mg of fluoxetine every morning. [2]"


class StreamCutError(Exception):
    """The SDK ended the stream without a word, though its end event never came."""


@dataclass
class Said:
    text: str
    input_tokens: int
    output_tokens: int


class Client(Protocol):
    vendor: Vendor
    errors: tuple[type[Exception], ...]
    status_error: type[Exception]

    async def embed(self, texts: list[str]) -> list[list[float]]: ...
    async def chat(self, prompt: str) -> Said: ...
    def stream(self, prompt: str) -> AsyncGenerator[str | Said, None]: ...
    async def aclose(self) -> None: ...


class CohereClient:
    vendor: Vendor = "cohere"
    # The last is ours: importing `cohere_errors`, as another test of this process may have, has the
    # client raise it where it would skip an event that it cannot read.
    errors: tuple[type[Exception], ...] = (
        ApiError,
        ParsingError,
        httpx.HTTPError,
        StreamCutError,
        MalformedEventError,
    )
    status_error: type[Exception] = ApiError

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.aclose = http.aclose
        self.sdk = cohere.AsyncClientV2(
            "any",
            base_url=url,
            httpx_client=http,
            max_retries=0,
            log_warning_experimental_features=False,
        )

    async def embed(self, texts: list[str]) -> list[list[float]]:
        found = await self.sdk.embed(
            texts=texts, model="m", input_type="search_query", embedding_types=["float"]
        )
        return found.embeddings.float_ or []

    async def chat(self, prompt: str) -> Said:
        found = await self.sdk.chat(model="m", messages=[cohere.UserChatMessageV2(content=prompt)])
        [item] = found.message.content or []
        assert item.type == "text"
        return Said(item.text, *_cohere_tokens(found.usage))

    async def stream(self, prompt: str) -> AsyncGenerator[str | Said, None]:
        pieces = []
        events = self.sdk.chat_stream(
            model="m", messages=[cohere.UserChatMessageV2(content=prompt)]
        )
        assert isinstance(events, AsyncGenerator)
        async with aclosing(events):
            async for event in events:
                if event.type == "content-delta":
                    pieces.append(event.delta.message.content.text)
                    yield pieces[-1]
                if event.type == "message-end" and event.delta.finish_reason == "COMPLETE":
                    yield Said("".join(pieces), *_cohere_tokens(event.delta.usage))
                    return
        raise StreamCutError


def _cohere_tokens(usage: cohere.Usage | None) -> tuple[int, int]:
    assert usage is not None
    assert usage.tokens is not None
    return int(usage.tokens.input_tokens or 0), int(usage.tokens.output_tokens or 0)


class OpenAIClient:
    errors: tuple[type[Exception], ...] = (openai.APIError, json.JSONDecodeError, StreamCutError)
    status_error: type[Exception] = openai.APIStatusError

    def __init__(self, vendor: Vendor, sdk: openai.AsyncOpenAI) -> None:
        self.vendor: Vendor = vendor
        self.sdk = sdk
        self.aclose = sdk.close

    async def embed(self, texts: list[str]) -> list[list[float]]:
        found = await self.sdk.embeddings.create(model="m", input=texts)
        return [item.embedding for item in found.data]

    async def chat(self, prompt: str) -> Said:
        found = await self.sdk.chat.completions.create(
            model="m", messages=[{"role": "user", "content": prompt}]
        )
        assert found.usage is not None
        text = found.choices[0].message.content or ""
        return Said(text, found.usage.prompt_tokens, found.usage.completion_tokens)

    async def stream(self, prompt: str) -> AsyncGenerator[str | Said, None]:
        pieces = []
        async with await self.sdk.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            stream_options={"include_usage": True},
        ) as chunks:
            async for chunk in chunks:
                for choice in chunk.choices:
                    if choice.delta.content:
                        pieces.append(choice.delta.content)
                        yield pieces[-1]
                if chunk.usage is not None:
                    usage = chunk.usage
                    yield Said("".join(pieces), usage.prompt_tokens, usage.completion_tokens)
                    return
        raise StreamCutError


class AnthropicClient:
    vendor: Vendor = "anthropic"
    # In the midst of a stream this SDK lets its HTTP client's own errors through.
    errors: tuple[type[Exception], ...] = (
        anthropic.APIError,
        httpx2.HTTPError,
        json.JSONDecodeError,
        StreamCutError,
    )
    status_error: type[Exception] = anthropic.APIStatusError

    def __init__(self, sdk: anthropic.AsyncAnthropic) -> None:
        self.sdk = sdk
        self.aclose = sdk.close

    async def embed(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError

    async def chat(self, prompt: str) -> Said:
        found = await self.sdk.messages.create(
            model="m", max_tokens=500, messages=[{"role": "user", "content": prompt}]
        )
        [block] = found.content
        assert block.type == "text"
        return Said(block.text, found.usage.input_tokens, found.usage.output_tokens)

    async def stream(self, prompt: str) -> AsyncGenerator[str | Said, None]:
        pieces = []
        input_tokens = output_tokens = 0
        async with await self.sdk.messages.create(
            model="m", max_tokens=500, messages=[{"role": "user", "content": prompt}], stream=True
        ) as events:
            async for event in events:
                if event.type == "message_start":
                    input_tokens = event.message.usage.input_tokens
                elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                    pieces.append(event.delta.text)
                    yield pieces[-1]
                elif event.type == "message_delta":
                    output_tokens = event.usage.output_tokens
                elif event.type == "message_stop":
                    yield Said("".join(pieces), input_tokens, output_tokens)
                    return
        raise StreamCutError


EMBEDDING_VENDORS: list[Vendor] = ["cohere", "openai", "azure", "openai_compatible"]
CHAT_VENDORS: list[Vendor] = [*EMBEDDING_VENDORS, "anthropic"]


@pytest.fixture
async def simulator(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Simulator]:
    """Of every test: no error of the simulator's own, and no request without its outcome."""
    async with running_simulator(seed=1) as simulator:
        yield simulator
        counters = await simulator.wait_for(lambda c: not any(lane.in_flight for lane in each(c)))
        left = sum(call.outcome == "left" for call in simulator.calls())
        settled = sum(
            lane.ok + lane.rate_limited + lane.bad_requests + sum(lane.errors.values())
            for lane in each(counters)
        )
        assert counters.requests() == settled + left
    assert [record for record in caplog.records if record.name == "aiohttp.server"] == []


def each(counters: Counters) -> list[LaneCounters]:
    return [lane for operations in counters.lanes.values() for lane in operations.values()]


@pytest.fixture
async def connect(simulator: Simulator) -> AsyncIterator[Callable[[Vendor], Client]]:
    """Return an SDK's client for a vendor; all are closed at the end."""
    made: dict[Vendor, Client] = {}

    def connect(vendor: Vendor) -> Client:
        if vendor not in made:
            made[vendor] = open_client(vendor, simulator.url)
        return made[vendor]

    yield connect
    for client in made.values():
        await client.aclose()


def open_client(vendor: Vendor, url: str) -> Client:
    match vendor:
        case "cohere":
            return CohereClient(open_http(TIMEOUT_S), url)
        case "anthropic":
            return AnthropicClient(
                anthropic.AsyncAnthropic(
                    api_key="any", base_url=url, max_retries=0, timeout=TIMEOUT_S
                )
            )
        case "azure":
            azure = openai.AsyncAzureOpenAI(
                api_key="any",
                azure_endpoint=url,
                api_version="2024-10-21",
                max_retries=0,
                timeout=TIMEOUT_S,
            )
            return OpenAIClient(vendor, azure)
    base_url = f"{url}/v1" if vendor == "openai" else f"{url}/compatible/v1"
    sdk = openai.AsyncOpenAI(api_key="any", base_url=base_url, max_retries=0, timeout=TIMEOUT_S)
    return OpenAIClient(vendor, sdk)


async def read(stream: AsyncGenerator[str | Said, None]) -> tuple[list[str], Said | None]:
    """Return the pieces and, where the stream came to its end, what it said in all."""
    pieces: list[str] = []
    async with aclosing(stream):
        async for item in stream:
            if isinstance(item, Said):
                return pieces, item
            pieces.append(item)
    return pieces, None


class TestFormats:
    @pytest.mark.parametrize("vendor", EMBEDDING_VENDORS)
    async def test_an_sdk_gets_a_unit_vector_for_each_text_in_order(
        self, vendor: Vendor, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        texts = ["She sleeps badly.", "He bakes bread.", "היא ישנה רע"]
        together = np.array(await connect(vendor).embed(texts))
        alone = [(await connect(vendor).embed([text]))[0] for text in texts]
        assert together.shape == (3, 1536)
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(together, alone, atol=1e-6)
        assert len(np.unique(together, axis=0)) == 3
        counted = simulator.counters().of(vendor, "embed")
        assert (counted.requests, counted.ok, counted.texts, counted.most_texts) == (4, 4, 6, 3)
        assert counted.calls_by_texts == {1: 3, 3: 1}

    async def test_cohere_gives_base64_and_floats_of_the_asked_dimensions_and_the_bill(
        self, connect: Callable[[Vendor], Client]
    ) -> None:
        client = connect("cohere")
        assert isinstance(client, CohereClient)
        found = await client.sdk.embed(
            texts=["12345678"],
            model="m",
            input_type="search_document",
            embedding_types=["base64", "float"],
            output_dimension=256,
        )
        [encoded], [floats] = found.embeddings.base64 or [], found.embeddings.float_ or []
        np.testing.assert_array_equal(np.frombuffer(base64.b64decode(encoded), "<f4"), floats)
        assert len(floats) == 256
        assert found.meta is not None
        assert found.meta.billed_units is not None
        assert found.meta.billed_units.input_tokens == 2

    async def test_openai_gives_floats_where_asked_and_the_usage(
        self, connect: Callable[[Vendor], Client]
    ) -> None:
        client = connect("openai")
        assert isinstance(client, OpenAIClient)
        floats, encoded = [
            await client.sdk.embeddings.create(
                model="m", input="12345678", dimensions=64, encoding_format=encoding
            )
            for encoding in ENCODINGS
        ]
        np.testing.assert_array_equal(
            np.array(floats.data[0].embedding, "<f4"),
            np.frombuffer(base64.b64decode(str(encoded.data[0].embedding)), "<f4"),
        )
        assert floats.usage.total_tokens == 2

    @pytest.mark.parametrize("vendor", CHAT_VENDORS)
    async def test_whole_and_streamed_answers_are_the_same_with_their_usage(
        self, vendor: Vendor, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        whole = await connect(vendor).chat(RECORDS)
        pieces, streamed = await read(connect(vendor).stream(RECORDS))
        assert whole == streamed
        assert whole.text == ANSWER
        assert len(pieces) == len(ANSWER.split())
        assert (whole.input_tokens, whole.output_tokens) == (-(-len(RECORDS) // 4), 11)
        counted = simulator.counters().of(vendor, "chat")
        assert (counted.ok, counted.streams_started, counted.streams_finished) == (2, 1, 1)
        assert (counted.disconnects, counted.in_flight) == (0, 0)

    async def test_azures_newer_paths_and_a_deployment_in_the_path_are_azures(
        self, simulator: Simulator
    ) -> None:
        async with (
            openai.AsyncOpenAI(
                api_key="any", base_url=f"{simulator.url}/openai/v1", max_retries=0
            ) as newer,
            openai.AsyncAzureOpenAI(
                api_key="any",
                azure_endpoint=simulator.url,
                azure_deployment="notes",
                api_version="2024-10-21",
                max_retries=0,
            ) as named,
        ):
            await newer.embeddings.create(model="m", input="a")
            found = await named.embeddings.create(model="other", input="a")
        assert found.model == "notes"
        assert simulator.counters().of("azure", "embed").ok == 2

    @pytest.mark.parametrize("vendor", CHAT_VENDORS)
    async def test_max_tokens_cuts_the_answer_and_is_the_finish_reason(
        self, vendor: Vendor, simulator: Simulator
    ) -> None:
        path, finish = {
            "cohere": ("/v2/chat", "MAX_TOKENS"),
            "anthropic": ("/v1/messages", "max_tokens"),
            "azure": ("/openai/v1/chat/completions", "length"),
            "openai": ("/v1/chat/completions", "length"),
            "openai_compatible": ("/compatible/v1/chat/completions", "length"),
        }[vendor]
        body = {
            "model": "m",
            "max_tokens": 4,
            "messages": [{"role": "user", "content": RECORDS}],
        }
        async with httpx.AsyncClient(base_url=simulator.url, headers={"api-key": "any"}) as http:
            answer = (await http.post(path, json=body)).raise_for_status().text
        assert f'"{finish}"' in answer
        assert '"Takes 20 mg of"' in answer


class TestRefusals:
    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("/v2/embed", {"model": "m", "input_type": "x", "texts": ["a"] * 97}, 400),
            ("/v2/embed", {"model": "m", "input_type": "x", "texts": ["a", ""]}, 400),
            ("/v2/embed", {"model": "m", "texts": ["a"]}, 400),
            ("/v1/embeddings", {"input": "a"}, 400),
            ("/v1/embeddings", {"model": "m", "input": [1, 2]}, 400),
            ("/v1/chat/completions", {"model": "m", "messages": []}, 400),
            ("/v1/chat/completions", {"model": "m", "messages": [{"content": "a"}]}, 400),
            ("/v1/chat/completions", [], 400),
            ("/v1/messages", {"model": "m", "messages": [{"role": "user", "content": "a"}]}, 400),
        ],
    )
    async def test_a_wrong_request_is_refused_and_counted_as_such(
        self, path: str, body: object, status: int, simulator: Simulator
    ) -> None:
        async with httpx.AsyncClient(base_url=simulator.url, headers={"api-key": "any"}) as http:
            answer = await http.post(path, json=body)
        assert answer.status_code == status
        assert sum(lane.bad_requests for lane in each(simulator.counters())) == 1

    @pytest.mark.parametrize("path", ["/v2/chat", "/v1/embeddings", "/v1/messages"])
    async def test_a_request_without_a_key_is_unauthorised(
        self, path: str, simulator: Simulator
    ) -> None:
        async with httpx.AsyncClient(base_url=simulator.url) as http:
            assert (await http.post(path, json={"model": "m"})).status_code == 401

    async def test_a_compatible_server_needs_no_key(self, simulator: Simulator) -> None:
        async with httpx.AsyncClient(base_url=f"{simulator.url}/compatible/v1") as http:
            answer = await http.post("/embeddings", json={"model": "m", "input": "a"})
        assert answer.status_code == 200


STATUSES: list[Kind] = ["400", "401", "403", "404", "429", "quota", "500", "503", "529"]
BEFORE_THE_ANSWER: list[Kind] = ["reset", "malformed", "truncated"]
IN_A_STREAM: list[Kind] = ["429", "500", "503", "reset", "malformed", "truncated"]


class TestFaults:
    @pytest.mark.parametrize("kind", STATUSES)
    @pytest.mark.parametrize("vendor", CHAT_VENDORS)
    async def test_a_status_is_the_sdks_status_error(
        self,
        vendor: Vendor,
        kind: Kind,
        connect: Callable[[Vendor], Client],
        simulator: Simulator,
    ) -> None:
        simulator.behave("chat", vendor, sequence=[Fault(kind=kind, times=2)])
        client = connect(vendor)
        quota = 402 if vendor in ("cohere", "anthropic") else 429
        for call in (client.chat(RECORDS), read(client.stream(RECORDS))):
            with pytest.raises(client.status_error) as raised:
                await call
            assert raised.value.status_code == (  # type: ignore[attr-defined]
                quota if kind == "quota" else int(kind)
            )
        counted = simulator.counters().of(vendor, "chat")
        assert (counted.errors, counted.ok, counted.disconnects) == ({kind: 2}, 0, 0)
        assert (await client.chat(RECORDS)).text == ANSWER

    async def test_errors_have_each_vendors_own_body(
        self, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        simulator.behave(outage="quota")
        with pytest.raises(openai.RateLimitError) as of_openai:
            await connect("openai").chat("a")
        assert of_openai.value.code == "insufficient_quota"
        with pytest.raises(ApiError) as of_cohere:
            await connect("cohere").chat("a")
        assert isinstance(of_cohere.value.body, dict)
        assert set(of_cohere.value.body) == {"id", "message"}
        simulator.behave(outage="529")
        with pytest.raises(anthropic.APIStatusError) as of_anthropic:
            await connect("anthropic").chat("a")
        assert isinstance(of_anthropic.value.body, dict)
        assert of_anthropic.value.body["error"]["type"] == "overloaded_error"
        assert of_anthropic.value.request_id is not None
        simulator.behave(outage="429")
        with pytest.raises(openai.RateLimitError) as of_azure:
            await connect("azure").chat("a")
        assert of_azure.value.code == "429"

    @pytest.mark.parametrize("kind", BEFORE_THE_ANSWER)
    @pytest.mark.parametrize("vendor", CHAT_VENDORS)
    async def test_a_broken_answer_is_an_error_to_the_sdk(
        self,
        vendor: Vendor,
        kind: Kind,
        connect: Callable[[Vendor], Client],
        simulator: Simulator,
    ) -> None:
        client = connect(vendor)
        simulator.behave("all", vendor, outage=kind)
        calls: list[Callable[[], Coroutine[Any, Any, object]]] = [
            lambda: client.chat(RECORDS),
            lambda: read(client.stream(RECORDS)),
        ]
        if vendor in EMBEDDING_VENDORS:
            calls.append(lambda: client.embed(["a"]))
        for call in calls:
            with pytest.raises(client.errors):
                await call()
        simulator.behave(outage=None)
        assert (await client.chat(RECORDS)).text == ANSWER
        counted = simulator.counters().of(vendor, "chat")
        assert (counted.errors, counted.ok, counted.disconnects) == ({kind: 2}, 1, 0)

    @pytest.mark.parametrize("kind", ["hang", "slow_drip"])
    @pytest.mark.parametrize("vendor", CHAT_VENDORS)
    async def test_an_answer_that_never_ends_is_left_and_counted_as_a_disconnect(
        self,
        vendor: Vendor,
        kind: Kind,
        connect: Callable[[Vendor], Client],
        simulator: Simulator,
    ) -> None:
        client = connect(vendor)
        simulator.behave(outage=Fault(kind=kind, drip_ms=100))
        for call in (client.chat(RECORDS), read(client.stream(RECORDS))):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await call
        # On a busy machine the time may be over before a request is sent.
        counters = await simulator.wait_for(
            lambda c: c.of(vendor, "chat").requests == c.of(vendor, "chat").disconnects > 0
        )
        lane = counters.of(vendor, "chat")
        assert (lane.errors, lane.in_flight) == ({kind: lane.requests}, 0)

    async def test_a_hang_of_some_seconds_ends_as_a_dropped_connection(
        self, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        simulator.behave(outage=Fault(kind="hang", hang_s=0.01))
        with pytest.raises(openai.APIConnectionError):
            await connect("openai").chat("a")
        assert simulator.counters().of("openai", "chat").disconnects == 0

    @pytest.mark.parametrize("kind", IN_A_STREAM)
    @pytest.mark.parametrize("vendor", CHAT_VENDORS)
    async def test_a_stream_fails_after_the_given_pieces(
        self,
        vendor: Vendor,
        kind: Kind,
        connect: Callable[[Vendor], Client],
        simulator: Simulator,
    ) -> None:
        simulator.behave("chat", outage=Fault(kind=kind, cut_after_pieces=3), piece_ms=5)
        client = connect(vendor)
        seen: list[str] = []
        with pytest.raises(client.errors):  # noqa: PT012 - what came before it counts
            async with aclosing(client.stream(RECORDS)) as stream:
                async for item in stream:
                    assert isinstance(item, str)
                    seen.append(item)
        # A reset may overtake what was sent before it.
        assert "".join(seen) == "Takes 20 mg" or (kind == "reset" and len(seen) < 3)
        counted = simulator.counters().of(vendor, "chat")
        assert (counted.streams_started, counted.streams_finished) == (1, 0)
        assert (counted.errors, counted.disconnects) == ({kind: 1}, 0)

    async def test_a_stream_that_has_begun_fails_in_the_vendors_own_words(
        self, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        simulator.behave("chat", outage=Fault(kind="529", cut_after_pieces=1))
        for vendor in ("openai", "azure"):
            with pytest.raises(openai.APIError, match="told to fail") as of_openai:
                await read(connect(vendor).stream(RECORDS))
            assert not isinstance(of_openai.value, openai.APIConnectionError)
        with pytest.raises(anthropic.APIStatusError) as of_anthropic:
            await read(connect("anthropic").stream(RECORDS))
        assert "overloaded_error" in str(of_anthropic.value.body)
        client = connect("cohere")
        assert isinstance(client, CohereClient)
        events = client.sdk.chat_stream(
            model="m", messages=[cohere.UserChatMessageV2(content=RECORDS)]
        )
        *_, last = [event async for event in events]
        assert last.type == "message-end"
        assert last.delta is not None
        assert last.delta.finish_reason == "ERROR"

    async def test_retry_after_comes_in_seconds_as_a_date_or_not_at_all(
        self, simulator: Simulator
    ) -> None:
        simulator.behave(
            sequence=[
                Fault(kind="429", retry_after_s=1.2),
                Fault(kind="503", retry_after_s=30, retry_after_as="date"),
                Fault(kind="429"),
            ]
        )
        async with httpx.AsyncClient(base_url=simulator.url, headers={"api-key": "any"}) as http:
            body = {"model": "m", "input": "a"}
            before = datetime.now(UTC)
            answers = [await http.post("/v1/embeddings", json=body) for _ in range(3)]
        in_seconds, as_date, without = [answer.headers.get("retry-after") for answer in answers]
        assert in_seconds == "2"
        assert (parsedate_to_datetime(as_date) - before).total_seconds() >= 29
        assert without is None

    async def test_the_same_seed_gives_the_same_failures_at_about_the_asked_rate(self) -> None:
        async def outcomes(seed: int) -> list[str | None]:
            behaviour = Behaviour(fail_rate=0.2)
            async with (
                running_simulator(behaviour, seed=seed) as simulator,
                httpx.AsyncClient(base_url=simulator.url, headers={"api-key": "any"}) as http,
            ):
                for _ in range(200):
                    await http.post("/v1/embeddings", json={"model": "m", "input": "a"})
                return [call.outcome for call in simulator.calls()]

        once, again, other = await outcomes(1), await outcomes(1), await outcomes(2)
        assert once == again != other
        assert set(once) == {"ok", "500", "429"}
        assert 140 <= once.count("ok") <= 180


class TestCeilings:
    async def test_over_the_requests_of_a_window_is_429_with_the_seconds_to_wait(
        self, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        simulator.behave("chat", "openai", requests_per_minute=2)
        client = connect("openai")
        for _ in range(2):
            await client.chat("a")
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat("a")
        assert 55 <= int(raised.value.response.headers["retry-after"]) <= 60
        counted = simulator.counters().of("openai", "chat")
        assert (counted.ok, counted.rate_limited, counted.errors) == (2, 1, {})
        await connect("azure").chat("a")  # has a ceiling of its own

    async def test_inputs_count_texts_and_a_refused_call_takes_none(
        self, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        simulator.behave("embed", "cohere", inputs_per_minute=5)
        client = connect("cohere")
        await client.embed(["a", "b", "c"])
        with pytest.raises(cohere.TooManyRequestsError):
            await client.embed(["d", "e", "f"])
        assert len(await client.embed(["d", "e"])) == 2

    async def test_tokens_count_input_and_output(
        self, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        client = connect("anthropic")
        said = await client.chat(RECORDS)
        spent = said.input_tokens + said.output_tokens
        simulator.behave("chat", tokens_per_minute=spent + said.input_tokens - 1)
        await client.chat(RECORDS)
        with pytest.raises(anthropic.RateLimitError):
            await client.chat(RECORDS)


class TestCounting:
    @pytest.mark.parametrize("vendor", CHAT_VENDORS)
    async def test_a_stream_closed_early_is_one_disconnect(
        self, vendor: Vendor, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        simulator.behave("chat", vendor, piece_ms=20)
        async with aclosing(connect(vendor).stream(RECORDS)) as stream:
            assert await anext(stream) == "Takes"
        counters = await simulator.wait_for(lambda c: c.of(vendor, "chat").disconnects == 1)
        counted = counters.of(vendor, "chat")
        assert (counted.streams_started, counted.streams_finished, counted.ok) == (1, 0, 0)
        assert counted.in_flight == 0
        [call] = simulator.calls()
        assert call.outcome == "left"
        assert call.ended_s is not None
        assert 1 <= call.pieces < len(ANSWER.split())

    async def test_a_plain_call_that_is_cancelled_is_a_disconnect(
        self, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        simulator.behave(latency_ms=60_000)
        asking = asyncio.create_task(connect("cohere").embed(["a"]))
        await simulator.wait_for(lambda c: c.of("cohere", "embed").in_flight == 1)
        asking.cancel()
        counters = await simulator.wait_for(lambda c: c.of("cohere", "embed").in_flight == 0)
        assert counters.of("cohere", "embed").disconnects == 1

    async def test_retries_of_one_prompt_are_counted_whatever_their_fence_or_batch(
        self, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        client = connect("openai")
        await client.chat(RECORDS)
        await client.chat(RECORDS.replace("0a1b2c3d", "99999999"))
        await client.chat(RECORDS.replace("mg", "ml"))
        chat = simulator.counters().of("openai", "chat")
        assert (chat.prompts, chat.most_calls_of_a_prompt) == (2, 2)
        await client.embed(["a", "b"])
        await client.embed(["b", "b"])
        await client.embed(["b", "c"])
        embed = simulator.counters().of("openai", "embed")
        assert (embed.prompts, embed.calls_by_prompt) == (3, {1: 2, 3: 1})

    async def test_arrivals_are_listed_by_second_and_call_by_call(
        self, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        await connect("openai").embed(["a"])
        middle_s = simulator.counters().elapsed_s
        await connect("openai").chat("a")
        await connect("azure").chat("a")
        counters = simulator.counters()
        assert sum(counters.of("openai", "embed").arrivals_per_s) == 1
        assert (counters.requests(), counters.requests("chat")) == (3, 2)
        later = simulator.calls(since_s=middle_s)
        assert [(call.vendor, call.outcome) for call in later] == [
            ("openai", "ok"),
            ("azure", "ok"),
        ]

    async def test_a_reset_forgets_the_counts_and_goes_back_to_the_first_behaviour(
        self, connect: Callable[[Vendor], Client], simulator: Simulator
    ) -> None:
        simulator.behave(outage="500", requests_per_minute=1)
        client = connect("cohere")
        with pytest.raises(cohere.InternalServerError):
            await client.chat("a")
        simulator.reset(behaviour=False)
        assert (simulator.counters().requests(), simulator.calls()) == (0, [])
        with pytest.raises(cohere.InternalServerError):
            await client.chat("a")
        simulator.reset()
        await client.chat("a")
        assert simulator.counters().of("cohere", "chat").ok == 1

    async def test_waiting_in_vain_is_a_timeout(self, simulator: Simulator) -> None:
        with pytest.raises(TimeoutError):
            await simulator.wait_for(lambda c: c.requests() == 1, timeout_s=0.01)


class TestCommand:
    def test_a_process_of_its_own_is_told_and_read_over_http(self) -> None:
        headers = {"Authorization": "Bearer any"}
        body = {"model": "m", "input": ["a", "b"]}
        with (
            started_simulator(Behaviour(outage=Fault(kind="503"))) as admin,
            httpx.Client(base_url=f"{admin.url}/v1", headers=headers) as http,
        ):
            assert http.post("/embeddings", json=body).status_code == 503
            admin.behave("embed", outage=None, sequence=["429", Fault(kind="ok")])
            statuses = [http.post("/embeddings", json=body).status_code for _ in range(3)]
            assert statuses == [429, 200, 200]
            counted = admin.wait_for(lambda c: c.of("openai", "embed").ok == 2)
            assert counted.of("openai", "embed").errors == {"503": 1, "429": 1}
            outcomes = [call.outcome for call in admin.calls()]
            assert outcomes == ["503", "429", "ok", "ok"]
            with pytest.raises(TimeoutError):
                admin.wait_for(lambda c: c.requests("chat") > 0, timeout_s=0.05)
            admin.reset()
            assert admin.counters().requests() == 0
            assert http.post("/embeddings", json=body).status_code == 503

    def test_a_wrong_change_is_refused_with_the_reason(self) -> None:
        with started_simulator() as admin:
            answer = httpx.post(f"{admin.url}/_simulator/behaviour", json={"latncy_ms": 3})
            assert answer.status_code == 400
            assert "latncy_ms" in answer.text

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_it_cleanly(self, number: signal.Signals) -> None:
        with subprocess.Popen(
            [sys.executable, ROOT / "benchmarks" / "provider_simulator.py", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("listening on http://127.0.0.1:")
            process.send_signal(number)
            assert process.communicate(timeout=30) == ("", "")
            assert process.returncode == 0

    def test_it_ends_by_itself_after_the_given_time(self) -> None:
        ended = _run("--port", "0", "--for", "0.01")
        assert (ended.returncode, ended.stderr) == (0, "")

    @pytest.mark.parametrize(
        ("flags", "named"),
        [
            (["--host", "0.0.0.0"], "--host"),
            (["--fail-rate", "2"], "fail_rate"),
            (["--behaviour", "["], "--behaviour"),
        ],
    )
    def test_what_it_cannot_do_is_refused_by_name(self, flags: list[str], named: str) -> None:
        ended = _run("--port", "0", *flags)
        assert ended.returncode == 1
        assert ended.stderr.startswith(named)


class TestDocumentation:
    async def test_every_change_in_the_documentation_is_one_that_is_taken(
        self, simulator: Simulator
    ) -> None:
        page = (ROOT / "docs" / "provider-simulator.md").read_text("utf-8")
        changes = re.findall(r"^behave '(.*)'", page, re.MULTILINE)
        assert len(changes) > 10
        async with httpx.AsyncClient(base_url=simulator.url) as http:
            for change in changes:
                answer = await http.post("/_simulator/behaviour", content=change)
                assert answer.status_code == 200, (change, answer.text)

    def test_every_kind_and_field_and_count_is_documented(self) -> None:
        page = (ROOT / "docs" / "provider-simulator.md").read_text("utf-8")
        kinds = [kind for kind in get_args(Kind) if not kind.isdigit()]
        fields = [*Behaviour.model_fields, *Fault.model_fields, *LaneCounters.model_fields]
        fields += LoggedCall.model_fields
        assert [name for name in [*kinds, *fields] if f"`{name}`" not in page] == []


def _run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.provider_simulator", *flags]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from deployments import streaming
from deployments.streaming import EventStream, open_stream, wants_stream
from runtime.errors import (
    AIAgentError,
    CircuitOpen,
    InvalidQuery,
    Overloaded,
    ProviderUnavailable,
    RateLimitError,
)
from runtime.messages import AnswerEvent, AnswerStarted, CitationReady, SentenceReady
from runtime.settings import Settings
from runtime.telemetry import QuestionAnswered
from tests.unit.deployments.http_world import CHAT, World, open_world
from tests.unit.deployments.test_api import ANSWER, assert_problem

TOLD: list[AnswerEvent] = [
    AnswerStarted("en", 5),
    SentenceReady("She wakes at 3 a.m. [1]."),
    CitationReady(ANSWER.citations[0]),
    SentenceReady("\n- Asthma since “childhood” [2].\r\nילדות"),
]
FAILURE = ProviderUnavailable("cohere", "command", "chat", "reset", 7.0)


class Caller:
    """An ASGI caller that sees each piece as it is sent, and may leave."""

    def __init__(self, world: World, body: object, **headers: str) -> None:
        sent = world.authorize("chat") | {"Content-Type": "application/json"} | headers
        self.status = 0
        self.headers = Headers()
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.left = asyncio.Event()
        self._body = json.dumps(body).encode()
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "path": CHAT,
            "raw_path": CHAT.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "server": ("test", 80),
            "client": ("127.0.0.1", 1),
            "headers": [(k.lower().encode(), v.encode()) for k, v in sent.items()],
        }
        self.asking = asyncio.create_task(world.app(self._scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if self._body:
            body, self._body = self._body, b""
            return {"type": "http.request", "body": body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = Headers(raw=message["headers"])
        else:
            await self.pieces.put(message["body"])

    async def next_event(self) -> tuple[str, Any]:
        """Return the name and the data of the next piece, which must be one event."""
        lines = (await self.pieces.get()).decode().split("\n")
        assert [line.partition(": ")[0] for line in lines] == ["event", "data", "", ""]
        return lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))


@asynccontextmanager
async def calling(world: World, body: object, **headers: str) -> AsyncIterator[Caller]:
    caller = Caller(world, body, **headers)
    try:
        yield caller
    finally:
        caller.left.set()
        await asyncio.wait_for(caller.asking, 5)


def statuses(world: World) -> list[str]:
    return [event.status for event in world.events if isinstance(event, QuestionAnswered)]


STREAM = {"query": "q", "stream": True}


@pytest.fixture
def telling(world: World) -> World:
    world.answers.told = list(TOLD)
    world.answers.answer = ANSWER
    return world


class TestEvents:
    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (STREAM, {}),
            ({"query": "q"}, {"Accept": "text/event-stream"}),
            ({"query": "q"}, {"Accept": "application/json, Text/Event-Stream;q=0.9"}),
        ],
    )
    async def test_are_the_contracts(
        self, telling: World, body: dict[str, object], headers: dict[str, str]
    ) -> None:
        whole = (await telling.ask({"query": "q"}, **{"X-Request-ID": "mine"})).json()
        async with calling(telling, body, **headers, **{"X-Request-ID": "mine"}) as caller:
            meta = {"request_id": "mine", "language": "en", "retrieved_count": 5}
            assert await caller.next_event() == ("meta", meta)
            assert await caller.next_event() == ("delta", {"text": "She wakes at 3 a.m. [1]."})
            assert await caller.next_event() == ("citation", whole["citations"][0])
            last = {"text": "\n- Asthma since “childhood” [2].\r\nילדות"}
            assert await caller.next_event() == ("delta", last)
            assert await caller.next_event() == ("done", whole)
            assert await caller.pieces.get() == b""
            await caller.asking
        assert caller.status == 200
        assert caller.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert caller.headers["Cache-Control"] == "no-store"
        assert caller.headers["X-Accel-Buffering"] == "no"
        assert caller.headers["X-Request-ID"] == "mine"
        assert "Content-Length" not in caller.headers
        assert statuses(telling) == ["ok", "ok"]

    async def test_are_sent_as_they_come(self, telling: World) -> None:
        telling.answers.hold = asyncio.Event()
        async with calling(telling, STREAM) as caller:
            for _ in TOLD:
                await caller.next_event()
            assert statuses(telling) == []
            telling.answers.hold.set()
            name, _ = await caller.next_event()
            assert name == "done"

    @pytest.mark.parametrize("accept", ["application/json", "*/*", "text/*", ""])
    async def test_are_sent_to_nobody_else(self, telling: World, accept: str) -> None:
        response = await telling.ask({"query": "q"}, Accept=accept)
        assert response.headers["Content-Type"] == "application/json"
        assert not wants_stream(Headers({"Accept": accept}))

    async def test_are_one_line_each_to_clients_that_split_lines_as_python_does(
        self, telling: World
    ) -> None:
        telling.answers.told = [SentenceReady("She\u2028sleeps\x85\u2029well.")]
        async with calling(telling, STREAM) as caller:
            piece = (await caller.pieces.get()).decode()
        assert len(piece.splitlines()) == 3
        assert json.loads(piece.splitlines()[1].removeprefix("data: ")) == {
            "text": "She\u2028sleeps\x85\u2029well."
        }


class TestFailure:
    @pytest.mark.parametrize(
        ("failure", "status", "code", "retry_after"),
        [
            (InvalidQuery(), 400, "invalid_query", None),
            (Overloaded(2.0), 503, "overloaded", "2"),
            (CircuitOpen("p", "m", "chat", "open", 42.0), 503, "provider_unavailable", "42"),
            (RateLimitError("p", "m", "embed", "429", 3.0), 503, "provider_unavailable", "3"),
        ],
    )
    async def test_before_the_first_event_is_an_ordinary_problem(
        self,
        world: World,
        failure: AIAgentError,
        status: int,
        code: str,
        retry_after: str | None,
    ) -> None:
        world.answers.failure = failure
        response = await world.ask(STREAM)
        assert_problem(response, status, code)
        assert response.headers.get("Retry-After") == retry_after
        assert statuses(world) == [code]

    async def test_of_the_request_itself_is_one_too(self, world: World) -> None:
        assert_problem(await world.ask({"stream": True}), 422, "invalid_request")

    @pytest.mark.parametrize(
        ("failure", "status", "code"),
        [(FAILURE, 503, "provider_unavailable"), (ValueError("Dana sleeps"), 500, "internal")],
    )
    async def test_after_it_is_the_last_event(
        self, telling: World, failure: Exception, status: int, code: str
    ) -> None:
        telling.answers.failure = failure
        async with calling(telling, STREAM, **{"X-Request-ID": "mine"}) as caller:
            for _ in TOLD:
                await caller.next_event()
            name, problem = await caller.next_event()
            assert await caller.pieces.get() == b""
        assert (name, caller.status) == ("error", 200)
        assert (problem["status"], problem["code"], problem["request_id"]) == (status, code, "mine")
        assert "Dana" not in json.dumps(problem)
        assert statuses(telling) == [code]

    async def test_of_the_deadline_is_the_last_event(self) -> None:
        async with open_world(Settings(request_deadline_s=0.05)) as world:
            world.answers.told = list(TOLD)
            world.answers.hold = asyncio.Event()
            async with calling(world, STREAM) as caller:
                for _ in TOLD:
                    await caller.next_event()
                name, problem = await caller.next_event()
            assert (name, problem["code"]) == ("error", "deadline_exceeded")
            assert world.answers.cancelled == 1
            assert statuses(world) == ["deadline_exceeded"]


class TestPlace:
    async def test_is_held_for_the_whole_stream_and_free_after_it(self) -> None:
        async with open_world(Settings(concurrent_questions=1)) as world:
            world.answers.told = list(TOLD)
            world.answers.hold = asyncio.Event()
            async with calling(world, STREAM) as caller:
                await caller.next_event()
                assert_problem(await world.ask(STREAM), 503, "overloaded")
                assert_problem(await world.ask({"query": "q"}), 503, "overloaded")
                world.answers.hold.set()
                await caller.asking
            assert (await world.ask({"query": "q"})).status_code == 200

    async def test_of_a_caller_who_left_is_free_and_its_work_has_stopped(self) -> None:
        async with open_world(Settings(concurrent_questions=1)) as world:
            world.answers.told = list(TOLD)
            world.answers.hold = asyncio.Event()
            async with calling(world, STREAM) as caller:
                await caller.next_event()
                await world.answers.started.wait()
            assert world.answers.cancelled == 1
            assert statuses(world) == ["cancelled"]
            world.answers.hold.set()
            assert (await world.ask({"query": "q"})).status_code == 200

    @pytest.mark.parametrize("told", [TOLD, []])
    async def test_of_a_request_that_the_server_cancels_is_free(
        self, told: list[AnswerEvent]
    ) -> None:
        async with open_world(Settings(concurrent_questions=1)) as world:
            world.answers.told = list(told)
            world.answers.hold = asyncio.Event()
            caller = Caller(world, STREAM)
            await world.answers.started.wait()
            caller.asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller.asking
            assert world.answers.cancelled == 1
            assert statuses(world) == ["cancelled"]
            world.answers.hold.set()
            assert (await world.ask({"query": "q"})).status_code == 200


class Source:
    """Events as a test lets them out; remembers how far it was read, and how it was left."""

    def __init__(self, *, hold: asyncio.Event | None = None) -> None:
        self.hold = hold
        self.taken = 0
        self.closed = False

    async def events(self) -> AsyncGenerator[tuple[AnswerEvent, float], None]:
        try:
            for _ in range(100):
                if self.hold is not None:
                    await self.hold.wait()
                self.taken += 1
                yield SentenceReady("She sleeps."), 0.5
        finally:
            self.closed = True


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def respond(stream: EventStream, send: Any, receive: Any = never) -> None:
    await stream({"type": "http"}, receive, send)


class TestResponse:
    async def test_sends_a_comment_in_every_idle_interval(self) -> None:
        source = Source(hold=asyncio.Event())
        stream = await open_stream(source.events(), patience_s=0, heartbeat_s=0)
        sent: list[bytes] = []

        async def send(message: Message) -> None:
            sent.append(message.get("body", b""))
            if len(sent) == 4:
                assert source.hold is not None
                source.hold.set()

        await respond(stream, send)
        assert sent[:4] == [b"", b": ping\n\n", b": ping\n\n", b": ping\n\n"]
        assert sum(body.startswith(b"event: delta") for body in sent) == 100

    async def test_tells_a_failure_after_the_first_comment_by_an_event(self) -> None:
        hold = asyncio.Event()

        async def fail() -> AsyncGenerator[tuple[AnswerEvent, float], None]:
            await hold.wait()
            for failure in (FAILURE,):
                raise failure
            yield TOLD[0], 0.0

        stream = await open_stream(fail(), patience_s=0, heartbeat_s=0)
        hold.set()
        sent: list[bytes] = []

        async def send(message: Message) -> None:
            sent.append(message.get("body", b""))

        await respond(stream, send)
        assert sent[-2].startswith(b"event: error\ndata: {")

    async def test_does_not_read_on_while_the_caller_takes_nothing(self) -> None:
        source = Source()
        stream = await open_stream(source.events())
        stuck = asyncio.Event()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                stuck.set()
                await asyncio.Event().wait()

        responding = asyncio.create_task(respond(stream, send))
        await stuck.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert source.taken <= 3
        responding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await responding
        assert source.closed

    async def test_gives_up_a_caller_who_takes_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streaming, "SEND_TIMEOUT_S", 0)
        source = Source()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        await respond(await open_stream(source.events()), send)
        assert source.closed

    async def test_takes_a_broken_connection_for_a_caller_who_left(self) -> None:
        source = Source()

        async def send(message: Message) -> None:
            del message
            raise BrokenPipeError

        await respond(await open_stream(source.events()), send)
        assert source.closed

    async def test_does_not_hide_a_fault_of_the_servers(self) -> None:
        async def send(message: Message) -> None:
            raise ValueError(message["type"])

        with pytest.raises(ValueError, match="start"):
            await respond(await open_stream(Source().events()), send)

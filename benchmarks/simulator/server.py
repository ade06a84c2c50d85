"""The simulated vendors on one loopback port, and the admin API beside them.

`running_simulator` runs it inside a test or benchmark; `benchmarks/provider_simulator.py` is the
command. It binds 127.0.0.1 and nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal, Unpack

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from benchmarks.simulator import answers, vectors
from benchmarks.simulator.behaviour import Behaviour, BehaviourFields, Change, Fault
from benchmarks.simulator.calls import (
    OPERATIONS,
    VENDORS,
    BadCall,
    Call,
    ChatCall,
    EmbedCall,
    Json,
    Operation,
    RerankWire,
    Vendor,
    Wire,
)
from benchmarks.simulator.counters import MOST_LOGGED_CALLS, Counters, LoggedCall, LoggedCalls
from benchmarks.simulator.exchange import Exchange
from benchmarks.simulator.lane import Lane
from benchmarks.simulator.wire_anthropic import AnthropicWire
from benchmarks.simulator.wire_cohere import CohereWire
from benchmarks.simulator.wire_openai import OpenAIWire

HOST: Final = "127.0.0.1"
LARGEST_REQUEST_BYTES: Final = 32 * 1024 * 1024
"""Source: docs.anthropic.com/en/api/errors: 32 MB, the most of any of these vendors."""
LONGEST_POLL_S: Final = 60.0
DEFAULT: Final = Behaviour()

_KEY_HEADERS: Final = ("authorization", "x-api-key", "api-key")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Simulator:
    """The vendors, each operation with a behaviour and counters of its own."""

    def __init__(self, behaviour: Behaviour = DEFAULT, *, seed: int = 0) -> None:
        self.url = ""
        self._start_behaviour = behaviour
        self._numbers = itertools.count(1)
        self._version = 0
        self._news: asyncio.Event | None = None
        self._started_s = time.monotonic()
        self._calls: deque[LoggedCall] = deque(maxlen=MOST_LOGGED_CALLS)
        self._lanes = {
            (vendor, operation): Lane(
                vendor, operation, behaviour=behaviour, seed=seed, changed=self._changed
            )
            for vendor in VENDORS
            for operation in OPERATIONS
        }

    def behave(
        self,
        operation: Operation | Literal["all"] = "all",
        vendor: Vendor | Literal["all"] = "all",
        **fields: Unpack[BehaviourFields],
    ) -> None:
        """Change the named fields from the next call on."""
        self.change(Change.model_validate({"operation": operation, "vendor": vendor, **fields}))

    def change(self, change: Change) -> None:
        """Change what the change names, for those it names; each takes its own copy."""
        for (vendor, operation), lane in self._lanes.items():
            if change.vendor in ("all", vendor) and change.operation in ("all", operation):
                new_sequence = "sequence" in change.model_fields_set
                lane.behave(change.apply(lane.behaviour), new_sequence=new_sequence)

    def reset(self, *, behaviour: bool = True) -> None:
        """Forget all counts, calls and windows; unless told not to, behave as at the start."""
        self._started_s = time.monotonic()
        self._calls = deque(maxlen=MOST_LOGGED_CALLS)
        for lane in self._lanes.values():
            lane.forget(self._start_behaviour if behaviour else lane.behaviour)
        self._changed()

    def behaviours(self) -> dict[Vendor, dict[Operation, Behaviour]]:
        """Return how each behaves; a sequence as it was given, not what is left of it."""
        return {
            vendor: {
                operation: self._lanes[vendor, operation].behaviour for operation in OPERATIONS
            }
            for vendor in VENDORS
        }

    def counters(self) -> Counters:
        """Return all counts as they are now."""
        lanes = {
            vendor: {name: self._lanes[vendor, name].snapshot() for name in OPERATIONS}
            for vendor in VENDORS
        }
        return Counters(version=self._version, elapsed_s=self._elapsed_s(), lanes=lanes)

    def calls(self, *, since_s: float = 0) -> list[LoggedCall]:
        """Return the latest calls that arrived from then on, in order of arrival."""
        return [call.model_copy() for call in self._calls if call.arrived_s >= since_s]

    async def wait_for(
        self, predicate: Callable[[Counters], bool], timeout_s: float = 10
    ) -> Counters:
        """Return the first counts for which the predicate holds.

        Raises: TimeoutError, with the counts as they are.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not predicate(counters := self.counters()):
                    await self._next_change()
        except TimeoutError:
            raise TimeoutError(self.counters().model_dump_json()) from None
        return counters

    def application(self) -> web.Application:
        """Return the routes: the vendors' own, and the admin API's under `/_simulator`."""
        app = web.Application(client_max_size=LARGEST_REQUEST_BYTES, middlewares=[_explain])
        openai, azure = OpenAIWire("openai"), OpenAIWire("azure")
        compatible = OpenAIWire("openai_compatible")
        deployment = "/openai/deployments/{deployment}"
        vendor_routes: list[tuple[str, Wire, Operation]] = [
            ("/v2/embed", CohereWire(), "embed"),
            ("/v2/chat", CohereWire(), "chat"),
            ("/v2/rerank", CohereWire(), "rerank"),
            ("/v1/embeddings", openai, "embed"),
            ("/v1/chat/completions", openai, "chat"),
            ("/compatible/v1/embeddings", compatible, "embed"),
            ("/compatible/v1/chat/completions", compatible, "chat"),
            ("/openai/v1/embeddings", azure, "embed"),
            ("/openai/v1/chat/completions", azure, "chat"),
            (f"{deployment}/embeddings", azure, "embed"),
            (f"{deployment}/chat/completions", azure, "chat"),
            ("/v1/messages", AnthropicWire(), "chat"),
        ]
        for path, wire, operation in vendor_routes:
            app.router.add_post(path, self._vendor_handler(wire, operation))
        app.router.add_get("/_simulator/counters", self._get_counters)
        app.router.add_get("/_simulator/calls", self._get_calls)
        app.router.add_get("/_simulator/behaviour", self._get_behaviour)
        app.router.add_post("/_simulator/behaviour", self._post_behaviour)
        app.router.add_post("/_simulator/reset", self._post_reset)
        return app

    def _vendor_handler(self, wire: Wire, operation: Operation) -> _Handler:
        lane = self._lanes[wire.vendor, operation]

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                with lane.visit(self._elapsed_s) as visit:
                    self._calls.append(visit.logged)
                    exchange = Exchange(request, wire, visit, next(self._numbers))
                    return await self._answer(exchange, lane, operation)
            except ConnectionError:
                return web.Response()  # to nobody

        return handle

    async def _answer(
        self, exchange: Exchange, lane: Lane, operation: Operation
    ) -> web.StreamResponse:
        wire, visit = exchange.wire, exchange.visit
        try:
            call = await _read(exchange, operation)
        except BadCall as error:
            return exchange.refusal(error.status, error.message, outcome="bad_request")
        behaviour = lane.behaviour
        if wait_s := lane.admit(visit, call, now_s=time.monotonic()):
            return exchange.rate_limited(wait_s)
        fault = lane.schedule.next_fault(behaviour)
        if fault is not None:
            visit.met(fault)
        if latency_s := lane.schedule.latency_s(behaviour):
            await asyncio.sleep(latency_s)
        stream = isinstance(call, ChatCall) and call.stream
        if fault is not None and fault.is_early(stream=stream):
            return await exchange.fail_early(fault)
        visit.tally.counters.input_tokens += call.input_tokens
        if isinstance(call, ChatCall):
            return await self._answer_chat(exchange, lane, call, fault)
        if isinstance(call, EmbedCall):
            rows = [vectors.embed(text, call.dimensions) for text in call.texts]
            body = wire.embedded(call, rows, exchange.number)
        else:
            assert isinstance(wire, RerankWire)
            body = wire.reranked(call, answers.relevances(call), exchange.number)
        return await exchange.whole(body, fault)

    async def _answer_chat(
        self, exchange: Exchange, lane: Lane, call: ChatCall, fault: Fault | None
    ) -> web.StreamResponse:
        wire, behaviour = exchange.wire, lane.behaviour
        reply = answers.answer(call, exchange.number)
        lane.ceilings.add_output(behaviour, tokens=reply.output_tokens, now_s=time.monotonic())
        if call.stream:
            return await exchange.stream(
                wire.streamed(call, reply), reply, fault, piece_ms=behaviour.piece_ms
            )
        exchange.visit.tally.counters.output_tokens += reply.output_tokens
        return await exchange.whole(wire.answered(call, reply), fault)

    async def _get_counters(self, request: web.Request) -> web.Response:
        """Answer at once, or with `after` and `wait_s` when the version has passed `after`."""
        query = _Poll.model_validate(dict(request.query))
        deadline_s = time.monotonic() + query.wait_s
        while query.after is not None and self._version <= query.after:
            try:
                async with asyncio.timeout(deadline_s - time.monotonic()):
                    await self._next_change()
            except TimeoutError:
                break
        return _json(self.counters().model_dump_json())

    async def _get_calls(self, request: web.Request) -> web.Response:
        since_s = _Since.model_validate(dict(request.query)).since_s
        return _json(LoggedCalls.dump_json(self.calls(since_s=since_s)))

    async def _get_behaviour(self, request: web.Request) -> web.Response:
        del request
        return _json(_BEHAVIOURS.dump_json(self.behaviours()))

    async def _post_behaviour(self, request: web.Request) -> web.Response:
        self.change(Change.model_validate_json(await request.read()))
        return await self._get_behaviour(request)

    async def _post_reset(self, request: web.Request) -> web.Response:
        what = _Reset.model_validate_json(await request.read() or b"{}")
        self.reset(behaviour=what.behaviour)
        return await self._get_behaviour(request)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    def _changed(self) -> None:
        self._version += 1
        if self._news is not None:
            self._news.set()
            self._news = None

    async def _next_change(self) -> None:
        if self._news is None:
            self._news = asyncio.Event()
        await self._news.wait()


@asynccontextmanager
async def running_simulator(
    behaviour: Behaviour = DEFAULT, *, port: int = 0, seed: int = 0
) -> AsyncIterator[Simulator]:
    """Serve on 127.0.0.1 in this event loop; leaving the context ends what is under way.

    Port 0 takes a free one; `url` says which.
    """
    simulator = Simulator(behaviour, seed=seed)
    runner = web.AppRunner(
        simulator.application(),
        access_log=None,
        # A handler hears at once that its client has left.
        handler_cancellation=True,
        shutdown_timeout=0.1,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port, backlog=1024).start()
        simulator.url = f"http://{HOST}:{runner.addresses[0][1]}"
        yield simulator
    finally:
        await runner.cleanup()


class _Poll(BaseModel):
    after: int | None = None
    wait_s: float = Field(0, ge=0, le=LONGEST_POLL_S)


class _Since(BaseModel):
    since_s: float = 0


class _Reset(BaseModel):
    model_config = ConfigDict(extra="forbid")

    behaviour: bool = True


_BEHAVIOURS: Final = TypeAdapter(dict[Vendor, dict[Operation, Behaviour]])


async def _read(exchange: Exchange, operation: Operation) -> Call:
    request = exchange.request
    content = await request.read()
    # A server of one's own, such as Ollama, asks for none.
    needs_key = exchange.wire.vendor != "openai_compatible"
    if needs_key and not any(name in request.headers for name in _KEY_HEADERS):
        raise BadCall(401, "No API key was given.")
    try:
        body: Json = json.loads(content)
    except ValueError:
        raise BadCall(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise BadCall(400, "The body is not a JSON object.")
    deployment = request.match_info.get("deployment")
    if operation == "embed":
        return exchange.wire.read_embed(body, deployment)
    if operation == "rerank":
        assert isinstance(exchange.wire, RerankWire)
        return exchange.wire.read_rerank(body)
    return exchange.wire.read_chat(body, deployment)


@web.middleware
async def _explain(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer 400 where an admin request is wrong, and say why."""
    try:
        return await handler(request)
    except ValidationError as error:
        return _json(error.json(include_url=False), status=400)


def _json(body: str | bytes, *, status: int = 200) -> web.Response:
    content = body.encode() if isinstance(body, str) else body
    return web.Response(body=content, status=status, content_type="application/json")

"""One request's answer on its connection: in full, or as a fault has it.

Every way out says to the call's `Visit` how it ends before the last byte is sent, so that a client
that has its answer finds it counted, and one that leaves earlier is counted as gone.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import MappingProxyType
from typing import Final, NoReturn

from aiohttp import web

from benchmarks.simulator.behaviour import Fault
from benchmarks.simulator.calls import EventStream, Json, Reply, Wire, encoded, estimate_tokens
from benchmarks.simulator.lane import Visit

QUOTA_STATUS: Final = {"cohere": 402, "anthropic": 402}
"""OpenAI and those like it send 429, with a code of its own."""
_MESSAGES: Final = {
    400: "The simulator was told to refuse this request.",
    401: "Invalid API key.",
    403: "Forbidden.",
    404: "The model does not exist.",
    408: "The request took too long to arrive.",
    429: "Rate limit reached. Please wait and try again.",
}
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and how its vendor answers."""

    request: web.Request
    wire: Wire
    visit: Visit
    number: int

    def refusal(self, status: int, message: str, *, outcome: str) -> web.Response:
        """Return an error of the simulator's own finding."""
        body = self.wire.error(status, message, self.number)
        return self._response(encoded(body), outcome=outcome, status=status)

    def rate_limited(self, wait_s: float) -> web.Response:
        """Return the 429 of a ceiling."""
        fault = Fault(kind="429", retry_after_s=wait_s)
        return self._status(fault, 429, outcome="rate_limited")

    async def whole(self, body: Json, fault: Fault | None) -> web.StreamResponse:
        """Send the answer, or what the fault leaves of it."""
        if fault is None:
            return self._response(encoded(body), outcome="ok")
        content = encoded(body)
        half = content[: len(content) // 2]
        if fault.kind == "malformed":
            return self._response(half, outcome="malformed")
        response = web.StreamResponse(headers=self.wire.headers(self.number))
        response.content_type = "application/json"
        response.content_length = len(content)
        await response.prepare(self.request)
        if fault.kind == "truncated":
            await response.write(half)
            await self._close(fault)
        for at in range(len(content) - 1):
            await response.write(content[at : at + 1])
            await asyncio.sleep(fault.drip_ms / 1000)
        self.visit.finish(fault.kind)
        await response.write_eof(content[-1:])
        return response

    async def fail_early(self, fault: Fault) -> web.Response:
        """Send the fault in the place of an answer."""
        if fault.kind == "reset":
            await self._reset(fault)
        if fault.kind == "hang":
            await self._hang(fault)
        quota = QUOTA_STATUS.get(self.wire.vendor, 429)
        status = quota if fault.kind == "quota" else int(fault.kind)
        return self._status(fault, status, outcome=fault.kind)

    async def stream(
        self, events: EventStream, reply: Reply, fault: Fault | None, *, piece_ms: float
    ) -> web.StreamResponse:
        """Send the answer piece by piece, up to where the fault has it fail."""
        response = web.StreamResponse(headers=self.wire.headers(self.number))
        response.content_type = "text/event-stream"
        await response.prepare(self.request)
        counters = self.visit.tally.counters
        counters.streams_started += 1
        await response.write(events.head)
        cut = len(events.pieces) if fault is None else _cut(fault, events)
        pause_s = piece_ms / 1000
        for at, (piece, text) in enumerate(zip(events.pieces, reply.pieces, strict=True)):
            if fault is not None and at == cut:
                if fault.kind != "slow_drip":
                    break
                pause_s = fault.drip_ms / 1000
            if pause_s:
                await asyncio.sleep(pause_s)
            await response.write(piece)
            self.visit.logged.pieces += 1
            counters.output_tokens += estimate_tokens(text)
        if fault is not None and fault.kind != "slow_drip":
            await self._fail_stream(
                response, fault, events.pieces[min(cut, len(events.pieces) - 1)]
            )
            return response
        counters.streams_finished += 1
        self.visit.finish("ok" if fault is None else fault.kind)
        await response.write_eof(events.tail)
        return response

    async def _fail_stream(
        self, response: web.StreamResponse, fault: Fault, next_piece: bytes
    ) -> None:
        match fault.kind:
            case "reset":
                await self._reset(fault)
            case "hang":
                await self._hang(fault)
            case "truncated":
                ending = b""
            case "malformed":
                ending = next_piece[: len(next_piece) * 2 // 3] + b"\n\n"
            case _:
                status = 429 if fault.kind == "quota" else int(fault.kind)
                ending = self.wire.error_event(status, _message(status), self.number)
        self.visit.finish(fault.kind)
        await response.write_eof(ending)

    async def _hang(self, fault: Fault) -> NoReturn:
        if fault.hang_s is None:
            await _connection_lost()
        await asyncio.sleep(fault.hang_s)
        await self._close(fault)

    async def _close(self, fault: Fault) -> NoReturn:
        """Send what is written, then no more."""
        self.visit.finish(fault.kind)
        if self.request.transport is not None:
            self.request.transport.close()
        await _connection_lost()

    async def _reset(self, fault: Fault) -> NoReturn:
        """Leave with a TCP reset, as a crashed or overloaded host does."""
        self.visit.finish(fault.kind)
        if self.request.transport is not None:
            connection = self.request.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            self.request.transport.abort()
        await _connection_lost()

    def _status(self, fault: Fault, status: int, *, outcome: str) -> web.Response:
        quota = fault.kind == "quota"
        body = self.wire.error(status, _message(status), self.number, quota=quota)
        return self._response(
            encoded(body), outcome=outcome, status=status, retry_after=_retry_after(fault)
        )

    def _response(
        self,
        body: bytes,
        *,
        outcome: str,
        status: int = 200,
        retry_after: Mapping[str, str] = MappingProxyType({}),
    ) -> web.Response:
        self.visit.finish(outcome)
        return web.Response(
            body=body,
            status=status,
            headers={**self.wire.headers(self.number), **retry_after},
            content_type="application/json",
        )


async def _connection_lost() -> NoReturn:
    """Wait for the server to cancel this: it does so when the connection has ended."""
    while True:
        await asyncio.Event().wait()


def _cut(fault: Fault, events: EventStream) -> int:
    if fault.cut_after_pieces is not None:
        return min(fault.cut_after_pieces, len(events.pieces))
    return len(events.pieces) // 2 if fault.kind == "truncated" else 0


def _message(status: int) -> str:
    return _MESSAGES.get(status, "The simulator was told to fail.")


def _retry_after(fault: Fault) -> dict[str, str]:
    if fault.retry_after_s is None:
        return {}
    seconds = math.ceil(fault.retry_after_s)
    if fault.retry_after_as == "seconds":
        return {"Retry-After": str(seconds)}
    # Rounded up, since a date has whole seconds.
    at = datetime.now(UTC) + timedelta(seconds=fault.retry_after_s, milliseconds=999)
    return {"Retry-After": format_datetime(at, usegmt=True)}

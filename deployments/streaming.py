"""An answer as server-sent events: what each event holds, and the response that sends them.

`api.py` makes one where the caller wants a stream. FastAPI's own SSE is for routes that always
stream; this one answers in JSON too, so only FastAPI's way to write an event is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, assert_never

from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from deployments.problems import render
from deployments.questions import TimedEvent
from deployments.schemas import AnswerBody, show_citation
from runtime.messages import Answer, AnswerStarted, CitationReady, Language, SentenceReady
from runtime.reading_ahead import reading_ahead
from runtime.telemetry import request_id

MEDIA_TYPE: Final = "text/event-stream"

KEEP_ALIVE_S: Final = 15.0
"""How long nothing is sent before the headers. Source: the contract."""

HEARTBEAT_S: Final = 0.4
"""How long nothing is sent after them. The front takes a caller's closed connection for half
closed, once the response has begun, until it has something to send: a comment this often is how a
caller who leaves is noticed, and the vendor's work stopped, within a second."""

SEND_TIMEOUT_S: Final = 30.0
"""Who takes nothing for so long has left, or holds a place that others wait for."""

_BREAKS: Final = {ord(char): rf"\u{ord(char):04x}" for char in "\x85\u2028\u2029"}
"""Line breaks that JSON leaves as they are, and at which many clients would end the line."""

DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "string",
                    "description": "`meta`, then `delta` and `citation`, then `done` (the object "
                    "of the other media type) or `error` (a problem).",
                },
                "example": 'event: delta\ndata: {"text":"She wakes at 3 a.m. [1]."}\n\n',
            }
        }
    }
}
"""What a route that may stream adds to its `responses`."""


class MetaBody(BaseModel):
    """The data of `meta`."""

    request_id: str
    language: Language
    retrieved_count: int


class DeltaBody(BaseModel):
    """The data of `delta`: the next sentence or list item, with the white space before it."""

    text: str


def wants_stream(headers: Headers) -> bool:
    """Say whether the caller accepts events: who lists them beside JSON can read them."""
    accepted = ",".join(headers.getlist("Accept")).lower().split(",")
    return any(kind.split(";")[0].strip() == MEDIA_TYPE for kind in accepted)


async def open_stream(
    events: AsyncGenerator[TimedEvent, None],
    *,
    patience_s: float = KEEP_ALIVE_S,
    heartbeat_s: float = HEARTBEAT_S,
) -> EventStream:
    """Return the response once there is something to send: an event, or the first comment.

    Until then an error is the request's, with its status; after it, the stream's `error` event.

    Raises: AIAgentError.
    """
    written = _write(_with_pauses(events, patience_s=patience_s, heartbeat_s=heartbeat_s))
    return EventStream(await anext(written), written)


class EventStream(StreamingResponse):
    """Sends each event as it comes; a caller who leaves closes the events, and so their work."""

    media_type = MEDIA_TYPE

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None]) -> None:
        super().__init__(rest, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._first = first
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI. Watches for the caller's leaving itself: with some servers Starlette does not.

        Raises: what `send` raises, but for a connection that broke.
        """
        del scope
        async with aclosing(self._rest):
            sending = asyncio.create_task(self._send(send))
            leaving = asyncio.create_task(_wait_for_disconnect(receive))
            try:
                await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sending.cancel()
                leaving.cancel()
                sent, _ = await asyncio.gather(sending, leaving, return_exceptions=True)
        if isinstance(sent, Exception) and not isinstance(sent, OSError):
            raise sent

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        await _send_piece(send, self._first)
        async for piece in self._rest:
            await _send_piece(send, piece)
        await _send_piece(send, b"", more=False)


async def _send_piece(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _write(steps: AsyncGenerator[TimedEvent | None, None]) -> AsyncGenerator[bytes, None]:
    """Yield what is sent for each step; a failure after the first is the last of them."""
    has_begun = False
    try:
        async with aclosing(steps):
            async for step in steps:
                has_begun = True
                yield KEEPALIVE_COMMENT if step is None else _format(step)
    except Exception as error:
        if not has_begun:
            raise
        yield format_sse_event(event="error", data_str=bytes(render(error).body).decode())


def _format(step: TimedEvent) -> bytes:
    event, duration_s = step
    body: BaseModel
    match event:
        case AnswerStarted(language, retrieved_count):
            name = "meta"
            body = MetaBody(
                request_id=request_id.get(), language=language, retrieved_count=retrieved_count
            )
        case SentenceReady(text):
            name, body = "delta", DeltaBody(text=text)
        case CitationReady(citation):
            name, body = "citation", show_citation(citation)
        case Answer():
            name = "done"
            body = AnswerBody.of(event, request_id=request_id.get(), duration_s=duration_s)
        case _ as never:
            assert_never(never)
    return format_sse_event(event=name, data_str=body.model_dump_json().translate(_BREAKS))


async def _with_pauses(
    events: AsyncGenerator[TimedEvent, None], *, patience_s: float, heartbeat_s: float
) -> AsyncGenerator[TimedEvent | None, None]:
    """Yield the events, and None after `patience_s` without any, then each `heartbeat_s` without.

    It is at most one event ahead of who reads.
    """
    idle_s = patience_s
    async with reading_ahead(events) as ready:
        while True:
            try:
                async with asyncio.timeout(idle_s):
                    item = await ready.get()
            except TimeoutError:
                yield None
                continue
            finally:
                idle_s = heartbeat_s
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

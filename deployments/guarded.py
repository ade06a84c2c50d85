"""Routes that need a credential: who asks is settled before a byte of the body is looked at.

FastAPI reads and parses a body before it runs any dependency, so the checks stand in the route
class, in this order: credential, scope, content type, size, JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from deployments.field_errors import refuse_field
from runtime.access.credentials import require
from runtime.errors import DeadlineExceeded
from runtime.messages import Caller, Scope
from runtime.resilience.deadline import held_for
from runtime.services import Services

MAX_BODY_BYTES: Final = 1 << 20
"""Source: the contract."""

BODY_READ_TIMEOUT_S: Final = 20.0
"""1 MiB at some 50 KiB/s; a slower caller only holds a place."""


class JsonRequest(Request):
    """A request whose body was read within our bounds and parsed by the stricter parser."""

    content: bytes = b""
    parsed: object = None

    async def body(self) -> bytes:
        """Return what `read_json` read."""
        return self.content

    async def json(self) -> object:
        """Return what `read_json` parsed."""
        return self.parsed


def guarded_by(scope: Scope) -> type[APIRoute]:
    """Return the class of routes that only a credential with `scope` may use."""

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            serve = super().get_route_handler()

            async def handle(request: Request) -> Response:
                caller = await authenticate(request)
                require(caller, scope)
                request.state.caller = caller
                if self.body_field is not None:
                    request = await read_json(request)
                return await serve(request)

            return handle

    return GuardedRoute


def services_of(request: Request) -> Services:
    """Return what the lifespan opened for this replica."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def caller_of(request: Request) -> Caller:
    """Return who asks on a guarded route."""
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


async def authenticate(request: Request) -> Caller:
    """Return who sent the request; two credentials are as good as none.

    Raises: Unauthenticated, SigningKeysUnavailable, DatabaseUnavailable, StatementTimeout.
    """
    sent = request.headers.getlist("Authorization")
    return await services_of(request).access.authenticate(", ".join(sent) if sent else None)


async def read_json(request: Request) -> JsonRequest:
    """Return the request with its body read and parsed.

    The parser refuses NaN, nesting beyond 200 levels, half surrogate pairs and what is not UTF-8;
    of a key that stands twice the last counts, as everywhere.

    Raises: DeadlineExceeded.
    """
    _require_json(request.headers.get("Content-Type", ""))
    read = JsonRequest(request.scope)
    async with held_for(BODY_READ_TIMEOUT_S, late=lambda: DeadlineExceeded("body")):
        read.content = await _read_bounded(request)
    try:
        read.parsed = from_json(read.content, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        # The parser's message may show a piece of the body.
        raise refuse_field("body", "is not valid JSON") from None
    return read


async def _read_bounded(request: Request) -> bytes:
    """Return the body, refusing what is too large before it is read where its length is told.

    FastAPI's own `max_body_size` answers in plain text, before our handlers can.
    """
    told = request.headers.get("Content-Length", "")
    if told.isdecimal() and (len(told) > len(str(MAX_BODY_BYTES)) or int(told) > MAX_BODY_BYTES):
        raise HTTPException(413)
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            raise HTTPException(413)
    return bytes(content)


def _require_json(content_type: str) -> None:
    message = Message()
    message["Content-Type"] = content_type
    charset = message.get_param("charset", "utf-8")
    if message.get_content_type() != "application/json" or str(charset).lower() != "utf-8":
        raise HTTPException(415)

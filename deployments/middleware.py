"""What every response has, whoever made it: a request id, safe headers, and no traceback.

Plain ASGI: Starlette's BaseHTTPMiddleware runs the application in another task, which keeps the
cancellation of a request whose caller left from reaching it.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.ingress import choose_request_id
from deployments.problems import render
from runtime.logs import log_failure
from runtime.telemetry import request_id

REQUEST_ID_HEADER: Final = "X-Request-ID"


class RequestContext:
    """The outermost layer within Serve, which puts an X-Request-ID of its own beside this one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the log lines and records made meanwhile carry its id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own_id = choose_request_id(scope)
        token = request_id.set(own_id)
        try:
            await self._serve(scope, receive, send, own_id)
        finally:
            request_id.reset(token)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, own_id: str) -> None:
        started = False

        async def send_marked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = own_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cache-Control"] = "no-store"
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as error:  # noqa: BLE001 - the last one who could answer
            if started:
                # Only breaking off tells the caller; the server logs what we raise, so not `error`.
                log_failure("response_broke_off", error)
                raise RuntimeError("the response broke off") from None
            await render(error)(scope, receive, send_marked)

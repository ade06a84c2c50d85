"""Makes what Serve's own HTTP front adds fit the contract, and says how that front is run.

Serve imports `middlewares` in its proxies and in every replica that takes HTTP itself
(`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`), outside of its own request-id middleware, which
appends an `X-Request-ID` beside the application's and echoes one that the contract refuses.
"""

from __future__ import annotations

import os
import re
import uuid
from typing import TYPE_CHECKING, Final

from starlette.middleware import Middleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENVIRONMENT: Final[dict[str, str]] = {
    # HAProxy instead of the Python proxy: 1.3 ms instead of 4.8 ms a request.
    # Source: measured, benchmarks/ingress_modes.py; docs/decisions/0003-ingress.md.
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    # User code and router on the replica's main loop: our code only waits (what computes runs in
    # a thread of its own), and each thread hop costs a millisecond.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "100",
    # A stopping replica keeps answering this long while the front learns of it; the default 30 s
    # only delays a stop, since the front learns within 0.1 s.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3",
    # Longer than the longest answer (AI_REQUEST_DEADLINE_SECONDS is at most 600).
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "660",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deployments.ingress:middlewares",
    # Whoever can reach Ray can run code: nobody does without the token of `~/.ray/auth_token`.
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Our processes start programs and never go on in a fork of their own; with it, each start of a
    # program says on standard error that gRPC skipped its handlers.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}
"""Must stand in the environment of every node's `ray start`; `ops/ray.env` holds the same lines."""

REQUEST_ID: Final = b"x-request-id"
REQUEST_ID_FORM: Final = "[A-Za-z0-9._-]{1,128}"
"""Source: the contract."""
FOREIGN_CONTROLS: Final = frozenset(
    {b"x-request-timeout-seconds", b"x-request-disconnect-disabled"}
)
"""Headers by which a caller could override Serve's time-out and disconnect policy."""


def set_environment() -> None:
    """Add `ENVIRONMENT` to this process's, keeping what is set; call before Ray is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def middlewares() -> list[Middleware]:
    """Return what Serve wraps around its HTTP front."""
    return [Middleware(IngressHygiene)]


def choose_request_id(scope: Scope) -> str:
    """Return the caller's id where it sent a single acceptable one, else a new one."""
    sent: list[str] = [
        value.decode("latin-1") for name, value in scope["headers"] if name == REQUEST_ID
    ]
    if len(sent) == 1 and re.fullmatch(REQUEST_ID_FORM, sent[0]):
        return sent[0]
    return uuid.uuid4().hex


class IngressHygiene:
    """Passes in one valid request id and no header that steers Serve; lets out one request id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = choose_request_id(scope).encode()
        dropped = FOREIGN_CONTROLS | {REQUEST_ID}
        headers = [pair for pair in scope["headers"] if pair[0] not in dropped]
        headers.append((REQUEST_ID, request_id))

        async def send_one_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                rest = [pair for pair in message["headers"] if pair[0].lower() != REQUEST_ID]
                message["headers"] = [*rest, (REQUEST_ID, request_id)]
            await send(message)

        await self._app({**scope, "headers": headers}, receive, send_one_id)

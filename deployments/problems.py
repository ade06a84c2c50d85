"""Every error as a problem object (RFC 9457): the one table from our errors to HTTP statuses.

`install` hands FastAPI the handlers; `middleware.py` renders what nobody expected. Nothing of a
foreign exception, of a vendor or of a record enters a problem.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from deployments.field_errors import FieldError, describe
from runtime import errors
from runtime.logs import log_failure
from runtime.telemetry import request_id

RETRY_AFTER_S: Final = 5.0
"""Where the error itself knows no better: about the time a replica or a connection needs."""

MAX_RETRY_AFTER_S: Final = 3600.0
TOLD_IN_DETAIL: Final = 3
"""Fields named in the sentence that a person reads; all of them are listed beside it."""

MEDIA_TYPE: Final = "application/problem+json"

_SAID_BY_THE_STATUS: Final = (errors.DeadlineExceeded, errors.Overloaded)
"""Of a 5xx, the only ones without a reason that an operator must read in the log."""


class Problem(BaseModel):
    """What every error looks like."""

    type: str = Field(
        description="A stable name of the kind of problem: `/problems/` and its code.",
        examples=["/problems/not_found"],
    )
    title: str = Field(description="The kind of problem in a few words.", examples=["Not found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(
        description="A sentence that a person can act on.",
        examples=["There is no such client in this workspace."],
    )
    code: str = Field(description="The kind of problem, for programs.", examples=["not_found"])
    request_id: str = Field(description="As in the header X-Request-ID.")


class InvalidRequestProblem(Problem):
    """A problem that lists what is wrong with which field."""

    errors: list[FieldError]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem. Without a `detail` of its own it says the error's own sentence."""

    status: int
    code: str
    title: str
    detail: str | None = None


_DATABASE: Final = Kind(
    503,
    "unavailable",
    "Temporarily unavailable",
    "The database cannot be reached right now. Please try again in a moment.",
)
_PROVIDER: Final = Kind(
    503,
    "provider_unavailable",
    "Provider unavailable",
    "The language model service is not available right now. Please try again in a moment.",
)
_INTERNAL: Final = Kind(
    500,
    "internal",
    "Internal error",
    "Something went wrong on our side. Please try again; if it happens again, tell whoever runs "
    "this service the request id.",
)
INVALID_REQUEST: Final = Kind(422, "invalid_request", "Invalid request")

KINDS: Final[Mapping[type[errors.AIAgentError], Kind]] = {
    errors.AIAgentError: _INTERNAL,
    errors.ConfigurationError: _INTERNAL,
    errors.DatabaseError: _DATABASE,
    errors.DatabaseUnavailable: _DATABASE,
    errors.StatementTimeout: Kind(
        504,
        "deadline_exceeded",
        "Took too long",
        "The database took too long. Please try again in a moment.",
    ),
    errors.UnsafeRole: _INTERNAL,
    errors.MigrationError: _INTERNAL,
    errors.AccessError: Kind(403, "forbidden", "Forbidden"),
    errors.Unauthenticated: Kind(401, "unauthenticated", "Not authenticated"),
    errors.SigningKeysUnavailable: Kind(
        503,
        "unavailable",
        "Temporarily unavailable",
        "Tokens cannot be checked right now. Please try again in a moment.",
    ),
    errors.Forbidden: Kind(403, "forbidden", "Forbidden"),
    errors.RequestError: INVALID_REQUEST,
    errors.InvalidQuery: Kind(400, "invalid_query", "Empty question"),
    errors.InvalidRecord: INVALID_REQUEST,
    errors.PromptInjectionError: Kind(400, "prompt_injection", "Question refused"),
    errors.RecordNotFound: Kind(404, "not_found", "Not found"),
    errors.DeadlineExceeded: Kind(504, "deadline_exceeded", "Took too long"),
    errors.Overloaded: Kind(503, "overloaded", "Too busy"),
    errors.ActorUnavailable: _PROVIDER,
    errors.EmbeddingError: _PROVIDER,
    errors.RetrievalError: _INTERNAL,
    errors.ChatError: _PROVIDER,
    errors.ProviderError: _PROVIDER,
    errors.RateLimitError: _PROVIDER,
    errors.QuotaExceededError: _PROVIDER,
    errors.ProviderTimeout: _PROVIDER,
    errors.ProviderUnavailable: _PROVIDER,
    errors.CircuitOpen: _PROVIDER,
    errors.ProviderRejected: _PROVIDER,
    errors.ContentRefused: Kind(
        503,
        "provider_unavailable",
        "Provider declined",
        "The language model declined to answer this question. Please word it differently.",
    ),
    errors.BadProviderResponse: _PROVIDER,
}

_HTTP_KINDS: Final[Mapping[int, Kind]] = {
    404: Kind(
        404,
        "not_found",
        "Not found",
        "There is no such address here. Those there are stand in /openapi.json.",
    ),
    405: Kind(
        405,
        "method_not_allowed",
        "Method not allowed",
        "This address does not take that method. Those it takes are in the header Allow.",
    ),
    413: Kind(
        413,
        "too_large",
        "Too large",
        "The body is larger than 1 MiB. Please send less at a time.",
    ),
    415: Kind(
        415,
        "unsupported_media_type",
        "Unsupported media type",
        "The body must be JSON in UTF-8. Please send the header Content-Type: application/json.",
    ),
}


def kind_of(error: BaseException) -> Kind:
    """Return the kind of any exception; one that is not ours is an internal error."""
    for ancestor in type(error).__mro__:
        if ancestor in KINDS:
            return KINDS[ancestor]
    return _INTERNAL


def render(error: BaseException) -> JSONResponse:
    """Return the problem for any exception; of what was not the caller's fault, log the reason."""
    if isinstance(error, errors.InvalidRecord):
        return render_invalid([FieldError(field=error.field, reason=error.reason)])
    kind = kind_of(error)
    if kind.status >= 500 and not isinstance(error, _SAID_BY_THE_STATUS):  # noqa: PLR2004
        log_failure("request_failed", error)
    headers = {}
    if kind.status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = "Bearer"
    if kind.status == 503:  # noqa: PLR2004
        headers["Retry-After"] = str(_retry_after_s(error))
    return _respond(kind, detail=kind.detail or str(error), headers=headers)


def render_invalid(listed: Sequence[FieldError]) -> JSONResponse:
    """Return the problem that lists what is wrong with which fields."""
    told = [f"{error.field} {error.reason.rstrip('.')}" for error in listed[:TOLD_IN_DETAIL]]
    if len(listed) > len(told):
        told.append(f"and {len(listed) - len(told)} more")
    detail = f"Please correct: {'; '.join(told)}."
    return _respond(INVALID_REQUEST, detail=detail, listed=listed)


def render_not_ready() -> JSONResponse:
    """Return the problem of a replica that could not answer a question now."""
    detail = "No question can be answered right now. What is wrong stands under /api/v1/ai/health."
    kind = Kind(503, "unavailable", "Not ready", detail)
    return _respond(kind, detail=detail, headers={"Retry-After": str(math.ceil(RETRY_AFTER_S))})


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Make every error that reaches FastAPI a problem. The others `middleware.py` catches."""

    async def handle_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return _render_http(error, allowed=_allowed_methods(routes, request.url.path))

    app.add_exception_handler(errors.AIAgentError, _handle)
    app.add_exception_handler(RequestValidationError, _handle_invalid)
    app.add_exception_handler(HTTPException, handle_http)


async def _handle(_: Request, error: Exception) -> JSONResponse:
    return render(error)


async def _handle_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return render_invalid(describe(error.errors()))


def _render_http(error: HTTPException, *, allowed: str) -> JSONResponse:
    """Return the problem for what FastAPI and Starlette refuse by themselves."""
    kind = _HTTP_KINDS.get(error.status_code)
    if kind is None:
        return render(error)
    # Starlette's own Allow names the methods of one route, where an address may have several.
    headers = {"Allow": allowed} if kind.status == 405 and allowed else error.headers  # noqa: PLR2004
    return _respond(kind, detail=kind.detail or kind.title, headers=headers)


def _allowed_methods(routes: Sequence[BaseRoute], path: str) -> str:
    methods: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.path_regex.match(path):
            methods |= route.methods or set()
    return ", ".join(sorted(methods))


def _respond(
    kind: Kind,
    *,
    detail: str,
    headers: Mapping[str, str] | None = None,
    listed: Sequence[FieldError] | None = None,
) -> JSONResponse:
    content: dict[str, object] = {
        "type": f"/problems/{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": kind.code,
        "request_id": request_id.get(),
    }
    if listed is not None:
        content["errors"] = [error.model_dump() for error in listed]
    return JSONResponse(content, kind.status, headers=headers, media_type=MEDIA_TYPE)


def _retry_after_s(error: BaseException) -> int:
    """Return whole seconds, at least one: what the error wishes, within reason."""
    wish_s: float | None = None
    if isinstance(error, errors.Overloaded | errors.ProviderError):
        wish_s = error.retry_after_s
    if wish_s is None or not math.isfinite(wish_s):
        wish_s = RETRY_AFTER_S
    return math.ceil(min(max(wish_s, 1.0), MAX_RETRY_AFTER_S))

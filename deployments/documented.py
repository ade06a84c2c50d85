"""The OpenAPI document: what FastAPI writes by itself, and the problems and headers of responses.

`api.py` declares which problems a route may give; how a problem is made is `problems.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI

from deployments.ingress import REQUEST_ID_FORM
from deployments.problems import MEDIA_TYPE, InvalidRequestProblem, Problem

_RETRY_AFTER: Final = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
}
_REQUEST_ID: Final = {
    "X-Request-ID": {
        "description": "The caller's where it sent an acceptable one, else a new one.",
        "schema": {"type": "string", "pattern": f"^{REQUEST_ID_FORM}$"},
    }
}
_DESCRIPTIONS: Final[Mapping[int, str]] = {
    400: "`prompt_injection`: the guard refuses; `invalid_query`: no letter or digit is in it.",
    401: "`unauthenticated`: no credential, or one that does not hold.",
    403: "`forbidden`: the credential lacks the scope.",
    404: "`not_found`: no such record in this workspace.",
    413: "`too_large`: the body is over 1 MiB.",
    415: "`unsupported_media_type`: the body is not JSON in UTF-8.",
    422: "`invalid_request`: what is wrong with which field.",
    500: "`internal`: a fault of ours.",
    503: "`overloaded`, `provider_unavailable` or `unavailable`: try again later.",
    504: "`deadline_exceeded`: the answer was not ready in time.",
}


class DocumentedApi(FastAPI):
    """FastAPI, whose document says that errors are problems and what headers responses have."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            for path in document["paths"].values():
                for operation in path.values():
                    _mark(operation["responses"])
        assert self.openapi_schema is not None
        return self.openapi_schema


def application_version() -> str:
    """Return the version of the installed distribution."""
    return version("pazpaz-agent")


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for a route that may answer with these problems, or a 500."""
    return {
        status: {
            "model": InvalidRequestProblem if status == 422 else Problem,  # noqa: PLR2004
            "description": _DESCRIPTIONS[status],
            "headers": _RETRY_AFTER if status == 503 else {},  # noqa: PLR2004
        }
        for status in (*statuses, 500)
    }


def _mark(responses: dict[str, Any]) -> None:
    """Give each response its request id, and each error the media type of problems."""
    for status, response in responses.items():
        response["headers"] = response.get("headers", {}) | _REQUEST_ID
        if int(status) >= 400:  # noqa: PLR2004
            response["content"] = {MEDIA_TYPE: response["content"].pop("application/json")}

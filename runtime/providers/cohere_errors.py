"""The border of Cohere's file: its exceptions, httpx's and aiohttp's become ours.

`cohere.py` wraps every call in `translated`. Only a status or a class name is kept of what failed,
never a message, since that may quote the prompt.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, NoReturn

import aiohttp
import httpx
from cohere.core.api_error import ApiError
from cohere.core.parse_error import ParsingError
from cohere.v2 import raw_client

from runtime.errors import (
    AIAgentError,
    BadProviderResponse,
    Operation,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
)
from runtime.ports import Clock
from runtime.providers.transport import parse_retry_after

_KINDS: Final[dict[int, type[ProviderError]]] = {
    402: QuotaExceededError,
    408: ProviderTimeout,
    429: RateLimitError,
    499: ProviderUnavailable,
    504: ProviderTimeout,
}
"""Source: docs.cohere.com/errors-reference. A trial key's monthly end is a 429 like any other."""


class _MalformedEventError(Exception):
    """A piece of a stream that cannot be read."""


@contextmanager
def translated(model: str, operation: Operation, clock: Clock) -> Iterator[None]:
    """Turn every failure of the libraries below into one of ours.

    Raises: ProviderError.
    """
    try:
        yield
    except AIAgentError:
        raise
    except (ApiError, ParsingError) as error:
        status = error.status_code or 0
        wait_s = parse_retry_after((error.headers or {}).get("retry-after"), clock.now())
        kind = _kind_of_status(status)
        raise kind("cohere", model, operation, f"HTTP {status}", wait_s) from None
    except Exception as error:
        found = _kind_of_exception(error)
        if found is None:
            raise
        raise found("cohere", model, operation, type(error).__name__, None) from None


def _kind_of_status(status: int) -> type[ProviderError]:
    if status in _KINDS:
        return _KINDS[status]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderUnavailable
    if status >= HTTPStatus.BAD_REQUEST:
        return ProviderRejected
    return BadProviderResponse  # a redirect, or a success that could not be read


def _kind_of_exception(error: Exception) -> type[ProviderError] | None:
    """Return which of ours it is; None for what is our own fault."""
    match error:
        case httpx.ConnectTimeout(__cause__=aiohttp.ClientConnectionError() as cause) if (
            not isinstance(cause, TimeoutError)
        ):
            # The aiohttp transport calls every failed connection a time-out, refused ones too.
            return ProviderUnavailable
        case TimeoutError() | httpx.TimeoutException():
            return ProviderTimeout
        case httpx.UnsupportedProtocol() | httpx.InvalidURL():
            return ProviderRejected
        case httpx.TransportError() | httpx.StreamError() | aiohttp.ClientError() | OSError():
            return ProviderUnavailable
        case (
            httpx.HTTPError()
            | httpx.CookieConflict()
            | _MalformedEventError()
            | ValueError()
            | TypeError()
            | LookupError()
            | AttributeError()
        ):
            # The last four: the client does not validate, so what it could not parse fails late.
            return BadProviderResponse
        case _:
            return None


def _refuse(message: str) -> NoReturn:
    del message
    raise _MalformedEventError


# The client logs the text of a stream's malformed event and goes on without it. We want neither
# the text in a log nor an answer with a hole.
raw_client.warning = raw_client.error = _refuse  # type: ignore[attr-defined,assignment]
logging.getLogger("cohere.core.pydantic_utilities").disabled = True

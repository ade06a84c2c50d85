"""Which of our errors a failed call is, whichever the vendor: by its status, or by what was raised.

Each vendor's `…_errors.py` asks here about what is not its vendor's own. Only a status, a vendor's
code or a class name is ever kept of a failure, never a message, since that may quote the prompt.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import aiohttp
import httpx
import httpx2

from runtime.errors import (
    BadProviderResponse,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
)

_KINDS: Final[dict[int, type[ProviderError]]] = {
    402: QuotaExceededError,
    408: ProviderTimeout,
    429: RateLimitError,
    499: ProviderUnavailable,
    504: ProviderTimeout,
}
"""Source: RFC 9110, section 15; docs.cohere.com/errors-reference for 499. Others go by hundreds."""


def kind_of_status(status: int) -> type[ProviderError]:
    """Return which of ours an HTTP status is; 0 is no status."""
    if status in _KINDS:
        return _KINDS[status]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderUnavailable
    if status >= HTTPStatus.BAD_REQUEST:
        return ProviderRejected
    return BadProviderResponse  # a redirect, or a success that could not be read


def kind_of_exception(error: BaseException) -> type[ProviderError] | None:  # noqa: PLR0911 - a table
    """Return which of ours it is; None for what is our own fault."""
    match error:
        case httpx.ConnectTimeout(__cause__=aiohttp.ClientConnectionError() as cause) if (
            not isinstance(cause, TimeoutError)
        ):
            # The aiohttp transport calls every failed connection a time-out, refused ones too.
            return ProviderUnavailable
        case TimeoutError() | httpx.TimeoutException() | httpx2.TimeoutException():
            return ProviderTimeout
        case (
            httpx.UnsupportedProtocol()
            | httpx.InvalidURL()
            | httpx2.UnsupportedProtocol()
            | httpx2.InvalidURL()
        ):
            return ProviderRejected
        case httpx2.SSEError():
            return BadProviderResponse
        case (
            httpx.TransportError()
            | httpx.StreamError()
            | httpx2.TransportError()
            | httpx2.StreamError()
            | aiohttp.ClientError()
            | OSError()
        ):
            return ProviderUnavailable
        case UnicodeEncodeError():
            return ProviderRejected  # a text that is none: nothing was sent
        case (
            httpx.HTTPError()
            | httpx.CookieConflict()
            | httpx2.HTTPError()
            | httpx2.CookieConflict()
            | ValueError()
            | TypeError()
            | LookupError()
            | AttributeError()
        ):
            # The last four: the clients do not validate, so what they could not parse fails late.
            return BadProviderResponse
        case _:
            return None

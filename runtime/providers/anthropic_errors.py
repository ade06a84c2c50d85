"""The border of Anthropic's file: its client's exceptions and those below it become ours.

`anthropic.py` wraps every call in `translated`. Only a status, a known code or a class name is kept
of what failed, never a message, since that may quote the prompt.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import anthropic

from runtime.errors import (
    AIAgentError,
    BadProviderResponse,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
)
from runtime.ports import Clock
from runtime.providers.failures import kind_of_exception, kind_of_status
from runtime.providers.transport import asked_wait_s

_SPENT: Final = ("enforced_spend_limit_reached", "contract_spend_limit_reached")
"""Codes of a 429 that waiting does not help. Source: platform.claude.com/docs/en/api/errors."""

_TYPES: Final[dict[str | None, type[ProviderError]]] = {
    "invalid_request_error": ProviderRejected,
    "authentication_error": ProviderRejected,
    "permission_error": ProviderRejected,
    "not_found_error": ProviderRejected,
    "request_too_large": ProviderRejected,
    "billing_error": QuotaExceededError,
    "rate_limit_error": RateLimitError,
    "timeout_error": ProviderTimeout,
    "api_error": ProviderUnavailable,
    "overloaded_error": ProviderUnavailable,
}
"""By the `type` of an error in the middle of a stream, whose status was 200. Source: as above."""


@contextmanager
def translated(model: str, clock: Clock) -> Iterator[None]:
    """Turn every failure of the libraries below into one of ours.

    Raises: ProviderError.
    """
    try:
        yield
    except AIAgentError:
        raise
    except anthropic.APIStatusError as error:
        kind, reason = _kind_of_answer(error)
        wait_s = asked_wait_s(error.response.headers, clock.now())
        raise kind("anthropic", model, "chat", reason, wait_s) from None
    except Exception as error:
        found = _kind_of(error)
        if found is None:
            raise
        raise found("anthropic", model, "chat", _name_of(error), None) from None


def _kind_of_answer(error: anthropic.APIStatusError) -> tuple[type[ProviderError], str]:
    if error.error_code in _SPENT:
        return QuotaExceededError, f"HTTP {error.status_code} {error.error_code}"
    if error.status_code == HTTPStatus.OK:
        known = error.type if error.type in _TYPES else None
        return _TYPES.get(known, ProviderUnavailable), f"{known or 'error'} in the stream"
    return kind_of_status(error.status_code), f"HTTP {error.status_code}"


def _kind_of(error: Exception) -> type[ProviderError] | None:
    match error:
        case anthropic.APIConnectionError(__cause__=Exception() as cause):
            return kind_of_exception(cause) or ProviderUnavailable
        case anthropic.APITimeoutError():
            return ProviderTimeout
        case anthropic.APIConnectionError() | anthropic.RetryableError():
            return ProviderUnavailable
        case anthropic.APIError():
            return BadProviderResponse
        case anthropic.AnthropicError():
            return ProviderRejected  # the client refuses what it was told to do
        case _:
            return kind_of_exception(error)


def _name_of(error: Exception) -> str:
    """Return the class that says most: the client wraps whatever the transport raised."""
    wrapped = isinstance(error, anthropic.APIConnectionError) and error.__cause__
    return type(wrapped or error).__name__


# At DEBUG it logs what it sends and receives, and ANTHROPIC_LOG would set that level.
logging.getLogger("anthropic").setLevel(logging.WARNING)

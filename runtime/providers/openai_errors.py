"""The border of OpenAI's format: its client's exceptions and those below it become ours.

`openai.py` wraps every call in `translated`, whichever server it calls. Only a status, a known code
or a class name is kept of what failed, never a message, since that may quote the prompt.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import openai

from runtime.errors import (
    AIAgentError,
    BadProviderResponse,
    ContentRefused,
    Operation,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
)
from runtime.ports import Clock
from runtime.providers.failures import kind_of_exception, kind_of_status
from runtime.providers.transport import asked_wait_s

_CODES: Final[dict[str, type[ProviderError]]] = {
    "insufficient_quota": QuotaExceededError,
    "credit_balance_exhausted": QuotaExceededError,
    "organization_spend_limit_exceeded": QuotaExceededError,
    "project_spend_limit_exceeded": QuotaExceededError,
    "organization_usage_limit_exceeded": QuotaExceededError,
    "content_filter": ContentRefused,
    "content_policy_violation": ContentRefused,
    "rate_limit_exceeded": RateLimitError,
}
"""By an error's `code`, else its `type`: a 429 may mean an empty account, a 400 Azure's filter.

Source: developers.openai.com/api/docs/guides/error-codes;
learn.microsoft.com/azure/ai-services/openai/concepts/content-filter.
"""


@contextmanager
def translated(provider: str, model: str, operation: Operation, clock: Clock) -> Iterator[None]:
    """Turn every failure of the libraries below into one of ours.

    Raises: ProviderError.
    """
    try:
        yield
    except AIAgentError:
        raise
    except openai.APIStatusError as error:
        code = _known_code(error)
        kind = _CODES[code] if code else kind_of_status(error.status_code)
        reason = f"HTTP {error.status_code} {code or ''}".rstrip()
        wait_s = asked_wait_s(error.response.headers, clock.now())
        raise kind(provider, model, operation, reason, wait_s) from None
    except Exception as error:
        found = _kind_of(error)
        if found is None:
            raise
        raise found(provider, model, operation, _name_of(error), None) from None


def _kind_of(error: Exception) -> type[ProviderError] | None:  # noqa: PLR0911 - a table
    match error:
        case openai.APIConnectionError(__cause__=Exception() as cause):
            return kind_of_exception(cause) or ProviderUnavailable
        case openai.APITimeoutError():
            return kind_of_exception(TimeoutError())
        case openai.APIConnectionError():
            return ProviderUnavailable
        case openai.ContentFilterFinishReasonError():
            return ContentRefused
        case openai.APIResponseValidationError() | openai.LengthFinishReasonError():
            return BadProviderResponse
        case openai.APIError():  # an error in the middle of a stream, by now without a status
            code = _known_code(error)
            return _CODES[code] if code else ProviderUnavailable
        case openai.OpenAIError():
            return ProviderRejected  # the client refuses what it was told to do
        case _:
            return kind_of_exception(error)


def _known_code(error: openai.APIError) -> str | None:
    return next((code for code in (error.code, error.type) if code in _CODES), None)


def _name_of(error: Exception) -> str:
    """Return the class that says most: the client wraps whatever the transport raised."""
    wrapped = isinstance(error, openai.APIConnectionError) and error.__cause__
    return type(wrapped or error).__name__


# At DEBUG it logs what it sends and receives, and OPENAI_LOG would set that level.
logging.getLogger("openai").setLevel(logging.WARNING)

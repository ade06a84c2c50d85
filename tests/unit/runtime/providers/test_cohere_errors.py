"""Every failure below Cohere's file becomes one of ours, and says nothing of what was sent."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime
from types import ModuleType

import aiohttp
import cohere.errors
import httpx
import pytest
from cohere.core.api_error import ApiError
from cohere.core.parse_error import ParsingError

from runtime.clock import ManualClock
from runtime.errors import (
    BadProviderResponse,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
)
from runtime.providers.cohere_errors import translated

SECRET = "the patient drinks"


def exceptions_of(module: ModuleType) -> list[type[Exception]]:
    found = (value for _, value in inspect.getmembers(module, inspect.isclass))
    return [kind for kind in found if issubclass(kind, Exception)]


def instance_of(kind: type[Exception]) -> Exception:
    """Return one with the secret in each argument that its constructor requires."""
    parameters = inspect.signature(kind.__init__).parameters.values()
    required = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and parameter.name != "self"
    ]
    return kind(**dict.fromkeys(required, SECRET))


def raised_for(error: Exception) -> ProviderError:
    clock = ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    with pytest.raises(ProviderError) as caught, translated("command-a", "chat", clock):
        raise error
    return caught.value


@pytest.mark.parametrize("kind", [*exceptions_of(httpx), *exceptions_of(cohere.errors)])
def test_every_exception_of_the_libraries_is_mapped_without_its_text(
    kind: type[Exception],
) -> None:
    ours = raised_for(instance_of(kind))
    assert SECRET not in str(ours)
    assert SECRET not in repr(ours.args)
    assert ours.__suppress_context__
    assert (ours.provider, ours.model, ours.operation) == ("cohere", "command-a", "chat")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProviderRejected),
        (401, ProviderRejected),
        (402, QuotaExceededError),
        (403, ProviderRejected),
        (404, ProviderRejected),
        (408, ProviderTimeout),
        (422, ProviderRejected),
        (429, RateLimitError),
        (498, ProviderRejected),
        (499, ProviderUnavailable),
        (500, ProviderUnavailable),
        (501, ProviderUnavailable),
        (503, ProviderUnavailable),
        (504, ProviderTimeout),
        (529, ProviderUnavailable),
        (200, BadProviderResponse),
        (302, BadProviderResponse),
        (None, BadProviderResponse),
    ],
)
def test_a_status_decides_the_kind(status: int | None, kind: type[ProviderError]) -> None:
    assert type(raised_for(ApiError(status_code=status, body=SECRET))) is kind
    assert type(raised_for(ParsingError(status_code=status, body=SECRET))) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(SECRET), ProviderTimeout),
        (httpx.ReadTimeout(SECRET), ProviderTimeout),
        (httpx.ConnectError(SECRET), ProviderUnavailable),
        (httpx.RemoteProtocolError(SECRET), ProviderUnavailable),
        (httpx.StreamClosed(), ProviderUnavailable),
        (aiohttp.ClientPayloadError(SECRET), ProviderUnavailable),
        (ConnectionResetError(SECRET), ProviderUnavailable),
        (httpx.UnsupportedProtocol(SECRET), ProviderRejected),
        (httpx.DecodingError(SECRET), BadProviderResponse),
        (ValueError(SECRET), BadProviderResponse),
        (AttributeError(SECRET), BadProviderResponse),
        (KeyError(SECRET), BadProviderResponse),
    ],
)
def test_an_exception_decides_the_kind(error: Exception, kind: type[ProviderError]) -> None:
    assert type(raised_for(error)) is kind


def test_the_wait_that_is_asked_for_is_kept() -> None:
    date = "Sun, 01 Mar 2026 12:00:20 GMT"
    for header, seconds in (("3", 3.0), (date, 20.0), ("soon", None)):
        error = ApiError(status_code=429, headers={"retry-after": header})
        assert raised_for(error).retry_after_s == seconds


def test_our_own_errors_and_cancellation_and_our_own_faults_pass_untouched() -> None:
    ours = RateLimitError("cohere", "command-a", "chat", "HTTP 429", 1.0)
    for error in (ours, asyncio.CancelledError(), ZeroDivisionError()):
        with pytest.raises(type(error)) as caught, translated("m", "chat", ManualClock()):
            raise error
        assert caught.value is error

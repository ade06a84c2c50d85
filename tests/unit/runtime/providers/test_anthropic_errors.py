"""Every failure below Anthropic's file becomes one of ours, and says nothing of what was sent."""

from __future__ import annotations

import asyncio
import inspect

import anthropic
import httpx
import httpx2
import pytest
from anthropic._error_classes import ERROR_CLASSES

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
from runtime.providers.anthropic_errors import translated

SECRET = "the patient drinks"

WITHOUT_STATUS: dict[str, type[ProviderError]] = {
    "APIConnectionError": ProviderUnavailable,
    "APIError": BadProviderResponse,
    "APIResponseValidationError": BadProviderResponse,
    "APITimeoutError": ProviderTimeout,
    "APIWebhookValidationError": BadProviderResponse,
    "AnthropicError": ProviderRejected,
    "CredentialsError": ProviderRejected,
    "IdentityTokenFileError": ProviderRejected,
    "RetryableError": ProviderUnavailable,
    "WorkloadIdentityError": ProviderRejected,
}
"""What each of the client's classes becomes that stands for no status."""

BY_STATUS: dict[int, type[ProviderError]] = {
    400: ProviderRejected,
    401: ProviderRejected,
    402: QuotaExceededError,
    403: ProviderRejected,
    404: ProviderRejected,
    408: ProviderTimeout,
    409: ProviderRejected,
    412: ProviderRejected,
    413: ProviderRejected,
    422: ProviderRejected,
    429: RateLimitError,
    431: ProviderRejected,
    499: ProviderUnavailable,
    501: ProviderUnavailable,
    503: ProviderUnavailable,
    504: ProviderTimeout,
    529: ProviderUnavailable,
}
SPENT = ("contract_spend_limit_reached", "enforced_spend_limit_reached")


def without_status() -> set[type[Exception]]:
    found = {kind for _, kind in inspect.getmembers(anthropic, inspect.isclass)}
    errors = {kind for kind in found if issubclass(kind, Exception)}
    return {kind for kind in errors if not issubclass(kind, anthropic.APIStatusError)}


def instance_of(kind: type[Exception]) -> Exception:
    request = httpx2.Request("POST", "https://vendor.test", content=SECRET)
    response = httpx2.Response(200, text=SECRET, request=request)
    given = {"message": SECRET, "response": response, "request": request, "body": SECRET}
    names = inspect.signature(kind.__init__).parameters
    if "args" in names:
        return kind(SECRET)
    return kind(**{name: given[name] for name in names if name in given})


def raised_for(error: Exception) -> ProviderError:
    with pytest.raises(ProviderError) as caught, translated("claude", ManualClock()):
        raise error
    ours = caught.value
    assert SECRET not in str(ours)
    assert SECRET not in repr(ours.args)
    assert ours.__suppress_context__
    assert (ours.provider, ours.model, ours.operation) == ("anthropic", "claude", "chat")
    return ours


def status_error(
    status: int, *, kind: str = SECRET, code: str | None = None, **headers: str
) -> anthropic.APIStatusError:
    request = httpx2.Request("POST", "https://vendor.test")
    response = httpx2.Response(status, headers=headers, request=request)
    error = {"type": kind, "message": SECRET, "details": {"error_code": code}}
    return anthropic.APIStatusError(SECRET, response=response, body={"error": error})


def test_every_class_of_the_client_without_a_status_has_its_place() -> None:
    assert {kind.__name__ for kind in without_status()} == WITHOUT_STATUS.keys()


@pytest.mark.parametrize("kind", sorted(without_status(), key=str))
def test_each_class_becomes_one_of_ours_without_its_text(kind: type[Exception]) -> None:
    assert type(raised_for(instance_of(kind))) is WITHOUT_STATUS[kind.__name__]


def test_every_status_that_the_client_knows_has_its_place() -> None:
    assert {status for status, _ in ERROR_CLASSES} == BY_STATUS.keys()


@pytest.mark.parametrize(("status", "code"), sorted(ERROR_CLASSES, key=str))
def test_each_class_of_a_status_becomes_one_of_ours(status: int, code: str | None) -> None:
    request = httpx2.Request("POST", "https://vendor.test")
    body = {"error": {"type": SECRET, "message": SECRET, "details": {"error_code": code}}}
    response = httpx2.Response(status, request=request)
    error = ERROR_CLASSES[status, code](SECRET, response=response, body=body)
    expected = QuotaExceededError if code in SPENT else BY_STATUS[status]
    assert type(raised_for(error)) is expected


def test_a_spend_limit_is_a_429_that_waiting_does_not_help() -> None:
    for code in SPENT:
        assert not raised_for(status_error(429, kind="rate_limit_error", code=code)).retryable


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        ("overloaded_error", ProviderUnavailable),
        ("api_error", ProviderUnavailable),
        ("rate_limit_error", RateLimitError),
        ("timeout_error", ProviderTimeout),
        ("billing_error", QuotaExceededError),
        ("invalid_request_error", ProviderRejected),
        ("authentication_error", ProviderRejected),
        (SECRET, ProviderUnavailable),
    ],
)
def test_an_error_in_a_stream_goes_by_its_type(kind: str, ours: type[ProviderError]) -> None:
    assert type(raised_for(status_error(200, kind=kind))) is ours


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (httpx.ConnectError(SECRET), ProviderUnavailable),
        (httpx.ReadTimeout(SECRET), ProviderTimeout),
        (httpx2.ReadTimeout(SECRET), ProviderTimeout),
        (ZeroDivisionError(SECRET), ProviderUnavailable),
    ],
)
def test_what_the_transport_raised_is_looked_for_under_the_clients_wrapping(
    cause: Exception, kind: type[ProviderError]
) -> None:
    wrapped = anthropic.APIConnectionError(request=httpx2.Request("POST", "https://vendor.test"))
    wrapped.__cause__ = cause
    ours = raised_for(wrapped)
    assert (type(ours), ours.reason) == (kind, type(cause).__name__)


def test_the_wait_that_is_asked_for_is_kept() -> None:
    assert raised_for(status_error(529, **{"retry-after": "3"})).retry_after_s == 3
    finer = {"retry-after": "3", "retry-after-ms": "2500"}
    assert raised_for(status_error(429, **finer)).retry_after_s == 2.5


def test_our_own_errors_and_cancellation_and_our_own_faults_pass_untouched() -> None:
    ours = RateLimitError("anthropic", "claude", "chat", "HTTP 429", 1.0)
    for error in (ours, asyncio.CancelledError(), ZeroDivisionError()):
        with pytest.raises(type(error)) as caught, translated("claude", ManualClock()):
            raise error
        assert caught.value is error

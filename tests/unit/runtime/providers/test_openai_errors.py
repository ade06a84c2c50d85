"""Every failure below OpenAI's format becomes one of ours, and says nothing of what was sent."""

from __future__ import annotations

import asyncio
import inspect

import httpx
import httpx2
import openai
import pytest
from openai import _exceptions
from openai.types.chat import ChatCompletion

from runtime.clock import ManualClock
from runtime.errors import (
    BadProviderResponse,
    ContentRefused,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
)
from runtime.providers.openai_errors import translated

SECRET = "the patient drinks"

KINDS: dict[str, type[ProviderError]] = {
    "APIConnectionError": ProviderUnavailable,
    "APIError": ProviderUnavailable,
    "APIResponseValidationError": BadProviderResponse,
    "APIStatusError": ProviderRejected,
    "APITimeoutError": ProviderTimeout,
    "AuthenticationError": ProviderRejected,
    "BadRequestError": ProviderRejected,
    "ConflictError": ProviderRejected,
    "ContentFilterFinishReasonError": ContentRefused,
    "InternalServerError": ProviderUnavailable,
    "InvalidWebhookSignatureError": BadProviderResponse,
    "LengthFinishReasonError": BadProviderResponse,
    "NotFoundError": ProviderRejected,
    "OAuthError": ProviderRejected,
    "OpenAIError": ProviderRejected,
    "PermissionDeniedError": ProviderRejected,
    "RateLimitError": RateLimitError,
    "SubjectTokenProviderError": ProviderRejected,
    "UnprocessableEntityError": ProviderRejected,
    "WebSocketConnectionClosedError": ProviderRejected,
    "WebSocketQueueFullError": ProviderRejected,
}
"""What each of the client's classes becomes; its plain status error is tried with 418."""

STATUSES = {"InternalServerError": 500}


def classes() -> set[type[Exception]]:
    """Return those that the client exports, and those beside them."""
    public = [getattr(openai, name) for name in openai.__all__]
    found = public + [kind for _, kind in inspect.getmembers(_exceptions, inspect.isclass)]
    return {kind for kind in found if inspect.isclass(kind) and issubclass(kind, Exception)}


def instance_of(kind: type[Exception]) -> Exception:
    """Return one with the secret wherever it takes text."""
    request = httpx2.Request("POST", "https://vendor.test", content=SECRET)
    status = STATUSES.get(kind.__name__, getattr(kind, "status_code", 418))
    response = httpx2.Response(status, text=SECRET, request=request)
    completion = ChatCompletion(
        id=SECRET, choices=[], created=0, model=SECRET, object="chat.completion"
    )
    given: dict[str, object] = {
        "message": SECRET,
        "response": response,
        "request": request,
        "body": {"message": SECRET, "code": SECRET, "type": SECRET},
        "completion": completion,
        "unsent_messages": [SECRET],
    }
    names = inspect.signature(kind.__init__).parameters
    if "args" in names:
        return kind(SECRET)
    return kind(**{name: given[name] for name in names if name in given})


def raised_for(error: Exception) -> ProviderError:
    with (
        pytest.raises(ProviderError) as caught,
        translated("azure", "our-deployment", "chat", ManualClock()),
    ):
        raise error
    ours = caught.value
    assert SECRET not in str(ours)
    assert SECRET not in repr(ours.args)
    assert ours.__suppress_context__
    assert (ours.provider, ours.model, ours.operation) == ("azure", "our-deployment", "chat")
    return ours


def status_error(status: int, **body: object) -> openai.APIStatusError:
    request = httpx2.Request("POST", "https://vendor.test")
    response = httpx2.Response(status, request=request)
    return openai.APIStatusError(SECRET, response=response, body=body)


def test_every_class_of_the_client_has_its_place() -> None:
    assert {kind.__name__ for kind in classes()} == KINDS.keys()


@pytest.mark.parametrize("kind", sorted(classes(), key=str))
def test_each_class_becomes_one_of_ours_without_its_text(kind: type[Exception]) -> None:
    assert type(raised_for(instance_of(kind))) is KINDS[kind.__name__]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "rate_limit_exceeded", RateLimitError),
        (429, "insufficient_quota", QuotaExceededError),
        (429, "credit_balance_exhausted", QuotaExceededError),
        (429, "organization_spend_limit_exceeded", QuotaExceededError),
        (429, "project_spend_limit_exceeded", QuotaExceededError),
        (429, "organization_usage_limit_exceeded", QuotaExceededError),
        (429, "429", RateLimitError),
        (400, "content_filter", ContentRefused),
        (400, "content_policy_violation", ContentRefused),
        (400, "context_length_exceeded", ProviderRejected),
        (401, "invalid_api_key", ProviderRejected),
        (402, None, QuotaExceededError),
        (503, "server_error", ProviderUnavailable),
    ],
)
def test_a_known_code_says_more_than_its_status(
    status: int, code: str | None, kind: type[ProviderError]
) -> None:
    assert type(raised_for(status_error(status, code=code, type="invalid_request_error"))) is kind


def test_the_type_counts_where_the_code_is_a_new_one() -> None:
    spent = status_error(429, code="a_code_of_next_year", type="insufficient_quota")
    assert type(raised_for(spent)) is QuotaExceededError


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", ProviderUnavailable),
        (None, ProviderUnavailable),
        ("rate_limit_exceeded", RateLimitError),
        ("content_filter", ContentRefused),
        ("insufficient_quota", QuotaExceededError),
    ],
)
def test_an_error_in_a_stream_has_no_status_but_a_code(
    code: str | None, kind: type[ProviderError]
) -> None:
    request = httpx2.Request("POST", "https://vendor.test")
    error = openai.APIError(SECRET, request, body={"code": code, "message": SECRET})
    assert type(raised_for(error)) is kind


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (httpx.ConnectError(SECRET), ProviderUnavailable),
        (httpx.ReadTimeout(SECRET), ProviderTimeout),
        (httpx2.ReadTimeout(SECRET), ProviderTimeout),
        (httpx2.DecodingError(SECRET), BadProviderResponse),
        (httpx.UnsupportedProtocol(SECRET), ProviderRejected),
    ],
)
def test_what_the_transport_raised_is_looked_for_under_the_clients_wrapping(
    cause: Exception, kind: type[ProviderError]
) -> None:
    wrapped = openai.APIConnectionError(request=httpx2.Request("POST", "https://vendor.test"))
    wrapped.__cause__ = cause
    ours = raised_for(wrapped)
    assert (type(ours), ours.reason) == (kind, type(cause).__name__)


def test_a_wait_in_milliseconds_is_the_finer_one() -> None:
    request = httpx2.Request("POST", "https://vendor.test")
    headers = {"retry-after": "2", "retry-after-ms": "1250"}
    response = httpx2.Response(429, headers=headers, request=request)
    error = openai.RateLimitError(SECRET, response=response, body=None)
    assert raised_for(error).retry_after_s == 1.25


def test_our_own_errors_and_cancellation_and_our_own_faults_pass_untouched() -> None:
    ours = RateLimitError("openai", "gpt", "chat", "HTTP 429", 1.0)
    for error in (ours, asyncio.CancelledError(), ZeroDivisionError()):
        with pytest.raises(type(error)) as caught, translated("p", "m", "chat", ManualClock()):
            raise error
        assert caught.value is error

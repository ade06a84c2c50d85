from collections.abc import Iterator

import pytest

from deployments import problems
from deployments.problems import KINDS, MAX_RETRY_AFTER_S, kind_of, render
from runtime import errors

CODES = {
    400: {"prompt_injection", "invalid_query"},
    401: {"unauthenticated"},
    403: {"forbidden"},
    404: {"not_found"},
    422: {"invalid_request"},
    500: {"internal"},
    503: {"overloaded", "provider_unavailable", "unavailable"},
    504: {"deadline_exceeded"},
}


def every_error(root: type[errors.AIAgentError]) -> Iterator[type[errors.AIAgentError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from every_error(child)


@pytest.mark.parametrize("kind", list(every_error(errors.AIAgentError)))
def test_every_error_has_a_status_and_a_code_of_its_own(kind: type[errors.AIAgentError]) -> None:
    assert KINDS[kind].code in CODES[KINDS[kind].status]


def test_an_error_that_is_not_ours_is_internal() -> None:
    assert kind_of(ValueError("x")).code == kind_of(KeyboardInterrupt()).code == "internal"


def test_a_model_that_declines_is_told_of_in_our_words() -> None:
    refused = errors.ContentRefused("p", "m", "chat", "finish reason: filter", None)
    kind = kind_of(refused)
    assert (kind.status, kind.code) == (503, "provider_unavailable")
    assert b"declined" in render(refused).body


def test_a_subclass_without_an_entry_is_what_its_parent_is() -> None:
    class NewVendorTrouble(errors.ProviderUnavailable):
        pass

    error = NewVendorTrouble("p", "m", "chat", "HTTP 503", None)
    assert kind_of(error).code == "provider_unavailable"


@pytest.mark.parametrize(
    ("wish_s", "told"),
    [
        (None, "5"),
        (0.0, "1"),
        (-3.0, "1"),
        (1.2, "2"),
        (1e9, f"{MAX_RETRY_AFTER_S:.0f}"),
        (float("nan"), "5"),
        (float("inf"), "5"),
    ],
)
def test_a_providers_wish_to_wait_is_passed_on_within_reason(
    wish_s: float | None, told: str
) -> None:
    error = errors.RateLimitError("p", "m", "chat", "HTTP 429", wish_s)
    assert render(error).headers["Retry-After"] == told


@pytest.mark.parametrize(
    "error",
    [
        errors.ProviderRejected("acme", "m-1", "chat", "HTTP 401 reason", None),
        errors.DatabaseError("acme: reason"),
        errors.StatementTimeout("acme: reason"),
        errors.ActorUnavailable("acme", "reason"),
        errors.ChatError("acme: reason"),
        errors.SigningKeysUnavailable("acme: reason"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_reason_is_for_the_log_alone(
    error: errors.AIAgentError, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[BaseException] = []
    monkeypatch.setattr(problems, "log_failure", lambda _, failed: logged.append(failed))
    response = render(error)
    assert logged == [error]
    assert b"reason" not in bytes(response.body)
    assert b"acme" not in bytes(response.body)


@pytest.mark.parametrize(
    "error",
    [
        errors.Overloaded(1.0),
        errors.DeadlineExceeded("chat"),
        errors.Unauthenticated("It expired."),
        errors.RecordNotFound("client"),
    ],
)
def test_what_the_status_says_already_fills_no_log(
    error: errors.AIAgentError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "log_failure", lambda *_: pytest.fail("it was logged"))
    render(error)

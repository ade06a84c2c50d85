"""What Anthropic's format is told and tells.

What every provider promises is in test_conformance; here is what this format alone has.
"""

from __future__ import annotations

import json

import httpx
import pytest

from runtime.errors import ProviderUnavailable, QuotaExceededError
from runtime.messages import ChatReply, TextDelta, UsageSoFar
from runtime.providers import anthropic
from runtime.providers.anthropic import AnthropicChat
from tests.unit.runtime.providers.conformance import REQUEST, consume
from tests.unit.runtime.providers.vendors import options
from tests.unit.runtime.providers.wires import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    AnthropicWire,
    Service,
    sse,
)

WIRE = AnthropicWire()
ENVIRONMENT = {
    "ANTHROPIC_API_KEY": "env-key",
    "ANTHROPIC_AUTH_TOKEN": "env-token",
    "ANTHROPIC_BASE_URL": "https://env.test",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Env: env-header",
    "ANTHROPIC_PROFILE": "env-profile",
}


def chat(service: Service, model: str = "claude-haiku-5-5") -> AnthropicChat:
    return anthropic.make_chat(options("anthropic", model), service.open())


async def sent_to(model: str) -> dict[str, object]:
    """Return the request of a chat, without its messages; the stream's must be the same."""
    service = Service(WIRE)
    await chat(service, model).chat(REQUEST, timeout_s=5)
    await consume(chat(service, model))
    whole, streamed = service.bodies
    assert streamed.pop("stream") is True
    for body in (whole, streamed):
        messages = body.pop("messages")
        assert isinstance(messages, list)
        assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert whole == streamed
    return whole


async def test_the_system_text_stands_apart_and_no_temperature_is_asked() -> None:
    assert await sent_to("claude-opus-5-5") == {
        "model": "claude-opus-5-5",
        "system": REQUEST.system,
        "max_tokens": 77,
    }


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("claude-haiku-5-5", "disabled"),
        ("claude-haiku-4-5-20251001", "disabled"),
        ("claude-sonnet-5-5", "between_tools"),
    ],
)
async def test_a_model_that_need_not_think_first_is_told_not_to(model: str, thinking: str) -> None:
    assert (await sent_to(model))["thinking"] == {"type": thinking}


async def test_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    service = Service(WIRE)
    await chat(service).chat(REQUEST, timeout_s=5)
    [request] = service.requests
    assert str(request.url) == "https://vendor.test/v1/messages"
    assert "env" not in str(request.headers.raw).lower()
    assert request.headers["authorization"] == "Bearer k3y"


async def test_what_was_read_is_known_before_the_first_piece() -> None:
    first, second, *_, last = await consume(chat(Service(WIRE)))
    assert first == UsageSoFar(INPUT_TOKENS, 1)
    assert isinstance(second, TextDelta)
    assert isinstance(last, ChatReply)
    assert (last.input_tokens, last.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)


async def test_an_overloaded_vendor_may_say_so_in_the_middle_of_a_stream() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}
    event = f"event: error\ndata: {json.dumps(error)}\n\n"
    with pytest.raises(ProviderUnavailable) as caught:
        await consume(chat(Service(WIRE, sse([*WIRE.start(), WIRE.piece("She"), event]))))
    assert caught.value.reason == "overloaded_error in the stream"


async def test_a_spend_limit_is_no_rate_limit() -> None:
    details = {"error_code": "enforced_spend_limit_reached"}
    body = {"type": "error", "error": {"type": "rate_limit_error", "details": details}}
    with pytest.raises(QuotaExceededError):
        await chat(Service(WIRE, httpx.Response(429, json=body))).chat(REQUEST, timeout_s=5)

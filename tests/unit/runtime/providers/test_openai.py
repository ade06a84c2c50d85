"""What OpenAI's format is told and tells, by itself, on Azure and on compatible servers.

What every provider promises is in test_conformance; here is what this format alone has.
"""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
import numpy as np
import pytest

from runtime.errors import (
    BadProviderResponse,
    ContentRefused,
    ProviderError,
    ProviderUnavailable,
    QuotaExceededError,
)
from runtime.messages import ChatReply, TextDelta
from runtime.ports import ChatModel, Embedder
from runtime.providers import azure, openai, openai_compatible
from runtime.providers.catalog import PROVIDERS
from runtime.providers.openai import TOKENS_PER_CALL, WITHOUT_CHOICE, OpenAIChat
from runtime.splitting import estimate_tokens
from tests.unit.runtime.providers.conformance import REQUEST, consume
from tests.unit.runtime.providers.vendors import DIMENSIONS, options
from tests.unit.runtime.providers.wires import OpenAIWire, Service, sse, vectors_of

WIRE = OpenAIWire()
CHATS = {
    "openai": openai.make_chat,
    "azure": azure.make_chat,
    "openai_compatible": openai_compatible.make_chat,
}
EMBEDDERS = {
    "openai": openai.make_embedder,
    "azure": azure.make_embedder,
    "openai_compatible": openai_compatible.make_embedder,
}
ENVIRONMENT = {
    "OPENAI_API_KEY": "env-key",
    "OPENAI_ADMIN_KEY": "env-admin",
    "OPENAI_BASE_URL": "https://env.test",
    "OPENAI_ORG_ID": "env-org",
    "OPENAI_PROJECT_ID": "env-project",
    "OPENAI_CUSTOM_HEADERS": "X-Env: env-header",
    "OPENAI_API_VERSION": "env-version",
    "AZURE_OPENAI_API_KEY": "env-azure",
    "AZURE_OPENAI_AD_TOKEN": "env-token",
    "AZURE_OPENAI_ENDPOINT": "https://env.test",
}


def chat(service: Service, provider: str = "openai", model: str = "gpt-4.1-mini") -> OpenAIChat:
    return CHATS[provider](options(provider, model), service.open())


def embedder(
    service: Service, provider: str = "openai", model: str = "text-embedding-3-small"
) -> Embedder:
    return EMBEDDERS[provider](options(provider, model), service.open())


async def sent_to(provider: str, model: str) -> dict[str, object]:
    """Return the request of a chat, without its messages; the stream's must be the same."""
    service = Service(WIRE)
    await chat(service, provider, model).chat(REQUEST, timeout_s=5)
    await consume(chat(service, provider, model))
    whole, streamed = service.bodies
    assert streamed.pop("stream") is True
    assert streamed.pop("stream_options") == {"include_usage": True}
    for body in (whole, streamed):
        messages = body.pop("messages")
        assert isinstance(messages, list)
        assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert whole == streamed
    return whole


# --- What is asked ----------------------------------------------------------------------------


async def test_a_model_that_samples_gets_the_temperature() -> None:
    assert await sent_to("openai", "gpt-4.1-mini") == {
        "model": "gpt-4.1-mini",
        "max_completion_tokens": 77,
        "temperature": 0.1,
    }


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-5.4-mini-2026-03-17", "gpt-5.6-luna"])
async def test_a_model_that_reasons_on_demand_is_told_not_to(model: str) -> None:
    assert await sent_to("openai", model) == {
        "model": model,
        "max_completion_tokens": 77,
        "temperature": 0.1,
        "reasoning_effort": "none",
    }


@pytest.mark.parametrize("model", ["o3", "gpt-5-mini", "gpt-6-astra", "gpt-6.1-sol"])
async def test_a_model_that_always_reasons_gets_no_temperature(model: str) -> None:
    assert await sent_to("openai", model) == {"model": model, "max_completion_tokens": 77}


async def test_a_compatible_server_gets_the_older_names() -> None:
    assert await sent_to("openai_compatible", "llama") == {
        "model": "llama",
        "max_tokens": 77,
        "temperature": 0.1,
    }


async def test_a_deployment_is_taken_for_the_model_that_it_is_named_after() -> None:
    assert await sent_to("azure", "gpt-4.1-mini") == await sent_to("openai", "gpt-4.1-mini")
    assert "temperature" not in await sent_to("azure", "our-deployment")


async def test_a_length_of_vectors_is_asked_only_of_those_that_can_choose() -> None:
    asked = {
        ("openai", "text-embedding-3-small"): DIMENSIONS,
        ("azure", "our-embeddings"): DIMENSIONS,
        ("openai", "text-embedding-ada-002"): None,
        ("openai_compatible", "bge"): None,
    }
    for (provider, model), dimensions in asked.items():
        service = Service(WIRE)
        await embedder(service, provider, model).embed_text("x", input_type="query", timeout_s=5)
        [body] = service.bodies
        assert body.get("dimensions") == dimensions
        assert (body["model"], body["input"], body["encoding_format"]) == (model, ["x"], "base64")


def test_the_catalogue_knows_the_same_models_without_a_choice() -> None:
    embedding = PROVIDERS["openai"].embedding
    assert embedding is not None
    assert embedding.own_dimensions.keys() == set(WITHOUT_CHOICE)


async def test_a_call_holds_no_more_tokens_than_the_vendor_takes() -> None:
    text = "sleep " * 5000
    assert TOKENS_PER_CALL // 4 < estimate_tokens(text) * 13 < TOKENS_PER_CALL
    service = Service(WIRE)
    many = await embedder(service).embed_texts([text] * 100, input_type="document", timeout_s=30)
    sizes = [len(WIRE.texts(body)) for body in service.bodies]
    assert sum(sizes) == many.vectors.shape[0] == 100
    assert 1 < len(sizes) < 10
    assert max(sizes) * estimate_tokens(text) <= TOKENS_PER_CALL


# --- Whom it is asked -------------------------------------------------------------------------


@pytest.mark.parametrize("provider", CHATS)
async def test_the_environment_is_not_asked(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    service = Service(WIRE)
    await chat(service, provider).chat(REQUEST, timeout_s=5)
    await embedder(service, provider).embed_text("x", input_type="query", timeout_s=5)
    for request in service.requests:
        assert request.url.host == "vendor.test"
        said = f"{request.url} {request.headers.raw}".lower()
        assert "env" not in said
        assert "k3y" in said


async def test_azure_is_called_at_the_deployment_with_its_own_header() -> None:
    service = Service(WIRE)
    await chat(service, "azure", "our-deployment").chat(REQUEST, timeout_s=5)
    [request] = service.requests
    assert request.url == (
        "https://vendor.test/openai/deployments/our-deployment/chat/completions"
        "?api-version=2024-10-21"
    )
    assert request.headers["api-key"] == "k3y"
    assert "authorization" not in request.headers


async def test_a_server_without_keys_needs_none() -> None:
    service = Service(WIRE)
    keyless = replace(options("openai_compatible", "llama"), api_key=None)
    model = openai_compatible.make_chat(keyless, service.open())
    await model.chat(REQUEST, timeout_s=5)
    [request] = service.requests
    assert str(request.url) == "https://vendor.test/v1/chat/completions"


# --- What is answered -------------------------------------------------------------------------


async def error_of(model: ChatModel) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await model.chat(REQUEST, timeout_s=5)
    return caught.value


async def test_azures_filter_refuses_the_prompt_and_not_the_request() -> None:
    body = {"error": {"message": "m", "code": "content_filter", "status": 400}}
    refusing = chat(Service(WIRE, httpx.Response(400, json=body)), "azure")
    assert type(await error_of(refusing)) is ContentRefused


async def test_an_empty_account_is_no_rate_limit() -> None:
    body = {"error": {"message": "m", "type": "insufficient_quota", "code": "new_code"}}
    refusing = chat(Service(WIRE, httpx.Response(429, json=body)))
    error = await error_of(refusing)
    assert (type(error), error.retryable) == (QuotaExceededError, False)


async def test_a_refusal_in_words_is_a_refusal() -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    refusing = chat(Service(WIRE, httpx.Response(200, json={**whole, "choices": [choice]})))
    assert type(await error_of(refusing)) is ContentRefused
    delta = {"delta": {"refusal": "I"}, "index": 0, "finish_reason": None}
    with pytest.raises(ContentRefused):
        await consume(chat(Service(WIRE, sse([*WIRE.start(), WIRE.chunk(delta)]))))


async def test_a_server_that_counts_nothing_is_believed() -> None:
    finish = [WIRE.chunk({"index": 0, "delta": {}, "finish_reason": "stop"}), "data: [DONE]\n\n"]
    uncounted = sse([*WIRE.start(), WIRE.piece("Badly [1]."), *finish])
    *_, reply = await consume(chat(Service(WIRE, uncounted), "openai_compatible"))
    assert reply == ChatReply("Badly [1].", "openai_compatible", "gpt-4.1-mini", 0, 0)
    rows = [{"object": "embedding", "index": 0, "embedding": [3.0] * DIMENSIONS}]
    listed = Service(WIRE, httpx.Response(200, json={"object": "list", "data": rows}))
    found = await embedder(listed, "openai_compatible").embed_text(
        "x", input_type="query", timeout_s=5
    )
    assert np.allclose(found.vectors, DIMENSIONS**-0.5)
    assert found.tokens == 0


async def test_a_choice_that_holds_only_what_azures_filter_found_is_passed_over() -> None:
    found = WIRE.chunk({"index": 0, "finish_reason": None, "content_filter_offsets": {}})
    stream = sse([*WIRE.start(), WIRE.piece("Bad"), found, WIRE.piece("ly."), *WIRE.finish()])
    *pieces, reply = await consume(chat(Service(WIRE, stream), "azure"))
    assert pieces == [TextDelta("Bad"), TextDelta("ly.")]
    assert isinstance(reply, ChatReply)
    assert reply.text == "Badly."


async def test_an_error_in_the_middle_of_a_stream_is_the_vendors_failure() -> None:
    error = json.dumps({"error": {"message": "m", "type": "server_error", "code": None}})
    stream = sse([*WIRE.start(), WIRE.piece("Bad"), f"data: {error}\n\n"])
    with pytest.raises(ProviderUnavailable):
        await consume(chat(Service(WIRE, stream)))


@pytest.mark.parametrize("numbers", [(0, 0), (1, 2), (0, 2)])
async def test_rows_that_are_not_numbered_as_the_texts_are_refused(
    numbers: tuple[int, int],
) -> None:
    body = WIRE.embedded(vectors_of(["a", "b"], DIMENSIONS), 2)
    assert isinstance(body, dict)
    for row, number in zip(body["data"], numbers, strict=True):
        row["index"] = number
    broken = embedder(Service(WIRE, httpx.Response(200, json=body)))
    with pytest.raises(BadProviderResponse):
        await broken.embed_texts(["a", "b"], input_type="document", timeout_s=5)

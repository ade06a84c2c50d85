"""Every vendor that the conformance suite is asked of, over a given HTTP client."""

from __future__ import annotations

from pydantic import SecretStr

from runtime.clock import ManualClock
from runtime.providers import (
    anthropic,
    azure,
    cohere,
    cohere_rerank,
    openai,
    openai_compatible,
)
from runtime.providers.options import ProviderOptions
from tests.unit.runtime.providers.wires import AnthropicWire, CohereWire, OpenAIWire, Vendor

DIMENSIONS = 256
BASE_URLS = {
    "cohere": "https://vendor.test",
    "openai": "https://vendor.test/v1",
    "azure": "https://vendor.test",
    "openai_compatible": "https://vendor.test/v1",
    "anthropic": "https://vendor.test",
}


def options(provider: str, model: str, base_url: str | None = None) -> ProviderOptions:
    return ProviderOptions(
        provider=provider,
        model=model,
        base_url=base_url or BASE_URLS[provider],
        api_key=SecretStr("k3y"),
        api_version="2024-10-21" if provider == "azure" else None,
        dimensions=DIMENSIONS,
        clock=ManualClock(),
    )


VENDORS = [
    Vendor(
        "cohere",
        CohereWire(),
        lambda http: cohere.make_chat(options("cohere", "command-a-03-2025"), http),
        lambda http: cohere.make_embedder(options("cohere", "embed-v4.0"), http),
        cohere.TEXTS_PER_CALL,
        lambda http: cohere_rerank.make_reranker(options("cohere", "rerank-v4.0-pro"), http),
    ),
    Vendor(
        "openai",
        OpenAIWire(),
        lambda http: openai.make_chat(options("openai", "gpt-6-luna"), http),
        lambda http: openai.make_embedder(options("openai", "text-embedding-3-small"), http),
        openai.TEXTS_PER_CALL,
    ),
    Vendor(
        "azure",
        OpenAIWire(),
        lambda http: azure.make_chat(options("azure", "our-deployment"), http),
        lambda http: azure.make_embedder(options("azure", "our-embeddings"), http),
        azure.TEXTS_PER_CALL,
    ),
    Vendor(
        "openai_compatible",
        OpenAIWire(),
        lambda http: openai_compatible.make_chat(options("openai_compatible", "llama"), http),
        lambda http: openai_compatible.make_embedder(options("openai_compatible", "bge"), http),
        openai_compatible.TEXTS_PER_CALL,
    ),
    Vendor(
        "anthropic",
        AnthropicWire(),
        lambda http: anthropic.make_chat(options("anthropic", "claude-haiku-5-5"), http),
    ),
]

"""Azure OpenAI: OpenAI's format at an account's own address, its models the account's deployments.

What is said and how answers are read stands in `openai.py`; here is the client alone. `base_url` is
the endpoint, such as `https://my-practice.openai.azure.com`, and a model the deployment's name; a
deployment is taken for the model that it is named after.
"""

from __future__ import annotations

from typing import Final

import httpx
from openai import AsyncAzureOpenAI

from runtime.messages import EmbeddingModel
from runtime.providers import openai
from runtime.providers.openai import Dialect, OpenAIChat, OpenAIEmbedder
from runtime.providers.options import ProviderOptions
from runtime.providers.transport import over_httpx

TEXTS_PER_CALL: Final = 2048
"""Source: learn.microsoft.com/azure/ai-services/openai/quotas-limits."""

AZURE: Final = Dialect("azure")


def make_embedder(options: ProviderOptions, http: httpx.AsyncClient) -> OpenAIEmbedder:
    """Return the Embedder for the catalogue."""
    model = EmbeddingModel(AZURE.provider, options.model, options.dimensions)
    return OpenAIEmbedder(_client(options, http), dialect=AZURE, model=model, clock=options.clock)


def make_chat(options: ProviderOptions, http: httpx.AsyncClient) -> OpenAIChat:
    """Return the ChatModel for the catalogue."""
    client = _client(options, http)
    return OpenAIChat(client, dialect=AZURE, model=options.model, clock=options.clock)


def _client(options: ProviderOptions, http: httpx.AsyncClient) -> AsyncAzureOpenAI:
    assert options.api_key is not None
    assert options.base_url is not None
    assert options.api_version is not None
    client = AsyncAzureOpenAI(
        api_key=options.api_key.get_secret_value(),
        azure_endpoint=options.base_url,
        api_version=options.api_version,
        http_client=over_httpx(http),
        max_retries=0,
        timeout=None,  # of the HTTP client; its own default is 600 s
    )
    openai.forget_environment(client)
    return client

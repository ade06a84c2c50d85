"""Any server that speaks OpenAI's format: vLLM, Ollama, llama.cpp, a gateway.

What is said and how answers are read stands in `openai.py`; here is what such servers do not take.
`base_url` ends in `/v1` for all of those named; the configured dimensions must be the model's own.
"""

from __future__ import annotations

from typing import Final

import httpx
from openai import AsyncOpenAI
from pydantic import SecretStr

from runtime.messages import EmbeddingModel
from runtime.providers.openai import Dialect, OpenAIChat, OpenAIEmbedder, open_client
from runtime.providers.options import ProviderOptions

TEXTS_PER_CALL: Final = 32
"""The least that a common server takes.

Source: text-embeddings-inference, default of `--max-client-batch-size`.
"""

COMPATIBLE: Final = Dialect(
    "openai_compatible",
    texts_per_call=TEXTS_PER_CALL,
    tokens_per_call=None,
    has_choices=False,  # vLLM refuses `dimensions` for a model without a choice
    is_old=True,
)

_NO_KEY: Final = SecretStr("none")
"""The client insists on a key; servers without keys do not look at it."""


def make_embedder(options: ProviderOptions, http: httpx.AsyncClient) -> OpenAIEmbedder:
    """Return the Embedder for the catalogue."""
    model = EmbeddingModel(COMPATIBLE.provider, options.model, options.dimensions)
    client = _client(options, http)
    return OpenAIEmbedder(client, dialect=COMPATIBLE, model=model, clock=options.clock)


def make_chat(options: ProviderOptions, http: httpx.AsyncClient) -> OpenAIChat:
    """Return the ChatModel for the catalogue."""
    client = _client(options, http)
    return OpenAIChat(client, dialect=COMPATIBLE, model=options.model, clock=options.clock)


def _client(options: ProviderOptions, http: httpx.AsyncClient) -> AsyncOpenAI:
    assert options.base_url is not None
    return open_client(http, api_key=options.api_key or _NO_KEY, base_url=options.base_url)

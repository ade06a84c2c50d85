"""Which providers there are: for each, one entry of plain facts and the module that speaks to it.

`settings.py` reads what the entries name, `assembly.py` calls the modules. A module is imported
where its vendor is called and nowhere else: the vendors' clients take a second and 60 MB each.
docs/provider-guide.md shows how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

from runtime.messages import EmbeddingModel, Limits

if TYPE_CHECKING:
    import httpx

    from runtime.ports import ChatModel, Embedder, Reranker
    from runtime.providers.options import ProviderOptions


UNLIMITED: Final = Limits()
UNKNOWN_WINDOW_TOKENS: Final = 8192
"""Of a model that is not known here. Source: the window of Llama 3 and of GPT-4, the smallest of
models that still serve; what a larger one could read beyond it, a question rarely needs."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """What a provider embeds with. `model` is the default, None where one must be named.

    `own_dimensions` names the models that offer no choice of dimensions.
    """

    model: str | None
    limits: Limits = UNLIMITED
    own_dimensions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chat:
    """What a provider answers with. `model` is the default, None where one must be named.

    `windows` are the tokens that its models read in all, their own answer among them, by the
    beginning of the model's name, of which the longest counts.
    """

    model: str | None
    limits: Limits = UNLIMITED
    windows: Mapping[str, int] = field(default_factory=dict)

    def window_of(self, model: str | None) -> int:
        """Return the model's window in tokens."""
        known = [begin for begin in self.windows if (model or "").startswith(begin)]
        return self.windows[max(known, key=len)] if known else UNKNOWN_WINDOW_TOKENS


@dataclass(frozen=True, slots=True)
class Rerank:
    """What a provider reranks with, and the module that does it. `model` is the default."""

    module: str
    model: str
    limits: Limits = UNLIMITED


@dataclass(frozen=True, slots=True)
class Provider:
    """One vendor.

    Its settings are read from `AI_<NAME>_…`, and from the names in `variables` where the vendor's
    own are better known. `key` is the environment variable of its key, `base_url` the default,
    None where it must be set.
    """

    name: str
    module: str
    key: str
    is_key_required: bool = True
    base_url: str | None = None
    api_version: str | None = None
    embedding: Embedding | None = None
    chat: Chat | None = None
    rerank: Rerank | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


class EmbeddingModule(Protocol):
    """What a module offers whose provider embeds."""

    TEXTS_PER_CALL: int

    def make_embedder(self, options: ProviderOptions, http: httpx.AsyncClient) -> Embedder:
        """Return an Embedder on this client."""
        ...


class ChatModule(Protocol):
    """What a module offers whose provider chats."""

    def make_chat(self, options: ProviderOptions, http: httpx.AsyncClient) -> ChatModel:
        """Return a ChatModel on this client."""
        ...


class RerankModule(Protocol):
    """What a module offers that reranks."""

    def make_reranker(self, options: ProviderOptions, http: httpx.AsyncClient) -> Reranker:
        """Return a Reranker on this client."""
        ...


LOCAL: Final = "local"
"""The built-in pair: no vendor, no key, no limits; `assembly.py` makes it."""
LOCAL_SPACE: Final = EmbeddingModel(LOCAL, "multilingual-e5-small-q4", 384)
"""What its vectors are of; `local.py` says what would make it another."""

PROVIDERS: Final[dict[str, Provider]] = {
    provider.name: provider
    for provider in (
        Provider(
            name="cohere",
            module="runtime.providers.cohere",
            key="COHERE_API_KEY",
            base_url="https://api.cohere.com",
            # Source: docs.cohere.com/docs/rate-limits, production keys.
            embedding=Embedding(
                "embed-v4.0",
                Limits(inputs=2000),
                # Source: docs.cohere.com/docs/cohere-embed.
                own_dimensions={
                    "embed-english-v3.0": 1024,
                    "embed-multilingual-v3.0": 1024,
                    "embed-english-light-v3.0": 384,
                    "embed-multilingual-light-v3.0": 384,
                },
            ),
            chat=Chat(
                "command-a-03-2025",
                Limits(requests=500),
                # Source: docs.cohere.com/docs/models, context length.
                windows={
                    "command-a-03-2025": 256_000,
                    "command-a-reasoning-08-2025": 256_000,
                    "command-r": 128_000,
                },
            ),
            # Reads 32,768 tokens of question and text together. Source: docs.cohere.com/docs/rerank
            # (October 2026).
            rerank=Rerank(
                "runtime.providers.cohere_rerank", "rerank-v4.0-pro", Limits(requests=1000)
            ),
        ),
        Provider(
            name="openai",
            module="runtime.providers.openai",
            key="OPENAI_API_KEY",
            base_url="https://api.openai.com/v1",
            # The first paid tier's. Source: developers.openai.com/api/docs/models, by model.
            embedding=Embedding(
                "text-embedding-3-small",
                Limits(requests=3000, tokens=1_000_000),
                own_dimensions={"text-embedding-ada-002": 1536},
            ),
            chat=Chat(
                "gpt-5.4-mini",
                Limits(requests=500, tokens=200_000),
                # Of 400,000 tokens, 128,000 are kept for the answer. Source: as above, by model.
                windows={
                    "gpt-5": 272_000,
                    "gpt-5-chat": 128_000,
                    "gpt-4.1": 1_000_000,
                    "gpt-4o": 128_000,
                    "gpt-4-turbo": 128_000,
                },
            ),
        ),
        Provider(
            name="azure",
            module="runtime.providers.azure",
            key="AZURE_OPENAI_API_KEY",
            api_version="2024-10-21",
            # Models are the account's own deployments, and so are their limits.
            embedding=Embedding(None),
            chat=Chat(None),
            variables={
                "base_url": "AZURE_OPENAI_ENDPOINT",
                "api_version": "AZURE_OPENAI_API_VERSION",
            },
        ),
        Provider(
            name="anthropic",
            module="runtime.providers.anthropic",
            key="ANTHROPIC_API_KEY",
            base_url="https://api.anthropic.com",
            # What the first tier used to be; the tiers of today allow more, by model. Source:
            # platform.claude.com/docs/en/api/rate-limits.
            chat=Chat(
                "claude-haiku-5-5",
                Limits(requests=50, tokens=30_000),
                # 200,000 is that of each since Claude 3. Source:
                # platform.claude.com/docs/en/models/haiku-5-5/overview, the comparison.
                windows={
                    "claude-": 200_000,
                    "claude-haiku-5-5": 1_000_000,
                    "claude-sonnet-5-5": 1_000_000,
                    "claude-opus-5-5": 1_000_000,
                },
            ),
        ),
        Provider(
            name="openai_compatible",
            module="runtime.providers.openai_compatible",
            key="OPENAI_COMPATIBLE_API_KEY",
            is_key_required=False,
            embedding=Embedding(None),
            chat=Chat(None),
            variables={"base_url": "OPENAI_COMPATIBLE_BASE_URL"},
        ),
    )
}
"""By name, as `AI_CHAT_PROVIDER` and the like say it."""


def embedding_module(provider: str) -> EmbeddingModule:
    """Return the imported module of a provider that embeds."""
    return cast("EmbeddingModule", import_module(PROVIDERS[provider].module))


def chat_module(provider: str) -> ChatModule:
    """Return the imported module of a provider that chats."""
    return cast("ChatModule", import_module(PROVIDERS[provider].module))


def rerank_module(provider: str) -> RerankModule:
    """Return the imported module of a provider that reranks."""
    rerank = PROVIDERS[provider].rerank
    assert rerank is not None
    return cast("RerankModule", import_module(rerank.module))

"""What is set of one provider: its catalogue entry, as the environment changes it.

`settings.py` reads the providers that are in use. Which variables there are follows from the
catalogue alone, so that a new provider needs no line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.environment import describe, read_variables
from runtime.errors import Operation
from runtime.messages import EmbeddingModel, Limits
from runtime.providers.catalog import (
    LOCAL,
    LOCAL_SPACE,
    PROVIDERS,
    UNKNOWN_WINDOW_TOKENS,
    Chat,
    Embedding,
    Provider,
)

FEWEST_DIMENSIONS: Final = 64
MOST_DIMENSIONS: Final = 4000
"""Source: the contract; pgvector indexes no more."""


class ProviderSettings(BaseModel):
    """One provider's: what is None the provider does not have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str | None = Field(None, pattern=r"^https?://\S+$")
    api_version: str | None = Field(None, pattern=r"^\S+$")
    embed_model: str | None = Field(None, pattern=r"^\S+$")
    chat_model: str | None = Field(None, pattern=r"^\S+$")
    rerank_model: str | None = Field(None, pattern=r"^\S+$")
    embed_timeout_seconds: float = Field(30, ge=10, le=120)
    chat_timeout_seconds: float = Field(60, ge=20, le=300)
    rerank_timeout_seconds: float = Field(10, ge=1, le=60)
    embed_requests_per_minute: int = Field(0, ge=0)
    embed_inputs_per_minute: int = Field(0, ge=0)
    embed_tokens_per_minute: int = Field(0, ge=0)
    chat_requests_per_minute: int = Field(0, ge=0)
    chat_tokens_per_minute: int = Field(0, ge=0)
    rerank_requests_per_minute: int = Field(0, ge=0)
    context_tokens: int = Field(UNKNOWN_WINDOW_TOKENS, ge=4096, le=10_000_000)
    """What the chat model reads in all, its answer too. With less than the least, the system prompt
    and an answer's reserve would leave no room for records."""

    @property
    def embed_limits(self) -> Limits:
        """What the cluster may embed in a minute."""
        return Limits(
            self.embed_requests_per_minute,
            self.embed_inputs_per_minute,
            self.embed_tokens_per_minute,
        )

    @property
    def chat_limits(self) -> Limits:
        """What the cluster may ask in a minute."""
        return Limits(self.chat_requests_per_minute, 0, self.chat_tokens_per_minute)

    @property
    def rerank_limits(self) -> Limits:
        """How often the cluster may ask for an order in a minute."""
        return Limits(self.rerank_requests_per_minute)


def circuit(provider: str, operation: Operation) -> str:
    """Return the name under which breaker and limiter know a provider's operation."""
    return f"{provider}_{operation}"


def variables_of(provider: Provider) -> dict[str, str]:
    """Return the provider's environment variables, its key apart, to its `ProviderSettings`."""
    without = {
        "base_url": False,
        "api_version": provider.api_version is None,
        "embed_": provider.embedding is None,
        "chat_": provider.chat is None,
        "context_": provider.chat is None,
        "rerank_": provider.rerank is None,
    }
    return {
        provider.variables.get(name, f"AI_{provider.name.upper()}_{name.upper()}"): name
        for name in ProviderSettings.model_fields
        if not any(absent and name.startswith(prefix) for prefix, absent in without.items())
    }


def read_provider(provider: Provider, overrides: Mapping[str, object]) -> ProviderSettings:
    """Return what the environment says of a provider, else what its catalogue entry does.

    Raises: ConfigurationError.
    """
    variables = variables_of(provider)
    given: dict[str, object] = dict(read_variables(variables))
    given |= {name: value for name, value in overrides.items() if name in variables}
    values = _defaults(provider) | {variables[name]: value for name, value in given.items()}
    if provider.chat is not None and "context_tokens" not in values:
        values["context_tokens"] = provider.chat.window_of(str(values["chat_model"]))
    try:
        return ProviderSettings.model_validate(values)
    except ValidationError as error:
        names = {field: variable for variable, field in variables.items()}
        raise describe(error, names) from None


def space_of(provider: Provider, given: ProviderSettings, *, asked: int) -> EmbeddingModel:
    """Return the vector space that a provider embeds in, `asked` for so many dimensions."""
    name = str(given.embed_model)
    own = {} if provider.embedding is None else provider.embedding.own_dimensions
    return EmbeddingModel(provider.name, name, own.get(name, asked))


def require_space(key: str) -> None:
    """Return if something can embed in the space of this key, whose provider is known.

    Raises: ValueError.
    """
    space = EmbeddingModel.from_key(key)
    if space is None or not FEWEST_DIMENSIONS <= space.dimensions <= MOST_DIMENSIONS:
        msg = "must be a model's key, such as cohere:embed-v4.0:1536; doctor names those in use"
        raise ValueError(msg)
    if space.provider == LOCAL:
        if space != LOCAL_SPACE:
            msg = f"must be {LOCAL_SPACE.key}: no other built-in model is there any more"
            raise ValueError(msg)
        return
    embedding = PROVIDERS[space.provider].embedding
    own = None if embedding is None else embedding.own_dimensions.get(space.name)
    if own not in (None, space.dimensions):
        msg = f"must end in {own}, which is how many dimensions that model has"
        raise ValueError(msg)


def _defaults(provider: Provider) -> dict[str, object]:
    values: dict[str, object] = {
        "base_url": provider.base_url,
        "api_version": provider.api_version,
    }
    kinds: list[tuple[Operation, Embedding | Chat | None]] = [
        ("embed", provider.embedding),
        ("chat", provider.chat),
    ]
    for operation, kind in kinds:
        if kind is not None:
            values[f"{operation}_model"] = kind.model
            values[f"{operation}_requests_per_minute"] = kind.limits.requests
            values[f"{operation}_tokens_per_minute"] = kind.limits.tokens
    if provider.embedding is not None:
        values["embed_inputs_per_minute"] = provider.embedding.limits.inputs
    if provider.rerank is not None:
        values["rerank_model"] = provider.rerank.model
        values["rerank_requests_per_minute"] = provider.rerank.limits.requests
    return values

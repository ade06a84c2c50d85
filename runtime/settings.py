"""The configuration: the only place that reads the environment (and a `.env` beside the command).

`Settings` is plain and may cross processes; `Secrets` is read by the process that uses it and is
never bound, pickled or printed. Bounds and defaults are the contract's section 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, NoReturn, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from runtime.environment import Environment, names_set, read, read_variables
from runtime.errors import ConfigurationError
from runtime.messages import EmbeddingModel, Limits
from runtime.provider_settings import (
    FEWEST_DIMENSIONS,
    MOST_DIMENSIONS,
    ProviderSettings,
    circuit,
    read_provider,
    require_space,
    space_of,
    variables_of,
)
from runtime.providers.catalog import LOCAL, LOCAL_SPACE, PROVIDERS, Provider

JwtAlgorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]

COMMAND_URL: Final = "AI_URL"
"""Read by the command `ask` itself, where its option `--url` is absent."""

_ALIKE: Final = 0.7
"""Of `difflib`: AI_CACHE_TTL is to AI_CACHE_TTL_SECONDS 0.75, and a misspelling above 0.9."""

MINIMUM_HMAC_SECRET_BYTES: Final = 32
"""Source: RFC 7518, section 3.2: a key of at least the hash's size for HS256."""


class Secrets(Environment):
    """Keys and URLs with passwords. Never leaves the process that read it."""

    database_url: SecretStr | None = Field(None, alias="DATABASE_URL")
    database_owner_url: SecretStr | None = Field(None, alias="AI_DATABASE_OWNER_URL")
    jwt_secret: SecretStr | None = Field(None, alias="AI_JWT_SECRET")
    token: SecretStr | None = Field(None, alias="AI_TOKEN")
    """What the command `ask` sends; the server does not read it."""

    _provider_keys: dict[str, SecretStr] = PrivateAttr(default_factory=dict)

    def key_of(self, provider: str) -> SecretStr | None:
        """Return the provider's API key, where it is set."""
        return self._provider_keys.get(provider)

    def model_post_init(self, context: object, /) -> None:
        """Read the keys of all providers of the catalogue."""
        super().model_post_init(context)
        given = read_variables([provider.key for provider in PROVIDERS.values()])
        for provider in PROVIDERS.values():
            if provider.key in given:
                self._provider_keys[provider.name] = _checked_key(provider, given[provider.key])

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            size = len(value.get_secret_value().encode())
            if size < MINIMUM_HMAC_SECRET_BYTES:
                msg = (
                    f"must be at least {MINIMUM_HMAC_SECRET_BYTES} bytes, not {size}; "
                    'make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
                )
                raise ValueError(msg)
        return value

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        schemes = ("postgresql://", "postgres://")
        if value is not None and not value.get_secret_value().startswith(schemes):
            msg = "must be a URL that begins with postgresql://"
            raise ValueError(msg)
        if value is not None and not _has_ports(value.get_secret_value()):
            msg = (
                "must have a number as its port; write a / : @ # or ? of the password as %2F %3A …"
            )
            raise ValueError(msg)
        return value


def _has_ports(url: str) -> bool:
    """Return whether what stands for ports are ports: asyncpg's own error would print it."""
    try:
        hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
    except ValueError:
        return False
    return all(re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:[0-9]*)?", host) for host in hosts)


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Separated by commas."""


class Settings(Environment):
    """Everything that is no secret, validated, with the provider defaults resolved."""

    embedding_provider: str = Field(LOCAL, alias="AI_EMBEDDING_PROVIDER")
    chat_provider: str = Field(LOCAL, alias="AI_CHAT_PROVIDER")
    embedding_fallbacks: Names = Field((), alias="AI_EMBEDDING_FALLBACKS")
    chat_fallbacks: Names = Field((), alias="AI_CHAT_FALLBACKS")
    chat_split: Annotated[tuple[tuple[str, int], ...], NoDecode] = Field((), alias="AI_CHAT_SPLIT")
    """Weights of an A/B trial's arms, such as `cohere=90,openai=10`."""
    embedding_dimensions: int = Field(
        1536, alias="AI_EMBEDDING_DIMENSIONS", ge=FEWEST_DIMENSIONS, le=MOST_DIMENSIONS
    )
    embedding_retiring: str = Field("", alias="AI_EMBEDDING_RETIRING")
    """The key of the vector space that workspaces are being moved from, empty for none."""
    rerank_provider: str = Field("", alias="AI_RERANK_PROVIDER")
    """Empty: passages stay in the order of the search."""
    embed_max_retries: int = Field(3, alias="AI_EMBED_MAX_RETRIES", ge=0, le=10)
    chat_max_retries: int = Field(2, alias="AI_CHAT_MAX_RETRIES", ge=0, le=10)
    rerank_max_retries: int = Field(1, alias="AI_RERANK_MAX_RETRIES", ge=0, le=10)
    retry_total_wait_s: float = Field(60, alias="AI_RETRY_TOTAL_WAIT_SECONDS", ge=0, le=600)
    breaker_failure_threshold: int = Field(5, alias="AI_BREAKER_FAILURE_THRESHOLD", ge=1, le=1000)
    breaker_cooldown_s: float = Field(60, alias="AI_BREAKER_COOLDOWN_SECONDS", gt=0, le=3600)
    text_search_fallback: bool = Field(default=True, alias="AI_TEXT_SEARCH_FALLBACK_ENABLED")
    extractive_fallback: bool = Field(default=True, alias="AI_EXTRACTIVE_FALLBACK_ENABLED")
    providers: dict[str, ProviderSettings] = Field({}, alias="AI_PROVIDERS")
    """Of the providers in use, by name. `load` fills it from their own variables."""

    vector_search_timeout_s: float = Field(
        10, alias="AI_VECTOR_SEARCH_TIMEOUT_SECONDS", ge=0.001, le=300
    )
    """In whole milliseconds; to PostgreSQL, 0 would mean no limit."""
    request_deadline_s: float = Field(90, alias="AI_REQUEST_DEADLINE_SECONDS", gt=0, le=600)

    cache_enabled: bool = Field(default=True, alias="AI_CACHE_ENABLED")
    cache_ttl_s: int = Field(3600, alias="AI_CACHE_TTL_SECONDS", ge=1, le=604_800)
    cache_similarity: float = Field(0.95, alias="AI_CACHE_SIMILARITY", ge=0.5, le=1)
    cache_max_entries: int = Field(100, alias="AI_CACHE_MAX_ENTRIES", ge=1, le=10_000)
    rate_limit_per_hour: int = Field(30, alias="AI_RATE_LIMIT_PER_HOUR", ge=0, le=1_000_000)
    rate_limit_per_user_per_hour: int = Field(
        0, alias="AI_RATE_LIMIT_PER_USER_PER_HOUR", ge=0, le=1_000_000
    )
    context_management_enabled: bool = Field(default=True, alias="AI_CONTEXT_MANAGEMENT_ENABLED")

    guard_mode: Literal["block", "monitor", "off"] = Field("block", alias="AI_GUARD_MODE")
    metrics_enabled: bool = Field(default=True, alias="AI_METRICS_ENABLED")
    metrics_port: int = Field(9464, alias="AI_METRICS_PORT", ge=1, le=65535)
    metrics_host: str = Field("127.0.0.1", alias="AI_METRICS_HOST", min_length=1)

    jwt_jwks: str | None = Field(None, alias="AI_JWT_JWKS")
    jwt_algorithms: Annotated[tuple[JwtAlgorithm, ...], NoDecode, BeforeValidator(_split)] = Field(
        ("HS256",), alias="AI_JWT_ALGORITHMS"
    )
    jwt_issuer: str | None = Field(None, alias="AI_JWT_ISSUER")
    jwt_audience: str | None = Field(None, alias="AI_JWT_AUDIENCE")

    pool_size: int = Field(8, alias="AI_DATABASE_POOL_SIZE", ge=1, le=100)
    """Connections a replica holds; replicas times this must fit PostgreSQL's `max_connections`."""
    concurrent_questions: int = Field(64, alias="AI_CONCURRENT_QUESTIONS", ge=1, le=10_000)
    """Questions one orchestrator replica answers at once before it says `overloaded`."""
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("pazpaz-agent")),
        alias="AI_DATA_DIR",
    )
    """Where the embedded PostgreSQL and the demo's signing secret are kept."""

    @field_validator("embedding_provider", "chat_provider")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        kind: Literal["embedding", "chat"] = (
            "chat" if info.field_name == "chat_provider" else "embedding"
        )
        return _require_known(value, kind)

    @field_validator("embedding_retiring")
    @classmethod
    def _served_space(cls, value: str) -> str:
        if value:
            _require_known(value.partition(":")[0], "embedding")
            require_space(value)
        return value

    @field_validator("embedding_fallbacks")
    @classmethod
    def _can_embed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_require_known(name, "embedding") for name in value)

    @field_validator("chat_fallbacks")
    @classmethod
    def _can_chat(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_require_known(name, "chat") for name in value)

    @field_validator("rerank_provider")
    @classmethod
    def _can_rerank(cls, value: str) -> str:
        able = [provider.name for provider in PROVIDERS.values() if provider.rerank is not None]
        if value not in ("", *able):
            msg = f"must be empty, for none, or one of: {', '.join(able)}"
            raise ValueError(msg)
        return value

    @field_validator("chat_split", mode="before")
    @classmethod
    def _weights(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(_read_weight(part) for part in value.split(",") if part.strip())

    @field_validator("data_dir")
    @classmethod
    def _the_same_everywhere(cls, value: Path) -> Path:
        """Processes that get these settings have other working directories."""
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _arms_that_differ(self) -> Self:
        arms = [name for name, _ in self.chat_split]
        if arms and len(set(arms)) != len(arms):
            msg = "AI_CHAT_SPLIT: names a provider twice; give each one weight"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _one_kind_of_key(self) -> Self:
        if not self.jwt_algorithms:
            msg = "AI_JWT_ALGORITHMS: names no algorithm; leave it unset or name one"
            raise ValueError(msg)
        symmetric = "HS256" in self.jwt_algorithms
        if symmetric and len(self.jwt_algorithms) > 1:
            msg = (
                "AI_JWT_ALGORITHMS: HS256 (a shared secret) must not be mixed with public-key "
                "algorithms, or a public key could be used as the secret; name one kind"
            )
            raise ValueError(msg)
        return self

    @property
    def chat_providers(self) -> tuple[str, ...]:
        """Every chat provider in use: the chosen one, then the fallbacks, then the trial's arms."""
        arms = (name for name, _ in self.chat_split)
        return tuple(dict.fromkeys((self.chat_provider, *self.chat_fallbacks, *arms)))

    @property
    def embedding_providers(self) -> tuple[str, ...]:
        """The chosen embedding provider, then the fallbacks."""
        return tuple(dict.fromkeys((self.embedding_provider, *self.embedding_fallbacks)))

    @property
    def embedding_space(self) -> EmbeddingModel:
        """The configured vector space: that of new workspaces, and what re-embedding brings in."""
        if self.embedding_provider == LOCAL:
            return LOCAL_SPACE
        name = self.embedding_provider
        return space_of(PROVIDERS[name], self.providers[name], asked=self.embedding_dimensions)

    @property
    def retiring_space(self) -> EmbeddingModel | None:
        """The vector space that workspaces are being moved from, if any."""
        return EmbeddingModel.from_key(self.embedding_retiring)

    def limits(self) -> dict[str, Limits]:
        """Return what each circuit in use may send in a minute, by names like `cohere_chat`."""
        retiring = self.retiring_space
        embed = {
            circuit(name, "embed"): self.providers[name].embed_limits
            for name in (*self.embedding_providers, *([retiring.provider] if retiring else []))
            if name in self.providers
        }
        chat = {
            circuit(name, "chat"): self.providers[name].chat_limits
            for name in self.chat_providers
            if name in self.providers
        }
        rerank = {
            circuit(name, "rerank"): self.providers[name].rerank_limits
            for name in (self.rerank_provider,)
            if name in self.providers
        }
        return embed | chat | rerank


def load(overrides: Mapping[str, object] = MappingProxyType({})) -> tuple[Settings, Secrets]:
    """Return the validated configuration; `overrides` win over the environment.

    They are named as in the environment or as in `Settings`: the `args` of `cluster.yaml`.

    Raises: ConfigurationError, naming the setting, the reason and the remedy; never its value.
    """
    known = {name for item in Settings.model_fields.items() for name in (item[0], item[1].alias)}
    of_providers = {name for provider in PROVIDERS.values() for name in variables_of(provider)}
    for name in overrides:
        if name not in known | of_providers:
            remedy = "Correct the name; they stand in docs/configuration.md."
            raise ConfigurationError(name, "is no setting.", remedy)
    secrets = load_secrets()
    own = {name: value for name, value in overrides.items() if name in known}
    settings = _choose_providers(read(Settings, **own), secrets)
    # All are read, so that a wrong value stops the start whether or not its provider is in use.
    every = {name: read_provider(provider, overrides) for name, provider in PROVIDERS.items()}
    in_use = {*settings.embedding_providers, *settings.chat_providers, settings.rerank_provider}
    if retiring := settings.retiring_space:
        in_use.add(retiring.provider)
    providers = {name: values for name, values in every.items() if name in in_use}
    settings = settings.model_copy(update={"providers": providers})
    _require_complete(settings, secrets)
    return settings, secrets


def find_unknown() -> dict[str, str | None]:
    """Return the `AI_…` variables that are set and are none of ours, each to the nearest of ours.

    Raises: ConfigurationError.
    """
    fields = (*Settings.model_fields.values(), *Secrets.model_fields.values())
    known = {str(field.alias) for field in fields} | {COMMAND_URL}
    known |= {name for provider in PROVIDERS.values() for name in variables_of(provider)}
    known |= {provider.key for provider in PROVIDERS.values()}
    unknown = sorted(names_set("AI_") - known)
    return {
        name: next(iter(get_close_matches(name, known, n=1, cutoff=_ALIKE)), None)
        for name in unknown
    }


def require_credentials(settings: Settings, secrets: Secrets) -> None:
    """Return if anyone could sign in.

    Raises: ConfigurationError.
    """
    if secrets.jwt_secret is None and settings.jwt_jwks is None:
        reason = "is not set, and neither is AI_JWT_JWKS: nobody could sign in."
        remedy = "Set one of them, or try the demo: pazpaz-agent up --demo"
        raise ConfigurationError("AI_JWT_SECRET", reason, remedy)


def load_secrets() -> Secrets:
    """Return the secrets of this process's environment.

    Raises: ConfigurationError.
    """
    return read(Secrets)


def export(secrets: Secrets) -> dict[str, str]:
    """Return the secrets as environment variables, for child processes that read no `.env`."""
    fields = [(field.alias, getattr(secrets, name)) for name, field in Secrets.model_fields.items()]
    fields += [(provider.key, secrets.key_of(provider.name)) for provider in PROVIDERS.values()]
    return {alias: value.get_secret_value() for alias, value in fields if alias and value}


def _choose_providers(settings: Settings, secrets: Secrets) -> Settings:
    """Return the settings with a provider each: unnamed, `cohere` where its key is set."""
    default = LOCAL if secrets.key_of("cohere") is None else "cohere"
    choices = ("embedding_provider", "chat_provider")
    chosen = {name: default for name in choices if name not in settings.model_fields_set}
    return settings.model_copy(update=chosen)


def _require_complete(settings: Settings, secrets: Secrets) -> None:
    """Return if every provider in use has what it needs, and sign-in too.

    Raises: ConfigurationError.
    """
    for name, given in settings.providers.items():
        provider = PROVIDERS[name]
        names = {field: variable for variable, field in variables_of(provider).items()}
        if provider.is_key_required and secrets.key_of(name) is None:
            _refuse_unset(provider.key, name)
        if given.base_url is None:
            _refuse_unset(names["base_url"], name)
        if name in settings.embedding_providers and given.embed_model is None:
            _refuse_unset(names["embed_model"], name)
        if name in settings.chat_providers and given.chat_model is None:
            _refuse_unset(names["chat_model"], name)
    _require_one_vector_space(settings)
    if settings.embedding_retiring == settings.embedding_space.key:
        reason = "names the model that is configured: nothing is being moved from it."
        remedy = "Name the model of before, or unset it when no workspace is left on that one."
        raise ConfigurationError("AI_EMBEDDING_RETIRING", reason, remedy)
    if "HS256" not in settings.jwt_algorithms and settings.jwt_jwks is None:
        reason = "is not set, but AI_JWT_ALGORITHMS names a public-key algorithm."
        remedy = "Set it to the URL or file of the key set."
        raise ConfigurationError("AI_JWT_JWKS", reason, remedy)


def _require_one_vector_space(settings: Settings) -> None:
    models = {
        name: settings.providers[name].embed_model if name in settings.providers else name
        for name in settings.embedding_providers
    }
    if len(set(models.values())) > 1:
        reason = "names a provider with another model: its vectors could not be compared."
        remedy = "Name only providers whose embedding model has the same name."
        raise ConfigurationError("AI_EMBEDDING_FALLBACKS", reason, remedy)


def _refuse_unset(variable: str, provider: str) -> NoReturn:
    reason = f"is not set, but {provider} is a chosen provider."
    raise ConfigurationError(variable, reason, "Set it, or choose another provider, such as local.")


def _require_known(name: str, kind: Literal["embedding", "chat"]) -> str:
    able = [p.name for p in PROVIDERS.values() if getattr(p, kind) is not None]
    if name not in (*able, LOCAL):
        msg = f"must be one of: {', '.join((*able, LOCAL))}"
        raise ValueError(msg)
    return name


def _read_weight(part: str) -> tuple[str, int]:
    name, _, weight = part.partition("=")
    if not weight.strip().isdecimal() or int(weight) == 0:
        msg = "must be providers with whole weights above 0, such as cohere=90,openai=10"
        raise ValueError(msg)
    return _require_known(name.strip(), "chat"), int(weight)


def _checked_key(provider: Provider, value: str) -> SecretStr:
    if re.search(r"\s", value):
        reason = "must not contain white space."
        remedy = "Copy the key again from the vendor's console."
        raise ConfigurationError(provider.key, reason, remedy)
    return SecretStr(value)

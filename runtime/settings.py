"""The configuration: the only place that reads the environment (and a `.env` beside the command).

`Settings` is plain and may cross processes; `Secrets` is read by the process that uses it and is
never bound, pickled or printed. Bounds and defaults are the contract's section 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self, TypeVar

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from runtime.errors import ConfigurationError

EmbeddingProviderName = Literal["cohere", "local"]
ChatProviderName = Literal["cohere", "local"]
JwtAlgorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]

MINIMUM_HMAC_SECRET_BYTES: Final = 32
"""Source: RFC 7518, section 3.2: a key of at least the hash's size for HS256."""


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )


class Secrets(_Environment):
    """Keys and URLs with passwords. Never leaves the process that read it."""

    database_url: SecretStr | None = Field(None, alias="DATABASE_URL")
    database_owner_url: SecretStr | None = Field(None, alias="AI_DATABASE_OWNER_URL")
    cohere_api_key: SecretStr | None = Field(None, alias="COHERE_API_KEY")
    jwt_secret: SecretStr | None = Field(None, alias="AI_JWT_SECRET")
    token: SecretStr | None = Field(None, alias="AI_TOKEN")
    """What the command `ask` sends; the server does not read it."""

    @field_validator("cohere_api_key")
    @classmethod
    def _no_white_space(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and re.search(r"\s", value.get_secret_value()):
            msg = "must not contain white space; copy the key again from the vendor's console"
            raise ValueError(msg)
        return value

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
        return value


class Settings(_Environment):
    """Everything that is no secret, validated, with the provider defaults resolved."""

    embedding_provider: EmbeddingProviderName = Field("local", alias="AI_EMBEDDING_PROVIDER")
    chat_provider: ChatProviderName = Field("local", alias="AI_CHAT_PROVIDER")
    cohere_embed_model: str = Field(
        "embed-v4.0", alias="AI_COHERE_EMBED_MODEL", min_length=1, pattern=r"^\S+$"
    )
    cohere_chat_model: str = Field(
        "command-a-03-2025", alias="AI_COHERE_CHAT_MODEL", min_length=1, pattern=r"^\S+$"
    )
    cohere_base_url: str = Field(
        "https://api.cohere.com", alias="AI_COHERE_BASE_URL", pattern=r"^https?://\S+$"
    )
    embedding_dimensions: int = Field(1536, alias="AI_EMBEDDING_DIMENSIONS", ge=64, le=4000)
    cohere_embed_timeout_s: float = Field(
        30, alias="AI_COHERE_EMBED_TIMEOUT_SECONDS", ge=10, le=120
    )
    cohere_chat_timeout_s: float = Field(60, alias="AI_COHERE_CHAT_TIMEOUT_SECONDS", ge=20, le=300)
    vector_search_timeout_s: float = Field(
        10, alias="AI_VECTOR_SEARCH_TIMEOUT_SECONDS", ge=0.001, le=300
    )
    """In whole milliseconds; to PostgreSQL, 0 would mean no limit."""
    request_deadline_s: float = Field(90, alias="AI_REQUEST_DEADLINE_SECONDS", gt=0, le=600)

    guard_mode: Literal["block", "monitor", "off"] = Field("block", alias="AI_GUARD_MODE")
    metrics_enabled: bool = Field(default=True, alias="AI_METRICS_ENABLED")
    metrics_port: int = Field(9464, alias="AI_METRICS_PORT", ge=1, le=65535)
    metrics_host: str = Field("127.0.0.1", alias="AI_METRICS_HOST", min_length=1)

    jwt_jwks: str | None = Field(None, alias="AI_JWT_JWKS")
    jwt_algorithms: Annotated[tuple[JwtAlgorithm, ...], NoDecode] = Field(
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

    @field_validator("jwt_algorithms", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("data_dir")
    @classmethod
    def _the_same_everywhere(cls, value: Path) -> Path:
        """Processes that get these settings have other working directories."""
        return value.expanduser().absolute()

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


S = TypeVar("S", bound=_Environment)


def load(overrides: Mapping[str, object] = MappingProxyType({})) -> tuple[Settings, Secrets]:
    """Return the validated configuration; `overrides` win over the environment.

    They are named as in the environment or as in `Settings`: the `args` of `cluster.yaml`.

    Raises: ConfigurationError, naming the setting, the reason and the remedy; never its value.
    """
    known = {name for item in Settings.model_fields.items() for name in (item[0], item[1].alias)}
    for name in overrides:
        if name not in known:
            remedy = "Correct the name; they stand in docs/configuration.md."
            raise ConfigurationError(name, "is no setting.", remedy)
    secrets = load_secrets()
    return _resolve(_read(Settings, **overrides), secrets), secrets


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
    return _read(Secrets)


def export(secrets: Secrets) -> dict[str, str]:
    """Return the secrets as environment variables, for child processes that read no `.env`."""
    fields = ((field.alias, getattr(secrets, name)) for name, field in Secrets.model_fields.items())
    return {alias: value.get_secret_value() for alias, value in fields if alias and value}


def _resolve(settings: Settings, secrets: Secrets) -> Settings:
    """Return the settings with their providers chosen, and checked against the secrets they need.

    A provider that is not named is `cohere` where its key is set, else `local`.

    Raises: ConfigurationError.
    """
    default = "cohere" if secrets.cohere_api_key is not None else "local"
    providers = ("embedding_provider", "chat_provider")
    chosen = {name: default for name in providers if name not in settings.model_fields_set}
    settings = settings.model_copy(update=chosen)
    needs_cohere = "cohere" in (settings.embedding_provider, settings.chat_provider)
    if needs_cohere and secrets.cohere_api_key is None:
        reason = "is not set, but cohere is the chosen provider."
        remedy = "Set the key, or choose the provider local."
        raise ConfigurationError("COHERE_API_KEY", reason, remedy)
    if "HS256" not in settings.jwt_algorithms and settings.jwt_jwks is None:
        reason = "is not set, but AI_JWT_ALGORITHMS names a public-key algorithm."
        remedy = "Set it to the URL or file of the key set."
        raise ConfigurationError("AI_JWT_JWKS", reason, remedy)
    return settings


def _read(kind: type[S], **given: object) -> S:
    try:
        return kind(**given)  # type: ignore[arg-type]
    except (OSError, UnicodeDecodeError) as error:
        reason = f"cannot be read ({type(error).__name__})."
        raise ConfigurationError(".env", reason, "Save it as UTF-8, readable by you.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "The configuration"
        reason = first["msg"].removeprefix("Value error, ")
        remedy = "Mend it in the environment or in .env and start again."
        raise ConfigurationError(name, f"{reason}.", remedy) from None

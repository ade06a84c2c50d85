"""The environment, and a `.env` beside the command: read here, for the settings and nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import Field, ValidationError, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.errors import ConfigurationError


class Environment(BaseSettings):
    """Values by the names of their environment variables."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )


S = TypeVar("S", bound=Environment)


def read(kind: type[S], **given: object) -> S:
    """Return the values, `given` ones before the environment's.

    Raises: ConfigurationError.
    """
    try:
        return kind(**given)  # type: ignore[arg-type]
    except (OSError, UnicodeDecodeError) as error:
        reason = f"cannot be read ({type(error).__name__})."
        raise ConfigurationError(".env", reason, "Save it as UTF-8, readable by you.") from None
    except ValidationError as error:
        raise describe(error, {}) from None


def describe(error: ValidationError, names: Mapping[str, str]) -> ConfigurationError:
    """Return what is wrong first, with the setting's name as `names` spells it, or its own."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "The configuration"
    reason = first["msg"].removeprefix("Value error, ")
    remedy = "Mend it in the environment or in .env and start again."
    return ConfigurationError(names.get(name, name), f"{reason}.", remedy)


def read_variables(names: Iterable[str]) -> dict[str, str]:
    """Return those of these environment variables that are set, in the environment or a `.env`.

    Raises: ConfigurationError.
    """
    listed = list(names)
    wanted: dict[str, Any] = {
        f"variable_{at}": (str | None, Field(None, alias=name)) for at, name in enumerate(listed)
    }
    values = read(create_model("Variables", __base__=Environment, **wanted)).model_dump()
    found = zip(listed, values.values(), strict=True)
    return {name: value for name, value in found if value is not None}

"""The environment, and a `.env` beside the command: read here, for the settings and nobody else."""

from __future__ import annotations

import os
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
    """Return all that is wrong, with each setting's name as `names` spells it, or its own."""
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(fault["loc"][0]) if fault["loc"] else "The configuration"
        faults.setdefault(names.get(name, name), fault["msg"].removeprefix("Value error, "))
    (first, reason), *others = faults.items()
    said = " ".join([f"{reason}.", *(f"{name}: {reason}." for name, reason in others)])
    remedy = f"Mend {'them' if others else 'it'} in the environment or in .env and start again."
    return ConfigurationError(first, said, remedy)


class _Whatever(Environment):
    model_config = SettingsConfigDict(extra="allow")


def names_set(prefix: str) -> set[str]:
    """Return the names, in capitals, of the variables that are set and begin so, `.env`'s too.

    Raises: ConfigurationError.
    """
    in_file = read(_Whatever).model_extra or {}
    return {name.upper() for name in (*os.environ, *in_file) if name.upper().startswith(prefix)}


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

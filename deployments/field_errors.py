"""What is wrong with which field of a request, in words of ours that never repeat its value.

pydantic's own messages may quote the input, so `problems.py` shows these instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

MAX_LISTED: Final = 20
MAX_NAME_CHARACTERS: Final = 64
"""A field's name may be the caller's own invention."""

_REASONS: Final[Mapping[str, str]] = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "list_type": "must be a list",
    "too_long": "must have at most {max_length} items",
    "literal_error": "must be {expected}",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "invalid_field": "{reason}",
}


class FieldError(BaseModel):
    """One field that must be corrected."""

    field: str = Field(description="Where it stands.", examples=["history.3.content"])
    reason: str = Field(
        description="What is wrong with it.", examples=["must have at most 4000 characters"]
    )


def refuse_field(field: str, reason: str) -> RequestValidationError:
    """Return the error that refuses a request for one field of it."""
    error = {"type": "invalid_field", "loc": ("request", field), "ctx": {"reason": reason}}
    return RequestValidationError([error])


def describe(found: Iterable[Mapping[str, object]]) -> list[FieldError]:
    """Return the first of pydantic's errors in our words."""
    return [_describe(error) for error, _ in zip(found, range(MAX_LISTED), strict=False)]


def _describe(error: Mapping[str, object]) -> FieldError:
    location = error["loc"]
    assert isinstance(location, tuple)
    # The first step says in which part of the request; alone, it is the body itself.
    path = ".".join(str(step)[:MAX_NAME_CHARACTERS] for step in location[1:]) or str(location[0])
    context = error.get("ctx")
    reason = _REASONS.get(str(error["type"]), "is not valid")
    return FieldError(
        field=path, reason=reason.format_map(context if isinstance(context, dict) else {})
    )

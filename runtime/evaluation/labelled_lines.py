"""Labelled data as JSON Lines, each line an object of one kind. Called by what scores on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from runtime.errors import InvalidRecord

NOT_UTF_8: Final = "is not UTF-8; save the file in that encoding."
_Line = TypeVar("_Line", bound=BaseModel)


def read_lines(path: Path, kind: type[_Line], *, otherwise: str) -> Iterator[_Line]:
    """Yield the file's objects in order, without the blank lines; `otherwise` says what one is not.

    Raises: InvalidRecord, naming the line.
    """
    with path.open("rb") as file:  # decoded by the line, so that the line can be named
        for number, line in enumerate(file, start=1):
            place = f"{path.name}, line {number}"
            try:
                text = line.decode("utf-8")
                if text.strip():
                    yield kind.model_validate_json(text)
            except UnicodeDecodeError:
                raise InvalidRecord(place, NOT_UTF_8) from None
            except ValidationError:
                raise InvalidRecord(place, otherwise) from None

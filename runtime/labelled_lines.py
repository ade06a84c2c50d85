"""Labelled data as JSON Lines, each line an object of one kind. Called by what scores on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from runtime.errors import InvalidRecord

_Line = TypeVar("_Line", bound=BaseModel)


def read_lines(path: Path, kind: type[_Line], *, otherwise: str) -> Iterator[_Line]:
    """Yield the file's objects in order, without the blank lines; `otherwise` says what one is not.

    Raises: InvalidRecord, naming the line.
    """
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                yield kind.model_validate_json(text)
            except ValidationError:
                raise InvalidRecord(f"{path.name}, line {number}", otherwise) from None

"""Loads the named statements of `queries.sql`: `-- name --`, its sentence, then its SQL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"^-- ([a-z_]+) --$\n", re.MULTILINE)


def parse(text: str) -> dict[str, str]:
    """Return each statement by its name; comments stay, the final semicolon goes."""
    parts = _NAME.split(text)[1:]
    names, statements = parts[::2], parts[1::2]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"queries.sql names twice: {', '.join(sorted(repeated))}")
    return {
        name: statement.strip().rstrip(";")
        for name, statement in zip(names, statements, strict=True)
    }


QUERIES: Final = parse(Path(__file__).with_name("queries.sql").read_text(encoding="utf-8"))

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runtime.storage import queries
from runtime.storage.queries import QUERIES, parse

SOURCES = Path(queries.__file__).parents[1]


def test_a_statement_is_what_stands_between_two_names() -> None:
    text = "-- Preface.\n\n-- one --\n-- First.\nSELECT 1;\n\n-- two --\n-- Second.\nSELECT\n2;\n"

    assert parse(text) == {"one": "-- First.\nSELECT 1", "two": "-- Second.\nSELECT\n2"}


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="names twice: one"):
        parse("-- one --\nSELECT 1;\n-- one --\nSELECT 2;\n")


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_statement_is_explained_by_a_sentence(name: str) -> None:
    assert re.match(r"-- [A-Z].*[^;]", QUERIES[name])


def test_every_statement_is_used() -> None:
    code = "".join(path.read_text("utf-8") for path in SOURCES.rglob("*.py"))
    used = set(re.findall(r'QUERIES\[f?"([^"]+)"\]', code))
    names = {name.replace("{kind}", kind) for name in used for kind in ("client", "session")}

    assert names == QUERIES.keys()

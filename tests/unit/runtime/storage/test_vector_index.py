from __future__ import annotations

from uuid import UUID

import pytest

from runtime.messages import EmbeddingModel
from runtime.storage.vector_index import (
    INDEXED_ROWS,
    MOST_INDEXES,
    VectorSet,
    VectorTable,
    choose_indexed,
    index_name,
)
from runtime.storage.vector_search import walking_statement

NONE: frozenset[str] = frozenset()


def make_set(
    rows: int, number: int = 1, table: VectorTable = "session_vectors", model_key: str = "m"
) -> VectorSet:
    return VectorSet(table, UUID(int=number), model_key, rows, 8)


def test_only_a_large_set_gets_an_index() -> None:
    large, small = make_set(INDEXED_ROWS, 1), make_set(INDEXED_ROWS - 1, 2)

    assert choose_indexed([small, large], NONE) == [large]


def test_a_set_that_shrinks_keeps_its_index_down_to_half() -> None:
    half = make_set(INDEXED_ROWS // 2)
    present = frozenset((half.index_name,))

    assert choose_indexed([half], present) == [half]
    assert choose_indexed([make_set(INDEXED_ROWS // 2 - 1)], present) == []


def test_of_too_many_on_one_table_the_largest_get_one() -> None:
    sessions = [make_set(INDEXED_ROWS + number, number) for number in range(MOST_INDEXES + 3)]
    clients = make_set(INDEXED_ROWS, 1, "client_vectors")

    assert choose_indexed([*sessions, clients], NONE) == [*reversed(sessions[3:]), clients]


def test_each_workspace_model_and_table_has_an_index_of_its_own() -> None:
    names = {
        index_name(table, UUID(int=number), model_key)
        for table in ("session_vectors", "client_vectors")
        for number in (1, 2)
        for model_key in ("a", "b")
    }

    assert len(names) == 8
    assert all(name.isidentifier() and len(name) <= 63 for name in names)


def test_a_models_name_cannot_end_its_literal() -> None:
    statement = make_set(1, model_key="it's").index_statement

    assert statement.endswith("embedding_model = 'it''s'")


@pytest.mark.parametrize(
    ("tables", "ordered"),
    [
        (["session_vectors"], ["sv"]),
        (["client_vectors"], ["cv"]),
        (["session_vectors", "client_vectors"], ["sv", "cv"]),
    ],
)
def test_a_walk_orders_by_what_the_indexes_are_on(
    tables: list[VectorTable], ordered: list[str]
) -> None:
    statement = walking_statement(EmbeddingModel("p", "n", 1536), tables)

    for alias in ("sv", "cv"):
        expected = int(alias in ordered)
        assert statement.count(f"ORDER BY {alias}.quantized::bit(4608) <~>") == expected
        assert statement.count(f"ORDER BY {alias}.quantized <~>") == 1 - expected

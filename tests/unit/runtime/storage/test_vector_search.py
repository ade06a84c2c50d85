from __future__ import annotations

import pytest

from runtime.storage.vector_search import is_settled


def rows(*places: int, compared: int = 200) -> list[dict[str, int]]:
    """Return what was found, nearest first, by its places among those whose bits differ least."""
    return [{"place": place, "compared": compared} for place in places]


NEAR = range(1, 10)


@pytest.mark.parametrize(
    ("places", "settled"),
    [
        ([*NEAR, 10], True),
        ([*NEAR, 101], True),
        ([101, *NEAR], True),
        ([*NEAR[:8], 100, 101], True),
        ([*NEAR[:8], 101, 102], False),
        ([*NEAR, 101, 102, 103], True),
        ([101], False),
        ([1, 2, 3, 101], False),
    ],
)
def test_more_are_compared_where_the_best_are_not_the_first_by_their_bits(
    places: list[int], *, settled: bool
) -> None:
    assert is_settled(rows(*places), 200) is settled


def test_nothing_is_left_where_all_were_compared() -> None:
    assert is_settled(rows(*range(150, 160), compared=199), 200)


def test_nothing_found_is_settled() -> None:
    assert is_settled([], 200)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.answering.time_shares import (
    for_embedding,
    for_provider,
    for_reranking,
    to_tell,
)

SECONDS = st.floats(min_value=0.001, max_value=600)


def test_a_hanging_embedding_takes_a_third() -> None:
    assert for_embedding(90) == 30


@pytest.mark.parametrize(("remaining_s", "share_s"), [(90, 3), (12, 2), (0.6, 0.1)])
def test_a_hanging_reranker_takes_a_sixth_and_three_seconds_at_most(
    remaining_s: float, share_s: float
) -> None:
    assert for_reranking(remaining_s) == pytest.approx(share_s)


@pytest.mark.parametrize(
    ("remaining_s", "providers_left", "may_extract", "share_s"),
    [
        (90, 1, False, 90),
        (90, 1, True, 85),
        (20, 1, True, 18),
        (1, 1, True, 0.75),
        (0.2, 1, True, 0.1),
        (90, 2, False, 45),
        (90, 2, True, 42.5),
        (90, 3, False, 45),
    ],
)
def test_a_provider_leaves_time_for_the_next_and_for_the_extract(
    remaining_s: float, share_s: float, *, providers_left: int, may_extract: bool
) -> None:
    share = for_provider(remaining_s, providers_left=providers_left, may_extract=may_extract)
    assert share == pytest.approx(share_s)


@given(remaining_s=SECONDS, providers=st.integers(1, 6), may_extract=st.booleans())
def test_a_chain_of_which_each_hangs_leaves_the_extract_its_part(
    remaining_s: float, providers: int, *, may_extract: bool
) -> None:
    left_s = remaining_s
    for left in range(providers, 0, -1):
        share_s = for_provider(left_s, providers_left=left, may_extract=may_extract)
        assert 0 < share_s <= left_s
        left_s -= share_s
    assert (left_s > 0) == may_extract


@given(share_s=SECONDS)
def test_what_a_provider_is_told_ends_before_its_share(share_s: float) -> None:
    assert share_s - 0.5 <= to_tell(share_s) < share_s
    assert to_tell(share_s) >= share_s * 0.95 - 1e-9

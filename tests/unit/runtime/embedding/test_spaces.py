from __future__ import annotations

import pytest

from runtime.embedding.spaces import UNKNOWN, EmbeddingSpaces
from runtime.messages import EmbeddingModel
from runtime.providers.fakes import FakeEmbedder

NEW, OLD = FakeEmbedder(64), FakeEmbedder(256)


def test_a_workspace_without_vectors_gets_the_configured_space() -> None:
    assert EmbeddingSpaces(NEW, OLD).for_workspace(None) is NEW


def test_a_workspace_is_searched_in_the_space_of_its_vectors_or_in_none() -> None:
    spaces = EmbeddingSpaces(NEW, OLD)
    assert spaces.for_workspace(OLD.model.key) is OLD
    assert spaces.for_workspace(NEW.model.key) is NEW
    assert spaces.for_workspace("fake:gone:2") is None


def test_a_space_that_is_unknown_is_guessed_only_where_there_is_no_other() -> None:
    assert EmbeddingSpaces(NEW).for_workspace(UNKNOWN) is NEW
    assert EmbeddingSpaces(NEW, OLD).for_workspace(UNKNOWN) is None


def test_the_spaces_are_told_with_the_configured_one_first() -> None:
    spaces = EmbeddingSpaces(NEW, OLD)
    assert (spaces.configured, spaces.retiring) == (NEW, (OLD,))
    assert spaces.keys == [NEW.model.key, OLD.model.key]
    assert EmbeddingSpaces(NEW).retiring == ()


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        (None, (NEW,)),
        (NEW.model.key, (NEW,)),
        (OLD.model.key, (OLD, NEW)),
        ("fake:gone:2", (NEW,)),
    ],
)
def test_records_get_vectors_of_their_own_space_first_and_of_the_configured_one(
    key: str | None, wanted: tuple[FakeEmbedder, ...]
) -> None:
    assert EmbeddingSpaces(NEW, OLD).for_records(key) == wanted


@pytest.mark.parametrize(
    "space", [EmbeddingModel("cohere", "embed-v4.0", 1536), EmbeddingModel("x", "bge:latest", 64)]
)
def test_a_key_says_which_space_it_is_of(space: EmbeddingModel) -> None:
    assert EmbeddingModel.from_key(space.key) == space


@pytest.mark.parametrize("key", ["", "cohere", "cohere:embed-v4.0", "cohere::64", ":m:64", "a:b:c"])
def test_what_is_no_key_is_of_no_space(key: str) -> None:
    assert EmbeddingModel.from_key(key) is None

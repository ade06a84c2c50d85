"""Clients who are asked about by name, for the tests of who is meant."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from runtime.language.name_words import list_asked_words, list_stored_words
from runtime.messages import NamedClient
from runtime.narrowing.mentions import choose_meant


def lines(text: str) -> list[str]:
    """Return the lines of a table."""
    return [line.strip() for line in text.strip().splitlines()]


def name_meant(question: str, names: Sequence[str], *, usual: frozenset[str] = frozenset()) -> str:
    """Return the names of those meant, found as the store would find them.

    `usual` are the words that stand in the notes of many clients who do not bear them.
    """
    asked = {word for each in list_asked_words(question) for word in each.lookups}
    named = [
        NamedClient(UUID(int=number), name, usual & set(list_stored_words(name)))
        for number, name in enumerate(names)
        if asked & set(list_stored_words(name))
    ]
    meant = choose_meant(question, named)
    return " / ".join(client.name for client in named if client.id in meant)

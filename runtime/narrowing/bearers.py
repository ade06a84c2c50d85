"""Clients of whose names a word stands in a question, and where. `mentions.py` decides. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.language.name_words import list_name_words
from runtime.language.transliteration import list_spellings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.language.name_words import AskedWord
    from runtime.messages import NamedClient


@dataclass(frozen=True, slots=True)
class Hit:
    """A word of a client's name at a place of the question.

    `prefixed`: letters are joined before it. `heard`: how the question has it, in the other script.
    """

    place: int
    word: str
    prefixed: bool
    heard: str = ""


@dataclass(frozen=True, slots=True)
class Bearer:
    """A client, the words of the name in order, and where they stand in the question."""

    client: NamedClient
    words: tuple[str, ...]
    hits: tuple[Hit, ...]


def find_hits(client: NamedClient, asked: Sequence[AskedWord]) -> Bearer:
    """Return the client with each place of the question where a word of the name may stand."""
    words = list_name_words(client.name)
    hits = [
        Hit(place, reading, reading != word.words[0])
        for place, word in enumerate(asked)
        for reading in word.words
        if reading in words
    ]
    hits += [
        Hit(place, spelling, prefixed=False, heard=word.words[0])
        for place, word in enumerate(asked)
        for spelling in word.heard
        if spelling in words
    ]
    hits += [
        Hit(place, name, reading != word.words[0], heard=reading)
        for name in filter(str.isascii, words)
        for place, word in enumerate(asked)
        for reading in word.words
        if reading in list_spellings(name)
    ]
    hits.sort(key=lambda hit: hit.place)
    return Bearer(client, words, tuple(hits))

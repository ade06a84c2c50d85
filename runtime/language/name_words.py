"""The words of a client's name as they are stored, and those of a question as they are looked up.

`storage/client_names.py` stores and looks up, `narrowing/mentions.py` decides who is meant. One
rule for both sides, so that they meet by `=`; `migrations/0003` has it once more, for the names
that were there before it: those have their Hebrew spellings once they are written again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from runtime.language.transliteration import FINAL_LETTERS, list_spellings

_TOKEN: Final = re.compile(r"[^\W\d_]+(?:['’‘׳\"״”`\u00b4][^\W\d_]+)*")
"""O'Neill and Maya's are one token, Ben-Ari is two."""
LEFT_OUT: Final = re.compile(r"['’‘׳\"״”`\u00b4]")
"""Quotes and apostrophes, which a name is written with or without."""
_POSSESSIVE: Final = re.compile(r"['’‘][sS]$")
_HEBREW_PREFIX: Final = re.compile(r"ו?(?:כש|ש)?[לבמ]?")
"""And, that or when, to or in or from: in this order. No name has an article."""
_TITLES: Final = frozenset(
    ("mr", "mrs", "ms", "miss", "mx", "dr", "prof", "jr", "sr", "דר", "מר", "גב", "גברת", "פרופ")
)
_SHORTEST_UNPREFIXED: Final = 2
_LONGEST: Final = 64
MOST_ASKED_TOKENS: Final = 200
"""A question of 2,000 characters rarely has more; what stands beyond is looked up no more."""
_MOST_HEARD_TOKENS: Final = 8
_SHORTEST_HEARD: Final = 3


@dataclass(frozen=True, slots=True)
class AskedWord:
    """A word of a question: where it stands, how it is written, and as what it is looked up.

    `words` are its readings, the one without a Hebrew prefix removed first; `heard`, how it is
    written in Hebrew if it is a name in Latin letters.
    """

    start: int
    end: int
    text: str
    words: tuple[str, ...]
    possessive: bool = False
    heard: tuple[str, ...] = ()

    @property
    def lookups(self) -> tuple[str, ...]:
        """All that it is looked up as among the words of clients' names, in either script."""
        return self.words + self.heard


def list_name_words(name: str) -> tuple[str, ...]:
    """Return the different words of a name in order, without titles; "Levi, Maya" is turned."""
    last, comma, first = name.partition(",")
    ordered = f"{first} {last}" if comma and first.strip() else name
    words = (normalise(token) for token in _TOKEN.findall(prepare(ordered)))
    return tuple(dict.fromkeys(word for word in words if word and word not in _TITLES))


def list_stored_words(name: str) -> tuple[str, ...]:
    """Return what a client is found by: the words of the name, and how Hebrew writes Latin ones.

    Words of two letters are left out of those: too many others are written so.
    """
    words = list_name_words(name)
    heard = (spelling for word in words for spelling in list_spellings(word))
    return (*words, *(each for each in dict.fromkeys(heard) if len(each) >= _SHORTEST_HEARD))


def list_asked_words(question: str) -> list[AskedWord]:
    """Return the words of a question in order, numbers left out."""
    text = prepare(question)
    words = [_read(match) for match in _TOKEN.finditer(text)][:MOST_ASKED_TOKENS]
    names = [place for place, word in enumerate(words) if _may_be_latin_name(word)]
    for place in names[:_MOST_HEARD_TOKENS]:
        words[place] = replace(words[place], heard=list_spellings(words[place].words[0]))
    return words


@lru_cache(maxsize=32_768)
def normalise(token: str) -> str:
    """Return a token as it is stored: no accent, point or quote, one case, no final letters."""
    bare = LEFT_OUT.sub("", token).casefold()
    parts = unicodedata.normalize("NFKD", bare)
    letters = "".join(char for char in parts if not unicodedata.combining(char))
    return unicodedata.normalize("NFKC", letters).translate(FINAL_LETTERS)[:_LONGEST]


def is_hebrew(token: str) -> bool:
    """Say whether a token begins in Hebrew letters, as `לMaya` does too."""
    return "א" <= token[0] <= "ת"


def prepare(text: str) -> str:
    """Return the text that the places of asked words are in: no points, which would cut a word."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(char for char in text if not unicodedata.combining(char))


def _read(match: re.Match[str]) -> AskedWord:
    token = match.group()
    bare = _POSSESSIVE.sub("", token)
    words = [normalise(bare)]
    if is_hebrew(token):
        words += [normalise(rest) for rest in _without_prefix(token)]
    unique = tuple(dict.fromkeys(word for word in words if word))
    return AskedWord(*match.span(), token, unique, possessive=bare != token)


def _may_be_latin_name(word: AskedWord) -> bool:
    """Say whether a word has a capital at its beginning, and no other."""
    name = word.text[: len(word.words[0])] if word.words else ""
    return len(name) >= _SHORTEST_HEARD and name.isascii() and name.istitle()


def _without_prefix(token: str) -> Iterator[str]:
    """Yield what is left of a Hebrew token without each prefix that it may begin with."""
    for length in (1, 2, 3, 4):
        rest = token[length:]
        if len(rest) >= _SHORTEST_UNPREFIXED and _HEBREW_PREFIX.fullmatch(token[:length]):
            yield rest

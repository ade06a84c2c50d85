"""Tables of words with one meaning, read from `lexicons/`, and finding them in a text.

A line is `meaning: form, form, …`; a form may be several words. Hebrew forms are also found behind
the letters that are written onto a word (`ו`, `ה`, `ב`, `ל`, `מ`, `ש`, `כ`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from runtime.clinical.words import Word, words_of

FOLDER: Final = Path(__file__).parent / "lexicons"
_PREFIX: Final = re.compile(r"ו?(?:לכש|כש|מש|ש)?[במלכ]?ה?")
"""What may be written onto a Hebrew word; shorter runs of it are tried first."""
_SHORTEST_REST: Final = 2


@dataclass(frozen=True, slots=True)
class Found:
    """A form of the table: its meaning, the words it takes, and what was written onto the first."""

    meaning: str
    length: int
    prefix: str = ""


class Lexicon:
    """One table. Where two forms fit at one place, the longer is found."""

    def __init__(self, rows: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for meaning, form in rows:
            self._by_first.setdefault(form[0], []).append((form[1:], meaning))
        for forms in self._by_first.values():
            forms.sort(key=lambda each: -len(each[0]))

    def find(self, words: Sequence[Word], at: int) -> Found | None:
        """Return what begins at this word, or None."""
        first = words[at].text
        for prefix in prefixes(first) if words[at].is_hebrew else ("",):
            for rest, meaning in self._by_first.get(first[len(prefix) :], ()):
                following = words[at + 1 : at + 1 + len(rest)]
                if tuple(word.text for word in following) == rest:
                    return Found(meaning, 1 + len(rest), prefix)
        return None


@cache
def prefixes(word: str) -> tuple[str, ...]:
    """Return the runs of letters that may be written onto a Hebrew word, none first."""
    runs = (word[:length] for length in range(len(word) - _SHORTEST_REST + 1))
    return ("", *(run for run in runs if run and _PREFIX.fullmatch(run)))


@cache
def lexicon(name: str) -> Lexicon:
    """Return the table of `lexicons/NAME.txt`."""
    return Lexicon(read_rows(name))


@cache
def read_rows(name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the meaning and the words of each form in a file, in its order."""
    rows = []
    for line in (FOLDER / f"{name}.txt").read_text("utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        meaning, _, forms = line.partition(": ")
        for form in forms.split(", "):
            words = tuple(word.text for word in words_of(form))
            rows.append((meaning, words))
        if " " not in meaning and meaning.isascii() and meaning not in {"both", "percent"}:
            rows.append((meaning, tuple(word.text for word in words_of(meaning))))
    return tuple(dict.fromkeys(rows))

"""Notes that say again what another one says: copied forward from visit to visit.

`context.py` calls `drop_repeats`. Between two notes that are nearly the same, what differs is what
matters: a dose, a side, a "no". So a passage is a repeat only where it adds nothing but grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from runtime.language.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.messages import Passage

_WORD: Final = re.compile(
    r"\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:['’׳\"״][^\W\d_]+)*|[^\w\s.,;:!…\"“”„'’()\[\]]"
)
"""`7/10` and `2.5` are one word, and so is every sign but stops, quotes and brackets: `-2` is not
`2`, `++` is not `+`, and `depression?` is not `depression`."""
_IDLE: Final = frozenset(("a", "an", "the", "and", "of", "that", "also", "את", "של", "גם", "כי"))
"""Words that two wordings of one claim may differ by."""
_LEAST_SHARED: Final = 0.5
"""Of neighbouring words: each one that differs breaks two pairs. Below, comparing is in vain."""
_MOST_WORDS: Final = 400
"""Longer passages are repeats only sentence by sentence: to compare takes the square of this."""


def drop_repeats(passages: Iterable[Passage]) -> list[Passage]:
    """Return the passages in their order without those that repeat an earlier one.

    Of two, the more relevant stays: it is the one that was asked for. Only fields of the same name
    of one client repeat each other: that two people report the same is two facts.
    """
    kept: list[tuple[Passage, _Wording]] = []
    for passage in passages:
        wording = _read(passage.text)
        if not any(
            passage.client_id == other.client_id
            and passage.field_name == other.field_name
            and _repeats(wording, said)
            for other, said in kept
        ):
            kept.append((passage, wording))
    return [passage for passage, _ in kept]


@dataclass(frozen=True, slots=True)
class _Wording:
    words: tuple[str, ...]
    sentences: frozenset[tuple[str, ...]]
    runs: frozenset[tuple[str, str]]


def _read(text: str) -> _Wording:
    words = _words(text)
    said = (_words(text[start:end]) for start, end in sentences(text))
    return _Wording(words, frozenset(filter(None, said)), frozenset(pairwise(words)))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORD.findall(text))


def _repeats(one: _Wording, other: _Wording) -> bool:
    """Say whether one adds nothing to the other.

    It may be shorter by whole sentences; within one, a word more in the other could be its "no".
    """
    if one.sentences and one.sentences <= other.sentences:
        return True
    if len(one.words) > _MOST_WORDS or len(other.words) > _MOST_WORDS:
        return False
    if len(one.runs & other.runs) < _LEAST_SHARED * max(len(one.runs), len(other.runs)):
        return False
    matcher = SequenceMatcher(None, one.words, other.words, autojunk=False)
    return all(
        tag == "equal" or _IDLE.issuperset((*one.words[i:j], *other.words[k:n]))
        for tag, i, j, k, n in matcher.get_opcodes()
    )

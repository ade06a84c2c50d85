"""Cuts an answer that still grows into its sentences, each as soon as it cannot grow any more.

`synthesize.py` feeds it. However the pieces come, the sentences are those that `split_answer` finds
in the whole; a test holds it to that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.answering.checking import mask_markers, split_answer, unfinished_marker
from runtime.answering.guard import normalize

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAY_END: Final = re.compile("[.!?…\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_WORD: Final = re.compile(r"\w")


class Sentence(NamedTuple):
    """A sentence or list item as the model wrote it, and the white space before it."""

    gap: str
    text: str


class SentenceStream:
    """Takes the pieces of one answer."""

    def __init__(self) -> None:
        self._pending = ""
        """What was not given out, of which all but the newest piece is normalised."""

    def add(self, piece: str) -> list[Sentence]:
        """Return the sentences that this piece finished, without invisible characters."""
        self._pending += piece
        # What no stop or break is in holds one sentence; a \r may be the half of a line break.
        if not _MAY_END.search(self._pending) or self._pending.endswith("\r"):
            return []
        self._pending = normalize(self._pending)
        found = split_answer(self._pending)
        return self._take(found[: _count_finished(self._pending, found)])

    def finish(self) -> list[Sentence]:
        """Return the sentences that only the end finished."""
        self._pending = normalize(self._pending).rstrip()
        return self._take(split_answer(self._pending))

    def _take(self, places: Sequence[tuple[int, int]]) -> list[Sentence]:
        taken = []
        before_end = 0
        for start, end in places:
            taken.append(Sentence(self._pending[before_end:start], self._pending[start:end]))
            before_end = end
        self._pending = self._pending[before_end:]
        return taken


def _count_finished(text: str, found: Sequence[tuple[int, int]]) -> int:
    """Return how many of the first sentences nothing that comes after can change.

    A sentence is finished by the first word of the next: until then, markers, closing signs or a
    small letter may show that it goes on. Where it ends without a space, the cut waits for the next
    one: what begins a marker depends on the character before.
    """
    words = mask_markers(text)[: unfinished_marker(text)]
    for count in range(len(found) - 1, 0, -1):
        end = found[count - 1][1]
        if text[end].isspace() and _WORD.search(words, *found[count]):
            return count
    return 0

"""Writes what Cohere cites as the markers of our prompt: `She sleeps badly. [1]`.

Cohere names the documents of a span of its answer beside the text, not in it. Some models tell of a
span as soon as it is written, some of all spans once the text has ended. `cohere.py` calls this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from runtime.language.sentences import sentences

_MARKER: Final = re.compile(r"\[[\d\s,]{1,20}\]")
_TRAILING: Final = re.compile(r"(?:\s*\[[\d\s,]{1,20}\])+")
_BEGUN_MARKER: Final = re.compile(r"\s*\[[\d\s,]{0,20}\Z")
_ENDED: Final = re.compile(r"[.!?…][^\w\s]{0,9}(?:\s*\[[\d\s,]{1,20}\])*\Z")
_BREAK: Final = re.compile(r"[\n\r\v\f\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class CitedSpan:
    """A part of the answer, in code points, and the markers of the documents that it rests on."""

    start: int
    end: int
    markers: tuple[int, ...]


def with_markers(text: str, spans: Iterable[CitedSpan]) -> str:
    """Return the whole answer with a marker behind each sentence for what is cited in it."""
    weaver = MarkerWeaver()
    for span in spans:
        weaver.cite(span)
    return weaver.add(text) + weaver.finish()


class MarkerWeaver:
    """Takes the pieces of one answer and its spans as they come; gives text that is final.

    A sentence is given as it grows. What follows it is held until it is known what it cites: it
    ends with a marker of the model's own, a later part of the text was cited, or spans come along
    with the text. Nobody is shown a sentence that cites nothing, so little waits in vain.
    """

    def __init__(self) -> None:
        self._text = ""
        self._sent = 0
        """Up to where the model's text was given."""
        self._begun = 0
        """Where the sentence begins that was last given of."""
        self._spans: list[CitedSpan] = []
        self._come_along = False

    def add(self, piece: str) -> str:
        """Return what this piece of the model's text makes final."""
        self._text += piece
        return self._release()

    def cite(self, span: CitedSpan) -> str:
        """Return what the news of this span makes final."""
        self._spans.append(span)
        end = self._end_of_sentence()
        if self._begun <= span.start < end and not self._text[end:].strip():
            self._come_along = True
        return self._release() if self._text else ""

    def finish(self) -> str:
        """Return what is left once the model has ended."""
        self._come_along = True
        return self._release() + self._text[self._sent :] + self._missing(len(self._text))

    def _release(self) -> str:
        given = ""
        while True:
            end = self._end_of_sentence()
            given += self._text[self._sent : end]
            self._sent = max(self._sent, end)
            if not self._text[end:].strip():
                return given + self._give_space(end)
            if not self._is_settled(end):
                return given
            given += self._missing(end)
            self._begun = self._sent = end

    def _give_space(self, end: int) -> str:
        """Give the space behind a sentence that goes on: behind a whole one, markers may follow."""
        space = self._text[end:]
        if _ENDED.search(self._text, self._begun, end) or _BREAK.search(space):
            return ""
        space = self._text[self._sent :]
        self._sent = len(self._text)
        return space

    def _end_of_sentence(self) -> int:
        """Return where the sentence that is being given ends, its own markers with it."""
        found = sentences(self._text[self._begun :])
        if not found:
            return self._sent
        end = self._begun + found[0][1]
        own = _TRAILING.match(self._text, end)
        return own.end() if own else end

    def _is_settled(self, end: int) -> bool:
        if _BEGUN_MARKER.match(self._text, end):
            return False
        return (
            self._come_along
            or any(span.start >= end for span in self._spans)
            or _MARKER.search(self._text, self._begun, end) is not None
        )

    def _missing(self, end: int) -> str:
        """Return the markers of what the sentence up to `end` cites, where it has none of its own.

        Behind markers of its own, further ones would be read as those of the next sentence.
        """
        if _MARKER.search(self._text, self._begun, end):
            return ""
        cited = [
            marker
            for span in self._spans
            if span.start < end and span.end > self._begun
            for marker in span.markers
        ]
        return " " + "".join(f"[{marker}]" for marker in dict.fromkeys(cited)) if cited else ""

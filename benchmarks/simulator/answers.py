"""The simulated chat model: the sentences of the given records that share most with the question.

The simulated reranker counts the same words.

It reads the product's own prompt (`runtime/providers/prompt.py`), so that an answer it gives passes
the product's checks: verbatim sentences, each with the marker of its record.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from benchmarks.simulator.calls import ChatCall, Reply, RerankCall, estimate_tokens
from runtime.language.sentences import sentences

WITHOUT_RECORDS: Final = "The simulator answers from records, and this prompt holds none."
MOST_SENTENCES: Final = 3
SHARE_OF_BEST: Final = 0.6
"""A further sentence must share nearly as much with the question as the first."""

_RECORD: Final = re.compile(r'<(record-\w+) n="(\d+)" about="[^"]*">\n(.*?)\n</\1>', re.DOTALL)
_WORD: Final = re.compile(r"\w+")
_PIECE: Final = re.compile(r"\s*\S+\s*?(?=\s|$)")
_HEBREW_PREFIXES: Final = "והבלמשכ"
_STEM_LETTERS: Final = 5
_SHORTEST_STEM: Final = 3


@dataclass(frozen=True, slots=True)
class _Sentence:
    marker: str
    text: str
    stems: frozenset[str]

    @property
    def cited(self) -> str:
        stop = "" if self.text[-1] in ".!?…" else "."
        return f"{self.text} [{self.marker}]{stop}"


def answer(call: ChatCall, number: int) -> Reply:
    """Return the answer, the same for the same conversation."""
    text = _best_of(call.turns[-1])
    pieces = tuple(_PIECE.findall(text))
    whole = call.max_tokens is None or estimate_tokens(text) <= call.max_tokens
    while not whole and len(pieces) > 1:
        pieces = pieces[:-1]
        whole = estimate_tokens("".join(pieces)) <= (call.max_tokens or 0)
    written = "".join(pieces)
    return Reply(
        number, written, pieces, call.input_tokens, estimate_tokens(written), written == text
    )


def relevances(call: RerankCall) -> list[float]:
    """Return for each document the share of the query's words that stand in it."""
    query = _stems(call.query)
    return [round(len(query & _stems(text)) / max(1, len(query)), 6) for text in call.documents]


def _best_of(prompt: str) -> str:
    records = list(_RECORD.finditer(prompt))
    found = [
        _Sentence(record[2], text, stems)
        for record in records
        for text, stems in _sentences(record[3])
    ]
    if not found:
        return WITHOUT_RECORDS
    question = _stems(prompt[records[-1].end() :])
    in_sentences = Counter(stem for sentence in found for stem in question & sentence.stems)

    def shared(sentence: _Sentence) -> float:
        # A word that stands in every sentence tells none from another.
        return sum(1 / in_sentences[stem] for stem in question & sentence.stems)

    ranked = sorted(found, key=shared, reverse=True)  # stable: of equals, the first record's
    least = SHARE_OF_BEST * shared(ranked[0])
    chosen = [ranked[0]]
    chosen += [s for s in ranked[1:MOST_SENTENCES] if shared(s) >= least > 0]
    return " ".join(sentence.cited for sentence in chosen)


@lru_cache(maxsize=20_000)
def _sentences(record: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return the sentences that hold a word, with its words' stems. Records come many times."""
    texts = [record[start:end] for start, end in sentences(record)]
    return tuple((text, _stems(text)) for text in texts if _WORD.search(text))


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(_stem, _WORD.findall(text.casefold())))


def _stem(word: str) -> str:
    while word[0] in _HEBREW_PREFIXES and len(word) > _SHORTEST_STEM:
        word = word[1:]
    return word[:_STEM_LETTERS]

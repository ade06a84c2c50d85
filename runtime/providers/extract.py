"""Which sentences of the given passages answer a question: the extractive model's judgement.

`local.py` calls `shortlist`, embeds what it returns, and lets `choose` decide. Words find names,
numbers and drugs; meaning finds what is said otherwise or in the other language. No waiting here.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from runtime.messages import ChatDocument
from runtime.sentences import sentences
from runtime.splitting import estimate_tokens
from runtime.stems import stems_of

SHORTLIST_TOKENS: Final = 350
"""What is embedded for one question: 0.4 s, at 1.05 ms a token on one core (0.5 s at 450 would only
lift Hebrew questions on clinical English, from .56 to .68 by the measure below)."""
MOST_SENTENCES: Final = 4
OVERLAP_WEIGHT: Final = 0.3
"""The part of shared words in how well a sentence fits; the rest is similarity of meaning.

Source: measured on 253 labelled questions with their five best passages. Some chosen sentence holds
the answer in .94 of Hebrew questions, .91 of English, .96 of either on translations, and .56 of
Hebrew ones on clinical English. At 0.5 the English fall to .80 and the last to under half.
"""
NUMBER_BONUS: Final = 0.05
LEAST_FIT: Final = 0.12
"""Below this a sentence is no answer. Without a shared word that is a similarity of 0.17, less than
is asked of a passage: a sentence alone in the other language is far from any question."""
SHARE_OF_BEST: Final = 0.75
"""A further sentence must fit nearly as well as the best, or it only dilutes the answer."""
REPEATED_SHARE: Final = 0.8

_ASKS_FOR_A_NUMBER: Final = re.compile(
    r"\b(?:when|since|how (?:much|many|often|long|old)|what (?:time|day|date|year|dose))\b"
    r"|\b(?:מתי|ממתי|כמה|מינון|תאריך|באיזו שנה|באיזה יום)\b",
    re.IGNORECASE,
)
_OWN_MARKER: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a document; `overlap` is the share of the question's words in it, 0 to 1."""

    marker: int
    text: str
    stems: frozenset[str]
    overlap: float


def shortlist(question: str, documents: Sequence[ChatDocument]) -> list[Sentence]:
    """Return the sentences worth embedding: those that share words, then of the first passages.

    A rare word counts for more than one that is in every sentence. Left out are headings and what
    holds a marker of its own, which would read as a citation.
    """
    found = [
        (place, *item) for place, document in enumerate(documents) for item in _split(document)
    ]
    frequency = Counter(stem for *_, stems in found for stem in stems)
    asked = stems_of(question)
    weights = {stem: math.log(1 + len(found) / (1 + frequency[stem])) for stem in asked}
    total = sum(weights.values()) or 1.0
    ranked = []
    for place, marker, text, stems in found:
        overlap = sum(weights[stem] for stem in stems & asked) / total
        ranked.append((overlap + 1 / (2 + place), Sentence(marker, text, stems, overlap)))
    ranked.sort(key=lambda item: item[0], reverse=True)
    tokens = itertools.accumulate(estimate_tokens(sentence.text) + 5 for _, sentence in ranked)
    kept = sum(used <= SHORTLIST_TOKENS for used in tokens)
    return [sentence for _, sentence in ranked[: max(1, kept)]]


def choose(
    question: str, candidates: Sequence[Sentence], similarities: Sequence[float]
) -> list[Sentence]:
    """Return the sentences that answer, the best first; none where none fits.

    `similarities` are those of the question to each candidate, on the calibrated scale.
    """
    number = _ASKS_FOR_A_NUMBER.search(question) is not None
    fits = [
        OVERLAP_WEIGHT * sentence.overlap
        + (1 - OVERLAP_WEIGHT) * similarity
        + NUMBER_BONUS * (number and any(map(str.isdigit, sentence.text)))
        for sentence, similarity in zip(candidates, similarities, strict=True)
    ]
    best = max(fits, default=0.0)
    chosen: list[Sentence] = []
    for fit, sentence in sorted(
        zip(fits, candidates, strict=True), key=lambda x: x[0], reverse=True
    ):
        enough = fit >= max(LEAST_FIT, best * SHARE_OF_BEST)
        if enough and not any(_repeats(sentence, other) for other in chosen):
            chosen.append(sentence)
    return chosen[:MOST_SENTENCES]


def _split(document: ChatDocument) -> Iterator[tuple[int, str, frozenset[str]]]:
    for start, end in sentences(document.text):
        text = document.text[start:end]
        stems = stems_of(text)
        if stems and not text.endswith(":") and not _OWN_MARKER.search(text):
            yield document.marker, text, stems


def _repeats(sentence: Sentence, chosen: Sentence) -> bool:
    """Whether the sentence says hardly a word that the chosen one does not."""
    return len(sentence.stems & chosen.stems) >= REPEATED_SHARE * len(sentence.stems)

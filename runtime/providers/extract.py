"""Which sentences of the given passages answer a question: the extractive model's judgement.

`local.py` calls `shortlist`, embeds what it returns, and lets `choose` decide. Words find names,
numbers and drugs; meaning finds what is said otherwise or in the other language. No waiting here.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from runtime.clinical.medications import find_medications
from runtime.language.sentences import sentences
from runtime.language.stems import stems_of
from runtime.messages import ChatDocument
from runtime.splitting import estimate_tokens

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
LEAST_FIT: Final = 0.30
LEAST_FIT_ACROSS: Final = 0.20
"""Below this a sentence is no answer; the second holds between two languages, where it shares no
word with the question and is far from any.

Source: measured, benchmarks/grounding.py declining. Under .01 of the questions whose answer is in
the passages are declined wrongly, .02 of those a clinician would put to clinical notes; .24 of the
questions that nothing in the practice speaks of are declined. At 0.35 it would be .46 of these,
and a tenth of the clinician's.
"""
LEAST_OVERLAP: Final = 0.1
"""The same where no similarity is measured: the share of the question's words in the sentence."""
SHARE_OF_BEST: Final = 0.75
"""A further sentence must fit nearly as well as the best, or it only dilutes the answer."""
REPEATED_SHARE: Final = 0.8

_ASKS_FOR_A_NUMBER: Final = re.compile(
    r"\b(?:when|since|how (?:much|many|often|long|old)|what (?:time|day|date|year|dose))\b"
    r"|\b(?:מתי|ממתי|כמה|מינון|תאריך|באיזו שנה|באיזה יום)\b",
    re.IGNORECASE,
)
_SUICIDE: Final = re.compile(
    r"\bsuicid|\bself[- ]harm|\bkill(?:ing|ed)? (?:him|her|my|them|your)sel"
    r"|\bend(?:ing)? (?:his|her|their) (?:own )?life"
    r"|\b(?:wish(?:es|ed)?|want(?:s|ed)?) (?:to (?:be dead|die)|not to wake)"
    r"|אובדנ|התאבד|לפגוע בעצמ|פגיעה עצמית|לסיים את חי|(?:רוצה|רצ[הת]ה?|משאל[הות]+) למות"
    r"|לא (?:לקום|להתעורר) בבוקר|מחשבות מוות",
    re.IGNORECASE,
)
"""However a note words it: not to find it would be the worst of all misses."""
_ASKS_FOR_MEDICATION: Final = re.compile(
    r"\b(?:medications?|medicines?|drugs?|pills?|prescri\w+|meds)\b|תרופ|נוטל|כדור(?:ים)?\b",
    re.IGNORECASE,
)
SAME_MATTER: Final = 0.5
"""The share of words that a sentence counts for at least which names what the question asks for in
another way: a medication by its name, a wish to die. Reckoned: enough to pass `LEAST_FIT` at a
similarity of .22, the least that was met among the demo's."""
_OWN_MARKER: Final = re.compile(r"\[\d+\]")
_HEBREW: Final = re.compile("[א-ת]")
_LATIN: Final = re.compile("[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a document; `overlap` is the share of the question's words in it, 0 to 1.

    `across` says that it is in the other language.
    """

    marker: int
    text: str
    stems: frozenset[str]
    overlap: float
    across: bool = False


_Found: TypeAlias = tuple[int, int, str, frozenset[str]]
"""The rank of a passage, its marker, a sentence of it and its stems."""


def shortlist(question: str, documents: Sequence[ChatDocument]) -> list[Sentence]:
    """Return the sentences worth embedding: those that share words, then of the first passages.

    A rare word counts for more than one that is in every sentence. Left out are headings and what
    holds a marker of its own, which would read as a citation; and what is of other medications,
    where some sentence is of one that the question names.
    """
    found = _about_asked_medications(
        question,
        [(place, *item) for place, document in enumerate(documents) for item in split(document)],
    )
    frequency = Counter(stem for *_, stems in found for stem in stems)
    asked = stems_of(question)
    weights = {stem: math.log(1 + len(found) / (1 + frequency[stem])) for stem in asked}
    total = sum(weights.values()) or 1.0
    in_hebrew = _is_hebrew(question)
    matter = _matter_of(question)
    ranked = []
    for place, marker, text, stems in found:
        overlap = sum(weights[stem] for stem in stems & asked) / total
        if matter(text):
            overlap = max(overlap, SAME_MATTER)
        sentence = Sentence(marker, text, stems, overlap, across=_is_hebrew(text) != in_hebrew)
        ranked.append((overlap + 1 / (2 + place), sentence))
    ranked.sort(key=lambda item: item[0], reverse=True)
    tokens = itertools.accumulate(estimate_tokens(sentence.text) + 5 for _, sentence in ranked)
    kept = sum(used <= SHORTLIST_TOKENS for used in tokens)
    return [sentence for _, sentence in ranked[: max(1, kept)]]


def _about_asked_medications(question: str, found: list[_Found]) -> list[_Found]:
    asked = find_medications(question)
    named = [find_medications(text) for _, _, text, _ in found] if asked else []
    if not any(asked & each for each in named):
        return found
    return [item for item, each in zip(found, named, strict=True) if not each or asked & each]


def choose(
    question: str,
    candidates: Sequence[Sentence],
    similarities: Sequence[float],
    *,
    measured: bool = True,
) -> list[Sentence]:
    """Return the sentences that answer, the best first; none where none fits.

    `similarities` are those of the question to each candidate, on the calibrated scale; where they
    are only estimated, they rank, and words decide.
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
        may_answer = fit >= _least(sentence) if measured else _shares_enough(sentence)
        enough = may_answer and fit >= best * SHARE_OF_BEST
        if enough and not any(_repeats(sentence, other) for other in chosen):
            chosen.append(sentence)
    return chosen[:MOST_SENTENCES]


def _least(sentence: Sentence) -> float:
    return LEAST_FIT_ACROSS if sentence.across else LEAST_FIT


def _shares_enough(sentence: Sentence) -> bool:
    return sentence.across or sentence.overlap >= LEAST_OVERLAP


def _is_hebrew(text: str) -> bool:
    return len(_HEBREW.findall(text)) > len(_LATIN.findall(text))


def split(document: ChatDocument) -> Iterator[tuple[int, str, frozenset[str]]]:
    """Yield the marker, text and stems of each sentence that can be quoted."""
    for start, end in sentences(document.text):
        text = document.text[start:end]
        stems = stems_of(text)
        if stems and not text.endswith(":") and not _OWN_MARKER.search(text):
            yield document.marker, text, stems


def _matter_of(question: str) -> Callable[[str], bool]:
    """Return what says of a sentence whether it names the question's matter in words of its own."""
    if _SUICIDE.search(question):
        return lambda text: _SUICIDE.search(text) is not None
    if _ASKS_FOR_MEDICATION.search(question):
        return lambda text: bool(find_medications(text))
    return lambda _: False


def _repeats(sentence: Sentence, chosen: Sentence) -> bool:
    """Whether the sentence says hardly a word that the chosen one does not."""
    return len(sentence.stems & chosen.stems) >= REPEATED_SHARE * len(sentence.stems)

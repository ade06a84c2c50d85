"""Checks what a model wrote against what it was given, one sentence at a time.

`synthesize.py` calls this. Each sentence is judged on its own, so that a stream can be checked as
it grows (`sentence_stream.py`). Nothing here calls a model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from runtime.answering.quoting import (
    addresses,
    best_sentence,
    has_open_quotation,
    is_backed,
    quotations,
    stands_in,
)
from runtime.language.sentences import sentences
from runtime.phrases import NOT_IN_RECORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.answering.support import Evidence
    from runtime.messages import Passage

Warned: TypeAlias = Literal[
    "unknown_marker", "misquote_removed", "unsupported_removed", "unverified", "uncited_sentence"
]

_NUMBERS: Final = r"\s*\d{1,4}(?:\s*[,;،\u2013-]\s*\d{1,4})*\s*"
_MARKERS: Final = re.compile(rf"[\[【]{_NUMBERS}[\]】]|(?<!\S)\]\d{{1,4}}\[")
"""`[1]`, `[1, 2]`, `[1-3]`, and `]1[`, which models write in right-to-left text."""
_RUN: Final = re.compile(rf"(?:{_MARKERS.pattern})(?:[ \t]*(?:{_MARKERS.pattern}))*")
_UNFINISHED: Final = re.compile(r"(?:[\[【][\d\s,;،\u2013-]*|(?<!\S)\]\d{0,4})\Z")
_ENDS_CITED: Final = re.compile(rf"(?:{_MARKERS.pattern})[^\w\[\]]*$")
_LONGEST_RANGE: Final = 20
_ABOUT_RECORDS: Final = re.compile(r"\b(?:records?|notes?)\b|רשומ|תיעוד", re.IGNORECASE)
"""What they do not say, no passage can confirm."""
_LONGEST_HEADING: Final = 2
"""Words: a sentence of its own has more."""


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence as it may be shown; `text` is empty where it may not.

    `quotes` holds, for each marker in it, the sentence of that passage that it rests on. `backed`
    says whether its words and facts agree with what it cites.
    """

    text: str
    quotes: tuple[tuple[int, str], ...]
    backed: bool
    warnings: tuple[Warned, ...]


def split_answer(text: str) -> list[tuple[int, int]]:
    """Return the offsets of an answer's sentences, each with the markers that belong to it.

    Markers after a stop belong to the sentence before, unless it already ends with some. A
    quotation is not cut in two.
    """
    without_markers = mask_markers(text)
    found: list[tuple[int, int]] = []
    for start, end in sentences(without_markers):
        if found and "\n" not in text[found[-1][1] : start]:
            wordless = not re.search(r"\w", without_markers[start:end])
            if wordless or has_open_quotation(text[slice(*found[-1])]):
                start = found.pop()[0]  # noqa: PLW2901
        found.append((start, end))
    for run in _RUN.finditer(text):
        _give_to_sentence(found, run, text)
    return found


def mask_markers(text: str) -> str:
    """Return the text with blanks in place of its markers; lengths stay."""
    return _RUN.sub(lambda run: " " * len(run[0]), text)


def unfinished_marker(text: str) -> int:
    """Return where what may become a marker begins at the end of a text that still grows."""
    begun = _UNFINISHED.search(text)
    return len(text) if begun is None else begun.start()


def _give_to_sentence(found: list[tuple[int, int]], run: re.Match[str], text: str) -> None:
    """Stretch the sentence that these markers belong to, where they stand between two."""
    at = sum(start <= run.start() for start, _ in found)
    before = found[at - 1] if at else None
    if before and run.end() <= before[1]:
        return
    is_settled = before is None or bool(
        "\n" in text[before[1] : run.start()] or _ENDS_CITED.search(text[slice(*before)])
    )
    if is_settled and at < len(found):
        found[at] = (run.start(), found[at][1])
    elif before:
        found[at - 1] = (before[0], run.end())


def check_sentence(sentence: str, evidence: Evidence) -> CheckedSentence:
    """Return the sentence as it may be shown, given the passages that the answer rests on.

    Markers are written `[1][2]`; those that name no passage are dropped. A sentence that quotes
    what none of its passages says is withheld whole: its other words may lean on the quotation. So
    is one with an address that none of them has, and one that they contradict; what they only
    cannot confirm is shown and told of. One that cites
    nothing is held against all of the passages: it is told of, or withheld where they do not hold
    its facts.
    """
    passages = evidence.passages
    warnings: list[Warned] = []
    cited: dict[int, Passage] = {}

    def rewrite(match: re.Match[str]) -> str:
        known = []
        for marker in _read_markers(match[0]):
            if marker not in passages:
                warnings.append("unknown_marker")
            elif marker not in known:
                known.append(marker)
                cited[marker] = passages[marker]
        return "".join(f"[{marker}]" for marker in known)

    text = _tidy(_MARKERS.sub(rewrite, sentence))
    plain = _tidy(_MARKERS.sub(" ", sentence))
    invented = _find_invented(plain, [passage.text for passage in cited.values()])
    if invented is not None:
        return CheckedSentence("", (), backed=False, warnings=(*warnings, invented))
    is_uncited = not cited and _states_something(plain)
    finding = evidence.judge(plain, passages if is_uncited else cited)
    must_hold = is_uncited and not _ABOUT_RECORDS.search(plain)
    if finding.verdict == "contradicted" or (must_hold and finding.verdict == "doubtful"):
        return CheckedSentence("", (), backed=False, warnings=(*warnings, "unsupported_removed"))
    known = " ".join(
        f"{passage.client_name} {passage.session_date or ''} {passage.text}"
        for passage in cited.values()
    )
    backed = finding.verdict == "supported" and is_backed(plain, known)
    if is_uncited:
        warnings.append("uncited_sentence")
    elif cited and not backed:
        warnings.append("unverified")
    return CheckedSentence(
        text,
        tuple((marker, best_sentence(cited[marker].text, plain)) for marker in sorted(cited)),
        backed=backed,
        warnings=tuple(warnings),
    )


def _find_invented(plain: str, texts: Sequence[str]) -> Warned | None:
    """Return why a sentence is withheld: it quotes, or names an address, that no text has."""
    for quotation in quotations(plain):
        if not any(stands_in(quotation, text) for text in texts):
            return "misquote_removed"
    known: set[str] = set().union(*map(addresses, texts))
    return None if addresses(plain) <= known else "unsupported_removed"


def _states_something(plain: str) -> bool:
    """Say whether a sentence is more than a heading, what leads in to others, or a refusal."""
    if plain.endswith(":") or plain in NOT_IN_RECORDS.values():
        return False
    return len(plain.split()) > _LONGEST_HEADING


def _read_markers(group: str) -> list[int]:
    markers: list[int] = []
    for part in re.split(r"[,;،]", group.strip("[]【】")):
        first, *rest = (int(number) for number in re.findall(r"\d+", part))
        last = rest[-1] if rest else first
        markers += range(first, min(last, first + _LONGEST_RANGE) + 1) if last > first else [first]
    return markers


def _tidy(text: str) -> str:
    """Close the gap that a dropped marker leaves before a stop or between words."""
    return re.sub(r"[ \t]+([.,;:!?…]|$)", r"\1", re.sub(r"[ \t]{2,}", " ", text)).strip()

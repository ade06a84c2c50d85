"""How often the semantic cache would serve the answer to another question, and how often it should.

Called by `pazpaz-agent eval cache`, which brings the similarities. Knows no database and no
provider: labelled pairs and their similarities in, counts out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from runtime.clinical.gate import asks_the_same
from runtime.clinical.wording import normalize_question
from runtime.errors import InvalidRecord
from runtime.evaluation.labelled_lines import read_lines
from runtime.messages import Language

THRESHOLDS: Final = (0.95, 0.90, 0.85, 0.80, 0.70, 0.0)
"""Compared beside the configured one; at 0 the gate decides alone."""


class LabelledPair(BaseModel):
    """A line of `pairs.jsonl`: may the answer to `remembered` serve `asked`?

    `kind` says how the two differ. Pairs of the `held_out` split were not looked at while the
    gate's tables were written.
    """

    asked: str
    remembered: str
    lang: Language
    should_hit: bool
    kind: str
    split: str = ""


def read_pairs(path: Path) -> list[LabelledPair]:
    """Return the pairs of a file, one at least.

    Raises: InvalidRecord, naming the line, or the file where it holds none.
    """
    otherwise = f"is not a labelled pair with {', '.join(LabelledPair.model_fields)}."
    pairs = list(read_lines(path, LabelledPair, otherwise=otherwise))
    if not pairs:
        raise InvalidRecord(path.name, "holds no labelled pair.")
    return pairs


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair with the calibrated similarity of its questions, and what the rules say of it."""

    pair: LabelledPair
    similarity: float
    is_same_wording: bool
    passes_gate: bool

    def hits(self, threshold: float) -> bool:
        """Return whether the cache would serve it: the exact key, or similarity and gate."""
        return self.is_same_wording or (self.similarity >= threshold and self.passes_gate)

    def hits_without_gate(self, threshold: float) -> bool:
        """Return whether similarity alone would serve it."""
        return self.is_same_wording or self.similarity >= threshold


def judge(pair: LabelledPair, similarity: float) -> Judged:
    """Return what the cache's rules say of a pair."""
    return Judged(
        pair,
        similarity,
        is_same_wording=normalize_question(pair.asked) == normalize_question(pair.remembered),
        passes_gate=asks_the_same(pair.asked, pair.remembered),
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """Of `should_hit` pairs that may share an answer, the `true_hits`; of the others, the false."""

    should_hit: int
    true_hits: int
    must_not_hit: int
    false_hits: int
    false_hits_without_gate: int


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """The counts at one threshold: of all pairs, by language, by split, and by kind."""

    threshold: float
    all: Counts
    by_language: dict[str, Counts]
    by_split: dict[str, Counts]
    by_kind: dict[str, Counts]


@dataclass(frozen=True, slots=True)
class CacheReport:
    """What the cache would do with the labelled pairs under one embedding model.

    `served_wrongly` are the pairs that must not hit and do at the configured threshold.
    """

    embedding: str
    configured: AtThreshold
    others: list[AtThreshold]
    served_wrongly: list[dict[str, str]]

    def render_json(self) -> str:
        """Return the report as a JSON object."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def summarize_pairs(judged: Sequence[Judged], *, threshold: float, embedding: str) -> CacheReport:
    """Return the counts at the configured threshold and at `THRESHOLDS`."""
    wrong = [each.pair for each in judged if not each.pair.should_hit and each.hits(threshold)]
    return CacheReport(
        embedding=embedding,
        configured=_count_at(judged, threshold),
        others=[_count_at(judged, other) for other in THRESHOLDS],
        served_wrongly=[{"asked": pair.asked, "remembered": pair.remembered} for pair in wrong],
    )


def _count_at(judged: Sequence[Judged], threshold: float) -> AtThreshold:
    def group(key: Callable[[LabelledPair], str]) -> dict[str, Counts]:
        names = dict.fromkeys(key(each.pair) for each in judged)
        return {
            name: _count([each for each in judged if key(each.pair) == name], threshold)
            for name in names
        }

    return AtThreshold(
        threshold=threshold,
        all=_count(judged, threshold),
        by_language=group(lambda pair: pair.lang),
        by_split=group(lambda pair: pair.split),
        by_kind=group(lambda pair: f"{'same' if pair.should_hit else 'other'}: {pair.kind}"),
    )


def _count(judged: Sequence[Judged], threshold: float) -> Counts:
    same = [each for each in judged if each.pair.should_hit]
    other = [each for each in judged if not each.pair.should_hit]
    return Counts(
        should_hit=len(same),
        true_hits=sum(each.hits(threshold) for each in same),
        must_not_hit=len(other),
        false_hits=sum(each.hits(threshold) for each in other),
        false_hits_without_gate=sum(each.hits_without_gate(threshold) for each in other),
    )

"""What stands around a claim, and how alike two claims are by it: the support check's measure.

`support.py` calls this. A fact means nothing alone: `left` is of the knee that stands beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.clinical.claims import Claim

REACH: Final = 6
"""Words from a fact at which what stands there counts half for what the fact is about."""


ELSEWHERE: Final = 0.5
"""What stands in another clause counts so much of what it would count in this one."""
_OF_ITS_CLAUSE: Final = frozenset(("side", "change", "quality"))
"""A dose may stand apart from its drug (`10 mg, raised to 15 mg`); these do not."""


_SURROUNDS_NOTHING: Final = frozenset(("change", "quality"))


class Scene:
    """The claims of some sentences, and the surroundings of each."""

    def __init__(self, claims: Sequence[Claim]) -> None:
        self.claims = claims
        self._by_sentence: dict[int, list[Claim]] = {}
        for claim in claims:
            self._by_sentence.setdefault(claim.sentence, []).append(claim)
        self._around: dict[Claim, dict[str, float]] = {}

    def of_kind(self, *kinds: str) -> list[Claim]:
        """Return the claims of these kinds."""
        return [claim for claim in self.claims if claim.kind in kinds]

    def sentence_of(self, claim: Claim) -> list[Claim]:
        """Return the claims of its sentence, itself among them."""
        return self._by_sentence[claim.sentence]

    def around(self, claim: Claim) -> dict[str, float]:
        """Return what stands in the claim's sentence, the nearer the heavier, 0 to 1."""
        if claim not in self._around:
            weights: dict[str, float] = {}
            for other in self.sentence_of(claim):
                if (
                    other.kind not in {claim.kind, *_SURROUNDS_NOTHING}
                    and other.place != claim.place
                ):
                    weight = 1 / (1 + abs(other.place - claim.place) / REACH)
                    if claim.kind in _OF_ITS_CLAUSE and other.clause != claim.clause:
                        weight *= ELSEWHERE
                    weights[other.key] = max(weight, weights.get(other.key, 0.0))
            self._around[claim] = weights
        return self._around[claim]

    def daypart(self, claim: Claim) -> str | None:
        """Return the part of the day that stands nearest in the claim's clause, if one does."""
        parts = [
            (abs(other.place - claim.place), other.key)
            for other in self.sentence_of(claim)
            if other.kind == "daypart" and other.clause == claim.clause
        ]
        return min(parts)[1] if parts else None


def likeness(said: dict[str, float], known: dict[str, float]) -> float:
    """Return how much of what surrounds one claim surrounds the other, 0 to 1."""
    total = sum(said.values())
    shared = sum(min(weight, known.get(key, 0.0)) for key, weight in said.items())
    return shared / total if total else 0.0

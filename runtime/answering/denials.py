"""What an answer says to be so and its passage denies, or only weighs: one part of the check.

`support.py` calls this for each clause. Values and people are compared there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from runtime.answering.surroundings import likeness

if TYPE_CHECKING:
    from runtime.answering.surroundings import Scene
    from runtime.clinical.claims import Claim

Amiss: TypeAlias = Literal["doubtful", "contradicted"]
Standing: TypeAlias = Literal["agrees", "unsure", "denied"]
_RANKS: Final[Mapping[Standing, int]] = {"agrees": 2, "unsure": 1, "denied": 0}
ABOUT: Final = frozenset(("topic", "medication"))
"""The kinds that say what a sentence is about."""


def compare_negations(clause: tuple[int, int], said: Scene, known: Scene) -> Iterator[Amiss]:
    """Find what a clause says to be so and is denied there, or the other way round.

    What counts is the sentence of the passage that denies: there, as much must differ as agrees. A
    word that both deny tells that they deny the same thing, though not in words of one order.
    """
    same_denial: set[int] = set()
    counts: dict[Standing, Counter[int]] = {name: Counter() for name in get_args(Standing)}
    new = 0
    for claim in said.of_kind(*ABOUT):
        if (claim.sentence, claim.clause) != clause:
            continue
        around = said.around(claim)
        found = [
            (likeness(around, known.around(other)), _stand(claim, other, said, known), other)
            for other in known.claims
            if other.kind in ABOUT and other.key == claim.key
        ]
        if not found:
            new += 1
            continue
        _, standing, nearest = max(found, key=lambda each: (each[0], _RANKS[each[1]]))
        counts[standing][nearest.sentence] += 1
        if claim.negated and nearest.negated:
            same_denial.add(nearest.sentence)
    agreed = counts["agrees"]
    for sentence, count in counts["denied"].items():
        if sentence not in same_denial and count >= max(agreed[sentence], new):
            yield "contradicted" if count > new else "doubtful"
    for sentence, count in counts["unsure"].items():
        if count >= agreed[sentence]:
            yield "doubtful"


def _stand(claim: Claim, other: Claim, said: Scene, known: Scene) -> Standing:
    """Say whether both affirm or both deny; where one is turned round in words, nobody can say.

    What is said to be so where the passage only weighs, advises or offers it, is unsure.
    """
    if claim.negated == other.negated:
        return "unsure" if other.unreal and not claim.unreal else "agrees"
    told = (said.sentence_of(claim), known.sentence_of(other))
    if claim.turned != other.turned or _both_stop(*told) or _both_deny_a_change(*told):
        return "agrees"
    if _starts_again(other, told[1]) and any(each.value == "start" for each in told[0]):
        return "agrees"
    return "unsure" if other.unreal and not other.negated else "denied"


def _both_stop(said: Sequence[Claim], known: Sequence[Claim]) -> bool:
    """Say whether both tell of an end: `stopped` is a change, and negates what it ends."""
    return all(any(each.value == "stop" for each in claims) for claims in (said, known))


def _both_deny_a_change(said: Sequence[Claim], known: Sequence[Claim]) -> bool:
    """Say whether neither saw the same change: `no improvement in sleep`, `has not improved`."""
    mine, theirs = (
        {c.value for c in claims if c.kind == "change" and c.negated} for claims in (said, known)
    )
    return bool(mine & theirs)


def _starts_again(ended: Claim, known: Sequence[Claim]) -> bool:
    """Say whether what ended is begun again: `stopped in March; restarted in May`."""
    return any(
        each.value == "start"
        and each.place > ended.place
        and not any(c.kind in ABOUT and c.place > each.place for c in known)
        for each in known
    )

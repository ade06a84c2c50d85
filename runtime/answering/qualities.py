"""Words of which one says the reverse of another: `safe` and `unsafe`. `support.py` asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.clinical.words import listed

if TYPE_CHECKING:
    from runtime.clinical.claims import Claim

_OPPOSITES: Final = frozenset(
    map(
        frozenset,
        (
            ("up", "down"),
            ("start", "stop"),
            ("better", "worse"),
            ("safe", "unsafe"),
            ("good", "bad"),
            ("before", "after"),
            ("more", "less"),
            ("first", "last"),
            ("passive", "active"),
            ("confirmed", "ruled out"),
            ("older", "younger"),
            ("allergic", "tolerates"),
        ),
    )
)
RELATIONS: Final = frozenset(listed("before after more less first last older younger"))
"""Here the reverse may be true of the other one: more than last year is less last year than now."""


def are_alike(claim: Claim, other: Claim) -> bool | None:
    """Say whether two changes or qualities fit, as `badly` and `not well` do; None for unlike ones.

    Whether the same word is denied on one side only, is for `denials.py` to find. What was not
    raised was not lowered either.
    """
    if claim.value == other.value:
        return True
    if {claim.value, other.value} not in _OPPOSITES:
        return None
    return claim.kind == "quality" and claim.negated != other.negated

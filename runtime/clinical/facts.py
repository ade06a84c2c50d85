"""What a clinical text claims, in a form that can be compared across wordings and languages.

The cache's gate compares two questions by it; the support check, an answer with its passage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from runtime.clinical.dates import CalendarDate
from runtime.stems import stems_of

Side: TypeAlias = Literal["left", "right", "both"]
Change: TypeAlias = Literal["up", "down", "start", "stop", "better", "worse"]


@dataclass(frozen=True, slots=True)
class Dose:
    """`amount` is a plain decimal (`0.5`), `unit` one of mg, mcg, g, ml, units, tablets, drops."""

    amount: str
    unit: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text claims. All but `asserted`, `negated` and `names` mean the same in both languages.

    `numbers` holds every number, those of doses and spans too, but none of dates and times.
    `dosed` pairs a medication with a dose that stands next to it. `frequencies` are `2/day`; `times`
    `16:30`; `spans` such as `3 month`, `last 1 month`, `since 2025-03`. `people` are roles
    (`mother`), `names` the capitalised ones, casefolded; `pronouns` `he`, `she`, `they`, `i`, `you`.
    """

    asserted: frozenset[str] = frozenset()
    """Stems of the words that carry meaning and stand in the scope of no negation."""
    negated: frozenset[str] = frozenset()
    """Stems of those in the scope of a negation."""
    numbers: frozenset[str] = frozenset()
    doses: frozenset[Dose] = frozenset()
    dosed: frozenset[tuple[str, Dose]] = frozenset()
    frequencies: frozenset[str] = frozenset()
    dates: frozenset[CalendarDate] = frozenset()
    times: frozenset[str] = frozenset()
    spans: frozenset[str] = frozenset()
    sides: frozenset[Side] = frozenset()
    medications: frozenset[str] = frozenset()
    """Generic names."""
    people: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    pronouns: frozenset[str] = frozenset()
    changes: frozenset[Change] = frozenset()


def read_facts(text: str) -> Facts:
    """Return what a text of one or a few sentences claims."""
    return Facts(asserted=stems_of(text))

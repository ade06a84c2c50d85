"""Dates and times of day in a text, however they are written, in Hebrew and English."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CalendarDate:
    """A date as far as it was written: `March 2025` has no day, `12 March` no year."""

    year: int | None = None
    month: int | None = None
    day: int | None = None

    def may_be(self, other: CalendarDate) -> bool:
        """Return whether both can mean one day: no part that both name differs."""
        mine, theirs = (
            (self.year, self.month, self.day),
            (other.year, other.month, other.day),
        )
        return all(a is None or b is None or a == b for a, b in zip(mine, theirs, strict=True))

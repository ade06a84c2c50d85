"""One question's time: its stages measured, and all of them within the one deadline.

`answer.py` opens one for each question. What a stage does is not known here, nor how the time is
shared between them (`time_shares.py`).
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from runtime.errors import DeadlineExceeded
from runtime.resilience.deadline import held_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from runtime.ports import Clock


class Stages:
    """Runs stages until `deadline_s` from now.

    `timings_ms` holds those that ended, however; one that ran twice, with both.
    """

    def __init__(self, clock: Clock, *, deadline_s: float) -> None:
        self.timings_ms: dict[str, float] = {}
        self._clock = clock
        self._ends_at_s = clock.monotonic() + deadline_s

    def remaining_s(self, name: str) -> float:
        """Return the seconds that remain for this stage.

        Raises: DeadlineExceeded (none do).
        """
        remaining_s = self._ends_at_s - self._clock.monotonic()
        if remaining_s <= 0:
            raise DeadlineExceeded(name)
        return remaining_s

    @contextmanager
    def measured(self, name: str) -> Iterator[None]:
        """Measure a stage that keeps to its share of the time by itself."""
        started_s = self._clock.monotonic()
        try:
            yield
        finally:
            took_ms = (self._clock.monotonic() - started_s) * 1000
            self.timings_ms[name] = self.timings_ms.get(name, 0) + took_ms

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[None]:
        """Cancel the stage at the deadline. Nothing may be yielded to a consumer meanwhile.

        Raises: DeadlineExceeded.
        """
        remaining_s = self.remaining_s(name)
        with self.measured(name):
            async with held_for(remaining_s, late=lambda: DeadlineExceeded(name)):
                yield

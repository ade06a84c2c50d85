"""One question's time: its stages measured, and all of them within the one deadline.

`answer.py` opens one for each question. What a stage does is not known here.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from runtime.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.ports import Clock


class Stages:
    """Runs stages until `deadline_s` from now. `timings_ms` holds those that ended."""

    def __init__(self, clock: Clock, *, deadline_s: float) -> None:
        self.timings_ms: dict[str, float] = {}
        self._clock = clock
        self._ends_at_s = clock.monotonic() + deadline_s

    @asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[float]:
        """Give the seconds that remain; what has not ended by then is cancelled.

        Raises: DeadlineExceeded.
        """
        started_s = self._clock.monotonic()
        remaining_s = self._ends_at_s - started_s
        if remaining_s <= 0:
            raise DeadlineExceeded(name)
        try:
            async with asyncio.timeout(remaining_s):
                yield remaining_s
        except TimeoutError:
            raise DeadlineExceeded(name) from None
        self.timings_ms[name] = (self._clock.monotonic() - started_s) * 1000

"""Questions under way, so that one asked twice at once is answered once.

`answer.py` keeps one `Flights` a replica. Whoever comes second waits for the first and then looks
into the cache, rather than being handed the first one's answer: a note may have been changed
between the two, and only the cache knows.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

Flight: TypeAlias = tuple["UUID", bytes]
"""A workspace, and what digests the question."""


class Flights:
    """Which questions are being answered in this process."""

    def __init__(self) -> None:
        self._ended: dict[Flight, asyncio.Event] = {}

    @contextmanager
    def begun(self, flight: Flight) -> Iterator[None]:
        """Let others wait for the block's end; beside one that runs already, for nobody."""
        if flight in self._ended:
            yield
            return
        ended = self._ended[flight] = asyncio.Event()
        try:
            yield
        finally:
            del self._ended[flight]
            ended.set()

    async def wait(self, flight: Flight, *, timeout_s: float) -> bool:
        """Return True once the one under way has ended; False at once if there is none.

        After `timeout_s` it returns False too: then two are answered side by side.
        """
        ended = self._ended.get(flight)
        if ended is None:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                await ended.wait()
        except TimeoutError:
            return False
        return True

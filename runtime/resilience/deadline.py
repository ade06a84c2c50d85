"""When an operation must have ended. It travels between processes as the seconds that remain.

`Deadline` counts them, `held_for` and `held_until` end what is awaited.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from runtime.errors import AIAgentError
    from runtime.ports import Clock


class Deadline:
    """The end of `timeout_s`, counted from now; `at_s` is it on the clock's monotonic reading."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self.at_s = clock.monotonic() + timeout_s

    def remaining_s(self) -> float:
        """Return the seconds that are left, never less than 0."""
        return max(0.0, self.at_s - self._clock.monotonic())


@asynccontextmanager
async def held_until(ends_at_s: float, *, late: Callable[[], AIAgentError]) -> AsyncIterator[None]:
    """Cancel what the block awaits at this time of the event loop, and raise what `late` returns.

    A time-out of the block's own passes through. Nothing may be yielded to a consumer meanwhile: it
    would be the consumer's work that ends.
    """
    limit = asyncio.timeout_at(ends_at_s)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise late() from None


def held_for(
    timeout_s: float, *, late: Callable[[], AIAgentError]
) -> AbstractAsyncContextManager[None]:
    """As `held_until`, so many seconds from now."""
    return held_until(asyncio.get_running_loop().time() + timeout_s, late=late)

"""A generator read by a task of its own, so that whoever waits for its next item may stop waiting.

A time-out around `anext` would end the generator; around a queue's `get` it only ends the wait.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

T = TypeVar("T")


@asynccontextmanager
async def reading_ahead(
    items: AsyncGenerator[T, None],
) -> AsyncIterator[asyncio.Queue[T | Exception | None]]:
    """Give a queue of the items, at most one ahead; None, or what was raised, is the last.

    One task takes them all, since what it awaits may be bound to its task. With the block's end,
    `items` is closed.
    """
    ready: asyncio.Queue[T | Exception | None] = asyncio.Queue(1)
    taking = asyncio.create_task(_take(items, ready))
    try:
        yield ready
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)


async def _take(items: AsyncGenerator[T, None], ready: asyncio.Queue[T | Exception | None]) -> None:
    end: Exception | None = None
    try:
        async with aclosing(items):
            async for item in items:
                await ready.put(item)
    except Exception as error:  # noqa: BLE001 - raised again where the items are read
        end = error
    await ready.put(end)

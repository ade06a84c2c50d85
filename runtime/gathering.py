"""A stream's pieces sent on together: fewer hops between processes, and no piece held for long.

The chat deployment puts it around a provider's stream.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, TypeAlias

from runtime.messages import TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runtime.messages import ChatEvent

_Item: TypeAlias = "ChatEvent | Exception | None"


async def gather_pieces(
    events: AsyncGenerator[ChatEvent, None], *, window_s: float
) -> AsyncGenerator[ChatEvent, None]:
    """Yield the events, the text of each `window_s` in one piece; the first piece comes at once.

    Nothing is held longer than `window_s`, whether or not more follows. Closing it closes `events`.
    """
    time = asyncio.get_running_loop().time
    ready: asyncio.Queue[_Item] = asyncio.Queue(1)
    # One task takes them all: what it awaits may be bound to its task.
    taking = asyncio.create_task(_take(events, ready))
    due_at_s = time()
    try:
        while True:
            item = await ready.get()
            text = ""
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due_at_s):
                    while isinstance(item, TextDelta):
                        text += item.text
                        item = await ready.get()
            if text:
                due_at_s = time() + window_s
                yield TextDelta(text)
            match item:
                case TextDelta():
                    continue  # the last of the text, and then silence
                case None:
                    return
                case Exception():
                    raise item
                case _:
                    yield item
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)


async def _take(events: AsyncGenerator[ChatEvent, None], ready: asyncio.Queue[_Item]) -> None:
    end: Exception | None = None
    try:
        async with aclosing(events):
            async for event in events:
                await ready.put(event)
    except Exception as error:  # noqa: BLE001 - raised again where the events are read
        end = error
    await ready.put(end)

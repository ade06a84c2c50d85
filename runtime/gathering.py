"""A stream's pieces sent on together: fewer hops between processes, and no piece held for long.

The chat deployment puts it around a provider's stream.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from runtime.messages import TextDelta
from runtime.reading_ahead import reading_ahead

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runtime.messages import ChatEvent


async def gather_pieces(
    events: AsyncGenerator[ChatEvent, None], *, window_s: float
) -> AsyncGenerator[ChatEvent, None]:
    """Yield the events, the text of each `window_s` in one piece; the first piece comes at once.

    Nothing is held longer than `window_s`, whether or not more follows. Closing it closes `events`.
    """
    time = asyncio.get_running_loop().time
    due_at_s = time()
    async with reading_ahead(events) as ready:
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

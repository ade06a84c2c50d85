from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from runtime.errors import ProviderUnavailable
from runtime.gathering import gather_pieces
from runtime.messages import ChatReply, TextDelta, UsageSoFar
from tests.unit.runtime.resilience.virtual_loop import in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runtime.messages import ChatEvent

WINDOW_S = 0.03
REPLY = ChatReply("abcd", "fake", "m", 1, 4)
FAILURE = ProviderUnavailable("fake", "m", "chat", "HTTP 503", None)


class Source:
    """Yields each event after its pause; knows when it was closed."""

    def __init__(self, *steps: tuple[float, ChatEvent | Exception]) -> None:
        self._steps = steps
        self.is_closed = False

    async def events(self) -> AsyncGenerator[ChatEvent, None]:
        try:
            for pause_s, event in self._steps:
                await asyncio.sleep(pause_s)
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.is_closed = True


async def gathered(source: Source) -> list[tuple[float, ChatEvent]]:
    time = asyncio.get_running_loop().time
    pieces = gather_pieces(source.events(), window_s=WINDOW_S)
    return [(round(time(), 3), piece) async for piece in pieces]


@in_virtual_time
class TestGathering:
    async def test_the_first_piece_goes_at_once_and_the_next_ones_together(self) -> None:
        source = Source(*((0.009, TextDelta(letter)) for letter in "abcd"), (0.009, REPLY))
        assert await gathered(source) == [
            (0.009, TextDelta("a")),
            (0.039, TextDelta("bcd")),
            (0.045, REPLY),
        ]

    async def test_no_piece_waits_for_the_next_one(self) -> None:
        source = Source((0, TextDelta("a")), (0.01, TextDelta("b")), (5, REPLY))
        assert await gathered(source) == [
            (0, TextDelta("a")),
            (0.03, TextDelta("b")),
            (5.01, REPLY),
        ]

    async def test_what_is_no_text_keeps_its_place(self) -> None:
        usage = UsageSoFar(3, 0)
        source = Source((0, usage), (0, TextDelta("a")), (0.01, TextDelta("b")), (0, REPLY))
        assert [piece for _, piece in await gathered(source)] == [
            usage,
            TextDelta("a"),
            TextDelta("b"),
            REPLY,
        ]

    async def test_a_failure_comes_after_the_text_before_it(self) -> None:
        source = Source((0, TextDelta("a")), (0.01, TextDelta("b")), (0, FAILURE))
        told: list[ChatEvent] = []

        async def read() -> None:
            async for piece in gather_pieces(source.events(), window_s=WINDOW_S):
                told.append(piece)  # noqa: PERF401 - what came before the failure counts

        with pytest.raises(ProviderUnavailable):
            await read()
        assert told == [TextDelta("a"), TextDelta("b")]

    async def test_leaving_early_closes_the_source(self) -> None:
        source = Source((0, TextDelta("a")), (60, REPLY))
        async with aclosing(gather_pieces(source.events(), window_s=WINDOW_S)) as pieces:
            assert await anext(pieces) == TextDelta("a")
            assert not source.is_closed
        assert source.is_closed

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.errors import BadProviderResponse
from runtime.messages import ChatMessage, ChatReply, ChatRequest, TextDelta
from runtime.resilience.bounded import MOST_CHARACTERS, BoundedChat

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runtime.messages import ChatEvent

REQUEST = ChatRequest("", (ChatMessage("user", "How?"),), (), "en")


class Talker:
    """Answers with so many characters, in pieces of a thousand."""

    provider = "fake"
    name = "m"

    def __init__(self, characters: int) -> None:
        self._text = "a" * characters
        self.told = 0
        self.is_closed = False

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        del request, timeout_s
        return ChatReply(self._text, self.provider, self.name, 1, 1)

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        try:
            for at in range(0, len(self._text), 1000):
                self.told += 1
                yield TextDelta(self._text[at : at + 1000])
            yield await self.chat(request, timeout_s=timeout_s)
        finally:
            self.is_closed = True


async def test_an_answer_within_the_bound_passes_whole_and_streamed() -> None:
    chat = BoundedChat(Talker(MOST_CHARACTERS))
    reply = await chat.chat(REQUEST, timeout_s=1)
    events = [event async for event in chat.stream(REQUEST, timeout_s=1)]
    assert len(reply.text) == MOST_CHARACTERS
    assert events[-1] == reply
    assert sum(len(event.text) for event in events[:-1] if isinstance(event, TextDelta)) == 20_000


async def test_an_answer_beyond_it_is_none() -> None:
    with pytest.raises(BadProviderResponse):
        await BoundedChat(Talker(MOST_CHARACTERS + 1)).chat(REQUEST, timeout_s=1)


async def test_a_stream_beyond_it_is_ended_at_the_vendor() -> None:
    talker = Talker(1_000_000)
    with pytest.raises(BadProviderResponse):
        async for _ in BoundedChat(talker).stream(REQUEST, timeout_s=1):
            pass
    assert talker.told == MOST_CHARACTERS // 1000 + 1
    assert talker.is_closed

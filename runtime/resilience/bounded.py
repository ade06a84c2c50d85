"""A `ChatModel` that ends an answer beyond all bounds, whatever became of `max_tokens`."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from runtime.errors import BadProviderResponse
from runtime.messages import TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runtime.messages import ChatEvent, ChatReply, ChatRequest
    from runtime.ports import ChatModel

MOST_CHARACTERS: Final = 20_000
"""Several times what `answering/prompting.py` asks for (1,000 tokens). Every sentence of an answer
is checked on the event loop, and a message between processes holds 4 MiB."""


class BoundedChat:
    """Passes on what is no longer than `MOST_CHARACTERS`."""

    def __init__(self, inner: ChatModel) -> None:
        self._inner = inner

    @property
    def provider(self) -> str:
        """The wrapped ChatModel's."""
        return self._inner.provider

    @property
    def name(self) -> str:
        """The wrapped ChatModel's."""
        return self._inner.name

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """As ChatModel.chat.

        Raises: ProviderError.
        """
        reply = await self._inner.chat(request, timeout_s=timeout_s)
        self._require_bounded(len(reply.text))
        return reply

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        """As ChatModel.stream.

        Raises: ProviderError.
        """
        length = 0
        async with aclosing(self._inner.stream(request, timeout_s=timeout_s)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    length += len(event.text)
                    self._require_bounded(length)
                yield event

    def _require_bounded(self, length: int) -> None:
        if length > MOST_CHARACTERS:
            reason = "an answer longer than any that was asked for"
            raise BadProviderResponse(self.provider, self.name, "chat", reason, None)

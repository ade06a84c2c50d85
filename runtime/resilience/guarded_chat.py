"""A `ChatModel` whose every provider call is guarded; a stream, until its first words are out."""

from __future__ import annotations

from collections import deque
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.errors import BadProviderResponse
from runtime.messages import ChatReply, Cost, UsageSoFar
from runtime.usage import TokenCount, estimate_prompt_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runtime.messages import ChatEvent, ChatRequest
    from runtime.ports import ChatModel
    from runtime.resilience.guarded import Attempt, GuardedCall, GuardedRun


@dataclass(slots=True)
class _Opened:
    """A stream with its first words in `early`; whoever closes `leaving` tells how it ended."""

    attempt: Attempt
    early: deque[ChatEvent]
    later: AsyncGenerator[ChatEvent, None]
    leaving: AsyncExitStack


class GuardedChat:
    """Makes a failed call again; a stream only while none of its text was passed on."""

    def __init__(self, inner: ChatModel, guard: GuardedCall) -> None:
        self._inner = inner
        self._guard = guard

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

        async def call(attempt_s: float) -> ChatReply:
            return await self._inner.chat(request, timeout_s=attempt_s)

        return await self._guard.run(
            call,
            tokens_of=lambda reply: reply.input_tokens + reply.output_tokens,
            cost=_cost(request),
            timeout_s=timeout_s,
        )

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        """As ChatModel.stream; `timeout_s` is for the whole of it.

        Raises: ProviderError.
        """
        with self._guard.begin(_cost(request), timeout_s=timeout_s) as run:

            async def open_once() -> _Opened:
                return await self._open(run, request)

            opened = await run.retry(open_once)
            async with opened.leaving, aclosing(self._pass_on(opened, request)) as events:
                async for event in events:
                    yield event

    async def _open(self, run: GuardedRun, request: ChatRequest) -> _Opened:
        async with AsyncExitStack() as stack:
            attempt = await stack.enter_async_context(run.attempt())
            stream = self._inner.stream(request, timeout_s=attempt.timeout_s)
            later = await stack.enter_async_context(aclosing(stream))
            early: deque[ChatEvent] = deque()
            while not early or isinstance(early[-1], UsageSoFar):
                early.append(await self._next(later))
            return _Opened(attempt, early, later, stack.pop_all())

    async def _pass_on(
        self, opened: _Opened, request: ChatRequest
    ) -> AsyncGenerator[ChatEvent, None]:
        clock, count = self._guard.clock, TokenCount(request)
        ended = False
        try:
            while not ended:
                event = opened.early.popleft() if opened.early else await self._next(opened.later)
                count.add(event)
                if isinstance(event, ChatReply):
                    ended = True
                    # Before it is passed on: with it in hand, a reader may leave.
                    opened.attempt.succeed(event.input_tokens + event.output_tokens)
                handed_s = clock.monotonic()
                yield event
                opened.attempt.reader_s += clock.monotonic() - handed_s
        finally:
            if not ended:
                tokens = count.total()
                opened.attempt.settle(tokens.input_tokens + tokens.output_tokens)

    async def _next(self, events: AsyncGenerator[ChatEvent, None]) -> ChatEvent:
        event = await anext(events, None)
        if event is None:
            raise self._guard.error(BadProviderResponse, "a stream without its end", None)
        return event


def _cost(request: ChatRequest) -> Cost:
    return Cost(tokens=estimate_prompt_tokens(request) + request.max_tokens)

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import (
    BadProviderResponse,
    CircuitOpen,
    ContentRefused,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimitError,
)
from runtime.messages import (
    ChatDocument,
    ChatEvent,
    ChatMessage,
    ChatReply,
    ChatRequest,
    Cost,
    TextDelta,
    UsageSoFar,
)
from runtime.providers.fakes import FakeChatModel
from runtime.resilience.backoff import RetryPolicy
from runtime.resilience.guarded_chat import GuardedChat
from runtime.splitting import estimate_tokens
from runtime.usage import estimate_prompt_tokens
from tests.unit.runtime.resilience.guard_world import Guards, failure

REQUEST = ChatRequest(
    system="Answer from the records.",
    messages=(ChatMessage("user", "How does she sleep?"),),
    documents=(ChatDocument(1, "Noa", "She sleeps well."),),
    language="en",
)
PROMPT_TOKENS = estimate_prompt_tokens(REQUEST)
POLICY = RetryPolicy(max_retries=2, max_delay_s=16, total_wait_s=60)
WHOLE = ChatReply("She sleeps well.", "fake", "scripted", 90, 7)


def make_guards() -> Guards:
    return Guards(operation="chat", policy=POLICY)


class ScriptedStreams(FakeChatModel):
    """Each stream yields the next list; one that ends in an error raises it."""

    def __init__(self, *scripts: list[ChatEvent | ProviderError]) -> None:
        super().__init__()
        self.scripts = list(scripts)
        self.opened: list[float] = []

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        self.requests.append(request)
        self.opened.append(timeout_s)
        for event in self.scripts.pop(0):
            await asyncio.sleep(0)
            if isinstance(event, ProviderError):
                raise event
            yield event


async def read(model: GuardedChat, timeout_s: float = 30) -> list[ChatEvent]:
    async with aclosing(model.stream(REQUEST, timeout_s=timeout_s)) as events:
        return [event async for event in events]


def unavailable() -> ProviderError:
    return failure(ProviderUnavailable, operation="chat")


async def test_a_whole_answer_costs_its_prompt_and_the_most_it_may_say() -> None:
    guards = make_guards()
    model = GuardedChat(FakeChatModel([unavailable()]), guards.call)
    reply = await model.chat(REQUEST, timeout_s=30)
    cost = Cost(requests=1, inputs=0, tokens=PROMPT_TOKENS + REQUEST.max_tokens)
    assert [taken for taken, _, _ in guards.limiter.acquired] == [cost] * 2
    used = reply.input_tokens + reply.output_tokens
    assert guards.limiter.settled == [(cost.tokens, used)]
    assert guards.breaker.outcomes == ["failed", "succeeded"]
    assert guards.ended == [("recovered", 2)]
    assert (model.provider, model.name) == ("fake", "scripted")


class TestStream:
    async def test_a_whole_one_is_passed_on_as_it_came(self) -> None:
        guards = make_guards()
        events: list[ChatEvent | ProviderError] = [UsageSoFar(90, 1), TextDelta("She "), WHOLE]
        model = GuardedChat(ScriptedStreams(events), guards.call)
        assert await read(model) == events
        assert guards.breaker.outcomes == ["succeeded"]
        assert guards.limiter.settled == [(PROMPT_TOKENS + REQUEST.max_tokens, 97)]
        assert guards.ended == [("first_try", 1)]

    async def test_one_that_fails_before_its_first_words_is_opened_again(self) -> None:
        guards = make_guards()
        inner = ScriptedStreams(
            [unavailable()], [UsageSoFar(90, 1), unavailable()], [TextDelta("She"), WHOLE]
        )
        assert await read(GuardedChat(inner, guards.call)) == [TextDelta("She"), WHOLE]
        assert guards.breaker.outcomes == ["failed", "failed", "succeeded"]
        assert guards.slept == [0.5, 1.0]
        assert inner.opened[-1] == pytest.approx(28.4)
        assert guards.ended == [("recovered", 3)]

    async def test_one_that_breaks_off_after_words_is_a_failure_and_not_opened_again(self) -> None:
        guards = make_guards()
        inner = ScriptedStreams([TextDelta("She"), unavailable()])
        with pytest.raises(ProviderUnavailable):
            await read(GuardedChat(inner, guards.call))
        assert guards.breaker.outcomes == ["failed"]
        assert guards.slept == []
        assert guards.ended == [("exhausted", 1)]

    async def test_one_that_ends_without_its_end_is_a_bad_response(self) -> None:
        guards = make_guards()
        inner = ScriptedStreams([TextDelta("She")])
        with pytest.raises(BadProviderResponse):
            await read(GuardedChat(inner, guards.call))
        assert guards.breaker.outcomes == ["failed"]

    async def test_one_that_says_nothing_at_all_is_opened_again(self) -> None:
        guards = make_guards()
        assert await read(GuardedChat(ScriptedStreams([], [WHOLE]), guards.call)) == [WHOLE]
        assert guards.breaker.outcomes == ["failed", "succeeded"]

    async def test_a_429_slows_the_limiter_down(self) -> None:
        guards = make_guards()
        inner = ScriptedStreams([failure(RateLimitError, 3, "chat")], [WHOLE])
        await read(GuardedChat(inner, guards.call))
        assert guards.limiter.slowed == [3]
        assert guards.slept == [3.5]

    async def test_an_open_circuit_opens_no_stream(self) -> None:
        guards, inner = make_guards(), ScriptedStreams()
        guards.breaker.refusals = [10.0]
        with pytest.raises(CircuitOpen):
            await read(GuardedChat(inner, guards.call))
        assert inner.opened == []
        assert guards.ended == [("circuit_open", 0)]


class TestReadersWhoLeave:
    async def test_leaving_closes_the_vendors_stream_and_tells_once(self) -> None:
        guards, inner = make_guards(), FakeChatModel(["She sleeps"], endless=True)
        model = GuardedChat(inner, guards.call)
        async with aclosing(model.stream(REQUEST, timeout_s=30)) as events:
            assert await anext(events) == TextDelta("She")
        assert inner.closed == 1
        assert guards.breaker.outcomes == ["ignored"]
        used = PROMPT_TOKENS + estimate_tokens("She")
        assert guards.limiter.settled == [(PROMPT_TOKENS + REQUEST.max_tokens, used)]
        assert guards.ended == [("cancelled", 1)]

    async def test_leaving_with_the_whole_answer_in_hand_is_a_success(self) -> None:
        guards = make_guards()
        model = GuardedChat(ScriptedStreams([WHOLE]), guards.call)
        async with aclosing(model.stream(REQUEST, timeout_s=30)) as events:
            assert await anext(events) == WHOLE
        assert guards.breaker.outcomes == ["succeeded"]
        assert guards.ended == [("first_try", 1)]

    async def test_being_cancelled_while_it_opens_tells_once(self) -> None:
        guards, inner = make_guards(), FakeChatModel()
        inner.hold = asyncio.Event()
        task = asyncio.create_task(read(GuardedChat(inner, guards.call)))
        await asyncio.sleep(0)
        assert inner.requests == [REQUEST]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert guards.breaker.outcomes == ["ignored"]
        assert guards.ended == [("cancelled", 1)]

    async def test_a_stream_never_read_asks_nobody(self) -> None:
        guards = make_guards()
        stream = GuardedChat(ScriptedStreams([WHOLE]), guards.call).stream(REQUEST, timeout_s=30)
        await stream.aclose()
        assert guards.breaker.admitted == 0

    async def test_a_slow_readers_time_is_not_held_against_the_vendor(self) -> None:
        guards = make_guards()
        timeout = failure(ProviderTimeout, operation="chat")
        model = GuardedChat(ScriptedStreams([TextDelta("She"), timeout]), guards.call)
        async with aclosing(model.stream(REQUEST, timeout_s=30)) as events:
            await anext(events)
            guards.clock.advance(29)
            with pytest.raises(ProviderTimeout):
                await anext(events)
        assert guards.breaker.outcomes == ["ignored"]

    async def test_a_vendor_that_hangs_in_mid_stream_is_failing(self) -> None:
        guards = make_guards()
        timeout = failure(ProviderTimeout, operation="chat")
        model = GuardedChat(ScriptedStreams([TextDelta("She"), timeout]), guards.call)
        with pytest.raises(ProviderTimeout):
            await read(model)
        assert guards.breaker.outcomes == ["failed"]


PIECES = st.lists(st.sampled_from([UsageSoFar(90, 1), TextDelta("She")]), max_size=3)
ENDS = st.sampled_from(
    [
        WHOLE,
        unavailable(),
        failure(RateLimitError, 1, "chat"),
        failure(ContentRefused, None, "chat"),
    ]
)


@given(scripts=st.lists(st.tuples(PIECES, ENDS), min_size=3, max_size=3), reads=st.integers(0, 5))
def test_however_a_stream_ends_its_permits_are_told_of_once_and_no_word_comes_twice(
    scripts: list[tuple[list[ChatEvent], ChatEvent | ProviderError]], reads: int
) -> None:
    guards = make_guards()
    inner = ScriptedStreams(*([*pieces, end] for pieces, end in scripts))
    got: list[ChatEvent] = []

    async def read_some() -> None:
        model = GuardedChat(inner, guards.call)
        async with aclosing(model.stream(REQUEST, timeout_s=30)) as events:
            while len(got) < reads:
                got.append(await anext(events))

    try:
        asyncio.run(read_some())
    except (ProviderError, StopAsyncIteration) as error:
        whole = isinstance(error, StopAsyncIteration)
    else:
        whole = WHOLE in got
    outcomes = guards.breaker.outcomes
    assert whole == (WHOLE in got) == ("succeeded" in outcomes)
    assert len(outcomes) == len(inner.opened) <= 1 + POLICY.max_retries
    assert len(guards.ended) == (reads > 0)
    last_pieces, _ = scripts[max(len(outcomes) - 1, 0)]
    assert [event for event in got if event != WHOLE] == last_pieces[: len(got)]

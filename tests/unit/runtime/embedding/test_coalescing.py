from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import ManualClock
from runtime.embedding.coalescing import EXTRA_CALLS, CoalescingEmbedder
from runtime.errors import (
    BadProviderResponse,
    ContentRefused,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from runtime.messages import Embedded, InputType, Priority
from runtime.providers.fakes import FakeEmbedder
from runtime.splitting import estimate_tokens

WHO = ContextVar("WHO", default="nobody")


class Vendor(FakeEmbedder):
    """Refuses calls with a text of `bad` in them; remembers all calls, refused ones among them.

    With `gate`, calls wait in it until it is opened; `entered` and `left` count them.
    """

    def __init__(
        self, bad: Sequence[str] = (), fault: type[ProviderError] = ProviderRejected
    ) -> None:
        super().__init__()
        self.bad = frozenset(bad)
        self.fault = fault
        self.asked: list[tuple[str, ...]] = []
        self.kinds: list[tuple[InputType, Priority]] = []
        self.given_s: list[float] = []
        self.who: list[str] = []
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.stops = False

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        self.asked.append(tuple(texts))
        self.kinds.append((input_type, priority))
        self.given_s.append(timeout_s)
        self.who.append(WHO.get())
        self.entered.set()
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if self.stops:
            raise asyncio.CancelledError
        if self.bad & set(texts):
            raise self.error()
        return await super().embed_texts(
            texts, input_type=input_type, timeout_s=timeout_s, priority=priority
        )

    def error(self) -> ProviderError:
        return self.fault("fake", "m", "embed", "refused", None)


def coalesce(vendor: Vendor, *, most_texts: int = 96, calls_at_once: int = 8) -> CoalescingEmbedder:
    """Around the vendor, with a window that closes as soon as the callers at hand have asked."""
    return CoalescingEmbedder(
        vendor,
        clock=ManualClock(),
        window_s=0,
        most_texts=most_texts,
        calls_at_once=calls_at_once,
    )


async def ask(embedder: CoalescingEmbedder, text: str, timeout_s: float = 30) -> Embedded:
    return await embedder.embed_text(text, input_type="query", timeout_s=timeout_s)


async def ask_all(
    embedder: CoalescingEmbedder, texts: Sequence[str]
) -> list[Embedded | BaseException]:
    return await asyncio.gather(*(ask(embedder, text) for text in texts), return_exceptions=True)


class TestTogether:
    async def test_texts_that_arrive_together_are_one_call_and_each_gets_its_row(self) -> None:
        vendor = Vendor()
        texts = [f"question {at}" for at in range(20)]
        found = await ask_all(coalesce(vendor), texts)
        assert vendor.asked == [tuple(texts)]
        for text, embedded in zip(texts, found, strict=True):
            assert isinstance(embedded, Embedded)
            np.testing.assert_array_equal(embedded.vectors, [FakeEmbedder()._vector(text)])

    async def test_no_call_takes_more_texts_than_the_vendor_does(self) -> None:
        vendor = Vendor()
        await ask_all(coalesce(vendor, most_texts=3), list("abcdefgh"))
        assert vendor.asked == [("a", "b", "c"), ("d", "e", "f"), ("g", "h")]

    async def test_a_full_call_does_not_wait_for_the_window(self) -> None:
        vendor = Vendor()
        embedder = CoalescingEmbedder(vendor, clock=ManualClock(), window_s=600, most_texts=2)
        await ask_all(embedder, ["a", "b"])
        assert vendor.asked == [("a", "b")]

    async def test_input_types_and_priorities_do_not_mix(self) -> None:
        vendor = Vendor()
        embedder = coalesce(vendor)
        await asyncio.gather(
            embedder.embed_text("a", input_type="query", timeout_s=9),
            embedder.embed_text("b", input_type="document", timeout_s=9),
            embedder.embed_texts(["c"], input_type="document", timeout_s=9, priority="batch"),
        )
        assert sorted(zip(vendor.asked, vendor.kinds, strict=True)) == [
            (("a",), ("query", "interactive")),
            (("b",), ("document", "interactive")),
            (("c",), ("document", "batch")),
        ]

    async def test_small_lists_share_a_call_and_keep_their_order(self) -> None:
        vendor = Vendor()
        embedder = coalesce(vendor)
        one, other = await asyncio.gather(
            embedder.embed_texts(["a", " ", "b"], input_type="document", timeout_s=9),
            embedder.embed_texts(["c", "b"], input_type="document", timeout_s=9),
        )
        assert vendor.asked == [("a", "b", "c")]
        row = FakeEmbedder()._vector
        np.testing.assert_array_equal(one.vectors, [row("a"), row(" "), row("b")])
        np.testing.assert_array_equal(other.vectors, [row("c"), row("b")])

    async def test_a_list_that_fills_a_call_goes_through_by_itself(self) -> None:
        vendor = Vendor()
        embedded = await coalesce(vendor, most_texts=3).embed_texts(
            ["a", "", "b", "c", "d"], input_type="document", timeout_s=9, priority="batch"
        )
        assert vendor.asked == [("a", "", "b", "c", "d")]
        assert vendor.kinds == [("document", "batch")]
        assert embedded.vectors.shape == (5, 256)

    async def test_empty_texts_are_zero_rows_without_a_call(self) -> None:
        vendor = Vendor()
        embedded = await coalesce(vendor).embed_texts(["", "\n"], input_type="query", timeout_s=9)
        assert embedded.vectors.shape == (2, 256)
        assert not embedded.vectors.any()
        assert vendor.asked == []

    async def test_while_no_call_may_start_texts_gather_in_the_next(self) -> None:
        vendor = Vendor()
        vendor.gate = asyncio.Event()
        embedder = coalesce(vendor, calls_at_once=1)
        first = asyncio.create_task(ask(embedder, "a"))
        await vendor.entered.wait()
        others = [asyncio.create_task(ask(embedder, text)) for text in "bcd"]
        for _ in range(5):
            await asyncio.sleep(0)
        others.append(asyncio.create_task(ask(embedder, "e")))
        await asyncio.sleep(0)
        vendor.gate.set()
        await asyncio.gather(first, *others)
        assert vendor.asked == [("a",), ("b", "c", "d", "e")]


class TestIdenticalTexts:
    async def test_they_are_asked_once(self) -> None:
        vendor = Vendor()
        found = await ask_all(coalesce(vendor), ["a", "b", "a", "a"])
        assert vendor.asked == [("a", "b")]
        assert len(found) == 4

    async def test_one_under_way_is_joined(self) -> None:
        vendor = Vendor()
        vendor.gate = asyncio.Event()
        embedder = coalesce(vendor)
        first = asyncio.create_task(ask(embedder, "a"))
        await vendor.entered.wait()
        second = asyncio.create_task(ask(embedder, "a"))
        await asyncio.sleep(0)
        vendor.gate.set()
        await asyncio.gather(first, second)
        assert vendor.asked == [("a",)]

    async def test_one_that_is_done_is_asked_again(self) -> None:
        vendor = Vendor()
        embedder = coalesce(vendor)
        await ask(embedder, "a")
        await ask(embedder, "a")
        assert vendor.asked == [("a",), ("a",)]

    async def test_an_interactive_caller_does_not_wait_for_a_batchs_call(self) -> None:
        vendor = Vendor()
        embedder = coalesce(vendor)
        await asyncio.gather(
            embedder.embed_texts(["a"], input_type="query", timeout_s=9, priority="batch"),
            embedder.embed_texts(["a"], input_type="query", timeout_s=9),
        )
        assert sorted(vendor.kinds) == [("query", "batch"), ("query", "interactive")]

    async def test_a_batch_joins_an_interactive_callers_call(self) -> None:
        vendor = Vendor()
        embedder = coalesce(vendor)
        await asyncio.gather(
            embedder.embed_texts(["a"], input_type="query", timeout_s=9),
            embedder.embed_texts(["a"], input_type="query", timeout_s=9, priority="batch"),
        )
        assert vendor.kinds == [("query", "interactive")]

    async def test_a_call_that_ends_long_before_a_callers_deadline_is_not_joined(self) -> None:
        vendor = Vendor()
        vendor.gate = asyncio.Event()
        embedder = coalesce(vendor)
        hasty = asyncio.create_task(ask(embedder, "a", timeout_s=5))
        await vendor.entered.wait()
        patient = asyncio.create_task(ask(embedder, "a", timeout_s=30))
        await asyncio.sleep(0)
        vendor.gate.set()
        await asyncio.gather(hasty, patient)
        assert vendor.given_s == [5, 30]


class TestLeaving:
    async def test_a_caller_who_leaves_takes_nobody_along(self) -> None:
        vendor = Vendor()
        vendor.gate = asyncio.Event()
        embedder = coalesce(vendor)
        leaver, stayer, twin = (asyncio.create_task(ask(embedder, text)) for text in "abb")
        await vendor.entered.wait()
        leaver.cancel()
        twin.cancel()
        await asyncio.wait([leaver, twin])
        vendor.gate.set()
        embedded = await stayer
        assert embedded.vectors.any()
        assert leaver.cancelled()
        assert twin.cancelled()

    async def test_the_call_is_cancelled_once_all_have_left(self) -> None:
        vendor = Vendor()
        vendor.gate = asyncio.Event()
        embedder = coalesce(vendor)
        callers = [asyncio.create_task(ask(embedder, text)) for text in "abb"]
        await vendor.entered.wait()
        for caller in callers:
            caller.cancel()
        await vendor.cancelled.wait()

    async def test_who_leaves_before_the_call_starts_is_not_asked_for(self) -> None:
        vendor = Vendor()
        embedder = CoalescingEmbedder(vendor, clock=ManualClock(), window_s=600, most_texts=3)
        leaver = asyncio.create_task(ask(embedder, "a"))
        stayers = [asyncio.create_task(ask(embedder, "b"))]
        await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.wait([leaver])
        stayers.append(asyncio.create_task(ask(embedder, "c")))
        await asyncio.gather(*stayers)
        assert vendor.asked == [("b", "c")]

    async def test_nobody_joins_a_text_that_was_left(self) -> None:
        vendor = Vendor()
        vendor.gate = asyncio.Event()
        embedder = coalesce(vendor)
        leaver, stayer = (asyncio.create_task(ask(embedder, text)) for text in "ab")
        await vendor.entered.wait()
        leaver.cancel()
        await asyncio.wait([leaver])
        vendor.gate.set()
        again = await ask(embedder, "a")
        await stayer
        assert again.vectors.any()
        assert vendor.asked == [("a", "b"), ("a",)]

    async def test_a_shorter_deadline_ends_only_its_own_callers_wait(self) -> None:
        vendor = Vendor()
        vendor.gate = asyncio.Event()
        embedder = coalesce(vendor)
        patient = asyncio.create_task(ask(embedder, "b", timeout_s=30))
        with pytest.raises(ProviderTimeout):
            await ask(embedder, "a", timeout_s=0.01)
        vendor.gate.set()
        assert (await patient).vectors.any()
        assert vendor.asked == [("a", "b")]
        assert vendor.given_s == [30]

    async def test_the_call_belongs_to_no_callers_context(self) -> None:
        vendor = Vendor()
        WHO.set("the first caller")
        await ask(coalesce(vendor), "a")
        assert vendor.who == ["nobody"]


class TestFailing:
    @pytest.mark.parametrize("fault", [ProviderRejected, ContentRefused])
    async def test_only_the_caller_of_a_bad_text_gets_the_refusal(
        self, fault: type[ProviderError]
    ) -> None:
        vendor = Vendor(bad=["text 5"], fault=fault)
        texts = [f"text {at}" for at in range(96)]
        found = await ask_all(coalesce(vendor, most_texts=97), texts)
        refused = [
            text for text, one in zip(texts, found, strict=True) if isinstance(one, BaseException)
        ]
        assert refused == ["text 5"]
        assert isinstance(found[5], fault)
        assert len(vendor.asked) <= 1 + 2 * 7

    async def test_two_bad_texts_are_both_found(self) -> None:
        vendor = Vendor(bad=["text 0", "text 20"], fault=BadProviderResponse)
        texts = [f"text {at}" for at in range(32)]
        found = await ask_all(coalesce(vendor), texts)
        assert [at for at, one in enumerate(found) if isinstance(one, BaseException)] == [0, 20]

    async def test_a_vendor_that_refuses_everything_is_not_asked_for_each_text(self) -> None:
        texts = [f"text {at}" for at in range(64)]
        vendor = Vendor(bad=texts)
        found = await ask_all(coalesce(vendor), texts)
        assert all(isinstance(one, ProviderRejected) for one in found)
        assert len(vendor.asked) == 1 + EXTRA_CALLS

    async def test_the_vendors_weather_comes_to_all_and_is_not_asked_again(self) -> None:
        vendor = Vendor(bad=["b"], fault=ProviderUnavailable)
        found = await ask_all(coalesce(vendor), ["a", "b", "c"])
        assert all(isinstance(one, ProviderUnavailable) for one in found)
        assert len({id(one) for one in found}) == 3
        assert vendor.asked == [("a", "b", "c")]

    async def test_a_shared_call_that_is_stopped_leaves_nobody_waiting(self) -> None:
        vendor = Vendor()
        vendor.stops = True
        found = await ask_all(coalesce(vendor), ["a", "b"])
        assert all(isinstance(one, ProviderUnavailable) for one in found)

    async def test_a_fault_of_ours_leaves_nobody_waiting(self) -> None:
        class Faulty(Vendor):
            def _vector(self, text: str) -> np.ndarray:
                raise ZeroDivisionError(len(text))

        found = await ask_all(coalesce(Faulty()), ["a", "b"])
        assert all(isinstance(one, ZeroDivisionError) for one in found)

    async def test_a_list_with_a_bad_text_fails_and_its_neighbours_do_not(self) -> None:
        vendor = Vendor(bad=["b"])
        embedder = coalesce(vendor)
        one, other = await asyncio.gather(
            embedder.embed_texts(["a", "b"], input_type="document", timeout_s=9),
            embedder.embed_texts(["c", "d"], input_type="document", timeout_s=9),
            return_exceptions=True,
        )
        assert isinstance(one, ProviderRejected)
        assert isinstance(other, Embedded)


async def test_tokens_are_shared_out_by_the_length_of_the_texts() -> None:
    long, short = "She sleeps badly and wakes at three most nights of the week", "sleep"
    found = await ask_all(coalesce(Vendor()), [long, short])
    tokens = [one.tokens for one in found if isinstance(one, Embedded)]
    assert tokens == [estimate_tokens(long), estimate_tokens(short)]


@given(texts=st.lists(st.sampled_from(["", "a fall", "sleep", "נפילה", "x" * 50]), max_size=30))
def test_what_the_callers_pay_is_what_the_vendor_counted(texts: list[str]) -> None:
    async def pay() -> int:
        found = await ask_all(coalesce(Vendor(), most_texts=4), texts)
        return sum(one.tokens for one in found if isinstance(one, Embedded))

    assert asyncio.run(pay()) == sum(estimate_tokens(text) for text in set(texts))


@given(
    texts=st.lists(st.integers(0, 40).map(str), min_size=1, max_size=60),
    bad=st.sets(st.integers(0, 40).map(str), max_size=3),
    leavers=st.sets(st.integers(0, 59)),
    most_texts=st.integers(1, 20),
)
def test_every_caller_gets_its_row_its_refusal_or_its_leave(
    *, texts: list[str], bad: set[str], leavers: set[int], most_texts: int
) -> None:
    vendor = Vendor(bad=sorted(bad))

    async def ask_and_leave() -> list[Embedded | BaseException]:
        embedder = coalesce(vendor, most_texts=most_texts + 1, calls_at_once=2)
        callers = [asyncio.create_task(ask(embedder, text)) for text in texts]
        await asyncio.sleep(0)
        for at in leavers & set(range(len(callers))):
            callers[at].cancel()
        found = await asyncio.gather(*callers, return_exceptions=True)
        assert embedder._asked == {}
        return found

    found = asyncio.run(ask_and_leave())
    for at, (text, one) in enumerate(zip(texts, found, strict=True)):
        if at in leavers:
            assert isinstance(one, asyncio.CancelledError)
        elif isinstance(one, Embedded):
            np.testing.assert_array_equal(one.vectors, [FakeEmbedder()._vector(text)])
        else:
            assert isinstance(one, ProviderRejected)
            assert text in bad
    assert all(len(asked) <= most_texts + 1 for asked in vendor.asked)

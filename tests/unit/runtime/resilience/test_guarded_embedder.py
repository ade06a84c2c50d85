from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from runtime.errors import ProviderRejected, ProviderUnavailable
from runtime.messages import Cost, Embedded, InputType, Priority
from runtime.providers.embedding_calls import CALLS_AT_ONCE
from runtime.providers.fakes import FakeEmbedder
from runtime.resilience.guarded_embedder import GuardedEmbedder
from runtime.splitting import estimate_tokens
from tests.unit.runtime.resilience.guard_world import Guards, failure


class CountingEmbedder(FakeEmbedder):
    """Remembers how many calls were in it at once, and what each was told."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.told: list[tuple[InputType, Priority, float]] = []

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        self.told.append((input_type, priority, timeout_s))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0)
            return await super().embed_texts(
                texts, input_type=input_type, timeout_s=timeout_s, priority=priority
            )
        finally:
            self.now -= 1


async def test_a_long_list_is_guarded_call_by_call_and_keeps_its_order() -> None:
    guards, inner = Guards(), CountingEmbedder()
    embedder = GuardedEmbedder(inner, guards.call, texts_per_call=3)
    texts = [f"note number {at}" for at in range(20)]
    embedded = await embedder.embed_texts(
        texts, input_type="document", timeout_s=30, priority="batch"
    )
    alone = await FakeEmbedder().embed_texts(texts, input_type="document", timeout_s=30)
    np.testing.assert_array_equal(embedded.vectors, alone.vectors)
    assert embedded.tokens == alone.tokens
    assert sorted(map(len, inner.calls)) == [2, 3, 3, 3, 3, 3, 3]
    assert guards.breaker.outcomes == ["succeeded"] * 7
    assert {priority for _, priority, _ in guards.limiter.acquired} == {"batch"}
    assert {(kind, priority) for kind, priority, _ in inner.told} == {("document", "batch")}
    assert inner.most == CALLS_AT_ONCE


async def test_a_call_costs_its_texts_and_their_tokens() -> None:
    guards = Guards()
    embedder = GuardedEmbedder(FakeEmbedder(), guards.call, texts_per_call=96)
    await embedder.embed_texts(["a fall", " ", "insomnia"], input_type="document", timeout_s=30)
    tokens = estimate_tokens("a fall") + estimate_tokens("insomnia")
    assert [cost for cost, _, _ in guards.limiter.acquired] == [Cost(1, 2, tokens)]


async def test_empty_texts_are_zero_rows_without_a_call() -> None:
    guards, inner = Guards(), FakeEmbedder()
    embedder = GuardedEmbedder(inner, guards.call, texts_per_call=96)
    embedded = await embedder.embed_texts(["", " \n"], input_type="document", timeout_s=30)
    none = await embedder.embed_texts([], input_type="document", timeout_s=30)
    assert embedded.vectors.shape == (2, 256)
    assert not embedded.vectors.any()
    assert none.vectors.shape == (0, 256)
    assert inner.calls == []
    assert guards.events == []


async def test_one_text_is_a_list_of_one() -> None:
    guards, inner = Guards(), FakeEmbedder()
    embedder = GuardedEmbedder(inner, guards.call, texts_per_call=96)
    embedded = await embedder.embed_text("a fall", input_type="query", timeout_s=30)
    assert embedded.vectors.shape == (1, 256)
    assert inner.calls == [("a fall",)]


async def test_only_the_call_that_failed_is_made_again() -> None:
    guards, inner = Guards(), FakeEmbedder()
    inner.failures.append(failure(ProviderUnavailable))
    embedder = GuardedEmbedder(inner, guards.call, texts_per_call=1)
    await embedder.embed_texts(["a", "b", "c"], input_type="document", timeout_s=30)
    assert sorted(inner.calls) == [("a",), ("b",), ("c",)]
    assert sorted(guards.ended) == [("first_try", 1), ("first_try", 1), ("recovered", 2)]


async def test_a_call_that_fails_for_good_ends_the_others() -> None:
    guards, inner = Guards(), FakeEmbedder()
    inner.failures.append(failure(ProviderRejected))
    inner.hold = asyncio.Event()
    embedder = GuardedEmbedder(inner, guards.call, texts_per_call=1)
    with pytest.raises(ProviderRejected):
        await embedder.embed_texts(["a", "b", "c"], input_type="document", timeout_s=30)
    assert guards.breaker.outcomes == ["ignored"] * 3
    assert sorted(guards.ended) == [("cancelled", 1), ("cancelled", 1), ("fatal", 1)]


async def test_calls_that_wait_their_turn_get_what_is_left_of_the_lists_time() -> None:
    guards, inner = Guards(), CountingEmbedder()
    embedder = GuardedEmbedder(inner, guards.call, texts_per_call=1)
    real = inner._vector

    def slow(text: str) -> np.ndarray:
        guards.clock.advance(1)
        return real(text)

    inner._vector = slow  # type: ignore[method-assign]
    await embedder.embed_texts(["a"] * 8, input_type="document", timeout_s=30)
    given = [timeout_s for _, _, timeout_s in inner.told]
    assert given[:4] == [29.9] * 4
    assert max(given[4:]) < 29

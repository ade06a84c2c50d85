from __future__ import annotations

import pytest

from runtime.errors import ProviderRejected, ProviderUnavailable
from runtime.messages import Cost
from runtime.providers.fakes import FakeReranker
from runtime.resilience.guarded_reranker import GuardedReranker
from tests.unit.runtime.resilience.guard_world import Guards, failure

TEXTS = ["She sleeps badly.", "She eats well."]


async def test_a_failed_call_is_made_again() -> None:
    guards, inner = Guards(operation="rerank"), FakeReranker()
    inner.failures.append(failure(ProviderUnavailable, operation="rerank"))
    reranker = GuardedReranker(inner, guards.call)
    assert await reranker.rank("sleeps", TEXTS, timeout_s=30) == [1.0, 0.0]
    assert inner.calls == [("sleeps", tuple(TEXTS))] * 2
    assert guards.ended == [("recovered", 2)]
    assert guards.breaker.outcomes == ["failed", "succeeded"]


async def test_a_call_costs_one_request_however_many_texts_it_has() -> None:
    guards = Guards(operation="rerank")
    await GuardedReranker(FakeReranker(), guards.call).rank("sleeps", TEXTS * 50, timeout_s=30)
    assert [(cost, priority) for cost, priority, _ in guards.limiter.acquired] == [
        (Cost(requests=1), "interactive")
    ]
    assert guards.limiter.settled == []


async def test_no_texts_are_no_call() -> None:
    guards = Guards(operation="rerank")
    assert await GuardedReranker(FakeReranker(), guards.call).rank("x", [], timeout_s=30) == []
    assert guards.events == []


async def test_what_is_refused_for_good_is_the_callers_error() -> None:
    guards, inner = Guards(operation="rerank"), FakeReranker()
    inner.failures.append(failure(ProviderRejected, operation="rerank"))
    reranker = GuardedReranker(inner, guards.call)
    with pytest.raises(ProviderRejected):
        await reranker.rank("sleeps", TEXTS, timeout_s=30)
    assert (reranker.provider, reranker.name) == (inner.provider, inner.name)

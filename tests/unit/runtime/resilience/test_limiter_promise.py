"""The promise of the provider limiter, on a simulated clock: under the limit, and most of it used.

Source of the figures: 600 requests a minute and four replicas are what docs/benchmarks.md has;
2,000 inputs and calls of 96 texts are Cohere's, https://docs.cohere.com/docs/rate-limits.
"""

from __future__ import annotations

import pytest

from runtime.messages import Cost, Limits, Priority
from tests.unit.runtime.resilience.limiter_cluster import CIRCUIT, BoardLink, Cluster, simulate

MINUTES = 5
CASES = {
    "600 requests": (Limits(requests=600), Cost(), "requests"),
    "50 requests": (Limits(requests=50), Cost(), "requests"),
    "10 requests": (Limits(requests=10), Cost(), "requests"),
    "2000 inputs, 96 a call": (Limits(inputs=2000), Cost(inputs=96), "inputs"),
    "tokens": (Limits(requests=500, tokens=200_000), Cost(tokens=5_000), "tokens"),
}


async def saturate(
    limits: Limits, cost: Cost, dimension: str, priority: Priority, *, latency_s: float = 0.004
) -> Cluster:
    link = BoardLink({CIRCUIT: limits}, latency_s=latency_s)
    async with Cluster(link) as cluster:
        twice = 2 * getattr(limits, dimension) / getattr(cost, dimension)
        await cluster.offer(cost, per_minute=twice, minutes=MINUTES, priority=priority)
    return cluster


@pytest.mark.parametrize("priority", ["interactive", "batch"])
@pytest.mark.parametrize("case", CASES)
def test_offered_twice_its_limit_the_cluster_stays_under_it_and_uses_nine_tenths(
    case: str, priority: Priority
) -> None:
    limits, cost, dimension = CASES[case]
    limit = getattr(limits, dimension)
    cluster = simulate(saturate(limits, cost, dimension, priority))
    assert cluster.most_in_a_window(dimension) <= limit
    assert cluster.used(dimension) >= 0.9 * limit * MINUTES


@pytest.mark.parametrize("latency_s", [0.06, 0.3, 1.0])
def test_an_actor_that_is_always_late_breaks_no_promise(latency_s: float) -> None:
    limits, cost, dimension = CASES["600 requests"]
    cluster = simulate(saturate(limits, cost, dimension, "interactive", latency_s=latency_s))
    assert cluster.most_in_a_window("requests") <= 600
    assert cluster.used("requests") >= 0.9 * 600 * MINUTES

"""What a copy does when its question to the cluster ends in an unusual way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from runtime.clock import ManualClock
from runtime.messages import Outcome, Permit, Refusal
from runtime.resilience.breaker import BreakerPolicy
from runtime.resilience.circuit_copy import CircuitCopy
from runtime.resilience.circuit_messages import CircuitView

CHAT = "cohere_chat"
POLICY = BreakerPolicy(failure_threshold=5, cooldown_s=60)
LEASE = Permit(1, 7)


class OneAnswer:
    """A cluster that answers each question for a probe alike; `meanwhile` happens before it."""

    def __init__(self, answer: Permit | Refusal | None) -> None:
        self.answer = answer
        self.meanwhile: Callable[[], None] = lambda: None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.given_back: list[Permit] = []
        self.told: list[tuple[int, Outcome, int | None]] = []

    @property
    def is_linked(self) -> bool:
        return True

    def tell(self, circuit: str, generation: int, outcome: Outcome, *, probe: int | None) -> None:
        assert circuit == CHAT
        self.told.append((generation, outcome, probe))

    async def lease_probe(self, circuit: str) -> Permit | Refusal | None:
        assert circuit == CHAT
        await self.may_answer.wait()
        self.meanwhile()
        return self.answer

    def give_back(self, circuit: str, lease: Permit) -> None:
        assert circuit == CHAT
        self.given_back.append(lease)


def resting(cluster: OneAnswer) -> tuple[CircuitCopy, ManualClock]:
    """Return a copy whose cluster opened, and whose rest is over."""
    clock = ManualClock()
    copy = CircuitCopy(CHAT, cluster, clock=clock, policy=POLICY)
    copy.follow(CircuitView(CHAT, "open", 1, 60.0), clock.monotonic())
    clock.advance(60)
    return copy, clock


async def test_a_lease_is_told_of_with_its_own_generation_and_number() -> None:
    cluster = OneAnswer(LEASE)
    copy, _ = resting(cluster)
    permit = await copy.admit()
    assert isinstance(permit, Permit)
    copy.record(permit, "failed")
    assert cluster.told == [(1, "failed", 7)]


async def test_a_lease_that_comes_after_the_cluster_opened_again_is_given_back() -> None:
    cluster = OneAnswer(LEASE)
    copy, clock = resting(cluster)
    view = CircuitView(CHAT, "open", 2, 60.0)
    cluster.meanwhile = lambda: copy.follow(view, clock.monotonic())
    assert await copy.admit() == Refusal(60.0)
    assert cluster.given_back == [LEASE]


async def test_a_caller_who_leaves_while_asking_leaves_the_probe_to_the_next() -> None:
    cluster = OneAnswer(LEASE)
    copy, _ = resting(cluster)
    cluster.may_answer.clear()
    asking = asyncio.create_task(copy.admit())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    cluster.may_answer.set()
    assert isinstance(await copy.admit(), Permit)

from __future__ import annotations

from actors.limiter_link import RemoteLimiterLink
from runtime.resilience.cost import NOTHING
from runtime.resilience.limit_board import CircuitReport, Waiting
from tests.unit.actors.actor_handle import Handle, Opener

REPORTS = {"cohere_chat": CircuitReport(NOTHING, NOTHING, Waiting(), Waiting(), NOTHING, 3, 0.0)}


async def test_each_method_asks_the_actor_for_the_same_with_the_same_arguments() -> None:
    handle = Handle({})
    link = RemoteLimiterLink(Opener(handle))
    assert await link.sync("a", REPORTS) == {}
    handle.outcome = True
    assert await link.take_retry("cohere_chat", 7) is True
    assert handle.asked == [("sync", ("a", REPORTS), {}), ("take_retry", ("cohere_chat", 7), {})]

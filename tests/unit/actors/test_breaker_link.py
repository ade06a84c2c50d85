from __future__ import annotations

from actors.breaker_link import RemoteBreakerLink
from runtime.messages import Permit
from runtime.resilience.circuit_messages import Membership, Snapshot
from tests.unit.actors.actor_handle import Handle, Opener

SNAPSHOT = Snapshot("first", 1, ())


async def test_each_method_asks_the_actor_for_the_same_with_the_same_arguments() -> None:
    handle = Handle(SNAPSHOT)
    link = RemoteBreakerLink(Opener(handle))
    member = Membership("a", (), None, (), ())
    assert await link.join(member) == SNAPSHOT
    assert await link.watch("a", ("c",), incarnation="i", version=3) == SNAPSHOT
    assert await link.report("a", (), incarnation="i") == SNAPSHOT
    handle.outcome = Permit(1, 2)
    assert await link.lease_probe("a", "c") == Permit(1, 2)
    assert handle.asked == [
        ("join", (member,), {}),
        ("watch", ("a", ("c",)), {"incarnation": "i", "version": 3}),
        ("report", ("a", ()), {"incarnation": "i"}),
        ("lease_probe", ("a", "c"), {}),
    ]

"""The way from a replica to the actor `circuit_breaker`: the port `BreakerLink` over Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from actors.link import ActorLink
from runtime.resilience.shared_breaker import ACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.messages import Permit, Refusal
    from runtime.resilience.circuit_messages import Membership, OutcomeReport, Snapshot


class RemoteBreakerLink:
    """Asks the actor that `open_actor` looks up; each method raises ActorUnavailable alone."""

    def __init__(self, open_actor: Callable[[], Any]) -> None:
        self._actor = ActorLink(ACTOR, open_actor)

    async def join(self, member: Membership) -> Snapshot:
        """Make the replica known, with what it remembers."""
        return cast("Snapshot", await self._actor.ask("join", member))

    async def watch(
        self, replica: str, circuits: Sequence[str], *, incarnation: str, version: int
    ) -> Snapshot:
        """Return what differs from the version, at once or when it comes; at last, unchanged."""
        answer = await self._actor.ask(
            "watch", replica, circuits, incarnation=incarnation, version=version
        )
        return cast("Snapshot", answer)

    async def report(
        self, replica: str, outcomes: Sequence[OutcomeReport], *, incarnation: str
    ) -> Snapshot:
        """Tell outcomes, in order."""
        answer = await self._actor.ask("report", replica, outcomes, incarnation=incarnation)
        return cast("Snapshot", answer)

    async def lease_probe(self, replica: str, circuit: str) -> Permit | Refusal:
        """Return leave for a probe; without a lease when the circuit is closed."""
        return cast("Permit | Refusal", await self._actor.ask("lease_probe", replica, circuit))

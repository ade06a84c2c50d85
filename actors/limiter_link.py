"""The way from a replica to the actor `provider_limiter`: the port `LimiterLink` over Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from actors.link import ActorLink
from runtime.resilience.shared_limiter import ACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.resilience.limit_board import CircuitGrant, CircuitReport


class RemoteLimiterLink:
    """Asks the actor that `open_actor` looks up; each method raises ActorUnavailable alone."""

    def __init__(self, open_actor: Callable[[], Any]) -> None:
        self._actor = ActorLink(ACTOR, open_actor)

    async def sync(
        self, replica: str, reports: Mapping[str, CircuitReport]
    ) -> dict[str, CircuitGrant]:
        """Report the state of circuits, and return what may be done in each."""
        return cast("dict[str, CircuitGrant]", await self._actor.ask("sync", replica, reports))

    async def take_retry(self, circuit: str, first_attempts: int) -> bool:
        """Count the first attempts, then return whether one retry may be made."""
        return cast("bool", await self._actor.ask("take_retry", circuit, first_attempts))

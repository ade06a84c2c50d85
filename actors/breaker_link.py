"""The way from a replica to the actor `circuit_breaker`: the port `BreakerLink` over Ray."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any, cast

import ray
from ray.exceptions import RayActorError

from actors.boundary import unwrap
from runtime.errors import ActorUnavailable
from runtime.resilience.shared_breaker import ACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.messages import Permit, Refusal
    from runtime.resilience.circuit_board import Membership, OutcomeReport, Snapshot


class RemoteBreakerLink:
    """Calls the actor, and looks it up again after it died. `open_actor` may block.

    Every method raises ActorUnavailable, whatever Ray says; its caller sets the time-out, and a
    call that is cancelled is cancelled in the actor as well.
    """

    def __init__(self, open_actor: Callable[[], Any]) -> None:
        self._open_actor = open_actor
        self._opening: asyncio.Task[Any] | None = None

    async def join(self, member: Membership) -> Snapshot:
        """Make the replica known, with what it remembers."""
        return cast("Snapshot", await self._ask("join", member))

    async def watch(
        self, replica: str, circuits: Sequence[str], *, incarnation: str, version: int
    ) -> Snapshot:
        """Return what differs from the version, at once or when it comes; at last, unchanged."""
        answer = await self._ask(
            "watch", replica, circuits, incarnation=incarnation, version=version
        )
        return cast("Snapshot", answer)

    async def report(
        self, replica: str, outcomes: Sequence[OutcomeReport], *, incarnation: str
    ) -> Snapshot:
        """Tell outcomes, in order."""
        answer = await self._ask("report", replica, outcomes, incarnation=incarnation)
        return cast("Snapshot", answer)

    async def lease_probe(self, replica: str, circuit: str) -> Permit | Refusal:
        """Return leave for a probe; without a lease when the circuit is closed."""
        return cast("Permit | Refusal", await self._ask("lease_probe", replica, circuit))

    async def _ask(self, method: str, *args: object, **kwargs: object) -> object:
        opening = self._open()
        answer = None
        try:
            actor = await asyncio.shield(opening)
            answer = getattr(actor, method).remote(*args, **kwargs)
            return await answer
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # A process that is ending may have left the cluster; asking would join it again.
                if answer is not None and ray.is_initialized():
                    ray.cancel(answer)
                raise
            raise ActorUnavailable(ACTOR, "gave up the call") from None
        except Exception as error:  # noqa: BLE001 - the border: whatever crosses is translated
            if answer is None or isinstance(error, RayActorError):
                self._close(opening)
            ours = unwrap(error, actor=ACTOR)
            if not isinstance(ours, ActorUnavailable):
                ours = ActorUnavailable(ACTOR, type(ours).__name__)
            raise ours from None

    def _open(self) -> asyncio.Task[Any]:
        """Return the one look-up that all callers share, in a thread: Ray's blocks."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(
                asyncio.to_thread(self._open_actor), context=Context()
            )
        return self._opening

    def _close(self, opening: asyncio.Task[Any]) -> None:
        if self._opening is opening:
            self._opening = None

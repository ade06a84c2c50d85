"""The way from a replica to the actor `provider_limiter`: the port `LimiterLink` over Ray."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any, cast

import ray
from ray.exceptions import RayActorError

from actors.boundary import unwrap
from runtime.errors import ActorUnavailable
from runtime.resilience.shared_limiter import ACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.resilience.limit_board import CircuitGrant, CircuitReport


class RemoteLimiterLink:
    """Calls the actor, and looks it up again after it died. `open_actor` may block.

    Every method raises ActorUnavailable, whatever Ray says; its caller sets the time-out, and a
    call that is cancelled is cancelled in the actor as well.
    """

    def __init__(self, open_actor: Callable[[], Any]) -> None:
        self._open_actor = open_actor
        self._opening: asyncio.Task[Any] | None = None

    async def sync(
        self, replica: str, reports: Mapping[str, CircuitReport]
    ) -> dict[str, CircuitGrant]:
        """Report the state of circuits, and return what may be done in each."""
        return cast("dict[str, CircuitGrant]", await self._ask("sync", replica, reports))

    async def take_retry(self, circuit: str, first_attempts: int) -> bool:
        """Count the first attempts, then return whether one retry may be made."""
        return cast("bool", await self._ask("take_retry", circuit, first_attempts))

    async def _ask(self, method: str, *args: object) -> object:
        opening = self._open()
        answer = None
        try:
            actor = await asyncio.shield(opening)
            answer = getattr(actor, method).remote(*args)
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

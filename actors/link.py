"""The way from a process to a named actor: each question is one remote call.

`breaker_link.py` and `limiter_link.py` put their ports over one. What is asked, and how long an
answer may take, is theirs and their callers' affair.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError

from actors.boundary import unwrap
from runtime.errors import ActorUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable


class ActorLink:
    """Calls the actor `name`, and looks it up again after it died. `open_actor` may block."""

    def __init__(self, name: str, open_actor: Callable[[], Any]) -> None:
        self._name = name
        self._open_actor = open_actor
        self._opening: asyncio.Task[Any] | None = None

    async def ask(self, method: str, *args: object, **kwargs: object) -> object:
        """Return what the actor's method returns; cancelled here, it is cancelled there as well.

        Raises: ActorUnavailable, whatever Ray says.
        """
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
            raise ActorUnavailable(self._name, "gave up the call") from None
        except Exception as error:  # noqa: BLE001 - the border: whatever crosses is translated
            if answer is None or isinstance(error, RayActorError):
                self._close(opening)
            ours = unwrap(error, actor=self._name)
            if not isinstance(ours, ActorUnavailable):
                ours = ActorUnavailable(self._name, type(ours).__name__)
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

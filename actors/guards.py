"""What a replica that calls vendors shares with the cluster: their health and their limits.

Opened once at a replica's start. Both decide in this process, on what the two actors have told; the
tasks that keep them told run for as long as the process does.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING
from uuid import uuid4

from actors.breaker_link import RemoteBreakerLink
from actors.handles import (
    ensure_circuit_breaker,
    ensure_provider_limiter,
    open_circuit_breaker,
    open_provider_limiter,
)
from actors.limiter_link import RemoteLimiterLink
from runtime import provider_assembly
from runtime.logs import log_failure

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from runtime.provider_assembly import Guards
    from runtime.settings import Settings
    from runtime.telemetry import Emit


def open_guards(settings: Settings, emit: Emit) -> Guards:
    """Return this replica's breakers and limiters, their tasks running on the running loop.

    The actors are made, or replaced, in the background: a replica starts without them.
    """
    guards = provider_assembly.make_guards(
        settings,
        emit,
        replica_id=uuid4().hex,
        breaker_link=RemoteBreakerLink(lambda: open_circuit_breaker(settings)),
        limiter_link=RemoteLimiterLink(lambda: open_provider_limiter(settings)),
    )
    for work in (
        asyncio.to_thread(ensure_circuit_breaker, settings),
        asyncio.to_thread(ensure_provider_limiter, settings),
        guards.breakers.run(),
        guards.limiters.run(),
    ):
        _start(work)
    return guards


_running: set[asyncio.Task[None]] = set()


def _start(work: Coroutine[object, object, None]) -> None:
    """Run `work` outside of any request: Serve's cancellation spreads to what a request starts."""
    task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
    _running.add(task)
    task.add_done_callback(_tell_of_end)


def _tell_of_end(task: asyncio.Task[None]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log_failure("guard_task_failed", error)

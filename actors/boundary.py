"""Where Ray's errors end: what a handle call raised, as one of ours.

Called by the stubs that hold handles, `deployments/remote.py` and `link.py`, and by nothing above.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException, RequestCancelledError

from runtime.errors import ActorUnavailable, AIAgentError, Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

RETRY_AFTER_BACKPRESSURE_S = 1.0
OWN_CANCELLATION_S = 0.1
"""When a caller leaves, Serve cancels what its request called before the request itself: a callee
that gave up may be the first sign of it, and would pass for a failure, to be mended elsewhere."""


async def call(response: Any, *, actor: str, timeout_s: float) -> Any:  # noqa: ANN401
    """Return what a handle call returns within `timeout_s`; ended early, the callee is cancelled.

    A time-out around `await response` alone would leave an accepted call running, and a callee's
    own `CancelledError` looks like ours: only `cancelling()` tells them apart.

    Raises: what of ours the callee raised; ActorUnavailable; Overloaded.
    """
    deadline = asyncio.timeout(timeout_s)
    try:
        async with deadline:
            return await response
    except (TimeoutError, asyncio.CancelledError, RequestCancelledError):
        response.cancel()
        raise await _ended_early(actor, deadline, timeout_s) from None
    except Exception as error:  # noqa: BLE001 - the border: whatever crosses is translated
        raise unwrap(error, actor=actor) from None


async def stream(generator: Any, *, actor: str, timeout_s: float) -> AsyncGenerator[Any, None]:  # noqa: ANN401
    """Yield what a streaming handle call yields; leaving early stops the callee.

    Raises: as `call`.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    items = aiter(generator)
    try:
        while True:
            try:
                async with asyncio.timeout_at(deadline) as remaining:
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except (TimeoutError, asyncio.CancelledError, RequestCancelledError):
                raise await _ended_early(actor, remaining, timeout_s) from None
            except Exception as error:  # noqa: BLE001 - as in `call`
                raise unwrap(error, actor=actor) from None
            yield item
    finally:
        generator.cancel()


async def _ended_early(actor: str, deadline: asyncio.Timeout, timeout_s: float) -> BaseException:
    """Return what to raise for a call that the deadline, its caller or its callee has ended."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return asyncio.CancelledError()
    if deadline.expired():
        return ActorUnavailable(actor, f"no answer within {timeout_s:.1f} s")
    await asyncio.sleep(OWN_CANCELLATION_S)  # ends by our own cancellation, where that follows
    return ActorUnavailable(actor, "gave up the call")


def unwrap(error: BaseException, *, actor: str) -> BaseException:
    """Return the error of ours that the callee raised, or ours for what Ray says of the callee."""
    if isinstance(error, RayTaskError):
        # The actor path raises a class made on the fly that derives from both; the gRPC path
        # raises the original. Only `.cause` has the fields as they were set.
        error = error.cause
    match error:
        case AIAgentError():
            return error
        case BackPressureError():
            return Overloaded(RETRY_AFTER_BACKPRESSURE_S)
        case RayError() | RayServeException():
            return ActorUnavailable(actor, type(error).__name__)
        case _:
            return error

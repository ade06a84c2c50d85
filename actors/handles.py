"""The actors by name: how each is found, made, and replaced when its code or settings change."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
from typing import TYPE_CHECKING, Any, Final

import ray
from ray.exceptions import RayError

from actors.breaker import BreakerActor
from actors.embedding_worker import EmbeddingWorker
from actors.limiter import LimiterActor
from runtime.errors import ActorUnavailable
from runtime.resilience import circuit_messages, limit_board

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.embedding.spaces import EmbeddingSpaces
    from runtime.messages import CircuitState
    from runtime.resilience.circuit_messages import Snapshot
    from runtime.settings import Settings

NAMESPACE: Final = "ai"
EMBEDDING_WORKER: Final = "embedding_worker"
CIRCUIT_BREAKER: Final = "circuit_breaker"
PROVIDER_LIMITER: Final = "provider_limiter"
ATTEMPTS: Final = 5
"""`get_if_exists` may lose a race with another maker, or return an actor that has just died."""
PING_TIMEOUT_S: Final = 30.0
ASK_TIMEOUT_S: Final = 3.0


def ensure_embedding_worker(
    settings: Settings, open_spaces: Callable[[Settings], EmbeddingSpaces]
) -> None:
    """Have exactly one embedding worker run with this code and these settings. Blocks.

    Raises: ActorUnavailable.
    """
    version = _version(settings)
    _ensure(EMBEDDING_WORKER, EmbeddingWorker, (settings, version, open_spaces), version=version)


def ensure_circuit_breaker(settings: Settings) -> None:
    """Have the cluster's circuit breaker run with this code and these settings. Blocks.

    Raises: ActorUnavailable.
    """
    version = _version(settings, protocol=circuit_messages.PROTOCOL)
    _ensure(CIRCUIT_BREAKER, BreakerActor, (settings, version), version=version)


def ensure_provider_limiter(settings: Settings) -> None:
    """Have the cluster's provider limiter run with this code and these settings. Blocks.

    Raises: ActorUnavailable.
    """
    version = _version(settings, protocol=limit_board.PROTOCOL)
    _ensure(PROVIDER_LIMITER, LimiterActor, (settings, version), version=version)


def open_circuit_breaker(settings: Settings) -> Any:  # noqa: ANN401
    """Return the circuit breaker that there is, of any version, or a new one. Blocks.

    For replicas that lost it: one that a later version has replaced must not be replaced back.
    """
    version = _version(settings, protocol=circuit_messages.PROTOCOL)
    return _get_or_make(CIRCUIT_BREAKER, BreakerActor, (settings, version))


def open_provider_limiter(settings: Settings) -> Any:  # noqa: ANN401
    """Return the provider limiter that there is, of any version, or a new one. Blocks."""
    version = _version(settings, protocol=limit_board.PROTOCOL)
    return _get_or_make(PROVIDER_LIMITER, LimiterActor, (settings, version))


async def read_circuits() -> dict[str, CircuitState]:
    """Return the state of each circuit, as the breaker sees it.

    Raises: ActorUnavailable.
    """
    snapshot: Snapshot = await _ask(CIRCUIT_BREAKER, "snapshot")
    return {view.circuit: view.state for view in snapshot.circuits}


async def ping_limiter() -> None:
    """Return when the provider limiter answers.

    Raises: ActorUnavailable.
    """
    await _ask(PROVIDER_LIMITER, "version")


async def _ask(name: str, method: str) -> Any:  # noqa: ANN401
    """Ask a named actor; looked up in a thread, since that blocks."""
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            actor = await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
            return await getattr(actor, method).remote()
    except (RayError, ValueError, TimeoutError) as error:
        raise ActorUnavailable(name, type(error).__name__) from None


def _ensure(name: str, kind: type, arguments: tuple[object, ...], *, version: str) -> None:
    """Have the named actor run in this version, replacing one of another.

    A detached actor outlives a rolling update with its old code, so one that was made from
    anything else is killed and made again: what it forgets is in the database (the worker's queue)
    or is told again by the replicas (circuits, leases).

    Raises: ActorUnavailable, when no such actor answers after several attempts.
    """
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            actor = _get_or_make(name, kind, arguments)
            if ray.get(actor.version.remote(), timeout=PING_TIMEOUT_S) == version:
                return
            ray.kill(actor)
            reason = "another version came back"
        except (RayError, ValueError) as error:
            reason = type(error).__name__
    raise ActorUnavailable(name, reason)


def _get_or_make(name: str, kind: type, arguments: tuple[object, ...]) -> Any:  # noqa: ANN401
    actor: Any = ray.remote(kind).options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        num_cpus=0,
    )
    return actor.remote(*arguments)


def _version(settings: Settings, *, protocol: int = 0) -> str:
    """Return what an actor is made from; `protocol` is of the values that it exchanges."""
    fingerprint = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]
    release = importlib.metadata.version("pazpaz-agent")
    return f"{release}+{fingerprint}.{protocol}"

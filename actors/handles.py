"""The actors by name: how each is found, made, and replaced when its code or settings change."""

from __future__ import annotations

import hashlib
import importlib.metadata
from typing import TYPE_CHECKING, Any, Final

import ray
from ray.exceptions import RayError

from actors.embedding_worker import EmbeddingWorker
from runtime.errors import ActorUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.ports import Embedder
    from runtime.settings import Settings

NAMESPACE: Final = "ai"
EMBEDDING_WORKER: Final = "embedding_worker"
ATTEMPTS: Final = 5
"""`get_if_exists` may lose a race with another maker, or return an actor that has just died."""
PING_TIMEOUT_S: Final = 30.0


def ensure_embedding_worker(
    settings: Settings, open_embedder: Callable[[Settings], Embedder]
) -> None:
    """Have exactly one embedding worker run with this code and these settings. Blocks.

    A detached actor outlives a rolling update with its old code, so one that was made from
    anything else is killed and made again; its queue is in the database.

    Raises: ActorUnavailable, when no such worker answers after several attempts.
    """
    version = _version(settings)
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            worker = _get_or_make(settings, version, open_embedder)
            if ray.get(worker.version.remote(), timeout=PING_TIMEOUT_S) == version:
                return
            ray.kill(worker)
            reason = "another version came back"
        except (RayError, ValueError) as error:
            reason = type(error).__name__
    raise ActorUnavailable(EMBEDDING_WORKER, reason)


def _get_or_make(
    settings: Settings, version: str, open_embedder: Callable[[Settings], Embedder]
) -> Any:  # noqa: ANN401
    actor = ray.remote(EmbeddingWorker).options(
        name=EMBEDDING_WORKER,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        num_cpus=0,
    )
    return actor.remote(settings, version, open_embedder)


def _version(settings: Settings) -> str:
    fingerprint = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]
    return f"{importlib.metadata.version('pazpaz-agent')}+{fingerprint}"

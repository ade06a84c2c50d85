"""The `embedding` deployment: one provider's Embedder, asked through a handle.

While workspaces are moved to another model, also the Embedder of the model they are moved from.

Replicas of it are the only processes that hold the local model or the embedding vendor's client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.guards import open_guards
from actors.node import metrics_directory
from runtime import assembly, provider_assembly
from runtime.errors import ActorUnavailable, ProviderUnavailable
from runtime.telemetry import request_id as current_request_id

if TYPE_CHECKING:
    import numpy as np

    from runtime.messages import InputType, Matrix, Priority
    from runtime.settings import Settings

BATCH_TIMEOUT_S: Final = 60.0
BATCH_TIMEOUT_PER_TEXT_S: Final = 2.0
"""What a batch job's call may take, as it names no deadline: the local model takes up to 1 s for a
long text on a busy core."""


class EmbeddingDeployment:
    """Translates handle calls into calls of the process's Embedders, by their models' keys."""

    def __init__(self, settings: Settings) -> None:
        emit = assembly.open_telemetry(settings, metrics_directory(settings))
        guards = open_guards(settings, emit)
        self._spaces = provider_assembly.make_spaces(settings, emit, guards)
        self._reranker = provider_assembly.make_reranker(settings, emit, guards)

    async def ping(self) -> None:
        """Answer, for whoever asks whether a replica is there."""

    async def list_models(self) -> list[str]:
        """Return the keys of the models that it embeds with, the configured one's first."""
        return self._spaces.keys

    async def embed_texts(
        self,
        texts: list[str],
        input_type: InputType = "document",
        priority: Priority = "batch",
        model_key: str | None = None,
    ) -> Matrix:
        """Return float32 rows, shape `(n, dimensions)`, in the order given; for batch jobs.

        They are of the configured model, where none is named.

        Raises: ProviderError.
        """
        timeout_s = BATCH_TIMEOUT_S + BATCH_TIMEOUT_PER_TEXT_S * len(texts)
        vectors, _ = await self.embed(
            texts, input_type, priority, timeout_s, "-", model_key=model_key
        )
        return vectors

    async def embed(
        self,
        texts: list[str],
        input_type: InputType,
        priority: Priority,
        timeout_s: float,
        request_id: str,
        *,
        model_key: str | None = None,
    ) -> tuple[np.ndarray, int]:
        """Return the rows, and the tokens that the provider counted; for RemoteEmbedder.

        Raises: ProviderError.
        """
        current_request_id.set(request_id)
        embedder = self._spaces.for_workspace(model_key)
        if embedder is None:
            # Of another configuration, for the moment of a deployment: never another's vectors.
            provider, _, name = str(model_key).partition(":")
            reason = "This replica does not embed with it."
            raise ProviderUnavailable(provider, name, "embed", reason, None)
        embedded = await embedder.embed_texts(
            texts, input_type=input_type, timeout_s=timeout_s, priority=priority
        )
        return embedded.vectors, embedded.tokens

    async def rerank(
        self, question: str, texts: list[str], timeout_s: float, request_id: str
    ) -> list[float]:
        """Return how relevant each text is to the question; for RemoteReranker.

        Raises: ProviderError, ActorUnavailable (for the moment in which the configuration changes).
        """
        current_request_id.set(request_id)
        if self._reranker is None:
            raise ActorUnavailable("embedding", "no reranker is configured here")
        return await self._reranker.rank(question, texts, timeout_s=timeout_s)

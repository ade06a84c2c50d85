"""The ports Embedder, Reranker and ChatModel over deployment handles.

Vectors cross as float32 arrays on the gRPC path (`_by_reference=False`), which carried twice the
requests of the object-store path and limits a message to 4 MiB: lists are sent in slices.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ray import serve

from actors.boundary import call, stream
from runtime import provider_assembly
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.messages import Embedded
from runtime.telemetry import request_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from runtime.messages import (
        ChatEvent,
        ChatReply,
        ChatRequest,
        EmbeddingModel,
        InputType,
        Priority,
    )
    from runtime.settings import Settings

SLICE_TEXTS: Final = 96
"""Texts of one call: 96 x 4,000 dimensions x 4 bytes is 1.5 MiB, within gRPC's 4 MiB."""

PING_TIMEOUT_S: Final = 3.0
LIST_TIMEOUT_S: Final = 30.0
"""For a command: a replica may just be starting, or busy with long texts."""
HANDBACK_S: Final = 0.1
"""Kept back from what a callee may take (a tenth of a short time), so that its own error, which
says what was wrong, comes before we stop waiting."""


class RemoteEmbedder:
    """The `embedding` deployment as an Embedder."""

    def __init__(self, handle: Any, model: EmbeddingModel) -> None:  # noqa: ANN401
        self._handle = handle.options(_by_reference=False)
        self._model = model

    @property
    def model(self) -> EmbeddingModel:
        """The vector space that its vectors are of."""
        return self._model

    async def ping(self) -> None:
        """Return when a replica answers.

        Raises: ActorUnavailable.
        """
        await call(self._handle.ping.remote(), actor="embedding", timeout_s=PING_TIMEOUT_S)

    async def embed_text(self, text: str, *, input_type: InputType, timeout_s: float) -> Embedded:
        """As Embedder.embed_text."""
        return await self.embed_texts([text], input_type=input_type, timeout_s=timeout_s)

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        """As Embedder.embed_texts; the slices go one after the other, within the one limit."""
        parts: list[Embedded] = []
        time = asyncio.get_running_loop().time
        ends_at_s = time() + timeout_s
        for start in range(0, len(texts), SLICE_TEXTS):
            remaining_s = max(ends_at_s - time(), 0)
            vectors, tokens = await call(
                self._handle.embed.remote(
                    list(texts[start : start + SLICE_TEXTS]),
                    input_type,
                    priority,
                    _less_handback(remaining_s),
                    request_id.get(),
                    model_key=self._model.key,
                ),
                actor="embedding",
                timeout_s=remaining_s,
            )
            parts.append(Embedded(vectors, tokens))
        if not parts:
            return Embedded(np.zeros((0, self._model.dimensions), np.float32), 0)
        if len(parts) == 1:
            return parts[0]
        vectors = np.concatenate([part.vectors for part in parts])
        return Embedded(vectors, sum(part.tokens for part in parts))


class RemoteReranker:
    """The `embedding` deployment, where the reranker runs too, as a Reranker."""

    def __init__(self, handle: Any, *, provider: str, name: str) -> None:  # noqa: ANN401
        self._handle = handle.options(_by_reference=False)
        self._provider = provider
        self._name = name

    @property
    def provider(self) -> str:
        """The vendor that the configuration names."""
        return self._provider

    @property
    def name(self) -> str:
        """The model that the configuration names."""
        return self._name

    async def rank(self, question: str, texts: Sequence[str], *, timeout_s: float) -> list[float]:
        """As Reranker.rank."""
        if not texts:
            return []
        response = self._handle.rerank.remote(
            question, list(texts), _less_handback(timeout_s), request_id.get()
        )
        relevances: list[float] = await call(response, actor="embedding", timeout_s=timeout_s)
        return relevances


class RemoteChat:
    """One provider of the `chat` deployment as a ChatModel."""

    def __init__(self, handle: Any, *, provider: str, name: str) -> None:  # noqa: ANN401
        self._whole = handle.options(_by_reference=False)
        self._pieces = handle.options(_by_reference=False, stream=True)
        self._provider = provider
        self._name = name

    @property
    def provider(self) -> str:
        """The vendor that the configuration names."""
        return self._provider

    @property
    def name(self) -> str:
        """The model that the configuration names."""
        return self._name

    async def ping(self) -> None:
        """Return when a replica answers.

        Raises: ActorUnavailable.
        """
        await call(self._whole.ping.remote(), actor="chat", timeout_s=PING_TIMEOUT_S)

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """As ChatModel.chat."""
        response = self._whole.chat.remote(self._provider, request, timeout_s, request_id.get())
        reply: ChatReply = await call(response, actor="chat", timeout_s=timeout_s)
        return reply

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        """As ChatModel.stream."""
        generator = self._pieces.stream.remote(self._provider, request, timeout_s, request_id.get())
        async with aclosing(stream(generator, actor="chat", timeout_s=timeout_s)) as events:
            async for event in events:
                yield event


def _less_handback(timeout_s: float) -> float:
    return timeout_s - min(HANDBACK_S, timeout_s / 10)


def remote_spaces(settings: Settings, handle: Any) -> EmbeddingSpaces:  # noqa: ANN401
    """Return the spaces that the `embedding` deployment serves."""
    configured = RemoteEmbedder(handle, provider_assembly.embedding_model(settings))
    if settings.retiring_space is None:
        return EmbeddingSpaces(configured)
    return EmbeddingSpaces(configured, RemoteEmbedder(handle, settings.retiring_space))


async def list_served_models() -> list[str]:
    """Return the keys of the models that the running application embeds with.

    Raises: ActorUnavailable.
    """
    handle = serve.get_deployment_handle("embedding", "ai")
    served: list[str] = await call(
        handle.list_models.remote(), actor="embedding", timeout_s=LIST_TIMEOUT_S
    )
    return served


def open_remote_spaces(settings: Settings) -> EmbeddingSpaces:
    """Return the running application's spaces, for an actor or a job outside of it. Blocks."""
    return remote_spaces(settings, serve.get_deployment_handle("embedding", "ai"))


def remote_reranker(settings: Settings, handle: Any) -> RemoteReranker | None:  # noqa: ANN401
    """Return the Reranker that the `embedding` deployment serves; None where none is chosen."""
    provider = settings.rerank_provider
    if not provider:
        return None
    name = str(settings.providers[provider].rerank_model)
    return RemoteReranker(handle, provider=provider, name=name)

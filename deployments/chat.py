"""The `chat` deployment: one provider's ChatModel, asked through a handle."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from actors.node import metrics_directory
from deployments.remote import RemoteEmbedder
from runtime import assembly
from runtime.telemetry import request_id as current_request_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.messages import ChatEvent, ChatReply, ChatRequest
    from runtime.settings import Settings


class ChatDeployment:
    """Translates handle calls into calls of the process's one ChatModel.

    It holds a handle of `embedding` because the local model ranks sentences by meaning.
    """

    def __init__(self, settings: Settings, embedding: Any) -> None:  # noqa: ANN401
        emit = assembly.open_telemetry(settings, metrics_directory(settings))
        embedder = RemoteEmbedder(embedding, assembly.embedding_model(settings))
        self._model = assembly.make_chat(settings, emit, embedder)

    async def ping(self) -> None:
        """Answer, for whoever asks whether a replica is there."""

    async def chat(self, request: ChatRequest, timeout_s: float, request_id: str) -> ChatReply:
        """Return the whole answer.

        Raises: ProviderError, ActorUnavailable.
        """
        current_request_id.set(request_id)
        return await self._model.chat(request, timeout_s=timeout_s)

    async def stream(
        self, request: ChatRequest, timeout_s: float, request_id: str
    ) -> AsyncIterator[ChatEvent]:
        """Yield pieces, then the whole; a caller that leaves closes the vendor's stream.

        Raises: ProviderError, ActorUnavailable.
        """
        current_request_id.set(request_id)
        async with aclosing(self._model.stream(request, timeout_s=timeout_s)) as events:
            async for event in events:
                yield event

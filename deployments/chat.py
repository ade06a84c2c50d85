"""The `chat` deployment: the chat providers in use, asked through a handle by their names."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from actors.guards import open_guards
from actors.node import metrics_directory
from deployments.remote import RemoteEmbedder
from runtime import assembly, provider_assembly
from runtime.gathering import gather_pieces
from runtime.telemetry import request_id as current_request_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.messages import ChatEvent, ChatReply, ChatRequest
    from runtime.settings import Settings

GATHER_S: Final = 0.03
"""Pieces that come within this go together: each one sent costs a hop between processes, and the
route waits for whole sentences anyway."""


class ChatDeployment:
    """Translates handle calls into calls of the process's chat models, one for each provider.

    It holds a handle of `embedding` because the local model ranks sentences by meaning.
    """

    def __init__(self, settings: Settings, embedding: Any) -> None:  # noqa: ANN401
        emit = assembly.open_telemetry(settings, metrics_directory(settings))
        embedder = RemoteEmbedder(embedding, provider_assembly.embedding_model(settings))
        self._models = provider_assembly.make_chats(
            settings, emit, embedder, open_guards(settings, emit)
        )

    async def ping(self) -> None:
        """Answer, for whoever asks whether a replica is there."""

    async def chat(
        self, provider: str, request: ChatRequest, timeout_s: float, request_id: str
    ) -> ChatReply:
        """Return the provider's whole answer.

        Raises: ProviderError, ActorUnavailable.
        """
        current_request_id.set(request_id)
        return await self._models[provider].chat(request, timeout_s=timeout_s)

    async def stream(
        self, provider: str, request: ChatRequest, timeout_s: float, request_id: str
    ) -> AsyncIterator[ChatEvent]:
        """Yield pieces, then the whole; a caller that leaves closes the vendor's stream.

        Raises: ProviderError, ActorUnavailable.
        """
        current_request_id.set(request_id)
        events = self._models[provider].stream(request, timeout_s=timeout_s)
        async with aclosing(gather_pieces(events, window_s=GATHER_S)) as pieces:
            async for piece in pieces:
                yield piece

"""The `orchestrator` deployment: the HTTP routes, with this replica's live objects behind them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from actors.handles import (
    PROVIDER_LIMITER,
    ensure_embedding_worker,
    ping_limiter,
    read_circuits,
)
from actors.node import metrics_directory
from deployments.api import build_api
from deployments.remote import (
    RemoteChat,
    RemoteEmbedder,
    open_remote_spaces,
    remote_reranker,
    remote_spaces,
)
from runtime import assembly, provider_assembly
from runtime.health import CircuitProbe, ProcessProbe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from runtime.services import Services
    from runtime.settings import Settings


class Orchestrator:
    """Made once a replica; Serve runs the FastAPI application that it builds."""

    def __init__(self, settings: Settings, embedding: Any, chat: Any) -> None:  # noqa: ANN401
        self._settings = settings
        self._emit = assembly.open_telemetry(settings, metrics_directory(settings))
        self._ping_embedding = RemoteEmbedder(embedding, settings.embedding_space).ping
        self._spaces = remote_spaces(settings, embedding)
        self._reranker = remote_reranker(settings, embedding)
        self._chats = {
            provider: RemoteChat(chat, provider=provider, name=name)
            for provider, name in provider_assembly.chat_models(settings).items()
        }
        ensure_embedding_worker(settings, open_remote_spaces)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the application; Serve calls this after the constructor, in the replica."""
        return build_api(self._open_services)

    @asynccontextmanager
    async def _open_services(self) -> AsyncIterator[Services]:
        settings = self._settings
        ping_chat = self._chats[settings.chat_provider].ping
        probes = (
            ProcessProbe(
                "embedding_replicas",
                self._ping_embedding,
                "degraded" if settings.text_search_fallback else "down",
            ),
            ProcessProbe(
                "chat_replicas",
                ping_chat,
                "degraded" if settings.extractive_fallback else "down",
            ),
            CircuitProbe(read_circuits),
            ProcessProbe(PROVIDER_LIMITER, ping_limiter, "degraded"),
        )
        async with assembly.open_services(
            settings, self._emit, self._spaces, self._chats, probes, reranker=self._reranker
        ) as services:
            yield services

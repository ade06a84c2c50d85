"""The `orchestrator` deployment: the HTTP routes, with this replica's live objects behind them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from actors.handles import ensure_embedding_worker
from actors.node import metrics_directory
from deployments.api import build_api
from deployments.remote import RemoteChat, RemoteEmbedder, open_remote_embedder
from runtime import assembly
from runtime.health import ProcessProbe

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
        self._embedder = RemoteEmbedder(embedding, assembly.embedding_model(settings))
        provider, name = assembly.chat_model(settings)
        self._chat = RemoteChat(chat, provider=provider, name=name)
        ensure_embedding_worker(settings, open_remote_embedder)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the application; Serve calls this after the constructor, in the replica."""
        return build_api(self._open_services)

    @asynccontextmanager
    async def _open_services(self) -> AsyncIterator[Services]:
        replicas = (
            ProcessProbe("embedding_replicas", self._embedder.ping),
            ProcessProbe("chat_replicas", self._chat.ping),
        )
        async with assembly.open_services(
            self._settings, self._emit, self._embedder, self._chat, replicas
        ) as services:
            yield services

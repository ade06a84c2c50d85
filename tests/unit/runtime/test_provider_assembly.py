from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from runtime import provider_assembly
from runtime.metrics.recording import NoMetrics
from runtime.settings import load


async def test_the_clients_of_a_command_are_closed_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERE_API_KEY", "no-real-key")
    monkeypatch.setenv("AI_RERANK_PROVIDER", "cohere")
    opened: list[httpx.AsyncClient] = []

    def open_http(_: float) -> httpx.AsyncClient:
        opened.append(httpx.AsyncClient())
        return opened[-1]

    monkeypatch.setattr(provider_assembly, "open_http", open_http)
    settings, _ = load()
    provider_assembly.make_reranker(settings, NoMetrics().emit)
    provider_assembly.make_spaces(settings, NoMetrics().emit)
    await provider_assembly.close_clients()
    assert [http.is_closed for http in opened] == [True, True]

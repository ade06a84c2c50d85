"""What a process is made of, from its configuration, on a real database."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from runtime import assembly, provider_assembly
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.errors import ConfigurationError, DatabaseUnavailable, ProviderRejected
from runtime.health import ComponentHealth, ProcessProbe
from runtime.messages import Client, Question
from runtime.provider_settings import variables_of
from runtime.providers.catalog import PROVIDERS
from runtime.providers.fakes import FakeChatModel, FakeEmbedder, FakeReranker
from runtime.settings import Secrets, Settings, load
from runtime.telemetry import Event, RecordsEmbedded
from tests.integration.conftest import Site

SECRET = "a-secret-of-more-than-thirty-two-bytes"


@pytest.fixture(autouse=True)
def environment(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AI_JWT_SECRET", SECRET)
    monkeypatch.setenv("DATABASE_URL", site.runtime_url)
    for name in ("COHERE_API_KEY", "AI_DATABASE_OWNER_URL"):
        monkeypatch.delenv(name, raising=False)


def nothing(_: Event) -> None:
    """Emit to nobody."""


async def answer_ping() -> None:
    """Be there."""


async def test_what_is_written_embedded_and_asked_goes_through_one_process() -> None:
    settings, _ = load()
    workspace_id, events = uuid4(), list[Event]()
    embedder = FakeEmbedder()
    replicas = [ProcessProbe("chat_replicas", answer_ping)]
    async with assembly.open_services(
        settings, nothing, EmbeddingSpaces(embedder), {"local": FakeChatModel()}, replicas
    ) as services:
        client = Client(uuid4(), "Noa", notes="She plays the cello in a quartet.")
        await services.records.put_client(workspace_id, client)
        async with assembly.open_embedding_queue(
            settings, events.append, EmbeddingSpaces(embedder)
        ) as queue:
            await queue.step(workspace_id)
        question = Question("She plays the cello in a quartet?", min_similarity=0)
        answer = await services.ask(workspace_id, question, deadline_s=10)
        assert "cello" in answer.citations[0].quote
        report = await services.health.report()
        assert report.status == "ok"
        assert ComponentHealth("chat_replicas", "ok", "answers") in report.components
    (embedded,) = [event for event in events if isinstance(event, RecordsEmbedded)]
    assert embedded.records == 1


async def test_the_model_that_is_left_is_looked_at_too() -> None:
    settings, _ = load()
    old = FakeEmbedder(64)
    old.failures.append(ProviderRejected("fake", "m", "embed", "HTTP 401", None))
    async with assembly.open_services(
        settings, nothing, EmbeddingSpaces(FakeEmbedder(), old), {"local": FakeChatModel()}
    ) as services:
        report = await services.health.report(deep=True)
    states = {part.name: part.state for part in report.components}
    assert (states["embedding"], states["embedding_retiring"]) == ("ok", "degraded")


async def test_a_replica_starts_before_its_database_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://x@/x?host={tmp_path}")
    settings, _ = load()
    async with assembly.open_services(
        settings, nothing, EmbeddingSpaces(FakeEmbedder()), {"local": FakeChatModel()}
    ) as services:
        assert (await services.health.report()).status == "down"
        with pytest.raises(DatabaseUnavailable):
            await services.records.delete_client(uuid4(), uuid4())


def test_a_node_without_the_key_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "no-real-key")
    settings, _ = load()
    monkeypatch.delenv("COHERE_API_KEY")
    with pytest.raises(ConfigurationError, match="every node"):
        provider_assembly.make_embedder(settings, nothing)


def test_every_vendor_is_chosen_by_configuration_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS.values():
        monkeypatch.setenv(provider.key, "no-real-key")
        for name, field in variables_of(provider).items():
            if field == "base_url":
                monkeypatch.setenv(name, "http://127.0.0.1:1/v1")
            if field in ("embed_model", "chat_model"):
                monkeypatch.setenv(name, "some-model")
    monkeypatch.setenv("AI_CHAT_FALLBACKS", ",".join((*PROVIDERS, "local")))
    for name, provider in PROVIDERS.items():
        if provider.embedding is not None:
            monkeypatch.setenv("AI_EMBEDDING_PROVIDER", name)
            settings, _ = load()
            embedder = provider_assembly.make_embedder(settings, nothing)
            assert embedder.model == provider_assembly.embedding_model(settings)
            assert embedder.model.key == f"{name}:some-model:1536"
    chats = provider_assembly.make_chats(settings, nothing, embedder)
    made = {name: (chat.provider, chat.name) for name, chat in chats.items()}
    models = provider_assembly.chat_models(settings)
    assert made == {name: (name, model) for name, model in models.items()}
    assert set(made) == {*PROVIDERS, "local"}


def test_a_reranker_is_made_only_where_one_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "no-real-key")
    settings, _ = load()
    assert provider_assembly.make_reranker(settings, nothing) is None
    monkeypatch.setenv("AI_RERANK_PROVIDER", "cohere")
    monkeypatch.setenv("AI_COHERE_RERANK_MODEL", "rerank-v3.5")
    settings, _ = load()
    reranker = provider_assembly.make_reranker(settings, nothing)
    assert reranker is not None
    assert (reranker.provider, reranker.name) == ("cohere", "rerank-v3.5")


async def test_an_answer_in_another_order_is_another_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AI_VECTOR_SEARCH_TIMEOUT_SECONDS", "30")
    settings, _ = load()
    workspace_id, reranker = uuid4(), FakeReranker()
    spaces = EmbeddingSpaces(FakeEmbedder())
    question = Question("She plays the cello in a quartet?", min_similarity=0)
    caches = list[str]()
    for order in (None, reranker, reranker):
        async with assembly.open_services(
            settings, nothing, spaces, {"local": FakeChatModel()}, reranker=order
        ) as services:
            if not caches:
                for note in ("She plays the cello.", "She plays in a quartet."):
                    client = Client(uuid4(), "Noa", notes=note)
                    await services.records.put_client(workspace_id, client)
                async with assembly.open_embedding_queue(settings, nothing, spaces) as queue:
                    await queue.step(workspace_id)
            answer = await services.ask(workspace_id, question, deadline_s=30)
            caches.append(answer.cache)
            names = [part.name for part in (await services.health.report()).components]
            assert ("rerank" in names) == (order is not None)
    assert caches == ["miss", "miss", "exact"]
    assert len(reranker.calls) == 1


def test_the_built_in_pair_is_one_of_them() -> None:
    settings, _ = load()
    assert provider_assembly.embedding_model(settings).provider == "local"
    assert provider_assembly.chat_models(settings) == {"local": "extractive"}


def test_the_schemas_owner_is_known_only_where_it_is_told(site: Site) -> None:
    settings, secrets = load()
    assert assembly.owner_url(settings, secrets) is None
    assert assembly.runtime_role(settings, secrets) == "pazpaz_runtime"
    told = Secrets(DATABASE_URL=site.runtime_url, AI_DATABASE_OWNER_URL=site.owner_url)
    assert assembly.owner_url(settings, told) == site.owner_url


def test_metrics_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "configure_logging", lambda: None)  # the logger is pytest's here
    directory = tmp_path / "metrics"
    off = Settings(AI_METRICS_ENABLED=False)
    assembly.open_telemetry(off, directory)(RecordsEmbedded(1, 1, 0, 0, 0.1))
    assert not directory.exists()

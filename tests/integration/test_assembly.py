"""What a process is made of, from its configuration, on a real database."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from runtime import assembly
from runtime.errors import ConfigurationError, DatabaseUnavailable
from runtime.health import ComponentHealth, ProcessProbe
from runtime.messages import Client, Question
from runtime.providers.fakes import FakeChatModel, FakeEmbedder
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
        settings, nothing, embedder, FakeChatModel(), replicas
    ) as services:
        client = Client(uuid4(), "Noa", notes="She plays the cello in a quartet.")
        await services.records.put_client(workspace_id, client)
        async with assembly.open_embedding_queue(settings, events.append, embedder) as queue:
            await queue.step(workspace_id)
        question = Question("She plays the cello in a quartet?", min_similarity=0)
        answer = await services.ask(workspace_id, question, deadline_s=10)
        assert "cello" in answer.citations[0].quote
        report = await services.health.report()
        assert report.status == "ok"
        assert ComponentHealth("chat_replicas", "ok", "a replica answers") in report.components
    (embedded,) = [event for event in events if isinstance(event, RecordsEmbedded)]
    assert embedded.records == 1


async def test_a_replica_starts_before_its_database_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://x@/x?host={tmp_path}")
    settings, _ = load()
    async with assembly.open_services(
        settings, nothing, FakeEmbedder(), FakeChatModel()
    ) as services:
        assert (await services.health.report()).status == "down"
        with pytest.raises(DatabaseUnavailable):
            await services.records.delete_client(uuid4(), uuid4())


def test_providers_are_chosen_by_configuration_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    local, _ = load()
    assert assembly.embedding_model(local).key == "local:multilingual-e5-small-q4:384"
    assert assembly.chat_model(local) == ("local", "extractive")
    chat = assembly.make_chat(local, nothing, FakeEmbedder())
    assert (chat.provider, chat.name) == assembly.chat_model(local)
    embedder = assembly.make_embedder(local, nothing)
    assert embedder.model == assembly.embedding_model(local)

    monkeypatch.setenv("COHERE_API_KEY", "no-real-key")
    cohere, _ = load()
    assert assembly.embedding_model(cohere).key == "cohere:embed-v4.0:1536"
    assert assembly.chat_model(cohere) == ("cohere", "command-a-03-2025")
    assert assembly.make_embedder(cohere, nothing).model == assembly.embedding_model(cohere)
    chat = assembly.make_chat(cohere, nothing, FakeEmbedder())
    assert (chat.provider, chat.name) == assembly.chat_model(cohere)


def test_a_node_without_the_key_says_so() -> None:
    settings = Settings(AI_EMBEDDING_PROVIDER="cohere", AI_CHAT_PROVIDER="cohere")
    with pytest.raises(ConfigurationError, match="every node"):
        assembly.make_embedder(settings, nothing)


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

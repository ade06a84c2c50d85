"""The `embedding` deployment's class with the built-in model and a vendor's, without Ray."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulator.server import running_simulator
from deployments import embedding
from deployments.embedding import EmbeddingDeployment
from runtime import assembly, provider_assembly
from runtime.errors import ProviderUnavailable
from runtime.messages import Matrix
from runtime.providers.transport import open_http
from runtime.settings import load

LOCAL, VENDOR = "local:multilingual-e5-small-q4:384", "cohere:embed-v4.0:256"
TEXTS = ["She sleeps badly.", "היא ישנה רע."]


@pytest.fixture
async def deployment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[EmbeddingDeployment]:
    """Configured for the vendor, with the built-in model retiring."""
    async with running_simulator() as simulator, open_http(30) as http:
        monkeypatch.chdir(tmp_path)
        for name, value in {
            "COHERE_API_KEY": "any",
            "AI_COHERE_BASE_URL": simulator.url,
            "AI_EMBEDDING_DIMENSIONS": "256",
            "AI_EMBEDDING_RETIRING": LOCAL,
            "AI_METRICS_ENABLED": "false",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(provider_assembly, "open_http", lambda _: http)
        monkeypatch.setattr(embedding, "open_guards", lambda *_: None)
        monkeypatch.setattr(embedding, "metrics_directory", lambda _: tmp_path)
        monkeypatch.setattr(assembly, "configure_logging", lambda: None)
        yield EmbeddingDeployment(load()[0])


async def embed(deployment: EmbeddingDeployment, model_key: str | None) -> Matrix:
    rows, _ = await deployment.embed(TEXTS, "document", "batch", 30, "-", model_key=model_key)
    return rows


async def test_each_call_gets_vectors_of_the_model_it_names(
    deployment: EmbeddingDeployment,
) -> None:
    vendors, own = await embed(deployment, VENDOR), await embed(deployment, LOCAL)

    assert (vendors.shape, own.shape) == ((2, 256), (2, 384))
    assert np.array_equal(await embed(deployment, None), vendors)
    assert np.array_equal(await deployment.embed_texts(TEXTS), vendors)
    assert np.array_equal(await deployment.embed_texts(TEXTS, model_key=LOCAL), own)


async def test_the_models_that_it_serves_are_told(deployment: EmbeddingDeployment) -> None:
    assert await deployment.list_models() == [VENDOR, LOCAL]


@pytest.mark.parametrize("unknown", ["cohere:embed-v4.0:384", "openai:text-embedding-3-small:256"])
async def test_a_model_that_the_replica_does_not_serve_is_refused_and_not_replaced(
    deployment: EmbeddingDeployment, unknown: str
) -> None:
    with pytest.raises(ProviderUnavailable, match="does not embed with it"):
        await embed(deployment, unknown)

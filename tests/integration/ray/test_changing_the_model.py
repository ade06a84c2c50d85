"""Another embedding model is brought in beside the one in use, as an operator does it.

The built-in model finds an English note by a Hebrew question; the simulated vendor's, which knows
letters alone, does not. So what is found shows by which of them the practice was searched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
import ray
from ray import serve

from benchmarks.simulator.admin import started_simulator
from tests.integration.ray.conftest import Cluster, Practice, eventually

LOCAL, VENDOR = "local:multilingual-e5-small-q4:384", "cohere:embed-v4.0:256"
NOTE = "She wakes at three most nights and reads until five."
LATER = "The new medication makes her mouth dry."
HEBREW, HEBREW_LATER = "מתי היא מתעוררת בלילה?", "האם התרופה החדשה גורמת לה ליובש בפה?"


def count_found(practice: Practice, query: str, client_id: UUID) -> int:
    """Return how many of the client's passages a question finds; none where it did without."""
    response = practice.ask(query, client_id=str(client_id))
    if not response.is_success or response.json()["metadata"]["degraded"]:
        return 0
    return int(response.json()["retrieved_count"])


@pytest.fixture
def noa(practice: Practice) -> UUID:
    """A client whose note the built-in model has embedded."""
    client_id = uuid4()
    practice.put_client(client_id, client_name="Noa Levi", notes=NOTE)
    eventually(lambda: count_found(practice, HEBREW, client_id))
    return client_id


@pytest.fixture
def moving(cluster: Cluster, noa: UUID) -> Iterator[Cluster]:
    """The cluster, configured for the vendor while the built-in model retires; and its commands."""
    del noa
    with started_simulator() as vendor:
        settings = {
            "AI_EMBEDDING_PROVIDER": "cohere",
            "AI_EMBEDDING_DIMENSIONS": "256",
            "AI_COHERE_BASE_URL": vendor.url,
            "AI_EMBEDDING_RETIRING": LOCAL,
        }

        def choose_vendor(application: dict[str, Any]) -> None:
            application["args"] = settings

        cluster.deploy(choose_vendor)
        eventually(lambda: cluster.replicas() and serves(VENDOR, LOCAL), within_s=120)
        yield with_environment(cluster, settings)
        cluster.deploy()
        eventually(lambda: cluster.replicas() and serves(LOCAL), within_s=120)


def with_environment(cluster: Cluster, settings: dict[str, str]) -> Cluster:
    """Return the cluster with commands that have these settings, and look for no other one."""
    here = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    return replace(cluster, environment=cluster.environment | here | settings)


def serves(*models: str) -> bool:
    handle = serve.get_deployment_handle("embedding", "ai")
    served: list[str] = handle.list_models.remote().result(timeout_s=30)
    return served == list(models)


@pytest.mark.timeout(600)  # it deploys twice, and may be the first to want the cluster
def test_a_practice_is_searched_by_its_own_model_until_it_is_whole_in_the_new_one(
    cluster: Cluster, practice: Practice, noa: UUID, moving: Cluster
) -> None:
    backfill = ("pazpaz-agent", "backfill", "--workspace", str(practice.workspace_id))
    dan = uuid4()
    practice.put_client(dan, client_name="Dan Peretz", notes=LATER)
    eventually(lambda: count_found(practice, HEBREW_LATER, dan))
    assert count_found(practice, HEBREW, noa)

    refused = with_environment(cluster, {}).run(*backfill, check=False)
    assert refused.returncode == 1
    assert f"embeds with {VENDOR} and {LOCAL}" in " ".join(refused.stderr.split())

    done = moving.run(*backfill, "--reembed", "embed-v4.0")
    assert f"All are searched by {VENDOR}" in " ".join(done.stdout.split())

    for query, note, client_id in ((HEBREW, NOTE, noa), (HEBREW_LATER, LATER, dan)):
        assert count_found(practice, note, client_id)
        asked = practice.answer(query, client_id=str(client_id))
        assert (asked["retrieved_count"], asked["metadata"]["degraded"]) == (0, [])

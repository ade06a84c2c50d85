"""A chat vendor in the loop: the same application, its provider changed by configuration alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import ray

from actors.handles import EMBEDDING_WORKER, NAMESPACE
from tests.integration.ray.conftest import Cluster, Practice, eventually

NOTE = "She wakes at three most nights and reads until five."
QUESTION = "When does she wake at night?"


@pytest.fixture(scope="module")
def replaced_worker(cluster: Cluster) -> str:
    """The version of the worker before the update."""
    del cluster
    return _worker_version()


def _worker_version() -> str:
    worker: Any = ray.get_actor(EMBEDDING_WORKER, namespace=NAMESPACE)
    version: Any = ray.get(worker.version.remote())
    return str(version)


@pytest.fixture(scope="module")
def practice(cluster: Cluster, replaced_worker: str) -> Iterator[Practice]:
    del replaced_worker
    with Practice(cluster) as practice:
        practice.put_client(uuid4(), client_name="Noa Levi", notes=NOTE)
        eventually(lambda: practice.cites(QUESTION, NOTE))
        cluster.deploy(_choose_cohere)
        eventually(lambda: _provider(practice) == "cohere", within_s=120)
        yield practice
        cluster.vendor.behaviour = "quote"
        cluster.deploy()
        eventually(lambda: _provider(practice) == "local", within_s=120)


def _choose_cohere(application: dict[str, Any]) -> None:
    application["args"] = {"AI_CHAT_PROVIDER": "cohere"}


def _provider(practice: Practice) -> str:
    response = practice.ask(QUESTION)
    return str(response.json()["metadata"]["provider"]) if response.is_success else ""


def test_an_update_replaces_the_worker_that_was_made_from_other_settings(
    practice: Practice, replaced_worker: str
) -> None:
    del practice
    assert _worker_version() != replaced_worker


def test_a_vendors_answer_is_cited_with_its_usage(practice: Practice, cluster: Cluster) -> None:
    cluster.vendor.behaviour = "quote"
    answer = practice.answer(QUESTION)
    assert answer["answer"] == "She wakes at three most nights [1]."
    assert answer["citations"][0]["quote"] == NOTE
    assert answer["citations"][0]["verified"]
    assert answer["metadata"]["usage"]["output_tokens"] == 7


def test_a_misquote_never_reaches_the_asker(practice: Practice, cluster: Cluster) -> None:
    cluster.vendor.behaviour = "misquote"
    answer = practice.answer(QUESTION)
    assert "wolves" not in answer["answer"]
    assert answer["citations"] == []
    assert "misquote_removed" in answer["metadata"]["warnings"]


def test_a_caller_who_leaves_stops_the_work_at_the_vendor(
    practice: Practice, cluster: Cluster
) -> None:
    vendor = cluster.vendor
    vendor.behaviour = "hang"
    vendor.asked.clear()
    vendor.left.clear()
    with practice.leaving(QUESTION):
        assert vendor.asked.wait(30)
        assert not vendor.left.is_set()
    assert vendor.left.wait(10)

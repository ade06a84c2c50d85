"""The deployed application, over real HTTP, real Ray and real PostgreSQL."""

from __future__ import annotations

import fcntl
import threading
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
import ray
from ray import serve
from ray.util import list_named_actors

from actors.handles import EMBEDDING_WORKER, NAMESPACE
from tests.integration.conftest import stop_server
from tests.integration.ray.conftest import Cluster, Practice, eventually

DATE = "2026-03-02"


def test_a_written_note_is_found_edited_and_forgotten(practice: Practice) -> None:
    client, session = uuid4(), uuid4()
    assert practice.put_client(client, client_name="Noa Levi").json() == {
        "status": "stored",
        "embedding": "queued",
    }
    note = "She wakes at three most nights and reads until five."
    practice.put_session(session, client_id=str(client), session_date=DATE, subjective=note)
    eventually(lambda: practice.cites("When does she wake at night?", note))

    answer = practice.answer("When does she wake at night?")
    (citation,) = answer["citations"]
    assert note in answer["answer"]
    assert citation["quote"] == note
    assert citation["session_id"] == str(session)
    span = citation["spans"][0]
    assert note in answer["answer"][span["answer_start"] : span["answer_end"]]

    edited = "She sleeps through since the clocks changed."
    practice.put_session(session, client_id=str(client), session_date=DATE, subjective=edited)
    assert note not in practice.ask("When does she wake at night?").text
    eventually(lambda: practice.cites("How does she sleep?", edited))

    assert practice.http.delete(f"/clients/{client}").is_success
    assert practice.answer("How does she sleep?")["citations"] == []
    assert practice.http.delete(f"/sessions/{session}").status_code == 404


def test_two_practices_with_the_same_ids_never_meet(cluster: Cluster, practice: Practice) -> None:
    client, session = uuid4(), uuid4()
    question = "What does the patient dream of at night?"
    ours = "The patient dreams of the lighthouse keeper at night."
    theirs = "The patient dreams of a burning theatre at night."
    with Practice(cluster) as other, Practice(cluster) as stranger:
        for owner, text in ((practice, ours), (other, theirs)):
            owner.put_client(client, client_name="Same Id")
            owner.put_session(session, client_id=str(client), session_date=DATE, subjective=text)
        eventually(lambda: practice.cites(question, ours))
        eventually(lambda: other.cites(question, theirs))

        assert "lighthouse" not in other.ask(question, client_id=str(client)).text
        other.http.delete(f"/clients/{client}")
        assert practice.cites(question, ours)
        missing = stranger.http.delete(f"/clients/{uuid4()}").json()
        foreign = stranger.http.delete(f"/clients/{client}").json()
        assert {**missing, "request_id": ""} == {**foreign, "request_id": ""}


def test_what_is_written_while_the_worker_is_dead_is_embedded_when_it_is_back(
    practice: Practice,
) -> None:
    ray.kill(ray.get_actor(EMBEDDING_WORKER, namespace=NAMESPACE), no_restart=False)
    client = uuid4()
    note = "Plays the cello in a quartet on Mondays."
    practice.put_client(client, client_name="Ariel Tal", notes=note)
    eventually(lambda: practice.cites("Which instrument does Ariel play?", note))


def test_questions_are_answered_again_after_every_replica_was_killed(practice: Practice) -> None:
    note = "Afraid of lifts since the power cut."
    practice.put_client(uuid4(), client_name="Gil Stern", notes=note)
    eventually(lambda: practice.cites("What is he afraid of?", note))
    for name in ("embedding", "chat"):
        for replica in _replica_actors(name):
            ray.kill(replica, no_restart=False)
    statuses = set[int]()

    def recovered() -> bool:
        statuses.add(practice.ask("What is he afraid of?").status_code)
        return 200 in statuses

    eventually(recovered)
    assert statuses <= {200, 503, 504}


def _replica_actors(deployment: str) -> list[Any]:
    found = [
        ray.get_actor(entry["name"], namespace=entry["namespace"])
        for entry in list_named_actors(all_namespaces=True)
        if entry["name"].startswith(f"SERVE_REPLICA::ai#{deployment}#")
    ]
    assert found
    return found


def test_a_batch_job_gets_float32_rows_in_order_and_a_zero_row_for_no_text(
    cluster: Cluster,
) -> None:
    del cluster
    handle = serve.get_deployment_handle("embedding", "ai")
    texts = ["a fall in the garden", "", "נפילה בגינה", "a fall in the garden"]
    vectors = handle.embed_texts.remote(texts).result()
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, 384)
    np.testing.assert_array_equal(vectors[0], vectors[3])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 1], atol=1e-5)
    none = handle.embed_texts.remote([]).result()
    assert none.shape == (0, 384)


def test_one_address_counts_what_all_processes_did_and_names_nobody(
    cluster: Cluster, practice: Practice
) -> None:
    before = _counts(cluster)
    practice.put_client(uuid4(), client_name="Yael Regev", notes="Counts sheep in Aramaic.")
    eventually(lambda: practice.cites("What does she count?", "Aramaic"))
    after = _counts(cluster)
    for name in (
        'ai_agent_queries_total{cache="off",language="en",status="ok"}',
        'ai_agent_embedding_duration_seconds_count{model="multilingual-e5-small-q4",provider="local"}',
        'ai_agent_llm_duration_seconds_count{model="extractive",provider="local"}',
        'ai_agent_retrieval_duration_seconds_count{mode="hybrid"}',
    ):
        assert after[name] > before.get(name, 0), name
    assert "ai_embedding_backlog" in after
    text = httpx.get(cluster.metrics_url).text
    for secret in (str(practice.workspace_id), "Aramaic", "Yael", "tests"):
        assert secret not in text


def _counts(cluster: Cluster) -> dict[str, float]:
    lines = httpx.get(cluster.metrics_url).text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


@pytest.mark.parametrize("given", ["visit-7.b", "not valid!", ""])
def test_the_real_ingress_lets_out_one_request_id_that_the_contract_allows(
    cluster: Cluster, given: str
) -> None:
    for path in ("/healthz", "/nowhere", "/api/v1/ai/agent/chat"):
        response = httpx.get(cluster.url + path, headers={"X-Request-ID": given})
        (sent,) = response.headers.get_list("x-request-id")
        assert sent == given if given == "visit-7.b" else sent not in ("", given)
        if "json" in response.headers["content-type"] and path != "/healthz":
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["request_id"] == sent


def test_a_caller_cannot_shorten_serves_time_out(practice: Practice) -> None:
    response = practice.http.post(
        "/agent/chat",
        json={"query": "How is everyone?"},
        headers={"x-request-timeout-seconds": "0.000001"},
    )
    assert response.status_code == 200


def test_a_database_that_goes_away_is_told_of_and_comes_back(
    cluster: Cluster, practice: Practice
) -> None:
    client = uuid4()
    practice.put_client(client, client_name="Omer Paz")
    server = cluster.data_dir / "postgres"
    with (server / "turn.lock").open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # the worker would start the server again at once
        stop_server(server)
        response = practice.ask("How is Omer?")
        assert response.status_code == 503
        assert response.json()["code"] == "unavailable"
        assert "Retry-After" in response.headers
        # A report is shown again for a second.
        eventually(lambda: httpx.get(f"{cluster.url}/readyz").status_code == 503)
    eventually(lambda: practice.ask("How is Omer?").status_code == 200)
    assert practice.http.delete(f"/clients/{client}").status_code == 200


def test_replica_counts_change_while_questions_are_answered_and_none_fails(
    cluster: Cluster, practice: Practice
) -> None:
    practice.put_client(uuid4(), client_name="Tal Oren", notes="Bakes bread on Fridays.")
    eventually(lambda: practice.cites("What does Tal bake?", "bread"))
    stop = threading.Event()
    failures: list[str] = []
    answered = 0

    def keep_asking() -> None:
        nonlocal answered
        with Practice(cluster, practice.workspace_id) as asking:
            while not stop.is_set():
                response = asking.ask("What does Tal bake?")
                if response.status_code != 200 or "bread" not in response.text:
                    failures.append(response.text)
                answered += 1

    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for count in (2, 1):
            _scale(cluster, count)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert answered > 10


def _scale(cluster: Cluster, count: int) -> None:
    """Edit the one file, deploy it, and return when as many replicas run."""
    bounds = {"min_replicas": count, "max_replicas": count, "downscale_delay_s": 0}

    def edit(application: dict[str, Any]) -> None:
        for deployment in application["deployments"]:
            deployment["autoscaling_config"] |= bounds

    cluster.deploy(edit)
    wanted = dict.fromkeys(("orchestrator", "embedding", "chat"), count)
    eventually(lambda: cluster.replicas() == wanted, within_s=120)

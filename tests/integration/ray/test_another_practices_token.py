"""Every route, called by one practice with the ids and the questions of another."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from runtime.storage import embedded
from tests.integration.belongings import Belongings, list_belongings
from tests.integration.ray.conftest import Cluster, Practice, eventually

QUESTION = "What does Orna Lighthouse dream of at night?"
SECRET = "lighthouse"
CLIENT, SESSION = uuid4(), uuid4()
TURNS = [
    {"role": "user", "content": "Who is Orna?"},
    {"role": "assistant", "content": "A client."},
]
CALLS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("delete", "/api/v1/ai/workspace/cache"): [{}],
    ("get", "/api/v1/ai/workspace/settings"): [{}],
    ("patch", "/api/v1/ai/workspace/settings"): [
        {"json": {"cache_enabled": False}},
        {"json": {"cache_ttl_seconds": 60, "cache_max_entries": 1, "cache_similarity": 0.5}},
    ],
    ("post", "/api/v1/ai/agent/chat"): [
        {"json": {"query": QUESTION}},
        {"json": {"query": QUESTION, "stream": True}},
        {"json": {"query": QUESTION, "client_id": str(CLIENT), "max_results": 10}},
        {"json": {"query": "What does she dream of?", "history": TURNS}},
    ],
    ("put", "/api/v1/ai/clients/{client_id}"): [{"json": {"client_name": "Another"}}],
    ("put", "/api/v1/ai/sessions/{session_id}"): [
        {"json": {"client_id": str(CLIENT), "session_date": "2026-03-02", "plan": "Other."}}
    ],
    ("delete", "/api/v1/ai/sessions/{session_id}"): [{}],
    ("delete", "/api/v1/ai/clients/{client_id}"): [{}],
    ("get", "/api/v1/ai/health"): [{}, {"params": {"deep": "true"}}],
    ("get", "/healthz"): [{}],
    ("get", "/readyz"): [{}],
}
"""What the other practice asks for, by method and path; in this order, twice."""


def look(cluster: Cluster, workspace_id: UUID) -> Belongings:
    """Return what the database holds of a practice."""

    async def list_rows() -> Belongings:
        server = embedded.start(cluster.data_dir / "postgres")
        raw = await asyncpg.connect(server.url_for("postgres", embedded.DATABASE_NAME))
        try:
            return await list_belongings(raw, workspace_id)
        finally:
            await raw.close()

    return asyncio.run(list_rows())


@pytest.fixture
def owner(practice: Practice) -> Practice:
    """A practice with one note, embedded, and an answer from it that is kept."""
    practice.put_client(CLIENT, client_name="Orna Lighthouse")
    note = "Orna dreams of the lighthouse keeper at night."
    fields = {"client_id": str(CLIENT), "session_date": "2026-03-02", "subjective": note}
    practice.put_session(SESSION, **fields)
    eventually(lambda: practice.cites(QUESTION, note))
    eventually(lambda: practice.answer(QUESTION, use_cache=True)["metadata"]["cache"] == "exact")
    return practice


def test_no_route_shows_or_changes_anything_of_another_practice(
    cluster: Cluster, owner: Practice
) -> None:
    routes = owner.http.get(f"{cluster.url}/openapi.json").json()["paths"]
    there_are = {(method, path) for path, methods in routes.items() for method in methods}
    assert there_are == CALLS.keys(), "a route has no call here"
    before = look(cluster, owner.workspace_id)
    assert before.keys() >= {"sessions", "session_vectors", "ai_query_cache", "record_terms"}
    with Practice(cluster) as other:
        for (method, path), calls in list(CALLS.items()) * 2:
            address = path.format(client_id=CLIENT, session_id=SESSION)
            for call in calls:
                reply = other.http.request(method, f"{cluster.url}{address}", **call)
                assert reply.status_code in (200, 404), reply.text
                assert SECRET not in reply.text.lower(), f"{method} {path}"
        assert look(cluster, owner.workspace_id) == before
        assert look(cluster, other.workspace_id).keys() >= {"workspaces"}
    assert owner.answer(QUESTION, use_cache=True)["metadata"]["cache"] == "exact"


def test_no_route_of_a_practice_answers_without_its_credential(
    cluster: Cluster, owner: Practice
) -> None:
    before = look(cluster, owner.workspace_id)
    with Practice(cluster) as nobody:
        for credential in (None, "Bearer pzk_none", f"Bearer {uuid4()}"):
            nobody.http.headers.pop("Authorization", None)
            if credential:
                nobody.http.headers["Authorization"] = credential
            for (method, path), calls in CALLS.items():
                if not path.startswith("/api") or path.endswith("/health"):
                    continue
                address = path.format(client_id=CLIENT, session_id=SESSION)
                reply = nobody.http.request(method, f"{cluster.url}{address}", **calls[0])
                assert reply.status_code == 401, f"{method} {path}"
    assert look(cluster, owner.workspace_id) == before

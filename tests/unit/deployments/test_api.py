import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest

from runtime.errors import (
    DatabaseUnavailable,
    InvalidRecord,
    SigningKeysUnavailable,
)
from runtime.health import ComponentHealth, HealthReport
from runtime.messages import (
    SCOPES,
    Answer,
    AnswerSpan,
    Citation,
    Client,
    ContextUse,
    Question,
    RecordKey,
    Scope,
    Session,
    TokenUsage,
    Turn,
)
from runtime.settings import Settings
from tests.unit.deployments.http_world import CHAT, CLIENT, SESSION, WORKSPACE, World, open_world

CLIENT_PATH = f"/api/v1/ai/clients/{CLIENT}"
SESSION_PATH = f"/api/v1/ai/sessions/{SESSION}"
GUARDED: list[tuple[str, str, Scope]] = [
    ("POST", CHAT, "chat"),
    ("PUT", CLIENT_PATH, "records:write"),
    ("DELETE", CLIENT_PATH, "records:write"),
    ("PUT", SESSION_PATH, "records:write"),
    ("DELETE", SESSION_PATH, "records:write"),
]
ANSWER = Answer(
    text="She wakes at 3 a.m. [1]. Asthma since childhood [2].",
    citations=(
        Citation(
            record=RecordKey("session", SESSION),
            client_id=CLIENT,
            client_name="Dana Example",
            session_date=datetime(2025, 10, 14, 9, tzinfo=UTC),
            field_name="subjective",
            similarity=0.834567,
            marker=1,
            quote="Wakes at 3 a.m.",
            spans=(AnswerSpan(0, 24, "Wakes at 3 a.m."),),
            verified=True,
        ),
        Citation(
            record=RecordKey("client", CLIENT),
            client_id=CLIENT,
            client_name="Dana Example",
            session_date=None,
            field_name="medical_history",
            similarity=0.61,
            marker=2,
            quote="Asthma since childhood.",
            spans=(),
            verified=True,
        ),
    ),
    language="en",
    retrieved_count=5,
    provider="cohere",
    model="command-a-03-2025",
    usage=TokenUsage(9, 1480, 41),
    timings_ms={"guard": 0.4321, "chat": 780.25},
    context=ContextUse(included=4, dropped=1, tokens=1730, limit=120_000),
)


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    body: dict[str, object] = response.json()
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == f"/problems/{code}"
    assert body["title"]
    assert str(body["detail"]).endswith(".")
    assert body["request_id"] == response.headers["X-Request-ID"]
    return body


def fields_of(problem: dict[str, object]) -> list[str]:
    listed = problem["errors"]
    assert isinstance(listed, list)
    return [error["field"] for error in listed]


class TestQuestion:
    async def test_is_answered_in_the_form_that_the_front_end_reads(self, world: World) -> None:
        world.answers.answer = ANSWER
        response = await world.ask({"query": "How does she sleep?"})
        body = response.json()
        assert response.status_code == 200
        assert body["answer"] == ANSWER.text
        assert body["language"] == "en"
        assert body["retrieved_count"] == 5
        assert body["processing_time_ms"] == 0
        assert body["citations"] == [
            {
                "type": "session",
                "session_id": str(SESSION),
                "client_id": str(CLIENT),
                "client_name": "Dana Example",
                "session_date": "2025-10-14T09:00:00Z",
                "similarity": 0.8346,
                "field_name": "subjective",
                "marker": 1,
                "quote": "Wakes at 3 a.m.",
                "spans": [{"answer_start": 0, "answer_end": 24, "quote": "Wakes at 3 a.m."}],
                "verified": True,
            },
            {
                "type": "client",
                "client_id": str(CLIENT),
                "client_name": "Dana Example",
                "similarity": 0.61,
                "field_name": "medical_history",
                "marker": 2,
                "quote": "Asthma since childhood.",
                "spans": [],
                "verified": True,
            },
        ]
        assert body["metadata"] == {
            "request_id": response.headers["X-Request-ID"],
            "provider": "cohere",
            "model": "command-a-03-2025",
            "cache": "off",
            "cache_similarity": None,
            "degraded": [],
            "split_arm": None,
            "warnings": [],
            "context": {"included": 4, "dropped": 1, "tokens": 1730, "limit": 120_000},
            "usage": {"embedding_tokens": 9, "input_tokens": 1480, "output_tokens": 41},
            "timings_ms": {"guard": 0.4, "chat": 780.2},
        }

    async def test_goes_to_the_workspace_of_the_credential_with_all_it_says(
        self, world: World
    ) -> None:
        other = uuid4()
        await world.http.post(
            CHAT,
            headers=world.authorize("chat", workspace=other),
            json={
                "query": "מה שלומה?",
                "client_id": str(CLIENT),
                "max_results": 10,
                "min_similarity": 1,
                "history": [{"role": "assistant", "content": "hello"}],
                "use_cache": False,
            },
        )
        question = Question(
            text="מה שלומה?",
            client_id=CLIENT,
            max_results=10,
            min_similarity=1.0,
            history=(Turn("assistant", "hello"),),
            use_cache=False,
        )
        assert world.answers.asked == [(other, question, 90.0)]

    async def test_has_the_defaults_of_the_contract(self, world: World) -> None:
        await world.ask({"query": "q", "client_id": None})
        assert world.answers.asked == [
            (WORKSPACE, Question("q", None, 5, 0.3, (), use_cache=True), 90.0)
        ]

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"query": "q" * 2001}, "query"),
            ({"query": None}, "query"),
            ({"query": 7}, "query"),
            ({"client_id": "Dana"}, "client_id"),
            ({"max_results": 0}, "max_results"),
            ({"max_results": 11}, "max_results"),
            ({"max_results": "5"}, "max_results"),
            ({"max_results": 5.5}, "max_results"),
            ({"max_results": True}, "max_results"),
            ({"min_similarity": -0.1}, "min_similarity"),
            ({"min_similarity": 1.1}, "min_similarity"),
            ({"min_similarity": "0.3"}, "min_similarity"),
            ({"min_similarity": True}, "min_similarity"),
            ({"history": [{"role": "user", "content": "c"}] * 21}, "history"),
            ({"history": [{"role": "system", "content": "c"}]}, "history.0.role"),
            ({"history": [{"role": "user", "content": "c" * 4001}]}, "history.0.content"),
            ({"history": [{"role": "user", "content": "c", "name": "n"}]}, "history.0.name"),
            ({"history": "hello"}, "history"),
            ({"stream": "false"}, "stream"),
            ({"use_cache": 1}, "use_cache"),
            ({"workspace_id": str(WORKSPACE)}, "workspace_id"),
        ],
    )
    async def test_out_of_bounds_is_refused_by_the_field(
        self, world: World, changes: dict[str, object], field: str
    ) -> None:
        response = await world.ask({"query": "q"} | changes)
        assert fields_of(assert_problem(response, 422, "invalid_request")) == [field]
        assert world.answers.asked == []

    async def test_of_two_thousand_code_points_beyond_the_basic_plane_is_taken(
        self, world: World
    ) -> None:
        assert (await world.ask({"query": "🌱" * 2000})).status_code == 200


class TestRecord:
    async def test_of_a_client_is_stored_whole(self, world: World) -> None:
        body = {"client_name": "Dana Example", "medical_history": "Asthma.", "notes": None}
        response = await world.http.put(CLIENT_PATH, json=body, headers=world.authorize())
        assert response.json() == {"status": "stored", "embedding": "queued"}
        assert world.records.clients == {
            (WORKSPACE, CLIENT): Client(CLIENT, "Dana Example", "Asthma.", "")
        }

    @pytest.mark.parametrize(
        ("written", "moment"),
        [
            ("2025-10-14", datetime(2025, 10, 14, tzinfo=UTC)),
            ("2025-10-14T09:30:00", datetime(2025, 10, 14, 9, 30, tzinfo=UTC)),
            ("2025-10-14T09:30:00Z", datetime(2025, 10, 14, 9, 30, tzinfo=UTC)),
            ("2025-10-14T09:30:00+03:00", datetime(2025, 10, 14, 6, 30, tzinfo=UTC)),
        ],
    )
    async def test_of_a_session_is_stored_with_its_moment_in_utc(
        self, world: World, written: str, moment: datetime
    ) -> None:
        await world.records.put_client(WORKSPACE, Client(CLIENT, "Dana Example"))
        body = {"client_id": str(CLIENT), "session_date": written, "plan": "Rest."}
        response = await world.http.put(SESSION_PATH, json=body, headers=world.authorize())
        assert response.json() == {"status": "stored", "embedding": "queued"}
        stored = world.records.sessions[WORKSPACE, SESSION]
        assert stored == Session(SESSION, CLIENT, moment, plan="Rest.")
        assert stored.session_date.tzinfo is UTC  # moments of any offset compare equal

    @pytest.mark.parametrize(
        ("path", "body", "field"),
        [
            (CLIENT_PATH, {"client_name": " "}, "client_name"),
            (CLIENT_PATH, {"client_name": None}, "client_name"),
            (CLIENT_PATH, {"client_name": "n" * 501}, "client_name"),
            (CLIENT_PATH, {"client_name": "n\x00"}, "client_name"),
            (CLIENT_PATH, {"client_name": "n", "notes": "a\x00b"}, "notes"),
            (CLIENT_PATH, {"client_name": "n", "notes": ["a"]}, "notes"),
            (CLIENT_PATH, {"client_name": "n", "workspace": "demo"}, "workspace"),
            (CLIENT_PATH, {"client_name": "n", "client_id": str(CLIENT)}, "client_id"),
            (CLIENT_PATH, [], "body"),
            (CLIENT_PATH, "n", "body"),
            (SESSION_PATH, {"session_date": "2025-01-01"}, "client_id"),
            (SESSION_PATH, {"client_id": str(CLIENT)}, "session_date"),
            *(
                (SESSION_PATH, {"client_id": str(CLIENT), "session_date": date}, "session_date")
                for date in ("14.10.2025", "", "2025-02-30", "1899-12-31", "9999-12-31", 20251014)
            ),
            ("/api/v1/ai/clients/dana", {"client_name": "n"}, "client_id"),
        ],
    )
    async def test_that_cannot_be_stored_is_refused_by_the_field(
        self, world: World, path: str, body: object, field: str
    ) -> None:
        response = await world.http.put(path, json=body, headers=world.authorize())
        assert field in fields_of(assert_problem(response, 422, "invalid_request"))
        assert (world.records.clients, world.records.sessions) == ({}, {})

    async def test_that_the_store_refuses_names_the_field_too(self, world: World) -> None:
        world.records.failure = InvalidRecord("notes", "is too long; shorten it.")
        body = {"client_name": "n"}
        response = await world.http.put(CLIENT_PATH, json=body, headers=world.authorize())
        assert fields_of(assert_problem(response, 422, "invalid_request")) == ["notes"]

    async def test_of_a_session_needs_its_client(self, world: World) -> None:
        body = {"client_id": str(CLIENT), "session_date": "2025-10-14"}
        response = await world.http.put(SESSION_PATH, json=body, headers=world.authorize())
        assert_problem(response, 404, "not_found")

    async def test_is_deleted_once(self, world: World) -> None:
        await world.records.put_client(WORKSPACE, Client(CLIENT, "Dana Example"))
        response = await world.http.delete(CLIENT_PATH, headers=world.authorize())
        assert (response.status_code, response.json()) == (200, {"status": "deleted"})
        again = await world.http.delete(CLIENT_PATH, headers=world.authorize())
        assert_problem(again, 404, "not_found")
        assert_problem(
            await world.http.delete(SESSION_PATH, headers=world.authorize()), 404, "not_found"
        )

    async def test_of_another_workspace_is_not_found(self, world: World) -> None:
        await world.records.put_client(WORKSPACE, Client(CLIENT, "Dana Example"))
        stranger = world.authorize(workspace=UUID(int=1))
        assert_problem(await world.http.delete(CLIENT_PATH, headers=stranger), 404, "not_found")
        assert world.records.clients


class TestCredential:
    @pytest.mark.parametrize(("method", "path", "scope"), GUARDED)
    async def test_is_needed_on_every_route_that_touches_records(
        self, world: World, method: str, path: str, scope: Scope
    ) -> None:
        response = await world.http.request(method, path, content=b"not even JSON")
        assert_problem(response, 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        others: list[Scope] = [other for other in SCOPES if other != scope]
        response = await world.http.request(method, path, headers=world.authorize(*others))
        assert scope in str(assert_problem(response, 403, "forbidden")["detail"])

    async def test_is_checked_before_a_byte_of_the_body_is_read(self, world: World) -> None:
        async def never() -> dict[str, object]:
            pytest.fail("the body was asked for")

        sent: list[dict[str, object]] = []

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": CHAT,
            "headers": [(b"content-length", b"99999999")],
            "query_string": b"",
        }
        await world.app(scope, never, send)  # type: ignore[arg-type]
        assert sent[0]["status"] == 401

    async def test_sent_twice_is_none(self, world: World) -> None:
        headers = [*world.authorize().items(), *world.authorize().items()]
        response = await world.http.post(CHAT, json={"query": "q"}, headers=headers)
        assert_problem(response, 401, "unauthenticated")

    async def test_that_cannot_be_checked_now_is_nobodys_fault(self, world: World) -> None:
        key = f"pzk_{WORKSPACE.hex}_{'k' * 43}"
        for failure in (DatabaseUnavailable("gone"), SigningKeysUnavailable("gone")):
            world.keys.failure = failure
            response = await world.ask({"query": "q"}, Authorization=f"Bearer {key}")
            assert_problem(response, 503, "unavailable")
            assert int(response.headers["Retry-After"]) > 0


class TestHealth:
    async def test_shows_anyone_the_whole_and_operators_the_parts(self, world: World) -> None:
        world.parts.report_given = HealthReport(
            (ComponentHealth("database", "ok", "reachable"), ComponentHealth("chat", "down", "x"))
        )
        path = "/api/v1/ai/health"
        assert (await world.http.get(path)).json() == {"status": "down"}
        seen = await world.http.get(path, headers=world.authorize("chat"))
        assert seen.json() == {"status": "down"}
        seen = await world.http.get(path, headers=world.authorize("ops"))
        assert seen.json() == {
            "status": "down",
            "components": [
                {"name": "database", "state": "ok", "detail": "reachable"},
                {"name": "chat", "state": "down", "detail": "x"},
            ],
        }
        assert world.parts.deep == [False, False, False]

    async def test_looks_deep_for_operators_alone(self, world: World) -> None:
        path = "/api/v1/ai/health?deep=true"
        assert_problem(await world.http.get(path), 401, "unauthenticated")
        refused = await world.http.get(path, headers=world.authorize("chat"))
        assert_problem(refused, 403, "forbidden")
        assert world.parts.deep == []
        await world.http.get(path, headers=world.authorize("ops"))
        assert world.parts.deep == [True]

    async def test_of_a_bad_credential_is_not_told(self, world: World) -> None:
        response = await world.http.get("/api/v1/ai/health", headers={"Authorization": "Bearer x"})
        assert_problem(response, 401, "unauthenticated")

    async def test_readiness_follows_the_parts_and_liveness_does_not(self, world: World) -> None:
        assert (await world.http.get("/readyz")).status_code == 200
        world.parts.report_given = HealthReport((ComponentHealth("chat", "degraded", "x"),))
        assert (await world.http.get("/readyz")).status_code == 200
        world.parts.report_given = HealthReport((ComponentHealth("database", "down", "x"),))
        assert_problem(await world.http.get("/readyz"), 503, "unavailable")
        assert (await world.http.get("/healthz")).json() == {"status": "ok"}


class TestAddress:
    @pytest.mark.parametrize("path", ["/", "/api/v1/ai", f"{CHAT}/", "/healthz/", "/redoc"])
    async def test_that_is_unknown_is_a_problem(self, world: World, path: str) -> None:
        assert_problem(await world.http.get(path), 404, "not_found")

    @pytest.mark.parametrize(
        ("path", "allowed"), [(CLIENT_PATH, "DELETE, PUT"), (CHAT, "POST"), ("/healthz", "GET")]
    )
    async def test_says_which_methods_it_takes(self, world: World, path: str, allowed: str) -> None:
        response = await world.http.patch(path)
        assert_problem(response, 405, "method_not_allowed")
        assert response.headers["Allow"] == allowed

    async def test_of_the_human_pages_is_there(self, world: World) -> None:
        assert "openapi.json" in (await world.http.get("/docs")).text


async def test_the_services_live_as_long_as_the_application() -> None:
    async with open_world(Settings(concurrent_questions=1)) as world:
        assert json.loads((await world.http.get("/openapi.json")).content)["paths"]
        assert world.app.state.services.records is world.records

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from deployments.api import build_api
from runtime.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    Forbidden,
    InvalidQuery,
    Overloaded,
    ProviderUnavailable,
    RecordNotFound,
)
from tests.unit.deployments.http_world import CHAT, CLIENT, NOTHING_FOUND, World
from tests.unit.deployments.test_api import ANSWER


@pytest.fixture
async def document(world: World) -> dict[str, Any]:
    made: dict[str, Any] = (await world.http.get("/openapi.json")).json()
    return made


def schema_of(document: dict[str, Any], path: str, method: str, status: int) -> dict[str, Any]:
    response = document["paths"][path][method]["responses"][str(status)]
    content = next(kind for name, kind in response["content"].items() if name.endswith("json"))
    schema: dict[str, Any] = content["schema"]
    return schema


def validate(document: dict[str, Any], schema: dict[str, Any], instance: object) -> None:
    # The references of the schema begin at the document's root.
    Draft202012Validator(schema | {"components": document["components"]}).validate(instance)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


async def test_every_schema_is_a_valid_one(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_answers_are_what_their_schema_says(world: World, document: dict[str, Any]) -> None:
    for answer in (ANSWER, NOTHING_FOUND):
        world.answers.answer = answer
        body = (await world.ask({"query": "q"})).json()
        validate(document, schema_of(document, CHAT, "post", 200), body)


async def test_citations_are_told_apart_by_their_type(document: dict[str, Any]) -> None:
    items = document["components"]["schemas"]["AnswerBody"]["properties"]["citations"]["items"]
    assert items["discriminator"]["propertyName"] == "type"
    assert set(items["discriminator"]["mapping"]) == {"session", "client"}
    client = document["components"]["schemas"]["ClientCitationBody"]["properties"]
    assert not {"session_id", "session_date"} & set(client)


@pytest.mark.parametrize(
    "failure",
    [
        InvalidQuery(),
        Forbidden("x"),
        Overloaded(1.0),
        ProviderUnavailable("p", "m", "chat", "r", None),
        DatabaseUnavailable("r"),
        DeadlineExceeded("chat"),
        RecordNotFound("client"),
        ValueError("x"),
    ],
)
async def test_every_problem_that_a_route_gives_stands_in_the_document(
    world: World, document: dict[str, Any], failure: Exception
) -> None:
    world.answers.failure = world.records.failure = failure
    body = {"client_id": str(CLIENT), "session_date": "2025-10-14"}
    path = "/api/v1/ai/sessions/{session_id}"
    responses = [
        (CHAT, "post", await world.ask({"query": "q"})),
        (
            path,
            "put",
            await world.http.put(
                path.format(session_id=CLIENT), json=body, headers=world.authorize()
            ),
        ),
    ]
    for documented_path, method, response in responses:
        if response.status_code == 404 and method == "post":
            continue  # a question never looks for one record
        if response.status_code == 400 and method == "put":
            continue  # nothing is asked
        schema = schema_of(document, documented_path, method, response.status_code)
        validate(document, schema, response.json())


async def test_refusals_before_the_route_stand_in_the_document(
    world: World, document: dict[str, Any]
) -> None:
    headers = world.authorize()
    for response in (
        await world.http.post(CHAT),
        await world.http.post(CHAT, headers=world.authorize("ops")),
        await world.http.post(CHAT, content=b"{}", headers=headers),
        await world.http.post(CHAT, json={}, headers=headers),
        await world.http.post(CHAT, json="x" * (1 << 20), headers=headers),
    ):
        schema = schema_of(document, CHAT, "post", response.status_code)
        validate(document, schema, response.json())


async def test_every_error_is_a_problem_and_every_response_has_its_request_id(
    document: dict[str, Any],
) -> None:
    for _, operation in operations(document):
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"]
            wanted = "application/problem+json" if int(status) >= 400 else "application/json"
            assert set(response["content"]) - {"text/event-stream"} == {wanted}
            if status == "503":
                assert "Retry-After" in response["headers"]


async def test_an_answer_may_come_as_json_or_as_events(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        kinds = {"application/json"} | ({"text/event-stream"} if path == CHAT else set())
        assert set(operation["responses"]["200"]["content"]) == kinds


async def test_routes_that_need_a_credential_say_so(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        guarded = path.startswith("/api/") and not path.endswith("/health")
        assert operation.get("security") == ([{"bearer": []}] if guarded else None)


def test_the_document_is_made_once_and_needs_no_services() -> None:
    def open_nothing() -> Any:
        raise AssertionError

    app = build_api(open_nothing)
    assert app.openapi() is app.openapi()

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments import guarded
from deployments.guarded import MAX_BODY_BYTES
from tests.unit.deployments.http_world import CHAT, CLIENT, World

CLIENT_PATH = f"/api/v1/ai/clients/{CLIENT}"


async def send(world: World, content: bytes, **headers: str) -> httpx.Response:
    sent = world.authorize() | {"Content-Type": "application/json"} | headers
    return await world.http.post(CHAT, content=content, headers=sent)


class TestContentType:
    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "Application/JSON", 'application/json; charset="UTF-8"'],
    )
    async def test_of_json_in_utf8_is_taken(self, world: World, content_type: str) -> None:
        response = await send(world, b'{"query": "q"}', **{"Content-Type": content_type})
        assert response.status_code == 200

    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/problem+json",
            "application/json; charset=utf-16",
            "\xff;charset*=x''%",
        ],
    )
    async def test_of_anything_else_is_refused(self, world: World, content_type: str) -> None:
        sent = {name.encode(): value.encode() for name, value in world.authorize().items()}
        sent[b"Content-Type"] = content_type.encode("latin-1")
        response = await world.http.post(CHAT, content=b'{"query": "q"}', headers=sent)
        assert response.status_code == 415
        assert response.json()["code"] == "unsupported_media_type"


class TestSize:
    async def test_of_a_whole_mebibyte_is_taken_and_a_byte_more_is_not(self, world: World) -> None:
        frame = b'{"client_name": "n", "notes": "%s"}'
        full = frame % (b"n" * (MAX_BODY_BYTES - len(frame) + 2))
        assert len(full) == MAX_BODY_BYTES
        headers = world.authorize() | {"Content-Type": "application/json"}
        response = await world.http.put(CLIENT_PATH, content=full, headers=headers)
        assert response.status_code == 200
        response = await world.http.put(CLIENT_PATH, content=full + b" ", headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "too_large")

    @pytest.mark.parametrize("told", ["1048577", "9" * 5000])
    async def test_that_is_told_too_large_is_refused_unread(self, world: World, told: str) -> None:
        read = False

        async def unread() -> AsyncIterator[bytes]:
            nonlocal read
            read = True
            yield b"{}"

        headers = world.authorize() | {"Content-Type": "application/json", "Content-Length": told}
        response = await world.http.post(CHAT, content=unread(), headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "too_large")
        assert not read

    async def test_that_is_not_told_is_counted_as_it_comes(self, world: World) -> None:
        chunks = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal chunks
            while True:
                chunks += 1
                yield b" " * 65536

        headers = world.authorize() | {"Content-Type": "application/json"}
        response = await world.http.post(CHAT, content=endless(), headers=headers)
        assert response.status_code == 413
        assert chunks == MAX_BODY_BYTES // 65536 + 1


class TestJson:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b'{"query": "q",}',
            b"query=q",
            b'{"query": "q", "min_similarity": NaN}',
            b'{"query": "q", "min_similarity": Infinity}',
            b'{"query": "\\ud800"}',
            b'{"query": "\xff"}',
            '{"query": "q"}'.encode("utf-16"),
            b"[" * 100_000,
            b'{"query": "q", "max_results": ' + b"1" * 5000 + b"}",
        ],
    )
    async def test_that_does_not_hold_is_refused_without_repeating_it(
        self, world: World, content: bytes
    ) -> None:
        response = await send(world, content)
        problem = response.json()
        assert (response.status_code, problem["code"]) == (422, "invalid_request")
        assert problem["errors"] == [{"field": "body", "reason": "is not valid JSON"}]

    async def test_number_beyond_any_float_is_out_of_bounds(self, world: World) -> None:
        response = await send(world, b'{"query": "q", "min_similarity": 1e999}')
        assert response.json()["errors"][0]["field"] == "min_similarity"

    async def test_body_that_never_ends_runs_out_of_time(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guarded, "BODY_READ_TIMEOUT_S", 0.01)
        never = asyncio.Event()

        async def stalled() -> AsyncIterator[bytes]:
            yield b"{"
            await never.wait()

        headers = world.authorize() | {"Content-Type": "application/json"}
        response = await world.http.post(CHAT, content=stalled(), headers=headers)
        assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")

    async def test_body_whose_sender_leaves_is_answered_to_nobody(self, world: World) -> None:
        async def leave() -> MutableMapping[str, Any]:
            return {"type": "http.disconnect"}

        sent: list[MutableMapping[str, Any]] = []

        async def collect(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": CHAT,
            "query_string": b"",
            "headers": [
                (b"authorization", world.authorize()["Authorization"].encode()),
                (b"content-type", b"application/json"),
            ],
        }
        await world.app(scope, leave, collect)
        assert sent == []


text = st.text(st.characters(exclude_categories=()))  # half surrogate pairs too
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=10,
)
questions = st.dictionaries(
    st.sampled_from(
        ["query", "client_id", "max_results", "min_similarity", "history", "stream", "role"]
    ),
    json_values,
)
records = st.dictionaries(
    st.sampled_from(["client_name", "notes", "client_id", "session_date", "plan"]), json_values
)


class TestAnything:
    @settings(
        deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200
    )
    @given(body=json_values | questions | records, client_path=st.booleans())
    async def test_as_a_body_is_answered_or_refused(
        self, world: World, body: object, *, client_path: bool
    ) -> None:
        path = CLIENT_PATH if client_path else CLIENT_PATH.replace("clients", "sessions")
        content = json.dumps(body).encode()
        headers = world.authorize() | {"Content-Type": "application/json"}
        for response in (
            await world.http.post(CHAT, content=content, headers=headers),
            await world.http.put(path, content=content, headers=headers),
        ):
            assert response.status_code in {200, 404, 422}
            assert len(response.headers.get_list("X-Request-ID")) == 1

    @settings(
        deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100
    )
    @given(content=st.binary())
    async def test_as_bytes_is_answered_or_refused(self, world: World, content: bytes) -> None:
        assert (await send(world, content)).status_code in {200, 422}

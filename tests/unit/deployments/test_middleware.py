import asyncio
import re
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.middleware import RequestContext
from runtime import telemetry
from tests.unit.deployments.http_world import CHAT, World

VALID = re.compile(r"[A-Za-z0-9._-]{1,128}")


async def get(app: ASGIApp, headers: list[tuple[bytes, bytes]]) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        return await http.get("/healthz", headers=headers)


class TestRequestId:
    @pytest.mark.parametrize("sent", ["a", "Trace-1.2_3", "x" * 128])
    async def test_of_the_caller_is_kept(self, world: World, sent: str) -> None:
        response = await world.http.get("/healthz", headers={"X-Request-ID": sent})
        assert response.headers.get_list("X-Request-ID") == [sent]

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        sent=st.binary(max_size=200).filter(
            lambda b: not b or not VALID.fullmatch(b.decode("latin-1"))
        )
    )
    async def test_that_is_unacceptable_is_replaced(self, world: World, sent: bytes) -> None:
        response = await get(world.app, [(b"X-Request-ID", sent)])
        [own] = response.headers.get_list("X-Request-ID")
        assert VALID.fullmatch(own)
        assert own.encode() != sent

    async def test_sent_twice_is_replaced(self, world: World) -> None:
        response = await get(world.app, [(b"X-Request-ID", b"one"), (b"X-Request-ID", b"two")])
        assert response.headers.get_list("X-Request-ID") not in ([], ["one"], ["two"])

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/nowhere"), ("PATCH", CHAT), ("POST", CHAT), ("GET", "/openapi.json")],
    )
    async def test_is_on_every_response_once_with_safe_headers(
        self, world: World, method: str, path: str
    ) -> None:
        response = await world.http.request(method, path, headers={"X-Request-ID": "mine"})
        assert response.headers.get_list("X-Request-ID") == ["mine"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"

    async def test_is_known_to_what_the_request_does_and_to_nothing_after(self) -> None:
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive
            seen.append(telemetry.request_id.get())
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        await get(RequestContext(app), [(b"X-Request-ID", b"mine")])
        assert seen == ["mine"]
        assert telemetry.request_id.get() == "-"

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        name=st.sampled_from(["Authorization", "Content-Type", "Accept", "X-Request-ID"]),
        value=st.binary(),
    )
    async def test_is_there_whatever_a_header_holds(
        self, world: World, name: str, value: bytes
    ) -> None:
        headers = {k.encode(): v.encode() for k, v in world.authorize().items()}
        headers |= {b"Content-Type": b"application/json", name.encode(): value}
        response = await world.http.post(
            CHAT,
            content=b'{"query": "q"}',
            headers=list(headers.items()),
        )
        assert response.status_code in {200, 401, 415, 422}
        [own] = response.headers.get_list("X-Request-ID")
        assert VALID.fullmatch(own)


class TestUnexpectedError:
    async def test_becomes_a_problem_that_says_nothing_of_it(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.answers.failure = ValueError("Dana Example sleeps badly")
        response = await world.ask({"query": "q"})
        problem = response.json()
        assert (response.status_code, problem["code"]) == (500, "internal")
        assert problem["request_id"] == response.headers["X-Request-ID"]
        assert "Dana" not in response.text
        assert [record.getMessage() for record in caplog.records] == ["request_failed"]

    async def test_after_the_start_of_a_response_breaks_it_off_without_its_text(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise ValueError("Dana Example sleeps badly")

        with pytest.raises(RuntimeError, match="broke off") as caught:
            await get(RequestContext(app), [])
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    async def test_that_is_a_cancellation_goes_on(self, world: World) -> None:
        world.answers.hold = asyncio.Event()
        asking = asyncio.create_task(world.ask({"query": "q"}))
        await world.answers.started.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert world.answers.cancelled == 1


async def test_what_is_not_http_passes_through() -> None:
    passed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        passed.append(scope["type"])

    async def nothing() -> MutableMapping[str, Any]:
        return {}

    async def nowhere(message: MutableMapping[str, Any]) -> None:
        del message

    await RequestContext(app)({"type": "lifespan"}, nothing, nowhere)
    assert passed == ["lifespan"]

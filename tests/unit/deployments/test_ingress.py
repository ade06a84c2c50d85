from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from deployments.ingress import ENVIRONMENT, IngressHygiene

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

ROOT = Path(__file__).parents[3]


class EchoingFront:
    """What Serve does: echoes the request's id beside the application's, and reads its headers."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.seen = list(scope["headers"])
        echoed = [(b"X-Request-ID", v) for k, v in scope["headers"] if k == b"x-request-id"]
        start: Message = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"x-request-id", b"the-application's"), *echoed],
        }
        await send(start)
        await send({"type": "http.response.body", "body": b""})


async def ask(headers: list[tuple[str, str]]) -> tuple[httpx.Response, EchoingFront]:
    front = EchoingFront()
    transport = httpx.ASGITransport(IngressHygiene(front))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/", headers=headers), front


async def test_a_valid_request_id_goes_in_and_out_once() -> None:
    response, front = await ask([("X-Request-ID", "visit-1.a_B")])
    assert response.headers.get_list("x-request-id") == ["visit-1.a_B"]
    assert (b"x-request-id", b"visit-1.a_B") in front.seen


@pytest.mark.parametrize("bad", ["", "two words", "x" * 129, "<script>", "א".encode().hex() + "/"])
async def test_a_request_id_that_the_contract_refuses_is_replaced(bad: str) -> None:
    response, front = await ask([("X-Request-ID", bad)])
    (sent,) = response.headers.get_list("x-request-id")
    assert re.fullmatch(r"[0-9a-f]{32}", sent)
    assert [value for name, value in front.seen if name == b"x-request-id"] == [sent.encode()]


async def test_two_request_ids_are_replaced_by_one() -> None:
    response, _ = await ask([("X-Request-ID", "a"), ("X-Request-ID", "b")])
    (sent,) = response.headers.get_list("x-request-id")
    assert sent not in ("a", "b")


async def test_a_caller_cannot_steer_serve() -> None:
    _, front = await ask(
        [("X-Request-Timeout-Seconds", "1"), ("X-Request-Disconnect-Disabled", "1")]
    )
    names = {name for name, _ in front.seen}
    assert not names & {b"x-request-timeout-seconds", b"x-request-disconnect-disabled"}


def test_the_file_for_ray_start_holds_the_same_environment() -> None:
    lines = (ROOT / "ops" / "ray.env").read_text("utf-8").splitlines()
    pairs = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert pairs == ENVIRONMENT

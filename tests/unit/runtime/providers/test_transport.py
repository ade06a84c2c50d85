"""What vendors share of HTTP."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from runtime.providers.transport import (
    asked_wait_s,
    open_http,
    over_httpx,
    parse_retry_after,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        (" 0 ", 0.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Sun, 06 Nov 1994 99999999999999999999:49:37 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    value: str | None, seconds: float | None
) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "3", "retry-after-ms": "2500"}, 2.5),
        ({"retry-after": "3", "retry-after-ms": "soon"}, 3.0),
        ({"retry-after-ms": "0"}, 0.0),
    ],
)
def test_a_wait_in_milliseconds_is_read_first(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert asked_wait_s(headers, NOW) == seconds


async def test_a_client_over_httpx_sends_what_it_is_given_and_undoes_the_encoding() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.method, str(request.url)) == ("POST", "https://vendor.test/v1?a=b")
        assert request.headers["x-said"] == "yes"
        assert request.content == b'{"a": 1}'
        assert request.extensions["timeout"]["read"] == 42
        headers = {"content-encoding": "gzip", "x-many": "1"}
        return httpx.Response(418, headers=headers, stream=Zipped())

    class Zipped(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield gzip.compress(b"well")

    transport = httpx.MockTransport(answer)
    async with (
        httpx.AsyncClient(transport=transport, timeout=42) as http,
        over_httpx(http) as http2,
    ):
        response = await http2.post(
            "https://vendor.test/v1?a=b",
            content=b'{"a": 1}',
            headers={"x-said": "yes"},
            timeout=1,
        )
        assert (response.status_code, response.headers["x-many"]) == (418, "1")
        assert response.text == "well"
    assert http.is_closed


async def test_a_client_waits_briefly_for_all_but_the_answer() -> None:
    async with open_http(60) as http:
        assert http.timeout == httpx.Timeout(connect=5, read=60, write=5, pool=5)
        assert not http.follow_redirects

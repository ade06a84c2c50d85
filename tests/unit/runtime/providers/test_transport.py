"""What vendors share of HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from runtime.providers.transport import open_http, parse_retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    value: str | None, seconds: float | None
) -> None:
    assert parse_retry_after(value, NOW) == seconds


async def test_a_client_waits_briefly_for_all_but_the_answer() -> None:
    async with open_http(60) as http:
        assert http.timeout == httpx.Timeout(connect=5, read=60, write=5, pool=5)
        assert not http.follow_redirects

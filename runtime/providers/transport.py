"""What every vendor's file shares of HTTP: the client, its time-outs, and `Retry-After`.

The assembly opens one client per vendor and operation, for the life of the process. Errors
are not translated here: each vendor's file does that for the client it imports.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import httpx2
from httpx_aiohttp import HttpxAiohttpClient


def open_http(read_timeout_s: float) -> httpx.AsyncClient:
    """Return a client over aiohttp: httpx's own pool is slow under concurrency.

    `read_timeout_s` bounds the wait for each piece; the whole call is bounded by its caller.
    """
    timeout = httpx.Timeout(connect=5, read=read_timeout_s, write=5, pool=5)
    return HttpxAiohttpClient(timeout=timeout)


# --- For clients that speak through httpx2 ----------------------------------------------------


def over_httpx(http: httpx.AsyncClient) -> httpx2.AsyncClient:
    """Return the same client for the SDKs that take only httpx2, with its time-outs and pool.

    What `http` raises passes through as it is; closing the result closes nothing.
    """
    return httpx2.AsyncClient(transport=_OverHttpx(http), trust_env=False)


class _OverHttpx(httpx2.AsyncBaseTransport):
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = self._http.build_request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            content=await request.aread(),
        )
        response = await self._http.send(sent, stream=True)
        return httpx2.Response(
            response.status_code, headers=response.headers.raw, stream=_Body(response)
        )


class _Body(httpx2.AsyncByteStream):
    """The bytes as they came: their Content-Encoding is for the outer client to undo."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        async for chunk in self._response.stream:
            yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


# --- Retry-After ------------------------------------------------------------------------------


def asked_wait_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a response's headers ask to wait, or None where they ask nothing.

    `headers` must find names in lower case. Source: the official OpenAI and Anthropic clients, for
    `retry-after-ms`, the finer of the two.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    return parse_retry_after(headers.get("retry-after"), now)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, or None where it asks for nothing.

    Source: RFC 9110, section 10.2.3: seconds, or an HTTP date. Some vendors send fractions.
    """
    seconds = _seconds(value)
    if seconds is not None or value is None:
        return seconds
    try:
        until = parsedate_to_datetime(value)
        aware = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, (aware - now).total_seconds())
    except (ValueError, OverflowError):
        return None


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None

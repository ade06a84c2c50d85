"""What every vendor's file shares of HTTP: the client, its time-outs, and `Retry-After`.

The assembly opens one client per vendor and operation, for the life of the process. Errors
are not translated here: each vendor's file does that for the client it imports.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from httpx_aiohttp import HttpxAiohttpClient


def open_http(read_timeout_s: float) -> httpx.AsyncClient:
    """Return a client over aiohttp: httpx's own pool is slow under concurrency.

    `read_timeout_s` bounds the wait for each piece; the whole call is bounded by its caller.
    """
    timeout = httpx.Timeout(connect=5, read=read_timeout_s, write=5, pool=5)
    return HttpxAiohttpClient(timeout=timeout)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, or None where it asks for nothing.

    Source: RFC 9110, section 10.2.3: seconds, or an HTTP date.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())

"""Questions at a constant rate, whatever becomes of the earlier ones, and what came of each.

Open-loop: a slow answer delays no later question, as with people who do not know of each other, so
a stall shows as what it is. Used by the fault benchmarks and by the tests on a real cluster.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

ROUTE: Final = "/api/v1/ai/agent/chat"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: when it was sent and how long it took in seconds, and what came.

    `status` is 0 where no answer came; `error` then names the exception.
    """

    sent_at_s: float
    duration_s: float
    status: int
    answer: str = ""
    provider: str = ""
    degraded: tuple[str, ...] = ()
    error: str = ""

    @property
    def is_full(self) -> bool:
        """Whether it was answered without doing without anything."""
        return self.status == httpx.codes.OK and not self.degraded


async def ask_at_rate(
    client: httpx.AsyncClient, question: Callable[[int], str], *, rate: float, count: int
) -> list[Asked]:
    """Send `count` questions, `rate` a second, and return what came of each, in order.

    `question(n)` is the n-th one's text; the client's headers hold the credential. Times are
    seconds since the first was due.
    """
    started_s = time.perf_counter()

    async def ask(number: int) -> Asked:
        due_s = number / rate
        await asyncio.sleep(max(0.0, started_s + due_s - time.perf_counter()))
        return await ask_once(client, question(number), since_s=started_s)

    return list(await asyncio.gather(*(ask(number) for number in range(count))))


async def ask_once(client: httpx.AsyncClient, question: str, *, since_s: float) -> Asked:
    """Ask one question and return what came of it."""
    sent_s = time.perf_counter()
    try:
        reply = await client.post(ROUTE, json={"query": question, "use_cache": False})
        duration_s = time.perf_counter() - sent_s
        body = reply.json()
    except (httpx.HTTPError, ValueError) as error:
        duration_s = time.perf_counter() - sent_s
        return Asked(sent_s - since_s, duration_s, 0, error=type(error).__name__)
    if reply.is_error:
        return Asked(sent_s - since_s, duration_s, reply.status_code, error=str(body.get("code")))
    about = body["metadata"]
    return Asked(
        sent_s - since_s,
        duration_s,
        reply.status_code,
        answer=body["answer"],
        provider=about["provider"],
        degraded=tuple(about["degraded"]),
    )


def summarize(asked: Sequence[Asked]) -> dict[str, object]:
    """Return the counts and times of these questions, for a report."""
    durations_ms = sorted(1000 * each.duration_s for each in asked) or [0.0]
    return {
        "questions": len(asked),
        "full": sum(each.is_full for each in asked),
        "degraded": dict(Counter(word for each in asked for word in each.degraded)),
        "failed": dict(Counter(each.error for each in asked if each.error)),
        "p50_ms": round(statistics.median(durations_ms), 1),
        "p95_ms": round(durations_ms[int(0.95 * (len(durations_ms) - 1))], 1),
        "max_ms": round(durations_ms[-1], 1),
    }

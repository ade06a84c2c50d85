"""How long to wait before a call is made again, if waiting is worth it.

`guarded.py` asks; it knows what time is left, and it does the waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

Uniform: TypeAlias = Callable[[float, float], float]
"""A random number between the two, as `random.uniform` draws it."""

FIRST_DELAY_S: Final = 0.5
"""The most that the first retry waits of itself; each later one doubles it.

Source: openai 3.54.0 and anthropic 2.12.0, `_constants.py`, `INITIAL_RETRY_DELAY`.
"""

LEAST_USEFUL_S: Final = 2.0
"""A call given less is rarely answered, so no wait is made that leaves less.

Source: docs/decisions/0008-retries-and-deadlines.md.
"""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often an operation's call is made again, and the seconds it may wait in all.

    `max_delay_s` bounds what we choose to wait before one retry; a vendor's `Retry-After` may ask
    for more. 0 `max_retries` turns retries off.
    """

    max_retries: int
    max_delay_s: float
    total_wait_s: float


def choose_delay_s(
    policy: RetryPolicy, *, retry: int, retry_after_s: float | None, room_s: float, uniform: Uniform
) -> float | None:
    """Return the seconds to wait before a retry (counted from 1); None where `room_s` is too short.

    At least `retry_after_s`, so that the vendor's wish is kept, and a random part on top, so that
    those whom it told the same do not come back together.

    Source: AWS Architecture Blog, 2015, "Exponential Backoff And Jitter": full jitter.
    """
    least_s = max(retry_after_s or 0.0, 0.0)
    if room_s < least_s:
        return None
    step_s = FIRST_DELAY_S * 2.0 ** (retry - 1)
    return least_s + uniform(0.0, min(step_s, policy.max_delay_s, room_s - least_s))

"""How many retries the calls of one circuit have earned.

An outage must not be multiplied by retries: where nearly every call fails, the calls that are made
may not be many more than were asked for. The board holds one balance for the cluster; each replica
holds one of its own calls, for when the board cannot be asked.
"""

from __future__ import annotations

from typing import Final

from runtime.resilience.bucket import TokenBucket

CALLS_PER_RETRY: Final = 5
"""Source: Finagle's default budget, 20 % of calls, https://finagle.github.io/blog/2016/02/08/retry-budgets
(Google's SRE book, chapter 21, "Handling Overload", keeps a client's retries below 10 %)."""
FLOOR_PER_MINUTE: Final = 10.0
"""For circuits with few calls. Finagle's is 10 a second; vendors allow some hundred a minute."""
MAX_BALANCE: Final = 100
"""What a minute of 500 calls earns, Cohere's limit of chat: a quiet hour earns no storm.
Finagle lets a deposit expire after 10 s to the same end."""
MINUTE_S: Final = 60.0


class RetryBalance:
    """Earned by first attempts, spent by retries, over a small floor of time."""

    def __init__(self, *, now: float) -> None:
        self._unspent_calls = 0
        self._floor = TokenBucket(
            FLOOR_PER_MINUTE, FLOOR_PER_MINUTE / MINUTE_S, now=now, level=FLOOR_PER_MINUTE
        )

    def count(self, calls: int) -> None:
        """Earn for so many first attempts."""
        most = MAX_BALANCE * CALLS_PER_RETRY
        self._unspent_calls = min(most, self._unspent_calls + calls)

    def take(self, now: float) -> bool:
        """Spend one retry and return True, or return False."""
        if self._unspent_calls >= CALLS_PER_RETRY:
            self._unspent_calls -= CALLS_PER_RETRY
            return True
        return self._floor.take(1, now) == 0

    def share(self, replicas: int, now: float) -> None:
        """Keep only one replica's share of the floor: the others have theirs."""
        floor = FLOOR_PER_MINUTE / replicas
        self._floor.adjust(capacity=max(1.0, floor), rate_per_s=floor / MINUTE_S, now=now)

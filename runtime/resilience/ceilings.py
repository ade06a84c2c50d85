"""What one circuit may send a minute: a bucket for each limited dimension, slowed down by 429s.

The board holds one for the whole limit, and a replica that cannot reach the board one for its
share. The promise, in each dimension and in any 60 s however they are placed: no more than the
limit. Let P be what may be spent at once, whether it lies in the bucket or is out in leases. P
never exceeds the capacity B, and grows by the rate r alone, so 60 s see at most B + 60 r, which
`_Ceiling` keeps below the limit. Derivation and figures: docs/decisions/0007-provider-limiter.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from runtime.messages import Cost
from runtime.resilience.bucket import TokenBucket
from runtime.resilience.cost import NOTHING, dimensions, limited, minus, positive

if TYPE_CHECKING:
    from runtime.messages import Limits

MINUTE_S: Final = 60.0
RATE_SHARE: Final = 0.94
"""Of the limit, what flows in; with the burst it leaves 2 %, so that calls may take up to a second
longer or shorter to reach the vendor than their neighbours."""
BURST_SHARE: Final = 0.04
RESERVED_SHARE: Final = 0.03
"""Of the limit, what is kept for interactive calls: leased ahead of need, or left by batch work."""
HALF: Final = 0.5
"""Permits are whole, so what 60 s see may exceed the limit by less than one permit."""
LARGEST_KEPT_S: Final = 120.0
"""How long a large call is remembered, at least; without calls, for ever."""

CUT: Final = 0.7
RECOVERY_PER_S: Final = 0.005
LEAST_FACTOR: Final = 0.1
"""Multiplicative decrease, additive increase (back from one cut in a minute, from the floor in
three). Source: Chiu and Jain, Analysis of the Increase and Decrease Algorithms for Congestion
Avoidance in Computer Networks, 1989, https://doi.org/10.1016/0169-7552(89)90019-6: of the linear
controls only this pair converges to efficiency and fairness. The constants are ours."""
SAME_BURST_S: Final = 5.0
"""Refusals that come this soon after a cut are of calls that were under way at the cut."""
DEFAULT_HOLD_S: Final = 1.0
MAX_HOLD_S: Final = 60.0
"""The limits are per minute: nothing that a vendor counts is older."""


class Ceilings:
    """One circuit's buckets, empty at first: whoever was here before may have spent them."""

    def __init__(self, limits: Limits, *, now: float) -> None:
        self._limits = limits
        self._each = [_Ceiling(limit, now=now) for limit in dimensions(limits)]
        self._leased = NOTHING
        self._factor = 1.0
        self._recovered_at = now
        self._cut_at = -math.inf
        self._hold_until = now

    @property
    def reserve(self) -> Cost:
        """What is kept for interactive calls, in the bucket and in leases together."""
        return Cost(*(ceiling.reserve for ceiling in self._each))

    @property
    def unleased_reserve(self) -> Cost:
        """The part of the reserve that is not out in leases, which batch work must leave."""
        return positive(minus(self.reserve, self._leased))

    def take(self, cost: Cost, now: float, *, keep: Cost = NOTHING) -> bool:
        """Take it in every dimension, or nothing; at least `keep` must be left."""
        if self.wait_s(cost, now, keep=keep) > 0:
            return False
        for ceiling, amount in zip(self._each, self._charged(cost), strict=True):
            ceiling.bucket.give(-amount, now)
        return True

    def wait_s(self, cost: Cost, now: float, *, keep: Cost = NOTHING) -> float:
        """Return the seconds until `take` can succeed, if nobody else takes."""
        charged = self._charged(cost)
        for ceiling, amount in zip(self._each, charged, strict=True):
            ceiling.note(amount, now)
        self._pace(now)
        hold_s = self.hold_s(now)
        if hold_s > 0:
            return hold_s + self._longest(charged, keep, now)
        return self._longest(charged, keep, now)

    def lease(self, want: Cost, now: float, *, keep: Cost = NOTHING) -> Cost:
        """Take as much of it as there is beyond `keep`, and return that."""
        self._pace(now)
        if self.hold_s(now) > 0:
            return NOTHING
        taken = []
        wants = zip(self._each, dimensions(want), dimensions(keep), strict=True)
        for ceiling, amount, kept in wants:
            spare = math.floor(ceiling.bucket.level(now) - kept) if ceiling.limit else 0
            taken.append(max(0, min(amount, spare)))
            ceiling.bucket.give(-taken[-1], now)
        return Cost(*taken)

    def give(self, cost: Cost, now: float) -> None:
        """Take back what was not used, but during a hold; a negative amount is a debt."""
        self._pace(now)
        held = self.hold_s(now) > 0
        for ceiling, amount in zip(self._each, dimensions(cost), strict=True):
            if ceiling.limit and not (held and amount > 0):
                ceiling.bucket.give(amount, now)

    def charge(self, cost: Cost, now: float) -> None:
        """Take what was spent without leave, into a debt of one burst at the most.

        More than that cannot have been given out twice: it is what the bucket holds.
        """
        self._pace(now)
        for ceiling, amount in zip(self._each, dimensions(cost), strict=True):
            if ceiling.limit:
                ceiling.charge(amount, now)

    def lend(self, leased: Cost, now: float) -> None:
        """Tell how much is out in leases: so much less fits into the buckets."""
        self._leased = limited(leased, self._limits)
        self._pace(now)

    def slow_down(self, retry_after_s: float, now: float) -> None:
        """Heed a 429: give nothing for so long, then less for some minutes."""
        self._pace(now)
        if now >= max(self._cut_at + SAME_BURST_S, self._hold_until):
            self._factor = max(LEAST_FACTOR, self._factor * CUT)
            self._cut_at = now
        self._hold_until = max(self._hold_until, now + min(retry_after_s, MAX_HOLD_S))
        for ceiling in self._each:
            ceiling.bucket.give(-max(0.0, ceiling.bucket.level(now)), now)
        self._pace(now)

    def hold_s(self, now: float) -> float:
        """Return the seconds for which the vendor wants nothing."""
        return max(0.0, self._hold_until - now)

    def per_s(self, now: float) -> tuple[float, float, float]:
        """Return what flows in by dimension; infinite where there is no limit."""
        self._pace(now)
        requests, inputs, tokens = (
            ceiling.rate_per_s * self._factor if ceiling.limit else math.inf
            for ceiling in self._each
        )
        return requests, inputs, tokens

    def _charged(self, cost: Cost) -> list[float]:
        """A call of more than half a minute's limit is charged that half: none could be made."""
        return [
            min(amount, max(1.0, ceiling.limit / 2)) if ceiling.limit else 0.0
            for ceiling, amount in zip(self._each, dimensions(cost), strict=True)
        ]

    def _longest(self, charged: list[float], keep: Cost, now: float) -> float:
        waits = (
            ceiling.wait_s(amount + kept, now, factor=self._factor)
            for ceiling, amount, kept in zip(self._each, charged, dimensions(keep), strict=True)
            if amount > 0
        )
        return max(waits, default=0.0)

    def _pace(self, now: float) -> None:
        """Bring the buckets to `now`: nothing flows while all is held, then less than usual."""
        resumed_at = max(self._recovered_at, self._hold_until)
        for ceiling, leased in zip(self._each, dimensions(self._leased), strict=True):
            if now < self._hold_until:
                ceiling.pace(0.0, leased=leased, now=now)
            elif self._recovered_at < self._hold_until:
                ceiling.pace(self._factor, leased=leased, now=self._hold_until)
        if now < self._hold_until:
            return
        self._factor = min(1.0, self._factor + RECOVERY_PER_S * (now - resumed_at))
        self._recovered_at = now
        for ceiling, leased in zip(self._each, dimensions(self._leased), strict=True):
            ceiling.pace(self._factor, leased=leased, now=now)


class _Ceiling:
    """One dimension. A limit of 0 is none: its bucket is never asked."""

    def __init__(self, limit: int, *, now: float) -> None:
        self.limit = limit
        self.reserve = math.floor(RESERVED_SHARE * limit)
        self._largest = [1.0, 1.0, 1.0]
        self._newest_at = now
        self.bucket = TokenBucket(self._burst(1.0), self.rate_per_s, now=now)

    @property
    def rate_per_s(self) -> float:
        """What flows in, unless a 429 slowed it down.

        A smaller burst counts only once no window of 60 s can hold both the larger burst and the
        higher rate; so the rate heeds a period more than the capacity does.
        """
        burst = self._burst(max(self._largest))
        return min(RATE_SHARE * self.limit, self.limit + HALF - burst) / MINUTE_S

    def note(self, amount: float, now: float) -> None:
        """Remember the largest calls: the bucket must hold one beside the reserve."""
        if now - self._newest_at >= LARGEST_KEPT_S:
            self._largest = [1.0, *self._largest[:2]]
            self._newest_at = now
        self._largest[0] = max(self._largest[0], amount)

    def pace(self, factor: float, *, leased: int, now: float) -> None:
        """Fill up to `now`, then go on at this part of the rate."""
        capacity = self._burst(max(self._largest[:2])) - leased
        self.bucket.adjust(capacity=capacity, rate_per_s=self.rate_per_s * factor, now=now)

    def charge(self, amount: int, now: float) -> None:
        """Take it, down to a debt of one burst."""
        room = self.bucket.level(now) + self._burst(max(self._largest[:2]))
        self.bucket.give(-max(0.0, min(amount, room)), now)

    def wait_s(self, level: float, now: float, *, factor: float) -> float:
        """Return the seconds until that level, from when something flows at all."""
        missing = level - self.bucket.level(now)
        if self.bucket.wait_s(level, now) == 0:
            return 0.0
        return missing / (self.rate_per_s * factor)

    def _burst(self, largest: float) -> float:
        return max(BURST_SHARE * self.limit, self.reserve + largest)

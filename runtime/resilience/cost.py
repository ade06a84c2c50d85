"""Sums of `messages.Cost`, which is plain data: here a difference may be negative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.messages import Cost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.messages import Limits

NOTHING: Final = Cost(requests=0, inputs=0, tokens=0)


def dimensions(of: Cost | Limits) -> tuple[int, int, int]:
    """Return requests, inputs and tokens, for what is done to each alike."""
    return of.requests, of.inputs, of.tokens


def plus(one: Cost, other: Cost) -> Cost:
    """Return both together."""
    return Cost(one.requests + other.requests, one.inputs + other.inputs, one.tokens + other.tokens)


def minus(one: Cost, other: Cost) -> Cost:
    """Return what is left of one without the other; negative where the other is more."""
    return Cost(one.requests - other.requests, one.inputs - other.inputs, one.tokens - other.tokens)


def total(costs: Iterable[Cost]) -> Cost:
    """Return all together."""
    whole = NOTHING
    for cost in costs:
        whole = plus(whole, cost)
    return whole


def least(one: Cost, other: Cost) -> Cost:
    """Return the smaller of the two in each dimension."""
    return Cost(
        min(one.requests, other.requests),
        min(one.inputs, other.inputs),
        min(one.tokens, other.tokens),
    )


def positive(cost: Cost) -> Cost:
    """Return it without its debts."""
    return Cost(max(0, cost.requests), max(0, cost.inputs), max(0, cost.tokens))


def shared(cost: Cost, among: int) -> Cost:
    """Return one part of so many, whole permits only."""
    return Cost(cost.requests // among, cost.inputs // among, cost.tokens // among)


def limited(cost: Cost, limits: Limits) -> Cost:
    """Return only what counts against a limit."""
    return Cost(
        cost.requests if limits.requests else 0,
        cost.inputs if limits.inputs else 0,
        cost.tokens if limits.tokens else 0,
    )


def covers(held: Cost, cost: Cost) -> bool:
    """Return whether `cost` can be paid from `held`; what costs nothing never hinders."""
    return all(
        need <= 0 or need <= have
        for need, have in (
            (cost.requests, held.requests),
            (cost.inputs, held.inputs),
            (cost.tokens, held.tokens),
        )
    )

"""What each error tells of its vendor's health: the table that `guarded.py` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.errors import (
    BadProviderResponse,
    CircuitOpen,
    ContentRefused,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
)

if TYPE_CHECKING:
    from runtime.messages import Outcome

OUTCOMES: Final[dict[type[ProviderError], Outcome]] = {
    ProviderTimeout: "failed",
    ProviderUnavailable: "failed",
    BadProviderResponse: "failed",
    RateLimitError: "ignored",
    QuotaExceededError: "ignored",
    ProviderRejected: "ignored",
    ContentRefused: "ignored",
    CircuitOpen: "ignored",
}


def outcome_of(error: ProviderError) -> Outcome:
    """Return what an error tells of its vendor's health; nothing, if its class is unknown."""
    return next((OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES), "ignored")

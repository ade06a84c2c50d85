"""How a question's remaining seconds are shared out, so that what hangs leaves time for the rest.

The steps ask, `docs/decisions/0009-degraded-answers.md` argues. Seconds in, seconds out; and the
error of a provider that took all of its share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.errors import ProviderTimeout

if TYPE_CHECKING:
    from runtime.errors import Operation

EMBED_SHARE: Final = 1 / 3
"""What a hanging embedding may take: search by words and writing come after it."""
REWRITE_SHARE: Final = 1 / 6
MOST_REWRITE_S: Final = 5.0
"""What a model may take that only puts the question differently; a sentence takes it a second."""
RERANK_SHARE: Final = 1 / 6
MOST_RERANK_S: Final = 3.0
"""What a better order is waited for; some 20 passages take a fifth of a second. It leaves a vendor
that hangs the two seconds after which its circuit counts it.

Source: docs.oracle.com, "Cohere Rerank 3.5" benchmarks: 24 documents of 64 tokens in 0.12 s.
"""
EXTRACT_SHARE: Final = 0.1
LEAST_EXTRACT_S: Final = 0.25
"""An extract takes some 10 ms; the rest is for a machine that is busy."""
MOST_EXTRACT_S: Final = 5.0
TOLD_SHARE: Final = 0.95
MOST_MARGIN_S: Final = 0.5


def for_embedding(remaining_s: float) -> float:
    """Return what embedding the question may take."""
    return remaining_s * EMBED_SHARE


def for_rewriting(remaining_s: float) -> float:
    """Return what making the question stand alone may take."""
    return min(remaining_s * REWRITE_SHARE, MOST_REWRITE_S)


def for_reranking(remaining_s: float) -> float:
    """Return what putting the passages in a better order may take."""
    return min(remaining_s * RERANK_SHARE, MOST_RERANK_S)


def for_provider(remaining_s: float, *, providers_left: int, may_extract: bool) -> float:
    """Return what the next chat provider may take: half of what there is for all that are left.

    The last one may take all of it. The extract's part is kept back, never more than half.
    """
    writing_s = remaining_s
    if may_extract:
        kept_s = max(LEAST_EXTRACT_S, remaining_s * EXTRACT_SHARE)
        writing_s -= min(kept_s, MOST_EXTRACT_S, remaining_s / 2)
    return writing_s if providers_left == 1 else writing_s / 2


def to_tell(share_s: float) -> float:
    """Return the time-out that a provider is told: less than it is held to.

    So the layer nearest to the vendor ends first, which names the fault and counts it; ended from
    outside, the call would look like one whose caller left.
    """
    return max(share_s * TOLD_SHARE, share_s - MOST_MARGIN_S)


def used_up(provider: str, model: str, operation: Operation) -> ProviderTimeout:
    """Return the error of a provider that is still at work at the end of its share."""
    return ProviderTimeout(provider, model, operation, "its share of the time is used up", None)

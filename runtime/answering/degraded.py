"""What a question may be answered without, and the words that say so.

Why these and no others: `docs/decisions/0009-degraded-answers.md`.
"""

from __future__ import annotations

from typing import Final

from runtime.errors import (
    ActorUnavailable,
    ChatError,
    EmbeddingError,
    Overloaded,
    ProviderError,
)

EMBEDDING_UNAVAILABLE: Final = "embedding_unavailable"
CHAT_UNAVAILABLE: Final = "chat_unavailable"
STALE_ANSWER: Final = "stale_answer"
CACHE_UNAVAILABLE: Final = "cache_unavailable"
"""Source: the contract, `degraded`."""

RERANK_UNAVAILABLE: Final = "rerank_unavailable"
"""A warning, no degradation: what was found is in the order of the search."""

DONE_WITHOUT: Final = (
    EmbeddingError,
    ChatError,
    ProviderError,
    ActorUnavailable,
    Overloaded,
)
"""Failures of a provider, or of the way to it, that another way round is taken for. The database's
are not among them: without it there is nothing to answer from."""

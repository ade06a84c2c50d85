"""What about a question's wording can never change its answer: the exact key of the cache."""

from __future__ import annotations

import unicodedata


def normalize_question(text: str) -> str:
    """Return the question without what cannot change its answer. Idempotent."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()

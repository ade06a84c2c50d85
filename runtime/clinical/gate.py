"""Whether the remembered answer to one question may serve another: in doubt, it may not."""

from __future__ import annotations

from runtime.clinical.wording import normalize_question


def asks_the_same(asked: str, remembered: str) -> bool:
    """Return whether it is certain that both questions have the same answer."""
    return normalize_question(asked) == normalize_question(remembered)

"""The vector spaces that questions can be asked in: the configured one, and one being left.

A workspace is searched in the space that its vectors are of; while a new model is brought in
(`backfill --reembed`), workspaces are in different ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.ports import Embedder


class EmbeddingSpaces:
    """Finds the embedder of a workspace's space."""

    def __init__(self, configured: Embedder, *retiring: Embedder) -> None:
        self.configured = configured
        self._served = {each.model.key: each for each in (configured, *retiring)}

    def for_records(self, key: str | None) -> tuple[Embedder, ...]:
        """Return the embedders that a workspace's records need vectors of, its own space's first.

        Besides the space they are found in, that is the configured one, which the workspace is on
        its way to; mostly they are the same.
        """
        own = self.for_workspace(key)
        return (self.configured,) if own in (None, self.configured) else (own, self.configured)

    def for_workspace(self, key: str | None) -> Embedder | None:
        """Return the embedder of this space, or None where nothing embeds in it any more.

        A workspace without one (`key` None) has no vectors yet: it gets the configured model's.
        """
        return self.configured if key is None else self._served.get(key)

"""The vector spaces that questions can be asked in: the configured one, and one being left.

A workspace is searched in the space that its vectors are of; while a new model is brought in
(`backfill --reembed`), workspaces are in different ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.ports import Embedder

UNKNOWN: Final = "unknown"
"""In place of a key where the database did not say which space is a workspace's."""


class EmbeddingSpaces:
    """Finds the embedder of a workspace's space."""

    def __init__(self, configured: Embedder, *retiring: Embedder) -> None:
        self.configured = configured
        self._served = {each.model.key: each for each in (configured, *retiring)}

    @property
    def retiring(self) -> tuple[Embedder, ...]:
        """The embedders of the spaces that are being left."""
        return tuple(each for each in self._served.values() if each is not self.configured)

    @property
    def keys(self) -> list[str]:
        """The spaces' keys, the configured one's first."""
        return list(self._served)

    def for_records(self, key: str | None) -> tuple[Embedder, ...]:
        """Return the embedders that a workspace's records need vectors of, its own space's first.

        Besides the space they are found in, that is the configured one, which the workspace is on
        its way to; mostly they are the same.
        """
        own = self.for_workspace(key)
        return (self.configured,) if own in (None, self.configured) else (own, self.configured)

    def for_workspace(self, key: str | None) -> Embedder | None:
        """Return the embedder of this space, or None where nothing embeds in it any more.

        A workspace without one (`key` None) has no vectors yet: it gets the configured model's. Of
        one whose space is `UNKNOWN` nothing is guessed where it could be either: in the wrong one
        some of its records are missing, and nobody would notice.
        """
        if key is None or (key == UNKNOWN and not self.retiring):
            return self.configured
        return self._served.get(key)

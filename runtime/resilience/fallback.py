"""One Embedder over several that share a vector space: the next answers where one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import ProviderError
from runtime.resilience.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.messages import Embedded, EmbeddingModel, InputType, Priority
    from runtime.ports import Clock, Embedder


class FallbackEmbedder:
    """Asks the embedders in order, each within an equal part of the time that is left then.

    The settings have seen to it that all are of one model; the first one's name is stored.
    """

    def __init__(self, embedders: Sequence[Embedder], *, clock: Clock) -> None:
        self._embedders = tuple(embedders)
        self._clock = clock

    @property
    def model(self) -> EmbeddingModel:
        """The vector space, under its first provider's name."""
        return self._embedders[0].model

    async def embed_text(self, text: str, *, input_type: InputType, timeout_s: float) -> Embedded:
        """As Embedder.embed_text.

        Raises: ProviderError.
        """
        return await self.embed_texts([text], input_type=input_type, timeout_s=timeout_s)

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        """As Embedder.embed_texts.

        Raises: ProviderError, the last one's.
        """
        deadline = Deadline(self._clock, timeout_s)
        *others, last = self._embedders
        for left, embedder in zip(range(len(self._embedders), 1, -1), others, strict=True):
            try:
                return await embedder.embed_texts(
                    texts,
                    input_type=input_type,
                    timeout_s=deadline.remaining_s() / left,
                    priority=priority,
                )
            except ProviderError:
                continue
        return await last.embed_texts(
            texts, input_type=input_type, timeout_s=deadline.remaining_s(), priority=priority
        )

"""What a search found, in the order of a model that reads question and passage together.

`search.py` calls it where a reranker is configured, before it takes the best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.answering.time_shares import to_tell, used_up
from runtime.errors import BadProviderResponse
from runtime.resilience.deadline import held_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.messages import Passage
    from runtime.ports import Reranker

RERANKED: Final = 20
"""How many are read: twice the most that a question may ask for (`max_results`)."""


async def rerank(
    reranker: Reranker, text: str, passages: Sequence[Passage], *, share_s: float
) -> list[Passage]:
    """Return the passages, most relevant to the text first; equal ones stay as they came.

    They keep their similarities, which say how near each is and not where it stands.

    Raises: ProviderError, ActorUnavailable, Overloaded.
    """
    if len(passages) <= 1:
        return list(passages)
    texts = [passage.text for passage in passages]
    async with held_for(share_s, late=lambda: used_up(reranker.provider, reranker.name, "rerank")):
        relevances = await reranker.rank(text, texts, timeout_s=to_tell(share_s))
    if len(relevances) != len(texts):
        reason = "not one relevance for each text"
        raise BadProviderResponse(reranker.provider, reranker.name, "rerank", reason, None)
    ranked = sorted(range(len(passages)), key=lambda at: -relevances[at])  # a stable sort
    return [passages[at] for at in ranked]

"""From a question to the passages that an answer may rest on: aim, embed, find, rank.

`answer.py` calls `Search`; between embedding and finding it looks for an earlier answer. How two
rankings become one is `fusion.py`'s affair, what "nearest" means the store's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runtime.answering.degraded import (
    DONE_WITHOUT,
    EMBEDDING_UNAVAILABLE,
    RERANK_UNAVAILABLE,
)
from runtime.answering.rerank import RERANKED, rerank
from runtime.answering.retrieve import Found, embed_question, retrieve, retrieve_by_words
from runtime.answering.standalone import make_standalone
from runtime.answering.time_shares import for_embedding, for_reranking, for_rewriting
from runtime.narrowing.narrow import narrow, settle
from runtime.telemetry import PassagesSearched

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from runtime.answering.chat_chain import ChatChain
    from runtime.answering.stages import Stages
    from runtime.embedding.spaces import EmbeddingSpaces
    from runtime.messages import (
        EmbeddingModel,
        Language,
        NamedClient,
        Passage,
        Question,
        SearchScope,
        Vector,
    )
    from runtime.ports import ClientDirectory, PassageStore, Reranker
    from runtime.telemetry import Emit


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that passed the guard: whose it is, its language, and the day it came."""

    workspace_id: UUID
    question: Question
    language: Language
    today: date


@dataclass(frozen=True, slots=True)
class Aim:
    """What is looked for, and where. `by_name` says that clients named in `text` narrowed it."""

    text: str
    scope: SearchScope
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class EmbeddedAim:
    """The aim in a vector space, and what that cost."""

    vector: Vector
    model: EmbeddingModel
    tokens: int


class Search:
    """Searches, any number at once.

    With `text_search_fallback` off, an embedding that fails is the question's error. Without a
    `reranker`, what was found stays in the order of the search.
    """

    def __init__(
        self,
        *,
        spaces: EmbeddingSpaces,
        passages: PassageStore,
        directory: ClientDirectory,
        chat: ChatChain,
        text_search_fallback: bool,
        emit: Emit,
        reranker: Reranker | None = None,
    ) -> None:
        self._spaces = spaces
        self._passages = passages
        self._directory = directory
        self._chat = chat
        self._text_search_fallback = text_search_fallback
        self._emit = emit
        self._reranker = reranker

    async def aim(self, asked: Asked, stages: Stages) -> Aim:
        """Return what to look for: the question by itself, and the clients and times it names.

        What the question names itself comes before what the conversation named.

        Raises: DeadlineExceeded, DatabaseUnavailable, StatementTimeout.
        """
        text = question = asked.question.text
        if asked.question.history:
            model, *_ = self._chat.order_for(asked.workspace_id)
            share_s = for_rewriting(stages.remaining_s("rewrite"))
            with stages.measured("rewrite"):
                text = await make_standalone(asked.question, chat=model, share_s=share_s)
        async with stages.held("retrieve"):
            scope, by_name = await self._narrow(asked, question)
            if scope.clients is None and text != question:
                scope, by_name = await self._narrow(asked, text)
        return Aim(text, scope, by_name)

    async def _narrow(self, asked: Asked, text: str) -> tuple[SearchScope, bool]:
        """Return where to look by what a text names, and whether it names clients."""
        client_id = asked.question.client_id
        named: Sequence[NamedClient] = ()
        if client_id is None:
            named = await self._directory.find_named(asked.workspace_id, text)
        narrowing = narrow(
            text, client_id=client_id, named=named, today=asked.today, language=asked.language
        )
        if not narrowing.needs_dates:
            return narrowing.scope, narrowing.by_name
        dates = await self._directory.find_session_dates(
            asked.workspace_id, narrowing.scope, latest=narrowing.latest
        )
        return settle(narrowing, dates), narrowing.by_name

    async def embed(self, aim: Aim, space: str | None, stages: Stages) -> EmbeddedAim | None:
        """Return the aim's vector in this space, None where it cannot be had.

        Raises: without the fallback, EmbeddingError, ProviderError, ActorUnavailable, Overloaded.
        """
        embedder = self._spaces.for_workspace(space)
        if embedder is None:
            return None
        share_s = for_embedding(stages.remaining_s("embed"))
        try:
            with stages.measured("embed"):
                embedded = await embed_question(embedder, aim.text, share_s=share_s)
        except DONE_WITHOUT:
            if not self._text_search_fallback:
                raise
            return None
        return EmbeddedAim(embedded.vectors[0], embedder.model, embedded.tokens)

    async def find(
        self, asked: Asked, aim: Aim, embedded: EmbeddedAim | None, stages: Stages
    ) -> Found:
        """Find passages by meaning and words, or by words alone without a vector, best first.

        Raises: DeadlineExceeded, RetrievalError, DatabaseUnavailable, StatementTimeout.
        """
        passages = await self._search(asked, aim, embedded, stages)
        warnings: tuple[str, ...] = ()
        if self._reranker is not None:
            share_s = for_reranking(stages.remaining_s("rerank"))
            try:
                with stages.measured("rerank"):
                    passages = await rerank(self._reranker, aim.text, passages, share_s=share_s)
            except DONE_WITHOUT:
                warnings = (RERANK_UNAVAILABLE,)
        found = passages[: asked.question.max_results]
        searched_s = stages.timings_ms["retrieve"] / 1000
        mode: Literal["hybrid", "text"] = "text" if embedded is None else "hybrid"
        self._emit(PassagesSearched(mode, duration_s=searched_s, found=len(found)))
        if embedded is None:
            return Found(found, degraded=(EMBEDDING_UNAVAILABLE,), warnings=warnings)
        return Found(found, embedding_tokens=embedded.tokens, warnings=warnings)

    async def _search(
        self, asked: Asked, aim: Aim, embedded: EmbeddedAim | None, stages: Stages
    ) -> list[Passage]:
        """Return as many of the best passages as are asked for, or are to be ranked."""
        question, workspace_id = asked.question, asked.workspace_id
        limit = question.max_results
        if self._reranker is not None:
            limit = max(limit, RERANKED)
        async with stages.held("retrieve"):
            if embedded is None:
                return await retrieve_by_words(
                    self._passages, workspace_id, text=aim.text, scope=aim.scope, limit=limit
                )
            return await retrieve(
                self._passages,
                workspace_id,
                question,
                embedded.vector,
                text=aim.text,
                scope=aim.scope,
                model=embedded.model,
                language=asked.language,
                limit=limit,
            )

"""May an answer given before serve this question? Word for word, then by meaning.

`answer.py` calls `Reuse` at its start, once the question is embedded, and at its end. Which answers
a write has overtaken is the store's affair (`AnswerCache`), which questions ask the same that of
`runtime/clinical/gate.py`; here is when to ask either, and what is worth keeping.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from runtime.answering.prompting import PROMPT_VERSION
from runtime.answering.standalone import STANDALONE_VERSION
from runtime.clinical.gate import asks_the_same
from runtime.clinical.wording import normalize_question
from runtime.embedding.spaces import UNKNOWN
from runtime.errors import DatabaseError
from runtime.logs import log
from runtime.messages import AnswerToKeep, CacheKey
from runtime.telemetry import CacheAsked, CacheEvicted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.answering.search import Aim, Asked, EmbeddedAim
    from runtime.messages import Answer, Question, RememberedAnswer, WorkspaceSettings
    from runtime.ports import AnswerCache, ChatModel
    from runtime.telemetry import Emit

KEEPING_TIMEOUT_S: Final = 1.0
"""The answer waits for its place in the cache no longer than this; a store takes milliseconds."""

Hit: TypeAlias = Literal["exact", "semantic", "stale"]
Missed: TypeAlias = Literal["not_found", "expired", "gate", "unavailable", "off"]


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How answers are remembered: a workspace's own settings over the configuration's."""

    is_on: bool
    ttl_s: float
    min_similarity: float
    max_entries: int


_OFF: Final = CachePolicy(is_on=False, ttl_s=0, min_similarity=1, max_entries=0)


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was remembered as a question began. `hit` may serve; `stale` where no model answers.

    `as_of` is None where the new answer cannot be kept.
    """

    key: CacheKey
    policy: CachePolicy
    embedding_model: str | None = None
    as_of: str | None = None
    hit: RememberedAnswer | None = None
    stale: RememberedAnswer | None = None
    missed: Missed = "not_found"


class Reuse:
    """Recalls and keeps answers, of any number of questions at once.

    A cache that fails costs the question nothing but the cache. `configured` are those settings of
    the process that change answers, in words of any kind.
    """

    def __init__(
        self,
        cache: AnswerCache,
        policy: CachePolicy,
        *,
        configured: Sequence[str] = (),
        emit: Emit,
    ) -> None:
        self._cache = cache
        self._policy = policy
        self._configured = configured
        self._emit = emit

    async def recall(self, asked: Asked, models: Sequence[ChatModel]) -> Recalled:
        """Look for the very same question, asked on the same day of the same models."""
        key = make_key(asked, models=models, configured=self._configured)
        try:
            known = await self._cache.recall(asked.workspace_id, key)
        except DatabaseError as error:
            _log_failure(error)
            return Recalled(key, _OFF, UNKNOWN, missed="unavailable")
        policy = self._read_policy(known.settings, asked.question)
        if not policy.is_on:
            return Recalled(key, policy, known.embedding_model, missed="off")
        recalled = Recalled(key, policy, known.embedding_model, known.as_of)
        remembered = known.remembered
        if remembered is None:
            return recalled
        if remembered.expired:
            return replace(recalled, stale=remembered, missed="expired")
        return replace(recalled, hit=remembered)

    async def recall_similar(
        self, asked: Asked, embedded: EmbeddedAim, recalled: Recalled
    ) -> Recalled:
        """Look for a question that asks the same in other words."""
        if not recalled.policy.is_on or not embedded.vector.any():
            return recalled
        try:
            alike = await self._recall_alike(asked, embedded, recalled)
        except DatabaseError as error:
            _log_failure(error)
            return replace(recalled, missed="unavailable")
        same = [each for each in alike if asks_the_same(asked.question.text, each.question)]
        fresh = next((each for each in same if not each.expired), None)
        if fresh is not None:
            return replace(recalled, hit=fresh)
        if same:
            return replace(recalled, stale=recalled.stale or same[0], missed="expired")
        return replace(recalled, missed="gate") if alike else recalled

    async def is_still_stale(
        self, asked: Asked, recalled: Recalled, embedded: EmbeddedAim | None
    ) -> bool:
        """Say whether no write has ended the stale answer since the question began.

        More than a minute may lie between: every provider has been tried.
        """
        if recalled.stale is None:
            return False
        try:
            async with asyncio.timeout(KEEPING_TIMEOUT_S):
                known = await self._cache.recall(asked.workspace_id, recalled.key)
                if known.remembered is not None and known.remembered.id == recalled.stale.id:
                    return True
                if embedded is None:
                    return False
                alike = await self._recall_alike(asked, embedded, recalled)
        except (DatabaseError, TimeoutError) as error:
            _log_failure(error)
            return False
        return recalled.stale.id in {each.id for each in alike}

    async def serve(self, asked: Asked, remembered: RememberedAnswer) -> Answer:
        """Return the answer as this question's, and note that it served."""
        question = normalize_question(asked.question.text)
        is_exact = question == normalize_question(remembered.question)
        use: Hit = "stale" if remembered.expired else "exact" if is_exact else "semantic"
        self._emit(CacheAsked(use))
        try:
            async with asyncio.timeout(KEEPING_TIMEOUT_S):
                await self._cache.count_hit(asked.workspace_id, remembered.id)
        except (DatabaseError, TimeoutError) as error:
            _log_failure(error)
        similarity = None if is_exact else remembered.similarity
        return replace(remembered.answer, cache=use, cache_similarity=similarity)

    async def keep(
        self,
        asked: Asked,
        answer: Answer,
        recalled: Recalled,
        *,
        aim: Aim,
        embedded: EmbeddedAim | None,
    ) -> None:
        """Keep a new answer for whoever asks next, if it is whole and sound."""
        self._emit(CacheAsked(recalled.missed))
        if recalled.as_of is None or embedded is None or not is_worth_keeping(answer):
            return
        kept = AnswerToKeep(
            key=recalled.key,
            question=asked.question.text,
            answer=answer,
            as_of=recalled.as_of,
            clients=aim.scope.clients,
            by_name=aim.by_name,
            embedding_model=embedded.model.key,
            vector=embedded.vector,
        )
        policy = recalled.policy
        try:
            async with asyncio.timeout(KEEPING_TIMEOUT_S):
                evicted = await self._cache.keep(
                    asked.workspace_id, kept, ttl_s=policy.ttl_s, max_entries=policy.max_entries
                )
        except (DatabaseError, TimeoutError) as error:
            _log_failure(error)
            return
        if evicted:
            self._emit(CacheEvicted("capacity", evicted))

    async def _recall_alike(
        self, asked: Asked, embedded: EmbeddedAim, recalled: Recalled
    ) -> list[RememberedAnswer]:
        return await self._cache.recall_similar(
            asked.workspace_id,
            recalled.key.partition,
            embedded.vector,
            model=embedded.model,
            min_similarity=recalled.policy.min_similarity,
        )

    def _read_policy(self, own: WorkspaceSettings, question: Question) -> CachePolicy:
        general = self._policy
        return CachePolicy(
            is_on=question.use_cache and bool(_either(own.cache_enabled, general.is_on)),
            ttl_s=_either(own.cache_ttl_seconds, general.ttl_s),
            min_similarity=_either(own.cache_similarity, general.min_similarity),
            max_entries=int(_either(own.cache_max_entries, general.max_entries)),
        )


def make_key(asked: Asked, *, models: Sequence[ChatModel], configured: Sequence[str]) -> CacheKey:
    """Digest the question, and apart from it all else that the answer depends on.

    The day is among it for every question: the prompt names it. The records are not: the store
    compares those; nor is the embedding model, which the store compares with the workspace's.
    """
    question = asked.question
    partition = _digest(
        PROMPT_VERSION,
        STANDALONE_VERSION,
        asked.today.isoformat(),
        None if question.client_id is None else str(question.client_id),
        question.max_results,
        question.min_similarity,
        [[turn.role, turn.content] for turn in question.history],
        [[model.provider, model.name] for model in models],
        configured,
    )
    exact = _digest(partition.hex(), normalize_question(question.text))
    return CacheKey(exact, partition)


def is_worth_keeping(answer: Answer) -> bool:
    """Say whether an answer would be given again: nothing was missing, nothing amiss."""
    return not answer.degraded and not answer.warnings


def _either(own: float | None, general: float) -> float:
    return general if own is None else own


def _digest(*parts: object) -> bytes:
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def _log_failure(error: Exception) -> None:
    log("answer_cache_failed", level=logging.WARNING, error_type=type(error).__name__)

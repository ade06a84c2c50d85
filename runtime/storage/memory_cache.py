"""In-memory twins of the cache of answers and of a workspace's settings.

They pass the same contract suite as PostgreSQL does (`tests/integration/storage/`). Nothing notes
changes here: the records that an answer may rest on are compared with what they were.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import UUID, uuid4

import numpy as np

from runtime.calibration import calibrate
from runtime.messages import (
    AnswerToKeep,
    CacheKey,
    EmbeddingModel,
    Recollection,
    RememberedAnswer,
    Vector,
    WorkspaceSettings,
)
from runtime.storage.answer_cache import MOST_SIMILAR, is_storable
from runtime.storage.cached_answer import read_answer, write_answer
from runtime.storage.passages import require_dimensions
from runtime.storage.workspace_settings import require_known

if TYPE_CHECKING:
    from runtime.ports import Clock
    from runtime.storage.memory import InMemoryRecordStore

_LONGEST = timedelta(days=7)

_FLUSH: Final = "flush"
_Seen: TypeAlias = Mapping[UUID | str | None, tuple[object, ...]]
"""Each client's records, under None the names of all, and the flushes, as they were at a moment."""


class InMemoryWorkspaceSettings:
    """`WorkspaceSettingsStore`."""

    def __init__(self) -> None:
        self._settings: defaultdict[UUID, WorkspaceSettings] = defaultdict(WorkspaceSettings)

    async def read(self, workspace_id: UUID) -> WorkspaceSettings:
        """As the port."""
        return self._settings[workspace_id]

    async def change(
        self, workspace_id: UUID, changes: Mapping[str, bool | int | float | None]
    ) -> WorkspaceSettings:
        """As the port."""
        require_known(changes)
        changed = replace(self._settings[workspace_id], **changes)  # type: ignore[arg-type]
        self._settings[workspace_id] = changed
        return changed


@dataclass(slots=True)
class _Entry:
    kept: AnswerToKeep
    response: str
    seen: _Seen
    created_at: datetime
    expires_at: datetime
    used: int
    """The larger, the later it was kept or served."""

    id: UUID = field(default_factory=uuid4)


class InMemoryAnswerCache:
    """`AnswerCache` over the records of an `InMemoryRecordStore`.

    `embedding_model` tells the key of the model that a workspace is searched by.
    """

    def __init__(
        self,
        records: InMemoryRecordStore,
        settings: InMemoryWorkspaceSettings,
        *,
        clock: Clock,
        embedding_model: Callable[[UUID], str | None] = lambda _: None,
    ) -> None:
        self._records = records
        self._settings = settings
        self._clock = clock
        self._embedding_model = embedding_model
        self._entries: defaultdict[UUID, dict[bytes, _Entry]] = defaultdict(dict)
        self._flushes: Counter[UUID] = Counter()
        self._moments: dict[str, _Seen] = {}
        self._ticks = count(1)

    async def recall(self, workspace_id: UUID, key: CacheKey) -> Recollection:
        """As the port."""
        as_of = str(next(self._ticks))
        self._moments[as_of] = self._look(workspace_id)
        entry = self._entries[workspace_id].get(key.exact)
        serves = entry is not None and self._may_serve(workspace_id, entry)
        return Recollection(
            as_of=as_of,
            settings=await self._settings.read(workspace_id),
            embedding_model=self._embedding_model(workspace_id),
            remembered=self._show(entry, 1.0) if entry is not None and serves else None,
        )

    async def recall_similar(
        self,
        workspace_id: UUID,
        partition: bytes,
        vector: Vector,
        *,
        model: EmbeddingModel,
        min_similarity: float,
    ) -> list[RememberedAnswer]:
        """As the port."""
        require_dimensions(vector, model)
        if not vector.any():
            return []
        found = [
            shown
            for entry in self._entries[workspace_id].values()
            if entry.kept.key.partition == partition
            and entry.kept.embedding_model == model.key
            and entry.kept.vector is not None
            and entry.kept.vector.any()
            and self._may_serve(workspace_id, entry)
            and (shown := self._show(entry, _compare(model, entry.kept.vector, vector))) is not None
            and shown.similarity >= min_similarity
        ]
        return sorted(found, key=lambda shown: -shown.similarity)[:MOST_SIMILAR]

    async def count_hit(self, workspace_id: UUID, remembered_id: UUID) -> None:
        """As the port."""
        for entry in self._entries[workspace_id].values():
            if entry.id == remembered_id:
                entry.used = next(self._ticks)

    async def keep(
        self, workspace_id: UUID, kept: AnswerToKeep, *, ttl_s: float, max_entries: int
    ) -> int:
        """As `PostgresAnswerCache`."""
        now = self._clock.now()
        entries = self._entries[workspace_id]
        for exact, entry in list(entries.items()):
            if not self._may_serve(workspace_id, entry):
                del entries[exact]
        new = _Entry(
            kept=kept,
            response=write_answer(kept.answer),
            seen=self._moments[kept.as_of],
            created_at=now,
            expires_at=now + timedelta(seconds=ttl_s),
            used=next(self._ticks),
        )
        known = self._records.workspaces.get(workspace_id)
        has_records = known is not None and bool(known.clients)
        storable = is_storable(kept.question, new.response)
        if has_records and storable and self._may_serve(workspace_id, new):
            entries[kept.key.exact] = new
        surplus = sorted(entries, key=lambda exact: -entries[exact].used)[max_entries:]
        for exact in surplus:
            del entries[exact]
        return len(surplus)

    async def forget_all(self, workspace_id: UUID) -> int:
        """As the port."""
        self._flushes[workspace_id] += 1
        return len(self._entries.pop(workspace_id, {}))

    def _may_serve(self, workspace_id: UUID, entry: _Entry) -> bool:
        kept = entry.kept
        if self._embedding_model(workspace_id) not in (None, kept.embedding_model):
            return False
        if entry.created_at <= self._clock.now() - _LONGEST:
            return False
        now = self._look(workspace_id)
        watched: set[UUID | str | None] = (
            {*now, *entry.seen} if kept.clients is None else {*kept.clients, _FLUSH}
        )
        if kept.by_name:
            watched.add(None)
        return all(_is_same(entry.seen.get(who, ()), now.get(who, ())) for who in watched)

    def _look(self, workspace_id: UUID) -> _Seen:
        workspace = self._records.workspaces[workspace_id]
        of_session = {session.id: session.client_id for session in workspace.sessions.values()}
        seen: dict[UUID | str | None, list[object]] = {None: []}
        seen[_FLUSH] = [self._flushes[workspace_id]]
        for client in workspace.clients.values():
            seen[client.id] = [client]
            seen[None] += [client.id, client.name]
        for session in workspace.sessions.values():
            seen[session.client_id].append(session)
        for stored in workspace.vectors:
            of = stored.record
            owner = of.id if of.type == "client" else of_session.get(of.id)
            if owner in seen:
                seen[owner].append(stored)
        return {who: tuple(items) for who, items in seen.items()}

    def _show(self, entry: _Entry, similarity: float) -> RememberedAnswer | None:
        answer = read_answer(entry.response)
        if answer is None:
            return None
        expired = entry.expires_at <= self._clock.now()
        return RememberedAnswer(entry.id, entry.kept.question, answer, similarity, expired)


def _is_same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Vectors are compared as objects: arrays have no truth of equality."""
    return len(one) == len(other) and all(
        a is b or (not hasattr(a, "vector") and a == b) for a, b in zip(one, other, strict=True)
    )


def _compare(model: EmbeddingModel, one: Vector, other: Vector) -> float:
    cosine = float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))
    return calibrate(model, cosine)

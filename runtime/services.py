"""What the HTTP routes need of the process they run in.

The orchestrator opens one `Services` at its start and `deployments/api.py` keeps it on the
application; tests put doubles in it. Nothing here knows how any of it is made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from uuid import UUID

from runtime.access.credentials import Access
from runtime.health import HealthReport
from runtime.messages import Answer, AnswerEvent, Question
from runtime.ports import AnswerCache, Clock, RecordStore, WorkspaceSettingsStore
from runtime.settings import Settings
from runtime.telemetry import Emit


class Ask(Protocol):
    """Answers a question from the records of one workspace."""

    async def __call__(
        self, workspace_id: UUID, question: Question, *, deadline_s: float
    ) -> Answer:
        """Return the answer within `deadline_s` seconds.

        Raises: AIAgentError.
        """
        ...

    def stream(
        self, workspace_id: UUID, question: Question, *, deadline_s: float
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Yield the same answer as it is written; closing it early stops the work.

        Raises: AIAgentError.
        """
        ...


class Health(Protocol):
    """Tells how the application's parts are."""

    async def report(self, *, deep: bool = False) -> HealthReport:
        """Return the state of each part; only a deep report may cost money. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The live objects of one replica, made once at its start."""

    settings: Settings
    access: Access
    records: RecordStore
    settings_store: WorkspaceSettingsStore
    cache: AnswerCache
    ask: Ask
    health: Health
    emit: Emit
    clock: Clock


OpenServices: TypeAlias = Callable[[], AbstractAsyncContextManager[Services]]

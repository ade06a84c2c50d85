"""A practice behind the HTTP application, with doubles for all that the routes call."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from deployments.api import build_api
from runtime.access.credentials import Access, make_token
from runtime.clock import ManualClock
from runtime.errors import AIAgentError, RecordNotFound
from runtime.health import ComponentHealth, HealthReport
from runtime.messages import (
    SCOPES,
    Answer,
    AnswerEvent,
    Caller,
    Client,
    Question,
    Scope,
    Session,
    TokenUsage,
)
from runtime.services import Services
from runtime.settings import Settings
from runtime.storage.memory import InMemoryRecordStore
from runtime.storage.memory_cache import InMemoryAnswerCache, InMemoryWorkspaceSettings
from runtime.telemetry import Event

SECRET = SecretStr("a secret of at least thirty-two bytes")
WORKSPACE = UUID("7a0c5f2e-2f5e-4a51-9a43-9d6a8f5c1b11")
CLIENT = UUID("11111111-2f5e-4a51-9a43-9d6a8f5c1b11")
SESSION = UUID("22222222-2f5e-4a51-9a43-9d6a8f5c1b11")
CHAT = "/api/v1/ai/agent/chat"

NOTHING_FOUND = Answer(
    text="The records do not answer this question.",
    citations=(),
    language="en",
    retrieved_count=0,
    provider="local",
    model="extractive",
    usage=TokenUsage(),
)


class Records:
    """A record store in two dictionaries; `failure` is raised by every call."""

    def __init__(self) -> None:
        self.clients: dict[tuple[UUID, UUID], Client] = {}
        self.sessions: dict[tuple[UUID, UUID], Session] = {}
        self.failure: Exception | None = None

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def put_client(self, workspace_id: UUID, client: Client) -> None:
        self._fail()
        self.clients[workspace_id, client.id] = client

    async def put_session(self, workspace_id: UUID, session: Session) -> None:
        self._fail()
        if (workspace_id, session.client_id) not in self.clients:
            raise RecordNotFound("client")
        self.sessions[workspace_id, session.id] = session

    async def delete_client(self, workspace_id: UUID, client_id: UUID) -> None:
        self._fail()
        if self.clients.pop((workspace_id, client_id), None) is None:
            raise RecordNotFound("client")

    async def delete_session(self, workspace_id: UUID, session_id: UUID) -> None:
        self._fail()
        if self.sessions.pop((workspace_id, session_id), None) is None:
            raise RecordNotFound("session")


class Answers:
    """Gives one answer to every question, or raises; `hold` keeps it waiting.

    A stream tells `told` first, and then fails, waits or answers; `closed` counts those left.
    """

    def __init__(self) -> None:
        self.told: list[AnswerEvent] = []
        self.closed = 0
        self.answer = NOTHING_FOUND
        self.failure: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.started = asyncio.Event()
        self.cancelled = 0
        self.asked: list[tuple[UUID, Question, float]] = []

    async def __call__(
        self, workspace_id: UUID, question: Question, *, deadline_s: float
    ) -> Answer:
        self.asked.append((workspace_id, question, deadline_s))
        self.started.set()
        try:
            if self.hold is not None:
                await self.hold.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return self.answer

    async def stream(
        self, workspace_id: UUID, question: Question, *, deadline_s: float
    ) -> AsyncGenerator[AnswerEvent, None]:
        try:
            for event in self.told:
                yield event
            yield await self(workspace_id, question, deadline_s=deadline_s)
        except GeneratorExit:
            self.closed += 1
            raise


class Parts:
    """A health whose report is set by the test."""

    def __init__(self) -> None:
        self.report_given = HealthReport((ComponentHealth("database", "ok", "reachable"),))
        self.deep: list[bool] = []

    async def report(self, *, deep: bool = False) -> HealthReport:
        self.deep.append(deep)
        return self.report_given


class NoKeys:
    """A key store without a key; `failure` is raised instead of an answer."""

    failure: AIAgentError | None = None

    async def find_key(self, workspace_id: UUID, digest: bytes) -> Caller | None:
        del workspace_id, digest
        if self.failure is not None:
            raise self.failure
        return None


@dataclass
class World:
    """The application, a client for it, and the doubles behind it."""

    app: FastAPI
    http: httpx.AsyncClient
    records: Records = field(default_factory=Records)
    answers: Answers = field(default_factory=Answers)
    parts: Parts = field(default_factory=Parts)
    keys: NoKeys = field(default_factory=NoKeys)
    clock: ManualClock = field(default_factory=ManualClock)
    events: list[Event] = field(default_factory=list)
    workspace_settings: InMemoryWorkspaceSettings = field(default_factory=InMemoryWorkspaceSettings)
    remembered: InMemoryRecordStore = field(default_factory=InMemoryRecordStore)
    cache: InMemoryAnswerCache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = InMemoryAnswerCache(self.remembered, self.workspace_settings, clock=self.clock)

    def authorize(self, *scopes: Scope, workspace: UUID = WORKSPACE) -> dict[str, str]:
        """Return the header of a caller with these scopes, or with all."""
        token = make_token(
            SECRET,
            workspace_id=workspace,
            scopes=scopes or SCOPES,
            subject="therapist-7",
            ttl_s=3600,
            clock=self.clock,
        )
        return {"Authorization": f"Bearer {token}"}

    async def ask(self, body: object, **headers: str) -> httpx.Response:
        """Ask a question as someone who may."""
        return await self.http.post(CHAT, json=body, headers=self.authorize("chat") | headers)


@asynccontextmanager
async def open_world(settings: Settings | None = None) -> AsyncIterator[World]:
    """Open the application with fresh doubles."""

    @asynccontextmanager
    async def open_services() -> AsyncIterator[Services]:
        yield Services(
            settings=settings or Settings(),
            access=Access(
                settings or Settings(), jwt_secret=SECRET, keys=world.keys, clock=world.clock
            ),
            records=world.records,
            settings_store=world.workspace_settings,
            cache=world.cache,
            ask=world.answers,
            health=world.parts,
            emit=world.events.append,
            clock=world.clock,
        )

    app = build_api(open_services)
    transport = httpx.ASGITransport(app)
    http = httpx.AsyncClient(transport=transport, base_url="http://test")
    world = World(app, http)
    async with app.router.lifespan_context(app), http:
        yield world

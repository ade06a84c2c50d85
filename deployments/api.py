"""The HTTP application: its routes, each a few lines over `Services`, and nothing of Ray.

The orchestrator hands `build_api` a way to open its services; Serve pickles the builder, and the
application is made inside the replica.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response, Security
from fastapi.security import HTTPBearer

from deployments.documented import DocumentedApi, application_version, problem_responses
from deployments.guarded import (
    authenticate,
    caller_of,
    guarded_by,
    services_of,
)
from deployments.middleware import RequestContext
from deployments.problems import install, render_not_ready
from deployments.questions import QuestionDesk
from deployments.schemas import (
    AnswerBody,
    ClientBody,
    ComponentBody,
    DeletedBody,
    HealthBody,
    LivenessBody,
    QuestionBody,
    SessionBody,
    StoredBody,
)
from deployments.streaming import DOCUMENTED, EventStream, open_stream, wants_stream
from deployments.workspace_schemas import FlushedBody, SettingsBody, SettingsPatch
from runtime.access.credentials import require
from runtime.messages import Caller
from runtime.services import OpenServices, Services
from runtime.telemetry import CacheEvicted, request_id

PREFIX: Final = "/api/v1/ai"

_bearer = Security(
    HTTPBearer(
        auto_error=False,  # `guarded.py` has checked it already; this is for the document
        scheme_name="bearer",
        description="A JWT, or an API key that begins with pzk_.",
    )
)
CallerOf = Annotated[Caller, Depends(caller_of)]
ServicesOf = Annotated[Services, Depends(services_of)]

questions = APIRouter(
    prefix=PREFIX, tags=["questions"], route_class=guarded_by("chat"), dependencies=[_bearer]
)
records = APIRouter(
    prefix=PREFIX,
    tags=["records"],
    route_class=guarded_by("records:write"),
    dependencies=[_bearer],
)
workspace = APIRouter(
    prefix=f"{PREFIX}/workspace",
    tags=["workspace"],
    route_class=guarded_by("workspace:admin"),
    dependencies=[_bearer],
)
operations = APIRouter(tags=["operations"])


def build_api(open_services: OpenServices) -> FastAPI:
    """Return the application; its lifespan opens the services and closes them."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            app.state.desk = QuestionDesk(services)
            yield

    app = DocumentedApi(
        title="PazPaz Agent Runtime",
        version=application_version(),
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would be an answer without a problem's form
        redoc_url=None,
        # FastAPI's own tracing sees bodies and exceptions' texts.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.add_middleware(RequestContext)
    routers = (questions, records, workspace, operations)
    install(app, [*app.routes, *(route for router in routers for route in router.routes)])
    for router in routers:
        app.include_router(router)
    return app


# --- Questions ------------------------------------------------------------------------------


@questions.post(
    "/agent/chat",
    response_model=AnswerBody,
    responses=DOCUMENTED | problem_responses(400, 401, 403, 413, 415, 422, 503, 504),
)
async def ask_question(
    request: Request, body: QuestionBody, caller: CallerOf
) -> AnswerBody | EventStream:
    """Answer a question from the records of the caller's workspace, with citations."""
    desk: QuestionDesk = request.app.state.desk
    question = body.to_question()
    if body.stream or wants_stream(request.headers):
        return await open_stream(desk.stream(caller.workspace_id, question))
    answer, duration_s = await desk.answer(caller.workspace_id, question)
    return AnswerBody.of(answer, request_id=request_id.get(), duration_s=duration_s)


# --- Records --------------------------------------------------------------------------------

_WRITE_PROBLEMS: Final = problem_responses(401, 403, 413, 415, 422, 503, 504)
_DELETE_PROBLEMS: Final = problem_responses(401, 403, 404, 422, 503, 504)


@records.put("/clients/{client_id}", responses=_WRITE_PROBLEMS)
async def put_client(
    client_id: UUID, body: ClientBody, caller: CallerOf, services: ServicesOf
) -> StoredBody:
    """Store a client's profile, whole; repeating it changes nothing."""
    await services.records.put_client(caller.workspace_id, body.to_client(client_id))
    return StoredBody()


@records.delete("/clients/{client_id}", responses=_DELETE_PROBLEMS)
async def delete_client(client_id: UUID, caller: CallerOf, services: ServicesOf) -> DeletedBody:
    """Delete a client and all of its sessions."""
    await services.records.delete_client(caller.workspace_id, client_id)
    return DeletedBody()


@records.put("/sessions/{session_id}", responses=_WRITE_PROBLEMS | problem_responses(404))
async def put_session(
    session_id: UUID, body: SessionBody, caller: CallerOf, services: ServicesOf
) -> StoredBody:
    """Store a session note, whole; its client must exist. Repeating it changes nothing."""
    await services.records.put_session(caller.workspace_id, body.to_session(session_id))
    return StoredBody()


@records.delete("/sessions/{session_id}", responses=_DELETE_PROBLEMS)
async def delete_session(session_id: UUID, caller: CallerOf, services: ServicesOf) -> DeletedBody:
    """Delete a session."""
    await services.records.delete_session(caller.workspace_id, session_id)
    return DeletedBody()


# --- The workspace --------------------------------------------------------------------------


@workspace.get("/settings", responses=problem_responses(401, 403, 503, 504))
async def read_settings(caller: CallerOf, services: ServicesOf) -> SettingsBody:
    """Tell the settings in force, and which of them the workspace has set itself."""
    own = await services.settings_store.read(caller.workspace_id)
    return SettingsBody.of(own, services.settings)


@workspace.patch("/settings", responses=problem_responses(401, 403, 413, 415, 422, 503, 504))
async def change_settings(
    body: SettingsPatch, caller: CallerOf, services: ServicesOf
) -> SettingsBody:
    """Change the settings that the body names, from the next question on; tell all of them."""
    changes = body.changes()
    if changes:
        own = await services.settings_store.change(caller.workspace_id, changes)
    else:
        own = await services.settings_store.read(caller.workspace_id)
    return SettingsBody.of(own, services.settings)


@workspace.delete("/cache", responses=problem_responses(401, 403, 503, 504))
async def flush_cache(caller: CallerOf, services: ServicesOf) -> FlushedBody:
    """Forget every cached answer of the workspace."""
    entries = await services.cache.forget_all(caller.workspace_id)
    services.emit(CacheEvicted("flushed", entries))
    return FlushedBody(entries=entries)


# --- Operations -----------------------------------------------------------------------------


@operations.get(
    f"{PREFIX}/health",
    responses=problem_responses(401, 403, 422, 503, 504),
    response_model_exclude_none=True,
)
async def read_health(
    request: Request,
    services: ServicesOf,
    *,
    deep: Annotated[bool, Query(description="Call the providers too; needs `ops`.")] = False,
) -> HealthBody:
    """Tell the state of the whole, and of each part to a credential with the scope `ops`.

    Answers 200 whatever the state; `/readyz` is for load balancers.
    """
    caller = None
    if deep or "Authorization" in request.headers:
        caller = await authenticate(request)
    if deep and caller is not None:
        require(caller, "ops")
    report = await services.health.report(deep=deep)
    if caller is None or "ops" not in caller.scopes:
        return HealthBody(status=report.status)
    parts = [
        ComponentBody(name=part.name, state=part.state, detail=part.detail)
        for part in report.components
    ]
    return HealthBody(status=report.status, components=parts)


@operations.get("/healthz")
async def read_liveness() -> LivenessBody:
    """Tell that the process answers."""
    return LivenessBody()


@operations.get("/readyz", response_model=LivenessBody, responses=problem_responses(503))
async def read_readiness(services: ServicesOf) -> LivenessBody | Response:
    """Tell whether a question could be answered now."""
    report = await services.health.report()
    return render_not_ready() if report.status == "down" else LivenessBody()

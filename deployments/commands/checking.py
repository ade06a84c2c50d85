"""The command `doctor`: looks at one thing after another, and says what to mend.

It costs nothing unless it is asked to look deep: then it makes one short call of each provider.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from runtime import assembly, provider_assembly
from runtime.clock import SystemClock
from runtime.errors import AIAgentError, ConfigurationError
from runtime.health import RETIRING, ChatProbe, EmbedderProbe, HealthCheck, Probe, RerankerProbe
from runtime.metrics.recording import NoMetrics
from runtime.settings import Secrets, Settings, find_unknown, load
from runtime.storage.migrate import find_pending
from runtime.storage.workspace_models import WorkspaceModels

HTTP_PORT: Final = 8000
_PROBE_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found; where `good` is False, `detail` says what to do."""

    name: str
    good: bool
    detail: str


async def examine(*, deep: bool) -> list[Finding]:
    """Return what was found, in the order a newcomer would mend it. Raises nothing of ours."""
    try:
        settings, secrets = load()
        findings = [look_at_names(find_unknown())]
    except ConfigurationError as error:
        return [Finding("configuration", good=False, detail=str(error))]
    findings.append(_look_at_credentials(settings, secrets))
    findings += await _look_at_database(settings, secrets)
    findings += await _look_at_providers(settings, deep=deep)
    findings.append(_look_at_http_port())
    if settings.metrics_enabled:
        findings.append(_look_at_metrics_port(settings))
    return findings


def look_at_names(unknown: Mapping[str, str | None]) -> Finding:
    """Return whether the variables that are none of ours, to the nearest of ours, look misspelt."""
    misspelt = [f"{name} (is it {near}?)" for name, near in unknown.items() if near]
    if misspelt:
        detail = f"no settings, and without effect: {', '.join(misspelt)}"
        return Finding("configuration", good=False, detail=detail)
    foreign = f"; {', '.join(unknown)}: not ours" if unknown else ""
    return Finding("configuration", good=True, detail=f"every setting is valid{foreign}")


def _look_at_credentials(settings: Settings, secrets: Secrets) -> Finding:
    if "HS256" not in settings.jwt_algorithms:
        detail = f"tokens signed with {', '.join(settings.jwt_algorithms)} by AI_JWT_JWKS"
    elif secrets.jwt_secret is not None:
        detail = "tokens signed with AI_JWT_SECRET"
    else:
        detail = "only up --demo will start: AI_JWT_SECRET is not set"
    return Finding("credentials", good=True, detail=detail)


async def _look_at_database(settings: Settings, secrets: Secrets) -> list[Finding]:
    name = "database"
    kind = "embedded PostgreSQL" if secrets.database_url is None else "DATABASE_URL"
    try:
        # Opening it makes sure of the role and of row-level security.
        async with assembly.open_storage(settings) as database:
            pending = await find_pending(database)
            models = {} if pending else await WorkspaceModels(database).count()
    except AIAgentError as error:
        return [Finding(name, good=False, detail=str(error))]
    if pending:
        detail = f"{len(pending)} migrations are not applied. Run: pazpaz-agent migrate"
        return [Finding(name, good=False, detail=detail)]
    detail = f"{kind}: reachable, schema up to date, role safe, row-level security forced"
    return [Finding(name, good=True, detail=detail), look_at_vectors(settings, models)]


def look_at_vectors(settings: Settings, models: Mapping[str, int]) -> Finding:
    """Return whether every workspace can be searched by meaning: `models` counts them by model."""
    configured, retiring = settings.embedding_space.key, settings.embedding_retiring
    mend = f"run: pazpaz-agent backfill --reembed {configured}"
    earlier = {key: count for key, count in models.items() if key != configured}
    if not earlier:
        left = "; nothing is left to retire: AI_EMBEDDING_RETIRING can be unset" if retiring else ""
        return Finding("vectors", good=True, detail=f"every workspace's are of {configured}{left}")
    counts = ", ".join(f"{count} of {key}" for key, count in earlier.items())
    if set(earlier) == {retiring}:
        detail = f"{counts}, which is retiring; to go on, {mend}"
        return Finding("vectors", good=True, detail=detail)
    detail = (
        f"workspaces by earlier models: {counts}. Where that is not AI_EMBEDDING_RETIRING, "
        f"they are searched by words alone: set it, or {mend}"
    )
    return Finding("vectors", good=False, detail=detail)


async def _look_at_providers(settings: Settings, *, deep: bool) -> list[Finding]:
    if not deep:
        told = "configured (--deep calls it)"
        space = provider_assembly.embedding_model(settings).key
        models = provider_assembly.chat_models(settings)
        reranks = settings.rerank_provider
        order = f"{reranks}:{settings.providers[reranks].rerank_model}" if reranks else ""
        return [
            Finding("embedding", good=True, detail=f"{space}, {told}"),
            *(
                Finding(f"chat_{name}", good=True, detail=f"{name}:{model}, {told}")
                for name, model in models.items()
            ),
            *([Finding("rerank", good=True, detail=f"{order}, {told}")] if order else []),
        ]

    emit = NoMetrics().emit  # a look of the doctor is no work of the application
    spaces = provider_assembly.make_spaces(settings, emit)
    chats = provider_assembly.make_chats(settings, emit, spaces.configured)
    probes: list[Probe] = [EmbedderProbe(spaces.configured)]
    probes += [EmbedderProbe(each, RETIRING) for each in spaces.retiring]
    probes += [ChatProbe(chat, f"chat_{name}") for name, chat in chats.items()]
    reranker = provider_assembly.make_reranker(settings, emit)
    probes += [] if reranker is None else [RerankerProbe(reranker)]
    check = HealthCheck(probes, clock=SystemClock())
    report = await check.report(deep=True)
    await provider_assembly.close_clients()
    return [Finding(part.name, part.state == "ok", part.detail) for part in report.components]


def _look_at_http_port() -> Finding:
    name = f"port {HTTP_PORT}"
    if _can_bind("127.0.0.1", HTTP_PORT, shared=False):
        return Finding(name, good=True, detail="free")
    try:
        url = f"http://127.0.0.1:{HTTP_PORT}/healthz"
        answer = httpx.get(url, timeout=_PROBE_TIMEOUT_S, trust_env=False)  # by no proxy
        alive = answer.status_code == HTTPStatus.OK
    except httpx.HTTPError:
        alive = False
    if alive:
        return Finding(name, good=True, detail="a server answers on it")
    detail = "taken by another program: stop it, or serve with up --port"
    return Finding(name, good=False, detail=detail)


def _look_at_metrics_port(settings: Settings) -> Finding:
    name = f"port {settings.metrics_port}"
    # Our own processes share it, and only with processes of the same user that ask for it.
    if _can_bind(settings.metrics_host, settings.metrics_port, shared=True):
        return Finding(name, good=True, detail="free for the metrics, or in use by them")
    detail = "taken by another program: set AI_METRICS_PORT to another, or stop it"
    return Finding(name, good=False, detail=detail)


def _can_bind(host: str, port: int, *, shared: bool) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            probe.bind((host, port))  # without listening: no scrape may come to us
        except OSError:
            return False
    return True


def show(findings: Sequence[Finding]) -> None:
    """Print the findings as a table."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for finding in findings:
        state = "[green]ok[/]" if finding.good else "[red]MEND[/]"
        table.add_row(state, escape(finding.name), escape(finding.detail))
    Console().print(table)


def is_well(findings: Sequence[Finding]) -> bool:
    """Return whether nothing has to be mended."""
    return all(finding.good for finding in findings)

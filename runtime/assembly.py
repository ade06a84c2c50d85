"""Builds one process's live objects: pools and services; `provider_assembly.py` the providers.

Nothing else constructs any. Called once at the start of every replica, actor and command. Which
process gets what is not decided here: the Ray graph is `deployments/app.py`'s business.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from runtime.access.credentials import Access
from runtime.answering.answer import AnswerQuestion
from runtime.answering.chat_chain import ChatChain
from runtime.answering.context import ContextBudget
from runtime.answering.reuse import CachePolicy, Reuse
from runtime.answering.search import Search
from runtime.clock import SystemClock
from runtime.embedding.backfill import EmbedRecords
from runtime.embedding.run import EmbeddingRun
from runtime.health import (
    RETIRING,
    ChatProbe,
    DatabaseProbe,
    EmbedderProbe,
    HealthCheck,
    IndexProbe,
    RerankerProbe,
)
from runtime.logs import configure_logging, log_sink
from runtime.metrics.recording import open_metrics
from runtime.providers import local
from runtime.services import Services
from runtime.settings import load_secrets
from runtime.storage import embedded
from runtime.storage.answer_cache import PostgresAnswerCache
from runtime.storage.client_names import PostgresClientDirectory
from runtime.storage.jobs import EmbeddingJobs
from runtime.storage.keys import PostgresKeyStore
from runtime.storage.migrate import find_pending, index_vectors
from runtime.storage.passages import PostgresPassageStore
from runtime.storage.pool import Database, open_database
from runtime.storage.records import PostgresRecordStore
from runtime.storage.workspace_models import WorkspaceModels
from runtime.storage.workspace_settings import PostgresWorkspaceSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from runtime.embedding.spaces import EmbeddingSpaces
    from runtime.health import Probe, State
    from runtime.ports import ChatModel, Reranker
    from runtime.settings import Secrets, Settings
    from runtime.telemetry import Emit, Event

# --- Every process --------------------------------------------------------------------------


def open_telemetry(settings: Settings, directory: Path) -> Emit:
    """Return where this process's records go: its log and, in `directory`, the node's metrics."""
    configure_logging()
    if not settings.metrics_enabled:
        return log_sink
    metrics = open_metrics(directory, host=settings.metrics_host, port=settings.metrics_port)

    def emit(event: Event) -> None:
        log_sink(event)
        metrics.emit(event)

    return emit


# --- The database ---------------------------------------------------------------------------


def database_url(settings: Settings, secrets: Secrets) -> str:
    """Return the runtime role's URL; the embedded server is started or joined where none is set.

    Raises: DatabaseUnavailable.
    """
    if secrets.database_url is not None:
        return secrets.database_url.get_secret_value()
    return embedded.start(settings.data_dir / "postgres").runtime_url


def owner_url(settings: Settings, secrets: Secrets) -> str | None:
    """Return the schema owner's URL, or None where only `AI_DATABASE_OWNER_URL` could tell it.

    Raises: DatabaseUnavailable.
    """
    if secrets.database_owner_url is not None:
        return secrets.database_owner_url.get_secret_value()
    if secrets.database_url is not None:
        return None
    return embedded.start(settings.data_dir / "postgres").owner_url


def runtime_role(settings: Settings, secrets: Secrets) -> str:
    """Return the role that `DATABASE_URL` names, which migrations grant to."""
    return unquote(urlsplit(database_url(settings, secrets)).username or embedded.RUNTIME_ROLE)


@asynccontextmanager
async def open_storage(settings: Settings, *, must_answer: bool = True) -> AsyncIterator[Database]:
    """Open the pool for as long as the block runs; `must_answer` as in `open_database`.

    Raises: DatabaseUnavailable, UnsafeRole, MigrationError.
    """
    database = await open_database(
        database_url(settings, load_secrets()),
        pool_size=settings.pool_size,
        statement_timeout_s=settings.vector_search_timeout_s,
        must_answer=must_answer,
    )
    async with database:
        yield database


async def index_embedded_database(settings: Settings) -> None:
    """Give the practices that have become large their index; another database's owner has to.

    Raises: DatabaseUnavailable.
    """
    if load_secrets().database_url is None:
        await index_vectors(embedded.start(settings.data_dir / "postgres").owner_url)


# --- What each kind of process serves with ----------------------------------------------------


@asynccontextmanager
async def open_services(
    settings: Settings,
    emit: Emit,
    spaces: EmbeddingSpaces,
    chats: Mapping[str, ChatModel],
    others: Sequence[Probe] = (),
    *,
    reranker: Reranker | None = None,
) -> AsyncIterator[Services]:
    """Open what the HTTP routes need, for as long as the block runs.

    A database that is down does not stop a replica: it answers 503 until the database is there.
    `chats` are all providers in use by name; `others` are looked at for readiness, beside the
    database and the providers.

    Raises: ConfigurationError, UnsafeRole, MigrationError.
    """
    clock = SystemClock()
    secrets = load_secrets()
    async with open_storage(settings, must_answer=False) as database:
        cache = PostgresAnswerCache(database)
        chain = ChatChain(
            [chats[name] for name in settings.chat_providers], split=dict(settings.chat_split)
        )
        ask = AnswerQuestion(
            search=Search(
                spaces=spaces,
                passages=PostgresPassageStore(database),
                directory=PostgresClientDirectory(database),
                chat=chain,
                text_search_fallback=settings.text_search_fallback,
                emit=emit,
                reranker=reranker,
            ),
            context=_budget(settings, emit),
            reuse=Reuse(
                cache,
                cache_policy(settings),
                configured=_changing_answers(settings, reranker),
                emit=emit,
            ),
            chat=chain,
            extract=local.ExtractiveChatModel() if settings.extractive_fallback else None,
            clock=clock,
            emit=emit,
            guard_mode=settings.guard_mode,
        )
        access = Access(
            settings, jwt_secret=secrets.jwt_secret, keys=PostgresKeyStore(database), clock=clock
        )

        without_embedding: State = "degraded" if settings.text_search_fallback else "down"
        without_chat: State = "degraded" if settings.extractive_fallback else "down"

        async def pending() -> list[str]:
            return await find_pending(database)

        probes: tuple[Probe, ...] = (
            DatabaseProbe(database.check, pending),
            IndexProbe(EmbeddingJobs(database).count_backlog),
            EmbedderProbe(spaces.configured, without=without_embedding),
            *(EmbedderProbe(each, RETIRING, "degraded") for each in spaces.retiring),
            *(ChatProbe(chat, f"chat_{name}", without_chat) for name, chat in chats.items()),
            *([] if reranker is None else [RerankerProbe(reranker)]),
            *others,
        )
        yield Services(
            settings=settings,
            access=access,
            records=PostgresRecordStore(database),
            settings_store=PostgresWorkspaceSettings(database),
            cache=cache,
            ask=ask,
            health=HealthCheck(probes, clock=clock),
            emit=emit,
            clock=clock,
        )


def cache_policy(settings: Settings) -> CachePolicy:
    """Return how answers are remembered where a workspace says nothing else."""
    return CachePolicy(
        is_on=settings.cache_enabled,
        ttl_s=settings.cache_ttl_s,
        min_similarity=settings.cache_similarity,
        max_entries=settings.cache_max_entries,
    )


@asynccontextmanager
async def open_embedding_queue(
    settings: Settings, emit: Emit, spaces: EmbeddingSpaces
) -> AsyncIterator[EmbedRecords]:
    """Open the queue of records to embed, for as long as the block runs.

    Raises: DatabaseUnavailable, UnsafeRole, MigrationError.
    """
    async with open_storage(settings) as database:
        yield EmbedRecords(EmbeddingJobs(database), spaces, clock=SystemClock(), emit=emit)


@asynccontextmanager
async def open_embedding_run(
    settings: Settings,
    spaces: EmbeddingSpaces,
    *,
    reembed: bool,
    on_progress: Callable[[int, int], None],
) -> AsyncIterator[EmbeddingRun]:
    """Open a run of the command `backfill`, for as long as the block runs.

    Raises: DatabaseUnavailable, UnsafeRole, MigrationError.
    """

    def keep_quiet(_: Event) -> None:
        """The progress bar says it; the calls are counted by the deployment."""

    async with open_storage(settings) as database:
        jobs, models = EmbeddingJobs(database), WorkspaceModels(database)
        queue = EmbedRecords(jobs, spaces, clock=SystemClock(), emit=keep_quiet)
        yield EmbeddingRun(queue, models, spaces, reembed=reembed, on_progress=on_progress)


def _changing_answers(settings: Settings, reranker: Reranker | None) -> tuple[str, ...]:
    """Return what of this process changes answers, in words that `Reuse` compares."""
    order = "" if reranker is None else f"{reranker.provider}:{reranker.name}"
    return (f"context={settings.context_management_enabled}", f"rerank={order}")


def _budget(settings: Settings, emit: Emit) -> ContextBudget:
    windows = {name: given.context_tokens for name, given in settings.providers.items()}
    return ContextBudget(windows, enabled=settings.context_management_enabled, emit=emit)

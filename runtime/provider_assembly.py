"""Builds one process's embedder and chat models, each in its wrappings; nothing else does.

From the outside in: coalescing, fallback, guard (retries, circuit breaker, limiter), measurement,
the vendor's client. Called once at the start of a replica or a command.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from runtime.clock import SystemClock
from runtime.embedding.coalescing import CoalescingEmbedder
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.errors import ConfigurationError
from runtime.measured import MeasuredChat, MeasuredEmbedder, MeasuredReranker
from runtime.provider_settings import circuit
from runtime.providers import catalog, local
from runtime.providers.catalog import LOCAL, PROVIDERS
from runtime.providers.options import ProviderOptions
from runtime.providers.transport import open_http
from runtime.resilience.backoff import RetryPolicy
from runtime.resilience.bounded import BoundedChat
from runtime.resilience.breaker import breaker_policy
from runtime.resilience.fallback import FallbackEmbedder
from runtime.resilience.guarded import GuardedCall
from runtime.resilience.guarded_chat import GuardedChat
from runtime.resilience.guarded_embedder import GuardedEmbedder
from runtime.resilience.guarded_reranker import GuardedReranker
from runtime.resilience.shared_breaker import SharedBreakers
from runtime.resilience.shared_limiter import SharedLimiters
from runtime.settings import load_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from runtime.errors import Operation
    from runtime.messages import EmbeddingModel
    from runtime.ports import ChatModel, Embedder, Reranker
    from runtime.resilience.shared_breaker import BreakerLink
    from runtime.resilience.shared_limiter import LimiterLink
    from runtime.settings import Settings
    from runtime.telemetry import Emit

EXTRACTIVE: Final = "extractive"
EMBED_MAX_DELAY_S: Final = 32.0
CHAT_MAX_DELAY_S: Final = 16.0
"""The longest pauses before an attempt. Source: the contract."""
RERANK_MAX_DELAY_S: Final = 1.0
"""Likewise: an order is waited for no longer than three seconds in all."""


_OPENED: Final[WeakSet[httpx.AsyncClient]] = WeakSet()
"""The clients of this process. A replica's end with it."""


@dataclass(frozen=True, slots=True)
class Guards:
    """What this process shares with the cluster: the vendors' health, and their limits."""

    breakers: SharedBreakers
    limiters: SharedLimiters


def make_guards(
    settings: Settings,
    emit: Emit,
    *,
    replica_id: str,
    breaker_link: BreakerLink,
    limiter_link: LimiterLink,
) -> Guards:
    """Return this process's share; whoever calls it runs both in the background."""
    clock = SystemClock()
    return Guards(
        SharedBreakers(breaker_link, clock, replica_id=replica_id, policy=breaker_policy(settings)),
        SharedLimiters(
            limiter_link, clock, replica_id=replica_id, limits=settings.limits(), emit=emit
        ),
    )


def embedding_model(settings: Settings) -> EmbeddingModel:
    """Return the configured vector space, without loading anything."""
    return settings.embedding_space


def chat_models(settings: Settings) -> dict[str, str]:
    """Return every chat provider in use with its model, without loading anything."""
    return {
        name: EXTRACTIVE if name == LOCAL else str(settings.providers[name].chat_model)
        for name in settings.chat_providers
    }


def make_embedder(settings: Settings, emit: Emit, guards: Guards | None = None) -> Embedder:
    """Return the configured provider's Embedder and its fallbacks', clients or model loaded.

    Without `guards`, as in a command, each call is made once, and as it comes.

    Raises: ConfigurationError.
    """
    space = settings.embedding_space
    spaces = [replace(space, provider=name) for name in settings.embedding_providers]
    return _make_chain(settings, spaces, emit=emit, guards=guards)


def make_spaces(settings: Settings, emit: Emit, guards: Guards | None = None) -> EmbeddingSpaces:
    """Return the configured Embedder, and that of the space being left, if there is one.

    Raises: ConfigurationError.
    """
    configured = make_embedder(settings, emit, guards)
    if settings.retiring_space is None:
        return EmbeddingSpaces(configured)
    retiring = _make_chain(settings, [settings.retiring_space], emit=emit, guards=guards)
    return EmbeddingSpaces(configured, retiring)


def make_chats(
    settings: Settings, emit: Emit, embedder: Embedder, guards: Guards | None = None
) -> dict[str, ChatModel]:
    """Return the ChatModel of every chat provider in use; the local one ranks with `embedder`.

    Raises: ConfigurationError.
    """
    return {
        name: _make_chat(settings, name, emit=emit, embedder=embedder, guards=guards)
        for name in settings.chat_providers
    }


def make_reranker(settings: Settings, emit: Emit, guards: Guards | None = None) -> Reranker | None:
    """Return the configured provider's Reranker; None where none is chosen.

    Raises: ConfigurationError.
    """
    name = settings.rerank_provider
    if not name:
        return None
    given = settings.providers[name]
    options = _options(settings, name, model=str(given.rerank_model))
    http = _open_http(given.rerank_timeout_seconds)
    vendor = catalog.rerank_module(name).make_reranker(options, http)
    reranker = MeasuredReranker(vendor, emit=emit, clock=SystemClock())
    if guards is None:
        return reranker
    guard = _guard(settings, name, "rerank", model=options.model, guards=guards, emit=emit)
    return GuardedReranker(reranker, guard)


def _make_chain(
    settings: Settings, spaces: Sequence[EmbeddingModel], *, emit: Emit, guards: Guards | None
) -> Embedder:
    """Return an Embedder in the first space, with the others' providers to fall back on."""
    clock = SystemClock()
    if spaces[0].provider == LOCAL:
        # Nothing to guard, and its engine gains nothing from batches.
        return MeasuredEmbedder(local.LocalEmbedder(), emit=emit, clock=clock)
    embedders = [_make_embedder(settings, each, emit=emit, guards=guards) for each in spaces]
    embedder = embedders[0] if len(embedders) == 1 else FallbackEmbedder(embedders, clock=clock)
    return embedder if guards is None else CoalescingEmbedder(embedder, clock=clock)


def _make_embedder(
    settings: Settings, space: EmbeddingModel, *, emit: Emit, guards: Guards | None
) -> Embedder:
    name = space.provider
    module = catalog.embedding_module(name)
    http = _open_http(settings.providers[name].embed_timeout_seconds)
    options = _options(settings, name, model=space.name, dimensions=space.dimensions)
    vendor = module.make_embedder(options, http)
    embedder: Embedder = MeasuredEmbedder(vendor, emit=emit, clock=SystemClock())
    if guards is None:
        return embedder
    guard = _guard(settings, name, "embed", model=space.name, guards=guards, emit=emit)
    return GuardedEmbedder(embedder, guard, texts_per_call=module.TEXTS_PER_CALL)


def _make_chat(
    settings: Settings, name: str, *, emit: Emit, embedder: Embedder, guards: Guards | None
) -> ChatModel:
    clock = SystemClock()
    if name == LOCAL:
        return MeasuredChat(local.ExtractiveChatModel(embedder), emit=emit, clock=clock)
    http = _open_http(settings.providers[name].chat_timeout_seconds)
    options = _options(settings, name, model=str(settings.providers[name].chat_model))
    vendor = catalog.chat_module(name).make_chat(options, http)
    model: ChatModel = MeasuredChat(BoundedChat(vendor), emit=emit, clock=clock)
    if guards is None:
        return model
    guard = _guard(settings, name, "chat", model=model.name, guards=guards, emit=emit)
    return GuardedChat(model, guard)


async def close_clients() -> None:
    """Close what the vendors' clients hold open: a command that ends would be told of it."""
    while _OPENED:
        await _OPENED.pop().aclose()


def _open_http(read_timeout_s: float) -> httpx.AsyncClient:
    http = open_http(read_timeout_s)
    _OPENED.add(http)
    return http


def _options(settings: Settings, name: str, *, model: str, dimensions: int = 0) -> ProviderOptions:
    key = load_secrets().key_of(name)
    if key is None and PROVIDERS[name].is_key_required:
        reason = "is not set where its provider is called."
        raise ConfigurationError(PROVIDERS[name].key, reason, "Set it on every node.")
    given = settings.providers[name]
    return ProviderOptions(
        provider=name,
        model=model,
        base_url=given.base_url,
        api_key=key,
        api_version=given.api_version,
        dimensions=dimensions,
        clock=SystemClock(),
    )


def _guard(
    settings: Settings, name: str, operation: Operation, *, model: str, guards: Guards, emit: Emit
) -> GuardedCall:
    key = circuit(name, operation)
    return GuardedCall(
        name,
        model,
        operation=operation,
        policy=_retry_policy(settings, operation),
        breaker=guards.breakers.circuit(key),
        limiter=guards.limiters.limiter(key),
        budget=guards.limiters.budget(key),
        emit=emit,
        clock=SystemClock(),
    )


def _retry_policy(settings: Settings, operation: Operation) -> RetryPolicy:
    retries, max_delay_s = {
        "embed": (settings.embed_max_retries, EMBED_MAX_DELAY_S),
        "chat": (settings.chat_max_retries, CHAT_MAX_DELAY_S),
        "rerank": (settings.rerank_max_retries, RERANK_MAX_DELAY_S),
    }[operation]
    return RetryPolicy(retries, max_delay_s, settings.retry_total_wait_s)

"""How the parts of the application are: for the health and readiness routes, and for `doctor`.

A probe looks at one part and never costs money unless it is asked to look deep. What a probe says
is words of ours, so it may be shown to whoever has the scope.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from runtime.errors import AIAgentError
from runtime.logs import log_failure
from runtime.messages import ChatMessage, ChatRequest, CircuitState
from runtime.ports import ChatModel, Clock, Embedder, Reranker

State: TypeAlias = Literal["ok", "degraded", "down"]

KEPT_S: Final = 1.0
"""How long a report is shown again: anyone may ask, and each one costs the database a question."""

PROBE_TIMEOUT_S: Final = 5.0
DEEP_PROBE_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """One part: `ok`, `degraded` (answers suffer) or `down` (no question can be answered)."""

    name: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Every part, and the worst state among them."""

    components: tuple[ComponentHealth, ...]

    @property
    def status(self) -> State:
        """The state of the whole."""
        states = {component.state for component in self.components}
        return "down" if "down" in states else "degraded" if "degraded" in states else "ok"


class Probe(Protocol):
    """Looks at one part."""

    @property
    def name(self) -> str:
        """What the part is called in a report."""
        ...

    @property
    def without(self) -> State:
        """How the whole is when this part does not answer."""
        ...

    async def check(self, *, deep: bool) -> ComponentHealth:
        """Return how the part is.

        Raises: AIAgentError, which the report shows as `without` says.
        """
        ...


class HealthCheck:
    """Asks every probe at once, each with a time limit. Shallow reports are kept for a moment."""

    def __init__(self, probes: Sequence[Probe], *, clock: Clock) -> None:
        self._probes = tuple(probes)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._kept: HealthReport | None = None
        self._kept_at_s = 0.0

    async def report(self, *, deep: bool = False) -> HealthReport:
        """Return the state of each part. Raises nothing."""
        if deep:
            return await self._ask_all(deep=True)
        async with self._lock:
            if self._kept is None or self._clock.monotonic() - self._kept_at_s >= KEPT_S:
                self._kept = await self._ask_all(deep=False)
                self._kept_at_s = self._clock.monotonic()
            return self._kept

    async def _ask_all(self, *, deep: bool) -> HealthReport:
        asked = [_ask(probe, deep=deep) for probe in self._probes]
        return HealthReport(tuple(await asyncio.gather(*asked)))


async def _ask(probe: Probe, *, deep: bool) -> ComponentHealth:
    limit_s = DEEP_PROBE_TIMEOUT_S if deep else PROBE_TIMEOUT_S
    try:
        async with asyncio.timeout(limit_s):
            return await probe.check(deep=deep)
    except TimeoutError:
        return ComponentHealth(probe.name, probe.without, f"did not answer within {limit_s:g} s")
    except AIAgentError as error:
        return ComponentHealth(probe.name, probe.without, str(error))
    except Exception as error:  # noqa: BLE001 - a report that fails tells nothing of the others
        log_failure("probe_failed", error, component=probe.name)
        detail = "failed in an unexpected way; see the log"
        return ComponentHealth(probe.name, probe.without, detail)


@dataclass(frozen=True, slots=True)
class DatabaseProbe:
    """Is the database there (`ping` raises if not), and is its schema current (`pending`)?"""

    ping: Callable[[], Awaitable[None]]
    pending: Callable[[], Awaitable[Sequence[str]]]
    name: str = "database"
    without: State = "down"

    async def check(self, *, deep: bool) -> ComponentHealth:  # noqa: ARG002 - nothing here costs
        """Return how the database is.

        Raises: DatabaseError.
        """
        await self.ping()
        if missing := await self.pending():
            detail = f"{len(missing)} migrations are not applied; run: pazpaz-agent migrate"
            return ComponentHealth(self.name, "down", detail)
        return ComponentHealth(self.name, "ok", "reachable, schema up to date")


@dataclass(frozen=True, slots=True)
class IndexProbe:
    """How far the search lags behind the records. What waits is no fault: the worker is at it."""

    count_backlog: Callable[[], Awaitable[int]]
    name: str = "index"
    without: State = "down"

    async def check(self, *, deep: bool) -> ComponentHealth:  # noqa: ARG002 - nothing here costs
        """Return how many records wait for their embedding.

        Raises: DatabaseError.
        """
        waiting = await self.count_backlog()
        return ComponentHealth(self.name, "ok", f"{waiting} records wait for their embedding")


@dataclass(frozen=True, slots=True)
class ProcessProbe:
    """Does a replica of a deployment, or an actor, answer? `ping` raises if not."""

    name: str
    ping: Callable[[], Awaitable[None]]
    without: State = "down"

    async def check(self, *, deep: bool) -> ComponentHealth:  # noqa: ARG002 - nothing here costs
        """Return that it answers.

        Raises: ActorUnavailable.
        """
        await self.ping()
        return ComponentHealth(self.name, "ok", "answers")


@dataclass(frozen=True, slots=True)
class CircuitProbe:
    """Which providers the circuit breaker lets through. `read` asks it for the state of each."""

    read: Callable[[], Awaitable[Mapping[str, CircuitState]]]
    name: str = "circuit_breaker"
    without: State = "degraded"

    async def check(self, *, deep: bool) -> ComponentHealth:  # noqa: ARG002 - nothing here costs
        """Return each circuit that is not closed; replicas decide alone when the breaker is away.

        Raises: ActorUnavailable.
        """
        circuits = await self.read()
        shut = {circuit: state for circuit, state in circuits.items() if state != "closed"}
        if shut:
            detail = ", ".join(f"{circuit} {state}" for circuit, state in sorted(shut.items()))
            return ComponentHealth(self.name, "degraded", detail)
        return ComponentHealth(self.name, "ok", f"{len(circuits)} circuits, all closed")


RETIRING: Final = "embedding_retiring"
"""The part that embeds questions of workspaces that are being moved to another model."""


@dataclass(frozen=True, slots=True)
class EmbedderProbe:
    """The embedding model. Only a deep look calls it."""

    embedder: Embedder
    name: str = "embedding"
    without: State = "down"

    async def check(self, *, deep: bool) -> ComponentHealth:
        """Return which model is configured and, looking deep, that it embeds.

        Raises: ProviderError, ActorUnavailable.
        """
        if deep:
            await self.embedder.embed_text(
                "health", input_type="query", timeout_s=DEEP_PROBE_TIMEOUT_S
            )
        return ComponentHealth(self.name, "ok", _seen(self.embedder.model.key, deep=deep))


@dataclass(frozen=True, slots=True)
class ChatProbe:
    """The chat model. Only a deep look calls it."""

    chat_model: ChatModel
    name: str = "chat"
    without: State = "down"

    async def check(self, *, deep: bool) -> ComponentHealth:
        """Return which model is configured and, looking deep, that it answers.

        Raises: ProviderError, ActorUnavailable.
        """
        if deep:
            message = ChatMessage("user", "Answer with the word ok.")
            request = ChatRequest("", (message,), (), "en", max_tokens=5)
            await self.chat_model.chat(request, timeout_s=DEEP_PROBE_TIMEOUT_S)
        model = f"{self.chat_model.provider}:{self.chat_model.name}"
        return ComponentHealth(self.name, "ok", _seen(model, deep=deep))


@dataclass(frozen=True, slots=True)
class RerankerProbe:
    """The reranking model, which answers can do without. Only a deep look calls it."""

    reranker: Reranker
    name: str = "rerank"
    without: State = "degraded"

    async def check(self, *, deep: bool) -> ComponentHealth:
        """Return which model is configured and, looking deep, that it ranks.

        Raises: ProviderError, ActorUnavailable.
        """
        if deep:
            await self.reranker.rank("health", ["health"], timeout_s=DEEP_PROBE_TIMEOUT_S)
        model = f"{self.reranker.provider}:{self.reranker.name}"
        return ComponentHealth(self.name, "ok", _seen(model, deep=deep))


def _seen(model: str, *, deep: bool) -> str:
    return f"{model}, {'answered' if deep else 'configured'}"

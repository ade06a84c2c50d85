"""What each telemetry record adds to the metrics of `table.py`.

Every process calls `open_metrics` once and emits its records to what it returns. How the processes
of a node are summed is `files.py`'s business, the address `scrape.py`'s.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final, Protocol, assert_never

from runtime.clock import SystemClock
from runtime.logs import log
from runtime.messages import CircuitState
from runtime.metrics import table
from runtime.metrics.files import MetricFiles
from runtime.metrics.scrape import ScrapeServer
from runtime.ports import Clock
from runtime.telemetry import (
    AnsweredDegraded,
    BacklogMeasured,
    CacheAsked,
    CacheEvicted,
    CallRetried,
    ChatCalled,
    CircuitChanged,
    ContextBuilt,
    EmbeddingCalled,
    Event,
    GuardedCallEnded,
    PassagesSearched,
    QuestionAnswered,
    QuestionBlocked,
    RecordsEmbedded,
    RerankCalled,
    ThrottleWaited,
)

_HITS: Final = ("exact", "semantic", "stale")
_STATE_VALUES: Final[dict[CircuitState, int]] = {"closed": 0, "half_open": 1, "open": 2}


class MetricsSink(Protocol):
    """Where a process sends its records, and what it closes at its end."""

    def emit(self, event: Event) -> None:
        """Count one record. Never raises, from any thread."""
        ...

    def close(self) -> None:
        """Stop; the counts stay on the scrape address, the gauges leave it."""
        ...


class NoMetrics:
    """The sink where metrics are switched off or could not be opened."""

    def emit(self, event: Event) -> None:
        """Count nothing."""

    def close(self) -> None:
        """Close nothing."""


class NodeMetrics:
    """The sink that counts into the node's files."""

    def __init__(self, files: MetricFiles, server: ScrapeServer | None, *, clock: Clock) -> None:
        self._files = files
        self._server = server
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = False

    def emit(self, event: Event) -> None:
        """Count one record; nothing once closed."""
        with self._lock:
            if not self._closed:
                self._count(event)

    def close(self) -> None:
        """Leave the address and give the files back. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._server is not None:
            self._server.close()
        self._files.close()

    def _count(self, event: Event) -> None:  # noqa: C901, PLR0912 - one arm a record
        match event:
            case QuestionAnswered():
                self._count_question(event)
            case QuestionBlocked():
                if event.refused:
                    self._files.add(table.BLOCKED, [event.kind])
            case PassagesSearched():
                self._files.observe(table.RETRIEVAL_DURATION, event.duration_s, [event.mode])
            case EmbeddingCalled():
                self._count_embedding(event)
            case ChatCalled():
                self._count_chat(event)
            case RerankCalled():
                self._count_rerank(event)
            case RecordsEmbedded():
                pass  # the log has it; the backlog and the embedding calls are its metrics
            case BacklogMeasured():
                self._files.set(table.BACKLOG, event.records, at=self._clock.now().timestamp())
            case CallRetried():
                labels = [event.operation, str(event.attempt), event.circuit]
                self._files.add(table.RETRIES, labels)
            case GuardedCallEnded():
                self._files.add(table.RETRY_OUTCOMES, [event.operation, event.outcome])
            case CircuitChanged():
                self._count_circuit(event)
            case ThrottleWaited():
                self._files.observe(table.THROTTLE_WAIT, event.wait_s, [event.provider])
            case AnsweredDegraded():
                self._files.add(table.DEGRADED, [event.reason])
            case CacheAsked():
                is_hit = event.result in _HITS
                metric = table.CACHE_HITS if is_hit else table.CACHE_MISSES
                self._files.add(metric, [event.result])
            case CacheEvicted():
                self._files.add(table.CACHE_EVICTIONS, [event.reason], amount=event.entries)
            case ContextBuilt():
                self._files.observe(table.CONTEXT_TOKENS, event.tokens)
                if event.dropped:
                    self._files.add(table.CONTEXT_TRUNCATIONS)
            case _ as never:
                assert_never(never)

    def _count_question(self, event: QuestionAnswered) -> None:
        self._files.add(table.QUERIES, [event.status, event.language, event.cache])
        self._files.observe(table.QUERY_DURATION, event.duration_s, [event.language])
        if event.status == "ok":
            self._files.observe(table.SOURCES, event.sources_retrieved)
            self._files.observe(table.CITATIONS, event.citations_returned)

    def _count_embedding(self, event: EmbeddingCalled) -> None:
        labels = [event.provider, event.model]
        self._files.observe(table.EMBEDDING_DURATION, event.duration_s, labels)
        if event.error_type is not None:
            self._files.add(table.EMBEDDING_ERRORS, [*labels, event.error_type])

    def _count_chat(self, event: ChatCalled) -> None:
        labels = [event.provider, event.model]
        self._files.observe(table.LLM_DURATION, event.duration_s, labels)
        suffix = "_estimated" if event.estimated else ""
        self._files.add(table.LLM_TOKENS, [*labels, f"input{suffix}"], amount=event.input_tokens)
        self._files.add(table.LLM_TOKENS, [*labels, f"output{suffix}"], amount=event.output_tokens)
        if event.first_token_s is not None:
            self._files.observe(table.FIRST_TOKEN, event.first_token_s, labels)
        if event.error_type is not None:
            self._files.add(table.LLM_ERRORS, [*labels, event.error_type])

    def _count_rerank(self, event: RerankCalled) -> None:
        labels = [event.provider, event.model]
        self._files.observe(table.RERANK_DURATION, event.duration_s, labels)
        if event.error_type is not None:
            self._files.add(table.RERANK_ERRORS, [*labels, event.error_type])

    def _count_circuit(self, event: CircuitChanged) -> None:
        state = _STATE_VALUES[event.to_state]
        at = self._clock.now().timestamp()
        self._files.set(table.CIRCUIT_STATE, state, at=at, labels=[event.circuit])
        if event.from_state != event.to_state:
            labels = [event.circuit, event.from_state, event.to_state]
            self._files.add(table.CIRCUIT_CHANGES, labels)
        if event.open_s is not None:
            self._files.observe(table.CIRCUIT_OPEN_DURATION, event.open_s, [event.circuit])


def open_metrics(
    directory: Path, *, host: str, port: int, clock: Clock | None = None
) -> MetricsSink:
    """Return this process's sink, its scrape address open.

    `directory` is the same for all processes of one application on one node, belongs to this user,
    and begins empty with each start of the cluster. Metrics never stop the serving: with the port
    taken by a stranger the other processes may still answer scrapes; without files there are none.
    """
    try:
        files = MetricFiles(directory)
    except OSError as error:
        log("metrics_unavailable", level=logging.WARNING, error_type=type(error).__name__)
        return NoMetrics()
    server = None
    try:
        server = ScrapeServer(directory, host=host, port=port)
    except OSError:
        log("metrics_port_unavailable", level=logging.WARNING, port=port)
    return NodeMetrics(files, server, clock=clock or SystemClock())

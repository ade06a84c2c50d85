"""The metrics of the contract's section 5: what each telemetry record adds to them.

Every process calls `open_metrics` once and emits its records to what it returns. How the processes
of a node are summed is `metric_files.py`'s business, the address `scrape.py`'s. No label holds a
workspace, a person or any text: records have none, and their names come from closed sets.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final, Protocol, assert_never

from runtime.clock import SystemClock
from runtime.logs import log
from runtime.metric_files import Metric, MetricFiles
from runtime.ports import Clock
from runtime.scrape import ScrapeServer
from runtime.telemetry import (
    BacklogMeasured,
    ChatCalled,
    EmbeddingCalled,
    Event,
    PassagesSearched,
    QuestionAnswered,
    QuestionBlocked,
    RecordsEmbedded,
)

# Bounds are chosen where decisions are made: around what each stage takes when all is well, and
# up to the time-out that ends it (the contract's section 2), about four a decade in between.
_QUESTION_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0, 90.0)
_EMBEDDING_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CHAT_BOUNDS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0)
_SEARCH_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_RESULT_BOUNDS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)  # `max_results` is 1 to 10, usually 5

_MODEL: Final = ("provider", "model")

QUERIES = Metric(
    "counter",
    "ai_agent_queries_total",
    "Questions, by how they ended: ok, the problem's code, or cancelled.",
    ("status", "language", "cache"),
)
QUERY_DURATION = Metric(
    "histogram",
    "ai_agent_query_duration_seconds",
    "Time of a question, answered or refused.",
    ("language",),
    _QUESTION_BOUNDS_S,
)
EMBEDDING_DURATION = Metric(
    "histogram",
    "ai_agent_embedding_duration_seconds",
    "Time of one call of an embedding provider, failed ones among them.",
    _MODEL,
    _EMBEDDING_BOUNDS_S,
)
EMBEDDING_ERRORS = Metric(
    "counter",
    "ai_agent_embedding_errors_total",
    "Failed calls of an embedding provider, by the class of our error.",
    (*_MODEL, "error_type"),
)
LLM_DURATION = Metric(
    "histogram",
    "ai_agent_llm_duration_seconds",
    "Time of one call of a chat model, failed ones among them.",
    _MODEL,
    _CHAT_BOUNDS_S,
)
LLM_ERRORS = Metric(
    "counter",
    "ai_agent_llm_errors_total",
    "Failed calls of a chat model, by the class of our error.",
    (*_MODEL, "error_type"),
)
LLM_TOKENS = Metric(
    "counter",
    "ai_agent_llm_tokens_total",
    "Tokens of chat models, as the vendors count them: input or output.",
    (*_MODEL, "token_type"),
)
FIRST_TOKEN = Metric(
    "histogram",
    "ai_agent_time_to_first_token_seconds",
    "Time until a streamed answer's first piece.",
    _MODEL,
    _CHAT_BOUNDS_S,
)
RETRIEVAL_DURATION = Metric(
    "histogram",
    "ai_agent_retrieval_duration_seconds",
    "Time of one search of a workspace's passages.",
    ("mode",),
    _SEARCH_BOUNDS_S,
)
SOURCES = Metric(
    "histogram",
    "ai_agent_sources_retrieved",
    "Passages that an answered question found.",
    buckets=_RESULT_BOUNDS,
)
CITATIONS = Metric(
    "histogram",
    "ai_agent_citations_returned",
    "Citations of an answered question.",
    buckets=_RESULT_BOUNDS,
)
BLOCKED = Metric(
    "counter",
    "ai_agent_injection_blocked_total",
    "Questions that the guard refused, by the matched family.",
    ("kind",),
)
BACKLOG = Metric(
    "gauge",
    "ai_embedding_backlog",
    "Records that wait for their embedding, over all workspaces.",
)


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

    def _count(self, event: Event) -> None:
        match event:
            case QuestionAnswered():
                self._count_question(event)
            case QuestionBlocked():
                if event.refused:
                    self._files.add(BLOCKED, [event.kind])
            case PassagesSearched():
                self._files.observe(RETRIEVAL_DURATION, event.duration_s, [event.mode])
            case EmbeddingCalled():
                self._count_embedding(event)
            case ChatCalled():
                self._count_chat(event)
            case RecordsEmbedded():
                pass  # the log has it; the backlog and the embedding calls are its metrics
            case BacklogMeasured():
                self._files.set(BACKLOG, event.records, at=self._clock.now().timestamp())
            case _ as never:
                assert_never(never)

    def _count_question(self, event: QuestionAnswered) -> None:
        self._files.add(QUERIES, [event.status, event.language, event.cache])
        self._files.observe(QUERY_DURATION, event.duration_s, [event.language])
        if event.status == "ok":
            self._files.observe(SOURCES, event.sources_retrieved)
            self._files.observe(CITATIONS, event.citations_returned)

    def _count_embedding(self, event: EmbeddingCalled) -> None:
        labels = [event.provider, event.model]
        self._files.observe(EMBEDDING_DURATION, event.duration_s, labels)
        if event.error_type is not None:
            self._files.add(EMBEDDING_ERRORS, [*labels, event.error_type])

    def _count_chat(self, event: ChatCalled) -> None:
        labels = [event.provider, event.model]
        self._files.observe(LLM_DURATION, event.duration_s, labels)
        self._files.add(LLM_TOKENS, [*labels, "input"], amount=event.input_tokens)
        self._files.add(LLM_TOKENS, [*labels, "output"], amount=event.output_tokens)
        if event.first_token_s is not None:
            self._files.observe(FIRST_TOKEN, event.first_token_s, labels)
        if event.error_type is not None:
            self._files.add(LLM_ERRORS, [*labels, event.error_type])


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

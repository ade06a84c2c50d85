"""The metrics of the contract's section 5: names, labels, bounds.

`recording.py` says what each telemetry record adds to them. No label holds a workspace, a person or
any text.
"""

from __future__ import annotations

from typing import Final

from runtime.metrics.files import Metric

# Bounds are chosen where decisions are made: around what each stage takes when all is well, and
# up to the time-out that ends it (the contract's section 2), about four a decade in between.
_QUESTION_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0, 90.0)
_EMBEDDING_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CHAT_BOUNDS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0)
_SEARCH_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_OPEN_BOUNDS_S = (1.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_THROTTLE_BOUNDS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_RESULT_BOUNDS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)  # `max_results` is 1 to 10, usually 5

_TOKEN_BOUNDS = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0, 32_000.0, 128_000.0)

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
RERANK_DURATION = Metric(
    "histogram",
    "ai_agent_rerank_duration_seconds",
    "Time of one call of a reranking provider, failed ones among them.",
    _MODEL,
    _EMBEDDING_BOUNDS_S,
)
RERANK_ERRORS = Metric(
    "counter",
    "ai_agent_rerank_errors_total",
    "Failed calls of a reranking provider, by the class of our error.",
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
    "Tokens of chat models: input or output, *_estimated where the vendor reported none.",
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
CACHE_HITS = Metric(
    "counter",
    "ai_cache_hits_total",
    "Questions answered by an answer given before: exact, semantic or stale.",
    ("kind",),
)
CACHE_MISSES = Metric(
    "counter",
    "ai_cache_misses_total",
    "Questions that no answer given before could serve, by why not.",
    ("reason",),
)
CACHE_EVICTIONS = Metric(
    "counter",
    "ai_cache_evictions_total",
    "Answers that left the cache before their time: capacity or flushed.",
    ("reason",),
)
CONTEXT_TOKENS = Metric(
    "histogram",
    "ai_agent_context_tokens",
    "Estimated tokens of a prompt.",
    buckets=_TOKEN_BOUNDS,
)
CONTEXT_TRUNCATIONS = Metric(
    "counter",
    "ai_agent_context_truncations_total",
    "Prompts that left out passages for want of room.",
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
DEGRADED = Metric(
    "counter",
    "ai_agent_degraded_total",
    "Questions answered without something, by what they were answered without.",
    ("reason",),
)
RETRIES = Metric(
    "counter",
    "ai_retries_total",
    "Provider calls made again; attempt counts from 1.",
    ("operation", "attempt", "circuit_breaker"),
)
RETRY_OUTCOMES = Metric(
    "counter",
    "ai_retry_outcomes_total",
    "Operations with all their attempts, by how they ended.",
    ("operation", "outcome"),
)
CIRCUIT_STATE = Metric(
    "gauge",
    "ai_circuit_breaker_state",
    "0 closed, 1 half-open, 2 open.",
    ("circuit_breaker",),
)
CIRCUIT_CHANGES = Metric(
    "counter",
    "ai_circuit_breaker_state_changes_total",
    "Changes of a circuit breaker.",
    ("circuit_breaker", "from_state", "to_state"),
)
CIRCUIT_OPEN_DURATION = Metric(
    "histogram",
    "ai_circuit_breaker_open_duration_seconds",
    "Time from a circuit's opening to its closing.",
    ("circuit_breaker",),
    _OPEN_BOUNDS_S,
)
THROTTLE_WAIT = Metric(
    "histogram",
    "ai_provider_throttle_wait_seconds",
    "Time that calls waited for our own limiter, of those that did.",
    ("provider",),
    _THROTTLE_BOUNDS_S,
)

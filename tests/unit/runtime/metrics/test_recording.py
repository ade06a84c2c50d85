from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from runtime import telemetry
from runtime.clock import ManualClock
from runtime.metrics import table
from runtime.metrics.files import Metric, MetricFiles, NodeCollector
from runtime.metrics.recording import NodeMetrics, NoMetrics

DECLARED = [value for value in vars(table).values() if isinstance(value, Metric)]

# One event, and every line of the scrape that is not a bucket: the contract's names and labels.
CASES: list[tuple[telemetry.Event, list[str]]] = [
    (
        telemetry.QuestionAnswered("ok", "he", "off", 0.25, 5, 2),
        [
            'ai_agent_queries_total{cache="off",language="he",status="ok"} 1.0',
            'ai_agent_query_duration_seconds_sum{language="he"} 0.25',
            'ai_agent_query_duration_seconds_count{language="he"} 1.0',
            "ai_agent_sources_retrieved_sum 5.0",
            "ai_agent_sources_retrieved_count 1.0",
            "ai_agent_citations_returned_sum 2.0",
            "ai_agent_citations_returned_count 1.0",
        ],
    ),
    (
        telemetry.QuestionAnswered("overloaded", "en", "off", 0.5, 0, 0),
        [
            'ai_agent_queries_total{cache="off",language="en",status="overloaded"} 1.0',
            'ai_agent_query_duration_seconds_sum{language="en"} 0.5',
            'ai_agent_query_duration_seconds_count{language="en"} 1.0',
        ],
    ),
    (
        telemetry.QuestionBlocked("role_marker", refused=True),
        ['ai_agent_injection_blocked_total{kind="role_marker"} 1.0'],
    ),
    (telemetry.QuestionBlocked("role_marker", refused=False), []),
    (
        telemetry.PassagesSearched("hybrid", 0.5, 5),
        [
            'ai_agent_retrieval_duration_seconds_sum{mode="hybrid"} 0.5',
            'ai_agent_retrieval_duration_seconds_count{mode="hybrid"} 1.0',
        ],
    ),
    (
        telemetry.EmbeddingCalled("cohere", "m", 1, 9, 0.5, None),
        [
            'ai_agent_embedding_duration_seconds_sum{model="m",provider="cohere"} 0.5',
            'ai_agent_embedding_duration_seconds_count{model="m",provider="cohere"} 1.0',
        ],
    ),
    (
        telemetry.EmbeddingCalled("cohere", "m", 1, 0, 30.0, "BadKey"),
        [
            'ai_agent_embedding_errors_total{error_type="BadKey",model="m",provider="cohere"} 1.0',
            'ai_agent_embedding_duration_seconds_sum{model="m",provider="cohere"} 30.0',
            'ai_agent_embedding_duration_seconds_count{model="m",provider="cohere"} 1.0',
        ],
    ),
    (
        telemetry.ChatCalled("cohere", "m", 900, 40, 1.5, 0.25, None),
        [
            'ai_agent_llm_tokens_total{model="m",provider="cohere",token_type="input"} 900.0',
            'ai_agent_llm_tokens_total{model="m",provider="cohere",token_type="output"} 40.0',
            'ai_agent_llm_duration_seconds_sum{model="m",provider="cohere"} 1.5',
            'ai_agent_llm_duration_seconds_count{model="m",provider="cohere"} 1.0',
            'ai_agent_time_to_first_token_seconds_sum{model="m",provider="cohere"} 0.25',
            'ai_agent_time_to_first_token_seconds_count{model="m",provider="cohere"} 1.0',
        ],
    ),
    (
        telemetry.ChatCalled("cohere", "m", 90, 4, 1.5, None, None, estimated=True),
        [
            (
                'ai_agent_llm_tokens_total{model="m",provider="cohere",'
                'token_type="input_estimated"} '
                "90.0"
            ),
            (
                'ai_agent_llm_tokens_total{model="m",provider="cohere",'
                'token_type="output_estimated"} '
                "4.0"
            ),
            'ai_agent_llm_duration_seconds_sum{model="m",provider="cohere"} 1.5',
            'ai_agent_llm_duration_seconds_count{model="m",provider="cohere"} 1.0',
        ],
    ),
    (
        telemetry.RerankCalled("cohere", "m", 20, 0.25, "ProviderTimeout"),
        [
            (
                'ai_agent_rerank_errors_total{error_type="ProviderTimeout",model="m",'
                'provider="cohere"} 1.0'
            ),
            'ai_agent_rerank_duration_seconds_sum{model="m",provider="cohere"} 0.25',
            'ai_agent_rerank_duration_seconds_count{model="m",provider="cohere"} 1.0',
        ],
    ),
    (
        telemetry.CallRetried("embed", "cohere_embed", 2, 1.5, "RateLimitError"),
        [
            'ai_retries_total{attempt="2",circuit_breaker="cohere_embed",operation="embed"} 1.0',
        ],
    ),
    (
        telemetry.GuardedCallEnded("chat", "cohere_chat", "recovered", 2, 1.5),
        ['ai_retry_outcomes_total{operation="chat",outcome="recovered"} 1.0'],
    ),
    (
        telemetry.CircuitChanged("cohere_chat", "half_open", "closed", 61.0),
        [
            'ai_circuit_breaker_state{circuit_breaker="cohere_chat"} 0.0',
            (
                'ai_circuit_breaker_state_changes_total{circuit_breaker="cohere_chat",'
                'from_state="half_open",to_state="closed"} 1.0'
            ),
            'ai_circuit_breaker_open_duration_seconds_sum{circuit_breaker="cohere_chat"} 61.0',
            'ai_circuit_breaker_open_duration_seconds_count{circuit_breaker="cohere_chat"} 1.0',
        ],
    ),
    (
        telemetry.CircuitChanged("cohere_chat", "closed", "closed", None),
        ['ai_circuit_breaker_state{circuit_breaker="cohere_chat"} 0.0'],
    ),
    (
        telemetry.ThrottleWaited("cohere", 0.5),
        [
            'ai_provider_throttle_wait_seconds_sum{provider="cohere"} 0.5',
            'ai_provider_throttle_wait_seconds_count{provider="cohere"} 1.0',
        ],
    ),
    (
        telemetry.AnsweredDegraded("chat_unavailable"),
        ['ai_agent_degraded_total{reason="chat_unavailable"} 1.0'],
    ),
    (telemetry.CacheAsked("stale"), ['ai_cache_hits_total{kind="stale"} 1.0']),
    (telemetry.CacheAsked("gate"), ['ai_cache_misses_total{reason="gate"} 1.0']),
    (
        telemetry.CacheEvicted("capacity", 3),
        ['ai_cache_evictions_total{reason="capacity"} 3.0'],
    ),
    (
        telemetry.ContextBuilt(1480, 5, 2),
        [
            "ai_agent_context_tokens_sum 1480.0",
            "ai_agent_context_tokens_count 1.0",
            "ai_agent_context_truncations_total 1.0",
        ],
    ),
    (
        telemetry.ContextBuilt(90, 1, 0),
        ["ai_agent_context_tokens_sum 90.0", "ai_agent_context_tokens_count 1.0"],
    ),
    (
        telemetry.ChatCalled("cohere", "m", 0, 0, 60.0, None, "BadKey"),
        [
            'ai_agent_llm_tokens_total{model="m",provider="cohere",token_type="input"} 0.0',
            'ai_agent_llm_tokens_total{model="m",provider="cohere",token_type="output"} 0.0',
            'ai_agent_llm_errors_total{error_type="BadKey",model="m",provider="cohere"} 1.0',
            'ai_agent_llm_duration_seconds_sum{model="m",provider="cohere"} 60.0',
            'ai_agent_llm_duration_seconds_count{model="m",provider="cohere"} 1.0',
        ],
    ),
    (telemetry.RecordsEmbedded(8, 40, 2, 0, 3.5), []),
    (telemetry.BacklogMeasured(12), ["ai_embedding_backlog 12.0"]),
]


Open = Callable[[], NodeMetrics]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def open_sink(tmp_path: Path, clock: ManualClock) -> Iterator[Open]:
    opened: list[NodeMetrics] = []

    def open_sink() -> NodeMetrics:
        opened.append(NodeMetrics(MetricFiles(tmp_path), None, clock=clock))
        return opened[-1]

    yield open_sink
    for sink in opened:
        sink.close()


def scrape(directory: Path) -> list[str]:
    registry = CollectorRegistry()
    registry.register(NodeCollector(directory))
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#") and "_bucket" not in line]


def test_every_kind_of_event_has_a_case_here() -> None:
    assert {type(event) for event, _ in CASES} == set(get_args(telemetry.Event))


@pytest.mark.parametrize(("event", "lines"), CASES, ids=lambda case: type(case).__name__)
def test_each_event_adds_exactly_these_samples(
    tmp_path: Path, open_sink: Open, event: telemetry.Event, lines: list[str]
) -> None:
    open_sink().emit(event)
    assert sorted(scrape(tmp_path)) == sorted(lines)


def test_every_declared_metric_is_fed_by_some_event() -> None:
    fed = " ".join(line for _, lines in CASES for line in lines)
    assert [metric.name for metric in DECLARED if metric.name not in fed] == []


def test_the_operations_page_lists_exactly_the_declared_metrics() -> None:
    page = (Path(__file__).parents[4] / "docs" / "operations.md").read_text("utf-8")
    rows = re.findall(r"^\| `(ai_\w+)` \| (\w+) \| ([^|]*) ?\|", page, re.MULTILINE)
    listed = {(name, kind, tuple(re.findall(r"\w+", labels))) for name, kind, labels in rows}
    assert listed == {(metric.name, metric.kind, metric.labels) for metric in DECLARED}


def test_bucket_bounds_ascend() -> None:
    bounds = [metric.buckets for metric in DECLARED if metric.kind == "histogram"]
    assert bounds
    assert all(list(b) == sorted(set(b)) and b for b in bounds)


def test_no_label_could_hold_a_workspace_a_person_or_text() -> None:
    labels = {label for metric in DECLARED for label in metric.labels}
    assert labels <= {
        "status", "language", "cache", "mode", "kind", "provider", "model", "error_type",
        "token_type", "reason", "operation", "attempt", "outcome", "circuit_breaker",
        "from_state", "to_state",
    }  # fmt: skip


def test_a_closed_sink_counts_no_more_and_closes_twice(tmp_path: Path, open_sink: Open) -> None:
    closed = open_sink()
    closed.emit(telemetry.QuestionBlocked("role_marker", refused=True))
    closed.close()
    closed.close()
    closed.emit(telemetry.QuestionBlocked("role_marker", refused=True))
    assert scrape(tmp_path) == ['ai_agent_injection_blocked_total{kind="role_marker"} 1.0']


def test_the_gauge_carries_the_moment_of_the_clock(
    tmp_path: Path, open_sink: Open, clock: ManualClock
) -> None:
    first, second = open_sink(), open_sink()
    second.emit(telemetry.BacklogMeasured(9))
    clock.advance(1)
    first.emit(telemetry.BacklogMeasured(3))
    assert scrape(tmp_path) == ["ai_embedding_backlog 3.0"]
    clock.advance(1)
    second.emit(telemetry.BacklogMeasured(9))
    assert scrape(tmp_path) == ["ai_embedding_backlog 9.0"]


def test_metrics_switched_off_take_events_and_do_nothing() -> None:
    silent = NoMetrics()
    for event, _ in CASES:
        silent.emit(event)
    silent.close()

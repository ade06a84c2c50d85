from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import get_args

import pytest

from runtime import logs, telemetry
from runtime.errors import ConfigurationError, ProviderTimeout

NOTE = "She wakes at 3 a.m. and asked me to tell nobody"

EVENTS: tuple[telemetry.Event, ...] = (
    telemetry.QuestionAnswered("ok", "he", "off", 0.25, 5, 2),
    telemetry.QuestionBlocked("role_marker", refused=True),
    telemetry.PassagesSearched("hybrid", 0.004, 5),
    telemetry.EmbeddingCalled("local", "multilingual-e5-small-q4", 1, 9, 0.03, None),
    telemetry.ChatCalled("cohere", "command-a-03-2025", 900, 40, 1.5, None, None),
    telemetry.RerankCalled("cohere", "rerank-v4.0-pro", 20, 0.2, None),
    telemetry.RecordsEmbedded(8, 40, 2, 0, 3.5),
    telemetry.BacklogMeasured(12),
    telemetry.CallRetried("embed", "cohere_embed", 1, 0.5, "RateLimitError"),
    telemetry.GuardedCallEnded("chat", "cohere_chat", "first_try", 1, 1.5),
    telemetry.CircuitChanged("cohere_chat", "closed", "open", None),
    telemetry.ThrottleWaited("cohere", 0.2),
    telemetry.AnsweredDegraded("chat_unavailable"),
    telemetry.CacheAsked("semantic"),
    telemetry.CacheEvicted("capacity", 3),
    telemetry.ContextBuilt(1480, 5, 2),
)


@pytest.fixture(autouse=True)
def unconfigured_afterwards() -> Iterator[None]:
    """Leave the loggers as they were: other tests listen to ours by way of the root."""
    loggers = [logging.getLogger(name) for name in (logs.LOGGER_NAME, "httpx")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture
def stream() -> io.StringIO:
    written = io.StringIO()
    logs.configure_logging(written)
    return written


def only_line(stream: io.StringIO) -> dict[str, object]:
    [line] = stream.getvalue().splitlines()
    parsed: dict[str, object] = json.loads(line)
    return parsed


def raise_foreign() -> None:
    try:
        json.loads(NOTE)
    except json.JSONDecodeError as error:
        raise ValueError(NOTE) from error


def test_every_kind_of_event_has_an_example_here() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(telemetry.Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_each_event_is_one_line_with_all_its_fields(
    stream: io.StringIO, event: telemetry.Event
) -> None:
    logs.log_sink(event)
    line = only_line(stream)
    assert list(line)[:4] == ["ts", "level", "event", "request_id"]
    names = type(event).__dataclass_fields__
    assert {name: line[name] for name in names} == {n: getattr(event, n) for n in names}


def test_the_event_is_named_after_its_record(stream: io.StringIO) -> None:
    logs.log_sink(EVENTS[0])
    assert only_line(stream)["event"] == "question_answered"


def test_a_failed_call_stands_out_by_its_level(stream: io.StringIO) -> None:
    logs.log_sink(telemetry.EmbeddingCalled("cohere", "m", 1, 0, 30.0, "ProviderTimeout"))
    assert only_line(stream)["level"] == "warning"


def test_a_line_carries_the_request_it_belongs_to(stream: io.StringIO) -> None:
    token = telemetry.request_id.set("req-42")
    logs.log("started")
    telemetry.request_id.reset(token)
    assert only_line(stream)["request_id"] == "req-42"


def test_text_in_any_place_is_withheld(stream: io.StringIO) -> None:
    token = telemetry.request_id.set(NOTE)
    logs.log(NOTE, model=NOTE, provider="שלום")
    telemetry.request_id.reset(token)
    line = only_line(stream)
    assert [line[k] for k in ("event", "request_id", "model", "provider")] == [logs.WITHHELD] * 4


def test_a_newline_cannot_forge_a_second_line(stream: io.StringIO) -> None:
    logs.log("started", model='x\n{"event":"forged"}')
    assert only_line(stream)["model"] == logs.WITHHELD


def test_a_message_from_elsewhere_is_not_printed(stream: io.StringIO) -> None:
    logging.getLogger("pazpaz").error("note: %s", NOTE, exc_info=ValueError(NOTE))
    line = only_line(stream)
    assert line["event"] == "unknown"
    assert NOTE not in json.dumps(line)


def test_a_foreign_failure_shows_its_types_alone(stream: io.StringIO) -> None:
    with pytest.raises(ValueError, match="wakes") as caught:
        raise_foreign()
    logs.log_failure("embedding_failed", caught.value, records=3)
    line = only_line(stream)
    assert (line["level"], line["error_type"]) == ("error", "ValueError")
    assert (line["cause_type"], line["records"]) == ("JSONDecodeError", 3)
    assert "wakes" not in stream.getvalue()
    assert line["frames"] == []


def test_a_failure_of_ours_shows_its_sentence(stream: io.StringIO) -> None:
    logs.log_failure("chat_failed", ProviderTimeout("cohere", "m", "chat", "read timeout", None))
    line = only_line(stream)
    assert line["error"] == "cohere chat (m): read timeout"
    assert "cause_type" not in line


def test_a_failure_shows_where_in_our_code_it_rose(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_OUR_PACKAGES", ("tests",))
    with pytest.raises(ValueError, match="wakes") as caught:
        raise_foreign()
    logs.log_failure("embedding_failed", caught.value)
    frames = only_line(stream)["frames"]
    assert isinstance(frames, list)
    assert [frame.rpartition(":")[0] for frame in frames] == [
        "tests/unit/runtime/test_logs.py",
        "tests/unit/runtime/test_logs.py",
    ]


def test_configuring_twice_does_not_double_the_lines(stream: io.StringIO) -> None:
    logs.configure_logging(stream)
    logs.log("started")
    assert only_line(stream)["event"] == "started"


def test_lines_do_not_reach_the_root_logger_where_ray_listens(stream: io.StringIO) -> None:
    elsewhere = io.StringIO()
    ray = logging.StreamHandler(elsewhere)
    logging.getLogger().addHandler(ray)
    logs.log("started", level=logging.ERROR)
    logging.getLogger().removeHandler(ray)
    assert stream.getvalue()
    assert elsewhere.getvalue() == ""


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging()
    logs.log_failure("start_failed", ConfigurationError("AI_X", "is wrong.", "Mend it."))
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["error"] == "AI_X: is wrong. Mend it."

"""The scrape address as an operator sees it: real processes, real sockets, a real kill -9."""

from __future__ import annotations

import logging
import queue
import socket
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from runtime import telemetry
from runtime.logs import LOGGER_NAME
from runtime.metrics.files import NodeCollector
from runtime.metrics.recording import NoMetrics, open_metrics
from tests.ports import free_port

# Imports prometheus_client first, as Ray may: its own storage is then chosen and not ours.
REPLICA = """
import sys
import prometheus_client
from pathlib import Path
from runtime import telemetry
from runtime.metrics.recording import open_metrics

sink = open_metrics(Path(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
print("open", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        sink.emit(telemetry.QuestionBlocked("role_marker", refused=True))
    sink.emit(telemetry.BacklogMeasured(int(line)))
    print("counted", flush=True)
sink.close()
"""
BLOCKED = 'ai_agent_injection_blocked_total{kind="role_marker"}'
BACKLOG = "ai_embedding_backlog"
ROOT = Path(__file__).parents[2]


class Replica:
    def __init__(self, directory: Path, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", REPLICA, str(directory), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._said() == "open"

    def count(self, number: int) -> None:
        self.begin_counting(number)
        self.finish_counting()

    def begin_counting(self, number: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()

    def finish_counting(self) -> None:
        assert self._said() == "counted"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Callable[[], Replica]]:
    started: list[Replica] = []

    def start_replica() -> Replica:
        started.append(Replica(tmp_path / "metrics", port))
        return started[-1]

    yield start_replica
    for replica in started:
        replica.kill()


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs}


def test_one_address_gives_the_sum_of_all_processes_and_the_gauge(
    start: Callable[[], Replica], port: int
) -> None:
    worker, other = start(), start()
    other.count(2)
    worker.count(3)
    # Each scrape is a new connection, which the kernel gives to either.
    assert [scrape(port) for _ in range(20)] == [{BLOCKED: 5, BACKLOG: 3}] * 20


def test_a_killed_process_takes_no_count_and_leaves_no_gauge(
    start: Callable[[], Replica], port: int
) -> None:
    worker, other = start(), start()
    worker.count(3)
    worker.kill()
    assert scrape(port) == {BLOCKED: 3}
    successor = start()
    other.kill()
    successor.count(4)
    assert scrape(port) == {BLOCKED: 7, BACKLOG: 4}


def test_many_scrapes_while_processes_count_all_succeed(
    start: Callable[[], Replica], port: int
) -> None:
    replicas = [start(), start()]
    for replica in replicas:
        replica.count(1)
        replica.begin_counting(20_000)
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda _: scrape(port)[BLOCKED], range(40)))
    for replica in replicas:
        replica.finish_counting()
    assert all(2 <= value <= 40_002 for value in seen)
    assert scrape(port)[BLOCKED] == 40_002


def test_a_silent_connection_keeps_no_scrape_waiting(
    start: Callable[[], Replica], port: int
) -> None:
    start().count(1)
    with closing(socket.create_connection(("127.0.0.1", port))):
        assert scrape(port)[BLOCKED] == 1


def test_a_port_taken_by_a_stranger_is_a_warning_and_counting_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as stranger:
        taken = stranger.getsockname()[1]
        sink = open_metrics(tmp_path, host="127.0.0.1", port=taken)
    sink.emit(telemetry.QuestionBlocked("role_marker", refused=True))
    sink.close()
    assert [record.message for record in caplog.records] == ["metrics_port_unavailable"]
    [metric] = NodeCollector(tmp_path).collect()
    assert [sample.value for sample in metric.samples] == [1]


def test_a_directory_that_cannot_be_used_is_a_warning_and_no_metrics(
    tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    in_its_place = tmp_path / "metrics"
    in_its_place.touch()
    assert isinstance(open_metrics(in_its_place, host="127.0.0.1", port=port), NoMetrics)
    assert [record.message for record in caplog.records] == ["metrics_unavailable"]


def test_an_address_of_ipv6_is_served(tmp_path: Path) -> None:
    try:
        with closing(socket.create_server(("::1", 0), family=socket.AF_INET6)) as free:
            port = free.getsockname()[1]
    except OSError:
        pytest.skip("this machine has no IPv6")
    sink = open_metrics(tmp_path, host="::1", port=port)
    with urllib.request.urlopen(f"http://[::1]:{port}/metrics", timeout=10) as answer:
        assert answer.status == 200
    sink.close()


class Heard(logging.Handler):
    """Waits for one line of our log."""

    def __init__(self) -> None:
        super().__init__()
        self.events: queue.SimpleQueue[str] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.events.put(record.getMessage())


def test_a_scraper_that_hangs_up_is_one_line_in_the_log_and_no_traceback(
    tmp_path: Path, port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    heard, logger = Heard(), logging.getLogger(LOGGER_NAME)
    logger.addHandler(heard)
    sink = open_metrics(tmp_path, host="127.0.0.1", port=port)
    with closing(socket.create_connection(("127.0.0.1", port))) as rude:
        reset_at_close = struct.pack("ii", 1, 0)
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_at_close)
        rude.sendall(b"GET /metrics HTTP/1.1\r\n")
    assert heard.events.get(timeout=10) == "scrape_failed"
    sink.close()
    logger.removeHandler(heard)
    assert "Traceback" not in capfd.readouterr().err

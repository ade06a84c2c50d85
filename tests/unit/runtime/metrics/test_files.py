from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.metrics.files import FILE_BYTES, Metric, MetricFiles, NodeCollector

ASKED = Metric("counter", "asked_total", "Asked.", ("status",))
WAITED = Metric("histogram", "waited_seconds", "Waited.", ("mode",), (0.5, 1.0))
BACKLOG = Metric("gauge", "backlog", "Backlog.")


class Node:
    """Starts and ends what would be processes; all end with the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: list[MetricFiles] = []

    def start(self) -> MetricFiles:
        self._running.append(MetricFiles(self.directory))
        return self._running[-1]

    def end(self, files: MetricFiles) -> None:
        self._running.remove(files)
        files.close()

    def end_all(self) -> None:
        for files in self._running[:]:
            self.end(files)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "session" / "metrics")
    yield node
    node.end_all()


def shown(collector: NodeCollector) -> dict[tuple[str, ...], float]:
    """What a scrape shows: (name, label values…) → value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in collector.collect()
        for sample in metric.samples
    }


def test_counters_of_processes_are_summed(node: Node) -> None:
    first, second = node.start(), node.start()
    first.add(ASKED, ["ok"])
    second.add(ASKED, ["ok"], amount=2)
    second.add(ASKED, ["overloaded"])
    assert shown(NodeCollector(node.directory)) == {
        ("asked_total", "ok"): 3,
        ("asked_total", "overloaded"): 1,
    }


def test_histograms_of_processes_are_summed_and_their_bounds_belong_to_the_bucket(
    node: Node,
) -> None:
    first, second = node.start(), node.start()
    first.observe(WAITED, 0.5, ["vector"])
    second.observe(WAITED, 0.75, ["vector"])
    second.observe(WAITED, 7, ["vector"])
    assert shown(NodeCollector(node.directory)) == {
        ("waited_seconds_bucket", "vector", "0.5"): 1,
        ("waited_seconds_bucket", "vector", "1.0"): 2,
        ("waited_seconds_bucket", "vector", "+Inf"): 3,
        ("waited_seconds_count", "vector"): 3,
        ("waited_seconds_sum", "vector"): 8.25,
    }


def test_a_dead_process_leaves_its_counts_and_takes_its_gauge(node: Node) -> None:
    files = node.start()
    files.add(ASKED, ["ok"])
    files.set(BACKLOG, 7, at=1)
    collector = NodeCollector(node.directory)
    assert shown(collector) == {("asked_total", "ok"): 1, ("backlog",): 7}
    node.end(files)
    assert shown(collector) == {("asked_total", "ok"): 1}


def test_a_new_process_counts_on_in_the_files_of_a_dead_one(node: Node) -> None:
    dead = node.start()
    dead.add(ASKED, ["ok"], amount=5)
    dead.observe(WAITED, 0.1, ["vector"])
    dead.set(BACKLOG, 7, at=1)
    node.end(dead)
    before = {path.name for path in node.directory.iterdir()}
    heir = node.start()
    heir.add(ASKED, ["ok"])
    heir.observe(WAITED, 0.1, ["vector"])
    after = shown(NodeCollector(node.directory))
    assert after["asked_total", "ok"] == 6
    assert after["waited_seconds_count", "vector"] == 2
    assert ("backlog",) not in after
    assert {path.name for path in node.directory.iterdir()} == before


def test_of_two_writers_of_a_gauge_the_latest_is_shown(node: Node) -> None:
    leaving, coming = node.start(), node.start()
    coming.set(BACKLOG, 3, at=20)
    leaving.set(BACKLOG, 9, at=10)
    assert shown(NodeCollector(node.directory)) == {("backlog",): 3}


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff" * 64,
        struct.pack("<ii", 4096, 0) + b"\0" * 4088,
        struct.pack("<iii", 64, 0, -24) + b"\0" * 84,
        struct.pack("<iii4sdd", 32, 0, 3, b"[1] ", 1.0, 1.0),
        struct.pack("<i", FILE_BYTES * 2),
        b"x",
    ],
    ids=["noise", "zeros", "endless", "not-ours", "cut-off", "one-byte"],
)
def test_a_damaged_file_is_left_out_and_the_rest_still_counts(
    node: Node, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged, whole = node.start(), node.start()
    damaged.add(ASKED, ["ok"])
    whole.add(ASKED, ["ok"])
    node.end(damaged)
    (node.directory / "counter_0.db").write_bytes(damage)
    collector = NodeCollector(node.directory)
    assert shown(collector) == {("asked_total", "ok"): 1}
    assert shown(collector) == {("asked_total", "ok"): 1}
    assert capsys.readouterr().out == ""


def test_a_process_that_inherits_a_damaged_file_sets_it_aside(node: Node) -> None:
    node.end(node.start())
    (node.directory / "counter_0.db").write_bytes(b"\xff" * 64)
    node.start().add(ASKED, ["ok"])
    assert shown(NodeCollector(node.directory)) == {("asked_total", "ok"): 1}
    assert (node.directory / "counter_0.damaged").read_bytes() == b"\xff" * 64


def test_a_file_about_to_be_allocated_is_no_damage(node: Node) -> None:
    node.directory.mkdir(mode=0o700, parents=True)
    (node.directory / "counter_0.db").touch()
    collector = NodeCollector(node.directory)
    assert shown(collector) == {}
    assert collector._reported == set()
    node.start().add(ASKED, ["ok"])
    assert shown(collector) == {("asked_total", "ok"): 1}


def test_a_gauge_that_goes_during_a_scrape_is_not_an_error(node: Node) -> None:
    assert (
        NodeCollector(node.directory)._counts(node.directory / "gauge_livemostrecent_0.db") is False
    )


def test_the_directory_is_made_for_this_user_alone(node: Node) -> None:
    node.start()
    directory = node.directory
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in directory.iterdir()} == {0}


def test_a_directory_that_others_may_write_is_refused(node: Node) -> None:
    node.end(node.start())
    node.directory.chmod(0o777)
    with pytest.raises(PermissionError):
        node.start()


def test_scrapes_while_counting_never_fail_nor_go_backwards(node: Node) -> None:
    files, collector = node.start(), NodeCollector(node.directory)
    files.add(ASKED, ["ok"])
    done = threading.Event()

    def count() -> None:
        for number in range(20_000):
            files.add(ASKED, ["ok"])
            files.observe(WAITED, number / 20_000, [f"mode-{number % 50}"])
        done.set()

    writer = threading.Thread(target=count)
    writer.start()
    seen = 0.0
    while not done.is_set():
        now = shown(collector)["asked_total", "ok"]
        assert now >= seen
        seen = now
    writer.join()
    assert shown(collector)["asked_total", "ok"] == 20_001
    assert collector._reported == set()

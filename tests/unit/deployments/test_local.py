"""What `up` refuses before it starts anything, and what ends it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from deployments.cluster_file import read_cluster_file
from deployments.local import _end_haproxy, catch_signals, prepare, running
from runtime.errors import ConfigurationError
from runtime.settings import Secrets, Settings, load_secrets
from tests.ports import free_port


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AI_DATA_DIR", str(tmp_path / "data"))
    for name in ("AI_JWT_SECRET", "AI_JWT_ALGORITHMS", "AI_JWT_JWKS"):
        monkeypatch.delenv(name, raising=False)


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match="--port") as caught,
            running(Settings(), read_cluster_file(), port=port),
        ):
            pytest.fail("it started")
    assert caught.value.name == f"Port {port}"


def test_without_a_way_to_sign_in_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nobody could sign in") as caught:
        prepare(Settings(), Secrets(), demo=False)
    assert caught.value.name == "AI_JWT_SECRET"
    assert not (tmp_path / "data").exists()


def test_a_metrics_port_in_use_is_named_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        monkeypatch.setenv("AI_METRICS_PORT", str(other.getsockname()[1]))
        with (
            pytest.raises(ConfigurationError, match="AI_METRICS_PORT"),
            running(Settings(), read_cluster_file(), port=free_port()),
        ):
            pytest.fail("it started")


def test_a_second_up_in_one_data_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_METRICS_ENABLED", "false")
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "up.lock").open("wb") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with (
            pytest.raises(ConfigurationError, match="another pazpaz-agent up"),
            running(Settings(), read_cluster_file(), port=free_port()),
        ):
            pytest.fail("it started")


def test_a_data_directory_that_is_a_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("not a directory")
    monkeypatch.setenv("AI_JWT_SECRET", "a-secret-of-more-than-thirty-two-bytes")
    with pytest.raises(ConfigurationError, match="cannot be made a directory"):
        prepare(Settings(), load_secrets(), demo=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_before_the_wait_ends_it(number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        wait = catch_signals()
        os.kill(os.getpid(), number)
        wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_a_haproxy_that_serve_left_behind_is_ended_and_another_is_not(tmp_path: Path) -> None:
    def stand_in(config: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "input()", "-f", config], stdin=-1)

    left, other = stand_in(tmp_path / "haproxy.cfg"), stand_in(tmp_path / "other.cfg")
    try:
        _end_haproxy(tmp_path)
        assert left.wait(timeout=30) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for process in (left, other):
            process.kill()
            process.communicate()

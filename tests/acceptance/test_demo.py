"""`pazpaz-agent up --demo`, as `make demo` runs it: from nothing to a cited answer, twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import stop_server
from tests.ports import free_port

COMMAND = Path(sys.executable).parent / "pazpaz-agent"
SERVING = "Ctrl-C stops it"


@dataclass
class Demo:
    """Where a demo lives, over several runs."""

    environment: dict[str, str]
    work: Path
    port: int
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self) -> tuple[subprocess.Popen[str], str]:
        """Start it, and return what it printed until it serves."""
        process = subprocess.Popen(
            [COMMAND, "up", "--demo", "--port", str(self.port)],
            env=self.environment,
            cwd=self.work,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if SERVING in line:
                break
        return process, printed

    def ask(self, question: str) -> str:
        url = f"http://127.0.0.1:{self.port}"
        return subprocess.run(
            [COMMAND, "ask", question, "--url", url],
            env=self.environment,
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")
    }
    environment |= {
        "HOME": str(tmp_path),
        "AI_DATA_DIR": str(tmp_path / "data"),
        "AI_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
    }
    running = Demo(environment, tmp_path, free_port())
    yield running
    for process in running.started:
        if process.poll() is None:
            process.kill()
            process.communicate()
    stop_server(tmp_path / "data" / "postgres")


def test_the_demo_answers_is_stopped_by_ctrl_c_and_starts_again_from_what_is_there(
    demo: Demo,
) -> None:
    process, printed = demo.start()
    try:
        assert "53 records stored" in printed
        assert re.search(r"electric zaps.* \[1\]", printed)
        assert "[1] Maya Thornton, 2025-09-16, subjective: “She stopped sertraline" in printed
        assert "Traceback" not in printed
        hebrew = demo.ask("מתי התחילה שירה לקחת לוסטרל?")
        assert "9 במרץ" in hebrew
        assert "[1] שירה בן-ארי" in hebrew
        children = psutil.Process(process.pid).children(recursive=True)
        assert any("raylet" in child.name() for child in children)
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=90)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []

    process, printed = demo.start()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=90)
    assert "0 records stored, 53 were there unchanged" in printed
    assert "Embedding" not in printed
    assert "electric zaps" in printed

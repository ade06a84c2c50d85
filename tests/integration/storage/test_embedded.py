"""The embedded server's life, with real processes that end in every way."""

from __future__ import annotations

import fcntl
import os
import pwd
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import psutil
import pytest

from runtime.errors import DatabaseUnavailable
from runtime.storage import embedded, embedded_reaper, embedded_user
from tests.integration.conftest import FAST, Site, stop_server

ROOT = Path(__file__).parents[3]
LONG_S = 60

USER = f"""
import asyncio, sys
from pathlib import Path
import asyncpg
from runtime.storage import embedded

async def main():
    server = embedded.start(Path(sys.argv[1]), configuration={FAST})
    for url in (server.owner_url, server.runtime_url):
        raw = await asyncpg.connect(url)
        print(await raw.fetchval("SELECT current_user"))
        await raw.close()
    print("ready", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""
"""A program that uses the server until its standard input ends."""


@contextmanager
def using(
    data_dir: Path, *, environment: dict[str, str] | None = None, user: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **(environment or {})},
        cwd=ROOT,
        user=user,
        group=user,
        text=True,
    ) as process:
        yield process


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(3)]
    assert lines == ["pazpaz_owner", "pazpaz_runtime", "ready"]


def server_pid(data_dir: Path) -> int:
    return int((data_dir / "server/data/postmaster.pid").read_text().splitlines()[0])


def wait_until_ended(pidfd: int) -> bool:
    """Whether the process ends within a time that is long."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    ended = bool(poll.poll(LONG_S * 1000))
    os.close(pidfd)
    return ended


def test_the_server_stops_when_its_last_user_ends_and_not_before(data_dir: Path) -> None:
    with using(data_dir) as first:
        wait_until_ready(first)
        watched = os.pidfd_open(server_pid(data_dir))
        with using(data_dir) as second:
            wait_until_ready(second)
            first.communicate()
            assert first.returncode == 0
            with using(data_dir) as third:
                wait_until_ready(third)
                assert os.pidfd_open(server_pid(data_dir)), "the same server serves on"
                third.kill()
            second.communicate()
    assert wait_until_ended(watched)
    assert not (data_dir / "server/data/postmaster.pid").exists(), "it was shut down, not killed"


def test_a_user_that_is_killed_does_not_keep_the_server_alive(data_dir: Path) -> None:
    with using(data_dir) as process:
        wait_until_ready(process)
        watched = os.pidfd_open(server_pid(data_dir))
        process.kill()
    assert wait_until_ended(watched)
    with using(data_dir) as process:
        wait_until_ready(process)


def test_a_user_whose_children_are_killed_with_it_does_not_keep_the_server_alive(
    data_dir: Path,
) -> None:
    """As a Ray worker's are; whoever waits to stop the server must not be one of them."""
    with using(data_dir) as process:
        wait_until_ready(process)
        watched = os.pidfd_open(server_pid(data_dir))
        assert psutil.Process(process.pid).children(recursive=True) == []
        process.kill()
    assert wait_until_ended(watched)


def test_processes_that_start_at_once_share_one_server(data_dir: Path) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(using(data_dir)) for _ in range(4)]
        for process in processes:
            wait_until_ready(process)


def test_a_server_that_was_killed_is_started_again(data_dir: Path) -> None:
    embedded.start(data_dir, configuration=FAST)
    pid = server_pid(data_dir)
    watched = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert wait_until_ended(watched)

    with using(data_dir) as process:
        wait_until_ready(process)
    assert server_pid(data_dir) != pid


def test_a_stale_pid_file_whose_pid_now_belongs_to_another_is_no_obstacle(data_dir: Path) -> None:
    embedded.start(data_dir, configuration=FAST)
    pid_file = data_dir / "server/data/postmaster.pid"
    lines = pid_file.read_text().splitlines()
    stop_server(data_dir)
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))

    embedded.start(data_dir, configuration=FAST)

    assert server_pid(data_dir) != os.getpid()


def test_an_interrupted_first_start_is_done_again(data_dir: Path) -> None:
    (data_dir / "server").mkdir(mode=0o700)
    if os.geteuid() == 0:
        account = pwd.getpwnam("pgserver")
        os.chown(data_dir / "server", account.pw_uid, account.pw_gid)
    (data_dir / "server/data.new/base").mkdir(parents=True)

    server = embedded.start(data_dir, configuration=FAST)

    assert server.socket_dir == data_dir / "server/run"


def test_a_path_too_long_for_a_socket_gets_a_private_folder_elsewhere(data_dir: Path) -> None:
    deep = data_dir / ("deep" * 30)
    with using(deep) as process:
        wait_until_ready(process)
        socket_dir = embedded.start(deep).socket_dir
        assert socket_dir.stat().st_mode & 0o077 == 0
        stop_server(deep)
    socket_dir.rmdir()


def test_a_socket_folder_that_others_may_enter_is_refused(data_dir: Path) -> None:
    embedded.start(data_dir, configuration=FAST)
    stop_server(data_dir)
    (data_dir / "server/run").chmod(0o755)

    with pytest.raises(DatabaseUnavailable, match="PermissionError"):
        embedded.start(data_dir, configuration=FAST)


def test_it_starts_without_a_home_and_whatever_postgresqls_variables_say(data_dir: Path) -> None:
    environment = {"HOME": "", "PGOPTIONS": "-c nonsense=1", "PGHOST": "none", "PGDATA": "/none"}
    with using(data_dir, environment=environment) as process:
        wait_until_ready(process)


def test_a_failed_start_names_the_log(data_dir: Path) -> None:
    embedded.start(data_dir, configuration=FAST)
    stop_server(data_dir)

    with pytest.raises(DatabaseUnavailable, match=r"server\.log") as caught:
        embedded.start(data_dir, configuration={"shared_buffers": "nonsense"})

    assert "nonsense" in (data_dir / "server/server.log").read_text()
    assert "nonsense" not in str(caught.value)


def test_a_server_that_runs_but_is_never_ready_is_not_waited_for_for_ever(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.start(data_dir, configuration=FAST)
    pid_file = data_dir / "server/data/postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace("ready   ", "starting"))
    monkeypatch.setattr(embedded, "_START_TIMEOUT_S", 0.05)

    with pytest.raises(DatabaseUnavailable, match="TimeoutError"):
        embedded.start(data_dir, configuration=FAST)


def test_root_without_a_user_for_the_server_is_told_how_to_make_one(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(embedded_user, "_SYSTEM_USER", "no such user, nor a name for one")

    with pytest.raises(DatabaseUnavailable, match="useradd --system"):
        embedded.start(data_dir, configuration=FAST)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lend what it takes to read the code")
def test_an_ordinary_user_runs_a_server_of_its_own(data_dir: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)
    lent = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    command = ["setpriv", "--reuid", "nobody", "--regid", str(nobody.pw_gid), "--clear-groups"]
    with subprocess.Popen(
        [*command, *lent, sys.executable, "-c", USER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        cwd="/",
        text=True,
    ) as process:
        wait_until_ready(process)
        watched = os.pidfd_open(server_pid(data_dir))
        assert (data_dir / "server/data").stat().st_uid == nobody.pw_uid
    assert wait_until_ended(watched)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as somebody else")
def test_another_user_of_the_machine_cannot_connect(site: Site) -> None:
    nobody = pwd.getpwnam("nobody")
    command: list[str | Path] = [
        embedded.BINARIES / "psql", "--host", site.server.socket_dir, "--username", "postgres",
        "--command", "SELECT 1", "postgres",
    ]  # fmt: skip
    refused = subprocess.run(
        command,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        check=False,
        text=True,
    )
    assert "Permission denied" in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can let somebody in")
def test_another_user_who_reaches_the_socket_is_refused_by_the_server(data_dir: Path) -> None:
    server = embedded.start(data_dir, configuration={**FAST, "unix_socket_permissions": "0777"})
    (data_dir / "server").chmod(0o755)
    server.socket_dir.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    command: list[str | Path] = [
        embedded.BINARIES / "psql", "--host", server.socket_dir, "--username", "postgres",
        "--command", "SELECT 1", "postgres",
    ]  # fmt: skip
    refused = subprocess.run(
        command,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        check=False,
        text=True,
    )
    assert "Peer authentication failed" in refused.stderr


def test_the_reaper_waits_for_a_user_who_joined_while_it_waited_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []
    locks = [tmp_path / "users", tmp_path / "turn"]
    for lock in locks:
        lock.touch()
    flock = fcntl.flock

    def join_once(file: IO[bytes], operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            attempts.append((tmp_path / "stopped").exists())
            if len(attempts) == 1:
                raise BlockingIOError
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", join_once)
    alive = os.open(tmp_path, os.O_RDONLY)

    embedded_reaper.main(
        str(locks[0]), str(locks[1]), alive,
        user=os.geteuid(), group=os.getegid(), stop=["touch", str(tmp_path / "stopped")],
    )  # fmt: skip

    assert attempts == [False, False]
    assert (tmp_path / "stopped").exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(alive)

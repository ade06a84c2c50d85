"""The commands on a real database, run as a person would, in this process."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from deployments import cli
from deployments.commands import checking
from deployments.commands.checking import Finding
from runtime import provider_assembly
from runtime.embedding.spaces import EmbeddingSpaces
from runtime.errors import ProviderRejected
from runtime.providers.fakes import FakeChatModel, FakeEmbedder
from runtime.storage import embedded
from runtime.storage.embedded import EmbeddedDatabase
from runtime.workspaces import workspace_id_for
from tests.integration.conftest import MODEL, Site

CLIENT = "6f1de9c8-9a52-4a5e-8f5f-2a1f6b1f6a10"
LINES = (
    {"workspace": "w", "client_id": CLIENT, "client_name": "Dana", "notes": "Sleeps badly."},
    {"workspace": "w", "client_id": CLIENT, "session_id": str(uuid4()), "session_date": "never"},
)
EXTERNAL = ("DATABASE_URL", "AI_DATABASE_OWNER_URL")


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AI_JWT_SECRET", "s" * 48)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("AI_METRICS_ENABLED", "false")  # its port may be in use here
    monkeypatch.setattr(
        checking, "_look_at_http_port", lambda: Finding("port", good=True, detail="free")
    )
    monkeypatch.setattr(provider_assembly, "embedding_model", lambda _: MODEL)
    for name in ("COHERE_API_KEY", *EXTERNAL):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ours(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("DATABASE_URL", site.runtime_url)
    monkeypatch.setenv("AI_DATABASE_OWNER_URL", site.owner_url)
    return site


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.usefixtures("ours")
class TestOnAMigratedDatabase:
    def test_migrate_finds_nothing_to_do(self) -> None:
        assert run("migrate") == (0, "The schema is up to date.\n", "")

    def test_import_stores_the_good_lines_and_names_the_bad(self, tmp_path: Path) -> None:
        path = tmp_path / "records.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
        code, out, err = run("import", path)
        assert code == 1
        assert out.startswith("1 records stored, 0 were there unchanged, 1 lines skipped,")
        assert f"{path}:2: skipped: session_date: is not a date" in err

    def test_an_import_without_bad_lines_succeeds_and_runs_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "records.jsonl"
        path.write_text(json.dumps(LINES[0]))
        assert run("import", path)[0] == 0
        code, out, _ = run("import", path)
        assert (code, out.partition(",")[2].partition(",")[0]) == (0, " 1 were there unchanged")

    def test_a_key_is_printed_alone_listed_without_its_secret_and_revoked(self) -> None:
        code, key, err = run(
            "key", "create", "--workspace", "w", "--scope", "chat ops", "--name", "front [red]end"
        )
        assert (code, err) == (0, "")
        assert re.fullmatch(f"pzk_{workspace_id_for('w').hex}_[A-Za-z0-9_-]{{43}}\n", key)
        listed = run("key", "list", "--workspace", "w")[1].splitlines()[1]
        assert "front [red]end" in listed
        assert key.strip()[37:] not in listed
        key_id = listed.split()[0]
        assert run("key", "revoke", key_id, "--workspace", "w") == (0, "Revoked.\n", "")
        revoked = run("key", "list", "--workspace", "w")[1].splitlines()[1]
        assert len(revoked.split()) == len(listed.split()) + 2

    def test_a_key_of_another_workspace_is_not_there_to_revoke(self) -> None:
        run("key", "create", "--workspace", "w", "--scope", "chat")
        key_id = run("key", "list", "--workspace", "w")[1].splitlines()[1].split()[0]
        code, out, err = run("key", "revoke", key_id, "--workspace", "theirs")
        assert (code, out) == (1, "")
        assert err == "There is no such key in this workspace.\n"

    @pytest.mark.parametrize("command", ["create", "list"])
    def test_a_key_needs_a_workspace_with_a_name(self, command: str) -> None:
        scope = ["--scope", "chat"] if command == "create" else []
        code, _, err = run("key", command, "--workspace", "", *scope)
        assert code == 2
        assert "--workspace" in err

    def test_eval_retrieval_prints_its_report_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(provider_assembly, "make_embedder", lambda *_: FakeEmbedder())
        asked = {
            "workspace": "w",
            "question": "Sleep?",
            "lang": "en",
            "relevant_client_ids": [CLIENT],
        }
        (tmp_path / "questions.jsonl").write_text(json.dumps(asked))
        code, out, err = run("eval", "retrieval", "--data", tmp_path)
        report = json.loads(out)
        assert (code, list(report)) == (0, ["vector", "text", "fused"])
        assert all(each["overall"]["n"] == 1 for each in report.values())
        assert all(each["overall"]["failed"] == 0 for each in report.values())
        assert "1/1" in err
        output = tmp_path / "report.json"
        assert run("eval", "retrieval", "--data", tmp_path, "--output", output)[:2] == (0, "")
        assert json.loads(output.read_text("utf-8")) == report

    def test_eval_retrieval_says_which_file_it_misses(self, tmp_path: Path) -> None:
        code, out, err = run("eval", "retrieval", "--data", tmp_path)
        assert (code, out) == (1, "")
        assert "questions.jsonl is not there" in err

    def test_a_benchmark_is_imported_and_then_scored(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(provider_assembly, "make_embedder", lambda *_: FakeEmbedder())
        folder = tmp_path / "sets" / "sleep"
        folder.mkdir(parents=True)
        document = {"_id": "7", "title": "Naps", "text": "Short naps restore attention."}
        (folder / "corpus.jsonl").write_text(json.dumps(document))
        (folder / "queries.jsonl").write_text('{"_id": "q", "text": "Do naps restore anything?"}')
        (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\t7\t1\n")
        code, out, err = run("eval", "retrieval", "--data", folder.parent)
        assert (code, json.loads(out)["fused"]["overall"]["hit_at_10"]) == (0, 0.0)
        assert "imported" in err
        records = tmp_path / "records.jsonl"
        assert run("eval", "records", "--data", folder.parent, "--output", records)[:2] == (0, "")
        assert run("import", records)[0] == 0
        code, out, err = run("eval", "retrieval", "--data", folder.parent)
        assert (code, json.loads(out)["text"]["overall"]["mrr_at_10"]) == (0, 1.0)
        assert json.loads(out)["fused"]["overall"]["mrr_at_10"] == 1.0
        assert "imported" not in err

    def test_doctor_is_content(self) -> None:
        code, out, err = run("doctor")
        assert (code, err) == (0, "")
        assert "MEND" not in out
        assert "row-level security forced" in out

    def test_doctor_looks_at_the_providers_only_when_told(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refusing = FakeEmbedder()
        refusing.failures.append(ProviderRejected("fake", "m", "embed", "HTTP 401", None))
        monkeypatch.setattr(provider_assembly, "make_embedder", lambda *_: refusing)
        monkeypatch.setattr(provider_assembly, "make_chats", lambda *_: {"local": FakeChatModel()})
        run("doctor")
        assert len(refusing.failures) == 1
        code, out, _ = run("doctor", "--deep")
        assert code == 1
        [embedding] = [line for line in out.splitlines() if "HTTP 401" in line]
        assert embedding.split()[:2] == ["MEND", "embedding"]

    def test_doctor_looks_at_the_model_that_is_left_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refusing = FakeEmbedder()
        refusing.failures.append(ProviderRejected("fake", "m", "embed", "HTTP 401", None))
        spaces = EmbeddingSpaces(FakeEmbedder(64), refusing)
        monkeypatch.setattr(provider_assembly, "make_spaces", lambda *_: spaces)
        monkeypatch.setattr(provider_assembly, "make_chats", lambda *_: {"local": FakeChatModel()})
        code, out, _ = run("doctor", "--deep")
        assert code == 1
        [retiring] = [line for line in out.splitlines() if "HTTP 401" in line]
        assert retiring.split()[:2] == ["MEND", "embedding_retiring"]


def test_doctor_says_that_the_schema_is_not_there(
    empty_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_site.runtime_url)
    code, out, _ = run("doctor")
    assert code == 1
    assert re.search(r"MEND +database .*migrate", out)


def test_migrate_names_the_url_that_leads_nowhere(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", site.runtime_url)
    monkeypatch.setenv("AI_DATABASE_OWNER_URL", "postgresql://owner@127.0.0.1:1/none")
    code, _, err = run("migrate")
    assert code == 1
    assert "and that AI_DATABASE_OWNER_URL is right" in err


def test_the_documented_roles_are_all_that_migrate_and_doctor_ask_for(
    server: EmbeddedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(cli.__file__).parents[1] / "docs" / "operations.md").read_text("utf-8")
    (sql,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    sql = sql.replace("pazpaz_", "documented_").replace(" pazpaz", " documented")
    subprocess.run(
        [
            embedded.BINARIES / "psql",
            "--set=ON_ERROR_STOP=1",
            server.url_for("postgres", "postgres"),
        ],
        input=sql.replace("…", "none"),
        text=True,
        check=True,
    )
    monkeypatch.setenv("DATABASE_URL", server.url_for("documented_runtime", "documented"))
    monkeypatch.setenv("AI_DATABASE_OWNER_URL", server.url_for("documented_owner", "documented"))
    code, out, _ = run("migrate")
    assert (code, out.partition("\n")[0]) == (0, "Applied:")
    assert run("doctor")[0] == 0


def test_doctor_says_that_the_role_is_not_safe(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", site.owner_url)
    code, out, _ = run("doctor")
    assert code == 1
    assert re.search(r"MEND +database .*pazpaz_runtime", out)


@pytest.mark.parametrize("arguments", [["import", __file__], ["key", "list", "--workspace", "w"]])
def test_a_database_that_is_down_is_one_sentence(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert err.strip().splitlines()[-1].startswith("The database cannot be reached")


@pytest.mark.parametrize(("given", "named"), [EXTERNAL, EXTERNAL[::-1]])
def test_migrate_names_the_missing_half_of_the_configuration(
    given: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(given, "postgresql://someone@127.0.0.1:1/nothing")
    code, out, err = run("migrate")
    assert (code, out) == (2, "")
    assert err.startswith(f"{named}: is not set")


def test_doctor_says_which_setting_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_GUARD_MODE", "sometimes")
    code, out, _ = run("doctor")
    assert code == 1
    assert re.search(r"MEND +configuration +AI_GUARD_MODE", out)

from __future__ import annotations

from pathlib import Path

import jwt
import pytest
import typer

from deployments.commands import credentials
from runtime.access.api_keys import make_key
from runtime.errors import ConfigurationError
from runtime.settings import load
from runtime.workspaces import workspace_id_for

SECRET = "s" * 48


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AI_JWT_SECRET", SECRET)
    monkeypatch.delenv("AI_TOKEN", raising=False)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("15m", 900), ("1h", 3600), (" 7d ", 604_800), ("366d", 31_622_400)],
)
def test_a_time_to_live_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert credentials.parse_ttl(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "h", "1w", "-1h", "0s", "1.5h", "1h30m", "367d", "٣h", "1H"]
)
def test_any_other_time_to_live_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="30s, 15m, 1h or 7d"):
        credentials.parse_ttl(text)


def test_scopes_are_separated_by_spaces_and_named_once() -> None:
    assert credentials.parse_scopes(" chat  records:write chat") == ("chat", "records:write")


@pytest.mark.parametrize("text", ["", "  ", "admin", "chat,ops", "chat Ops"])
def test_an_unknown_scope_is_refused_and_the_known_are_named(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="chat records:write workspace:admin ops"):
        credentials.parse_scopes(text)


@pytest.mark.parametrize("text", ["", "x\ny", "x" * 256])
def test_a_subject_that_a_server_would_refuse_is_refused_here(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="255"):
        credentials.parse_subject(text)


def test_a_workspace_must_be_named() -> None:
    with pytest.raises(typer.BadParameter, match="name a workspace"):
        credentials.parse_workspace("  ")


def test_a_token_is_for_the_configured_issuer_and_audience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_JWT_ISSUER", "https://issuer.example")
    monkeypatch.setenv("AI_JWT_AUDIENCE", "pazpaz")
    settings, secrets = load()
    token = credentials.make_development_token(
        settings,
        secrets,
        workspace=workspace_id_for("demo"),
        scopes=("chat", "ops"),
        subject="dana",
        ttl_s=60,
    )
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="pazpaz")
    assert (claims["iss"], claims["sub"], claims["scope"]) == (
        "https://issuer.example",
        "dana",
        "chat ops",
    )
    assert claims["workspace_id"] == str(workspace_id_for("demo"))
    assert claims["exp"] - claims["iat"] == 60


def test_asking_makes_a_token_that_may_only_chat() -> None:
    token = credentials.token_for_asking(None)
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert (claims["scope"], claims["workspace_id"]) == ("chat", str(workspace_id_for("demo")))


def test_asking_prefers_the_credential_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_TOKEN", "pzk_given")
    assert credentials.token_for_asking(None) == "pzk_given"


def credential_of(name: str, *, kind: str) -> str:
    if kind == "key":
        return make_key(workspace_id_for(name))
    claims = {"workspace_id": str(workspace_id_for(name))}
    return jwt.encode(claims, "of another signer, which this machine does not know", "HS256")


@pytest.mark.parametrize("kind", ["key", "token"])
def test_asking_another_practice_than_the_credential_is_of_is_refused(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = credential_of("north", kind=kind)
    monkeypatch.setenv("AI_TOKEN", given)
    assert credentials.token_for_asking("north") == given
    with pytest.raises(ConfigurationError, match="AI_TOKEN") as refused:
        credentials.token_for_asking("south")
    assert given not in str(refused.value)


@pytest.mark.parametrize(
    "given", ["pzk_cut", "no-token", "e30.W10.", "e30.eyJ3b3Jrc3BhY2VfaWQiOjF9."]
)
def test_a_credential_of_no_known_workspace_does_not_go_with_a_named_one(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_TOKEN", given)
    with pytest.raises(ConfigurationError, match="AI_TOKEN"):
        credentials.token_for_asking("demo")

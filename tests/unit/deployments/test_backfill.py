from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from deployments import backfill
from deployments.commands.failure import CommandFailed
from runtime.embedding.run import Done
from runtime.settings import Settings, load

LOCAL = "local:multilingual-e5-small-q4:384"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COHERE_API_KEY", raising=False)
    return load()[0]


def test_only_the_configured_model_can_be_brought_in(settings: Settings) -> None:
    with pytest.raises(CommandFailed, match=f"is {LOCAL}, not embed-v4.0.*AI_EMBEDDING_RETIRING"):
        backfill.run(settings, workspace_id=None, reembed="embed-v4.0", on_progress=lambda *_: None)


def test_with_one_retiring_a_misspelt_model_is_told_which_is_which(settings: Settings) -> None:
    settings = settings.model_copy(update={"embedding_retiring": "cohere:embed-v4.0:1536"})
    with pytest.raises(CommandFailed) as caught:
        backfill.run(settings, workspace_id=None, reembed="embed-v3", on_progress=lambda *_: None)
    said = str(caught.value)
    assert f"is {LOCAL}, not embed-v3; AI_EMBEDDING_RETIRING is cohere:embed-v4.0:1536" in said
    assert said.endswith(f"--reembed {LOCAL}")


@pytest.mark.parametrize("named", [LOCAL, "multilingual-e5-small-q4"])
def test_the_configured_model_is_known_by_its_key_and_by_its_name(
    settings: Settings, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Settings) -> None:
        raise CommandFailed("No application runs.")

    monkeypatch.setattr(backfill, "_join_cluster", refuse)
    with pytest.raises(CommandFailed, match="No application runs"):
        backfill.run(settings, workspace_id=None, reembed=named, on_progress=lambda *_: None)


def test_an_application_with_the_same_models_is_asked() -> None:
    backfill.require_same_models([LOCAL, "cohere:m:64"], [LOCAL, "cohere:m:64"])


@pytest.mark.parametrize("served", [["cohere:m:64"], [LOCAL, "cohere:m:64"]], ids=["other", "more"])
def test_an_application_with_other_models_embeds_nothing_for_the_command(served: list[str]) -> None:
    with pytest.raises(CommandFailed, match=r"embeds with .*cohere:m:64; .*configured for local:"):
        backfill.require_same_models(served, [LOCAL])


@pytest.mark.parametrize("reembed", [False, True])
def test_a_run_that_left_nothing_says_what_it_did(settings: Settings, *, reembed: bool) -> None:
    told = backfill.conclude(settings, Done(3, 0, 0, {}), reembed=reembed)
    assert "3 records" in told
    assert (LOCAL in told) == reembed


@pytest.mark.parametrize("reembed", [False, True])
def test_workspaces_on_another_model_are_named(settings: Settings, *, reembed: bool) -> None:
    done = Done(3, 2, 0, {UUID(int=7): "fake:gone:2"})
    with pytest.raises(CommandFailed) as caught:
        backfill.conclude(settings, done, reembed=reembed)
    said = str(caught.value)
    assert f"{UUID(int=7)} (fake:gone:2)" in said
    assert "2 could not be embedded now" in said
    assert ("Run this again" in said) == reembed


@pytest.mark.parametrize("retiring", ["", "cohere:embed-v4.0:1536"])
async def test_the_vectors_of_a_configured_model_are_not_forgotten(
    settings: Settings, retiring: str
) -> None:
    settings = settings.model_copy(update={"embedding_retiring": retiring})
    with pytest.raises(CommandFailed, match="is configured"):
        await backfill.forget(settings, retiring or LOCAL, None)


def test_a_model_without_vectors_is_answered_with_those_that_have_some() -> None:
    said = backfill.explain_nothing_deleted("local:smal:384", {"local:small:384", LOCAL})
    assert said.startswith("There are no vectors of local:smal:384.")
    assert said.endswith(f"There are vectors of: {', '.join(sorted(('local:small:384', LOCAL)))}.")

    assert backfill.explain_nothing_deleted("a:b:1", set()) == "There are no vectors of a:b:1."


def test_a_model_that_practices_are_searched_by_is_said_to_be_kept() -> None:
    said = backfill.explain_nothing_deleted("a:b:1", {"a:b:1"})
    assert "every practice that has any is searched by them" in said

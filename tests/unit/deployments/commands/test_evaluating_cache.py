"""`eval cache` embeds each question once and reports under the model that it used."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.commands.evaluating_cache import OWN_PAIRS, evaluate_cache
from deployments.commands.failure import CommandFailed
from runtime import provider_assembly
from runtime.evaluation.cache import LabelledPair
from runtime.providers.fakes import FakeEmbedder
from runtime.settings import Settings

PAIR = LabelledPair(
    asked="Please tell me who called her?",
    remembered="Who called her?",
    lang="en",
    should_hit=True,
    kind="politeness",
)


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> FakeEmbedder:
    fake = FakeEmbedder()
    monkeypatch.setattr(provider_assembly, "make_embedder", lambda _settings, _emit: fake)
    return fake


async def test_a_folder_s_pairs_are_judged(tmp_path: Path, embedder: FakeEmbedder) -> None:
    (tmp_path / "pairs.jsonl").write_text(PAIR.model_dump_json(), "utf-8")
    report = await evaluate_cache(Settings(), tmp_path)
    assert report.embedding == f"{embedder.model.provider}/{embedder.model.name}"
    assert report.configured.threshold == Settings().cache_similarity
    assert (report.configured.all.should_hit, report.configured.all.true_hits) == (1, 1)


async def test_a_folder_without_pairs_is_told_what_it_misses(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"pairs\.jsonl is not there"):
        await evaluate_cache(Settings(), tmp_path)


@pytest.mark.usefixtures("embedder")
async def test_the_project_s_own_pairs_are_taken_otherwise_and_none_is_served_wrongly() -> None:
    assert (OWN_PAIRS / "pairs.jsonl").is_file()
    report = await evaluate_cache(Settings())
    assert report.configured.all.must_not_hit >= 250
    assert all(each.all.false_hits == 0 for each in [report.configured, *report.others])

"""How pairs are counted: what the cache serves rightly, wrongly, and would without its gate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.errors import InvalidRecord
from runtime.evaluation.cache import LabelledPair, judge, read_pairs, summarize_pairs

SAME = LabelledPair(
    asked="When did she quit lithium?",
    remembered="When did she stop lithium?",
    lang="en",
    should_hit=True,
    kind="synonym",
    split="dev",
)
OTHER = LabelledPair(
    asked="When did she start lithium?",
    remembered="When did she stop lithium?",
    lang="en",
    should_hit=False,
    kind="direction",
    split="held_out",
)
REPEATED = SAME.model_copy(update={"asked": "Please tell me when she left?"}).model_copy(
    update={"remembered": "when she left"}
)


def write(folder: Path, *lines: str) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_a_hit_needs_similarity_and_the_gate() -> None:
    assert judge(SAME, 0.96).hits(0.95)
    assert not judge(SAME, 0.94).hits(0.95)
    assert not judge(OTHER, 0.99).hits(0.95)
    assert judge(OTHER, 0.99).hits_without_gate(0.95)


def test_the_same_wording_hits_however_it_was_embedded() -> None:
    assert judge(REPEATED, 0.0).hits(1.0)


def test_counts_are_by_threshold_language_split_and_kind() -> None:
    report = summarize_pairs(
        [judge(SAME, 0.92), judge(OTHER, 0.97), judge(REPEATED, 1.0)],
        threshold=0.95,
        embedding="local/x",
    )
    counts = report.configured.all
    assert (counts.should_hit, counts.true_hits) == (2, 1)
    assert (counts.must_not_hit, counts.false_hits, counts.false_hits_without_gate) == (1, 0, 1)
    at_90 = next(each for each in report.others if each.threshold == 0.90)
    assert at_90.all.true_hits == 2
    assert at_90.by_split["dev"].should_hit == 2
    assert set(at_90.by_kind) == {"same: synonym", "other: direction"}
    assert at_90.by_language["en"] == at_90.all
    assert report.served_wrongly == []
    assert json.loads(report.render_json())["configured"]["threshold"] == 0.95


def test_a_wrongly_served_pair_is_named() -> None:
    mislabelled = SAME.model_copy(update={"should_hit": False})
    report = summarize_pairs([judge(mislabelled, 1.0)], threshold=0.95, embedding="local/x")
    assert report.served_wrongly == [{"asked": SAME.asked, "remembered": SAME.remembered}]


def test_pairs_are_read_and_blank_lines_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, SAME.model_dump_json(), "", OTHER.model_dump_json())
    assert read_pairs(path) == [SAME, OTHER]


def test_a_line_that_is_no_pair_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, SAME.model_dump_json(), '{"asked": "Who?"}')
    with pytest.raises(InvalidRecord, match=r"pairs\.jsonl, line 2"):
        read_pairs(path)


def test_a_line_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(SAME.model_dump_json().encode() + b"\n\xff\xfe\n")

    with pytest.raises(InvalidRecord, match=r"pairs\.jsonl, line 2: is not UTF-8"):
        read_pairs(path)


@pytest.mark.parametrize("lines", [(), ("", " ")])
def test_a_file_without_a_pair_is_no_clean_bill(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRecord, match=r"pairs\.jsonl: holds no labelled pair"):
        read_pairs(write(tmp_path, *lines))

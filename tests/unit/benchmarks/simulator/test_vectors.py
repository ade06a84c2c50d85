from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulator.vectors import COMMON_PART, embed

ROOT = Path(__file__).parents[4]
DIGEST = """
import hashlib
from benchmarks.simulator.vectors import embed
print(hashlib.sha256(embed("She sleeps badly", 1536)).hexdigest())
"""


def similarity(one: str, other: str, dimensions: int = 1536) -> float:
    a, b = (np.frombuffer(embed(text, dimensions), "<f4") for text in (one, other))
    return float(a @ b)


@pytest.mark.parametrize("dimensions", [64, 256, 1536])
@pytest.mark.parametrize(
    ("text", "paraphrase", "unrelated"),
    [
        (
            "The client sleeps badly since her father's death in March.",
            "Since the death of her father she is sleeping badly.",
            "Agreed on half an hour of walking a day with the dog.",
        ),
        (
            "המטופלת מתקשה להירדם מאז מות אביה.",
            "מאז שאביה מת קשה למטופלת להירדם בלילה.",
            "סוכם על הליכה של חצי שעה ביום עם הכלב.",
        ),
    ],
)
def test_a_paraphrase_is_nearer_than_another_subject(
    text: str, paraphrase: str, unrelated: str, dimensions: int
) -> None:
    near = similarity(text, paraphrase, dimensions)
    assert near > similarity(text, unrelated, dimensions) + 0.15


def test_a_question_reaches_the_products_threshold_only_for_notes_that_share_its_words() -> None:
    note = (
        "Session notes. The client reports that her sleep has become worse since she works nights "
        "in the bakery. She wakes up several times and worries about the rent. We practised a "
        "breathing exercise and agreed that she will keep a sleep diary until the next session."
    )
    assert similarity("How is her sleep since she works nights?", note) > 0.3
    assert similarity("Which antidepressant was prescribed, what dose?", note) < 0.3


def test_case_and_punctuation_make_no_difference() -> None:
    assert similarity("She sleeps badly.", "she SLEEPS, badly!") == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", ["", " ", "…", "a", "\ud800 lone", "ab " * 20_000])
def test_any_text_has_a_vector_of_unit_length(text: str) -> None:
    vector = np.frombuffer(embed(text, 128), "<f4")
    assert vector.shape == (128,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_texts_of_nothing_in_common_have_the_common_part() -> None:
    pairs = [(f"{word} " * 3, f"{word[::-1]} " * 3) for word in ("abcdef", "ghijkl", "mnopqr")]
    mean = np.mean([similarity(*pair) for pair in pairs])
    assert mean == pytest.approx(COMMON_PART, abs=0.1)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_with_another_hash_seed_makes_the_same_vector(seed: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", DIGEST],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    here = hashlib.sha256(embed("She sleeps badly", 1536)).hexdigest()
    assert said.stdout.strip() == here

"""The common scale of similarity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.calibration import calibrate, least_cosine
from runtime.messages import EmbeddingModel

LOCAL = EmbeddingModel("local", "multilingual-e5-small-q4", 384)
COHERE = EmbeddingModel("cohere", "embed-v4.0", 1536)
UNKNOWN = EmbeddingModel("someone", "new", 64)
COSINES = st.floats(-1, 1)


@pytest.mark.parametrize("model", [LOCAL, COHERE, UNKNOWN])
@given(one=COSINES, two=COSINES)
def test_more_similar_texts_never_come_out_less_similar(
    model: EmbeddingModel, one: float, two: float
) -> None:
    low, high = sorted([one, two])
    assert 0 <= calibrate(model, low) <= calibrate(model, high) <= 1


@pytest.mark.parametrize("model", [LOCAL, COHERE, UNKNOWN])
def test_the_same_text_is_one_and_an_opposite_one_zero(model: EmbeddingModel) -> None:
    assert calibrate(model, 1.0) == 1
    assert calibrate(model, 1.0000001) == 1
    assert calibrate(model, -1.0) == 0


def test_each_model_has_its_own_scale() -> None:
    assert calibrate(LOCAL, 0.2) == pytest.approx(0.3)
    assert calibrate(UNKNOWN, 0.2) == pytest.approx(0.2)
    wider = EmbeddingModel("cohere", "embed-v4.0", 256)
    assert calibrate(wider, 0.6) == calibrate(COHERE, 0.6) != calibrate(LOCAL, 0.61)


@pytest.mark.parametrize("model", [LOCAL, COHERE, UNKNOWN])
@given(cosine=COSINES)
def test_no_text_of_a_similarity_lies_below_its_least_cosine(
    model: EmbeddingModel, cosine: float
) -> None:
    assert least_cosine(model, calibrate(model, cosine)) <= cosine


@pytest.mark.parametrize("model", [LOCAL, COHERE, UNKNOWN])
@given(similarity=st.floats(0.01, 1))
def test_few_texts_below_a_similarity_lie_above_its_least_cosine(
    model: EmbeddingModel, similarity: float
) -> None:
    assert calibrate(model, least_cosine(model, similarity)) >= similarity - 0.001

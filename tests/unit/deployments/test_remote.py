from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from deployments.remote import SLICE_TEXTS, RemoteEmbedder, RemoteReranker
from runtime.messages import EmbeddingModel
from runtime.telemetry import request_id

MODEL = EmbeddingModel("fake", "m", 2)


class Handle:
    """The embedding deployment's handle: a row holds its text's number, and how often it called."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.embed = self

    def options(self, **options: object) -> Handle:
        assert options == {"_by_reference": False}
        return self

    def remote(self, texts: list[str], *rest: object, model_key: str) -> Any:
        self.calls.append((len(texts), *rest, model_key))

        async def answer() -> tuple[np.ndarray, int]:
            rows = [[float(text), len(self.calls)] for text in texts]
            return np.array(rows, np.float32), len(texts)

        return answer()


async def test_a_long_list_goes_in_slices_and_comes_back_in_order() -> None:
    handle = Handle()
    texts = [str(number) for number in range(2 * SLICE_TEXTS + 1)]
    token = request_id.set("visit-1")
    try:
        embedded = await RemoteEmbedder(handle, MODEL).embed_texts(
            texts, input_type="document", timeout_s=9, priority="batch"
        )
    finally:
        request_id.reset(token)
    assert [call[0] for call in handle.calls] == [SLICE_TEXTS, SLICE_TEXTS, 1]
    assert handle.calls[0][1:] == (
        "document",
        "batch",
        pytest.approx(9, abs=1),
        "visit-1",
        MODEL.key,
    )
    assert embedded.vectors[:, 0].tolist() == [float(text) for text in texts]
    assert embedded.vectors.dtype == np.float32
    assert embedded.tokens == len(texts)


async def test_all_slices_share_the_one_time_limit() -> None:
    handle = Handle()
    texts = [str(number) for number in range(3 * SLICE_TEXTS)]
    await RemoteEmbedder(handle, MODEL).embed_texts(texts, input_type="document", timeout_s=9)
    limits_s = [cast("float", call[3]) for call in handle.calls]
    assert limits_s == sorted(set(limits_s), reverse=True)


async def test_no_texts_are_no_call() -> None:
    handle = Handle()
    embedded = await RemoteEmbedder(handle, MODEL).embed_texts(
        [], input_type="document", timeout_s=9
    )
    assert handle.calls == []
    assert embedded.vectors.shape == (0, 2)


class RankingHandle:
    """The embedding deployment's handle: a text is as relevant as the number it is."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.rerank = self

    def options(self, **options: object) -> RankingHandle:
        assert options == {"_by_reference": False}
        return self

    def remote(self, question: str, texts: list[str], *rest: object) -> Any:
        self.calls.append((question, texts, *rest))

        async def answer() -> list[float]:
            return [float(text) for text in texts]

        return answer()


async def test_an_order_is_asked_of_the_deployment_with_less_than_the_callers_time() -> None:
    handle = RankingHandle()
    reranker = RemoteReranker(handle, provider="cohere", name="rerank-v4.0-pro")
    token = request_id.set("visit-1")
    try:
        assert await reranker.rank("sleep?", ("0.25", "1"), timeout_s=2) == [0.25, 1.0]
    finally:
        request_id.reset(token)
    assert handle.calls == [("sleep?", ["0.25", "1"], pytest.approx(1.9), "visit-1")]
    assert await reranker.rank("sleep?", (), timeout_s=2) == []
    assert len(handle.calls) == 1
    assert (reranker.provider, reranker.name) == ("cohere", "rerank-v4.0-pro")

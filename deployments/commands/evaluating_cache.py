"""The command `eval cache`: what the semantic cache would serve, without a database or server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from deployments.commands.failure import CommandFailed
from deployments.commands.loading import record_progress
from runtime import provider_assembly
from runtime.calibration import calibrate
from runtime.evaluation.cache import CacheReport, judge, read_pairs, summarize_pairs
from runtime.metrics.recording import NoMetrics

if TYPE_CHECKING:
    import numpy as np

    from runtime.ports import Embedder
    from runtime.settings import Settings

    _Vector: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float32]]

OWN_PAIRS: Final = Path(__file__).parents[2] / "benchmarks" / "cache_pairs"
"""The project's own set, in its checkout."""
_BATCH: Final = 64


async def evaluate_cache(settings: Settings, data: Path | None = None) -> CacheReport:
    """Score similarity and gate on `pairs.jsonl` of a folder; without one, on the project's own.

    Raises: CommandFailed, InvalidRecord, ProviderError, ConfigurationError.
    """
    path = (data or OWN_PAIRS) / "pairs.jsonl"
    if not path.is_file():
        raise CommandFailed(f"{path} is not there; --data names the folder that holds it.")
    pairs = read_pairs(path)
    embedder = provider_assembly.make_embedder(settings, NoMetrics().emit)
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.asked, pair.remembered)))
    vectors = await _embed(embedder, texts, timeout_s=settings.request_deadline_s)
    await provider_assembly.close_clients()
    judged = [
        judge(
            pair,
            calibrate(embedder.model, float(vectors[pair.asked] @ vectors[pair.remembered])),
        )
        for pair in pairs
    ]
    model = embedder.model
    return summarize_pairs(
        judged, threshold=settings.cache_similarity, embedding=f"{model.provider}/{model.name}"
    )


async def _embed(embedder: Embedder, texts: list[str], *, timeout_s: float) -> dict[str, _Vector]:
    vectors: dict[str, _Vector] = {}
    with record_progress("Embedding", counted="questions") as show:
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            done = await embedder.embed_texts(batch, input_type="query", timeout_s=timeout_s)
            vectors.update(zip(batch, done.vectors, strict=True))
            show(len(vectors), len(texts))
    return vectors

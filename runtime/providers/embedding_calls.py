"""A list split into calls, and rows that are checked: for every vendor's file and their guard."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import numpy as np

from runtime.errors import BadProviderResponse
from runtime.messages import Embedded, EmbeddingModel, Matrix, Vector
from runtime.splitting import estimate_tokens

CALLS_AT_ONCE: Final = 4
"""Of one list; what the account may send in all is the limiter's business."""


async def embed_in_calls(
    texts: Sequence[str],
    call: Callable[[list[str]], Awaitable[Embedded]],
    *,
    dimensions: int,
    texts_per_call: int,
    tokens_per_call: int | None = None,
) -> Embedded:
    """Return a row for each text, in order; an empty one is a zero row that is never sent.

    A call that fails, or a caller who leaves, ends the other calls before it returns. Raises what
    `call` raises.
    """
    vectors: Matrix = np.zeros((len(texts), dimensions), dtype=np.float32)
    turn = asyncio.Semaphore(CALLS_AT_ONCE)

    async def embed(rows: list[int]) -> int:
        async with turn:
            found = await call([texts[row] for row in rows])
        vectors[rows] = found.vectors
        return found.tokens

    batches = _batches(texts, texts_per_call, tokens_per_call)
    calls = [asyncio.create_task(embed(rows)) for rows in batches]
    try:
        tokens = await asyncio.gather(*calls)
    finally:
        for under_way in calls:
            under_way.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    return Embedded(vectors, sum(tokens))


def _batches(
    texts: Sequence[str], texts_per_call: int, tokens_per_call: int | None
) -> Iterator[list[int]]:
    rows: list[int] = []
    tokens = 0
    for row, text in enumerate(texts):
        if not text.strip():
            continue
        cost = estimate_tokens(text) if tokens_per_call else 0
        is_full = len(rows) == texts_per_call
        if rows and (is_full or (tokens_per_call and tokens + cost > tokens_per_call)):
            yield rows
            rows, tokens = [], 0
        rows.append(row)
        tokens += cost
    if rows:
        yield rows


def unit_rows(
    encoded: Sequence[str | Sequence[float]], *, count: int, model: EmbeddingModel
) -> Matrix:
    """Return the rows at unit length: each base64 of little-endian floats, or a list of floats.

    Raises: BadProviderResponse, ValueError.
    """
    vectors: Matrix = np.stack(
        [_row(row) for row in encoded]
    )  # refuses none, and different lengths
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = np.all(np.isfinite(lengths) & (lengths > 0))
    if not whole or vectors.shape != (count, model.dimensions):
        reason = f"{vectors.shape} vectors for ({count}, {model.dimensions}) asked"
        raise BadProviderResponse(model.provider, model.name, "embed", reason, None)
    unit: Matrix = vectors / lengths
    return unit


def _row(row: str | Sequence[float]) -> Vector:
    # Parsing float lists costs 7 ms of CPU a vector, base64 0.5 ms.
    if isinstance(row, str):
        return np.frombuffer(base64.b64decode(row, validate=True), "<f4")
    return np.asarray(row, dtype=np.float32)

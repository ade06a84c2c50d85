"""Cohere's v2 API as a mock transport sees it, for the tests of its client."""

from __future__ import annotations

import base64
import json
import zlib

import httpx
import numpy as np
from numpy.typing import NDArray

ANSWER = "She sleeps badly [1]."
USAGE = {"tokens": {"input_tokens": 90.0, "output_tokens": 7.0}}


def encode(texts: list[str], dimensions: int) -> list[str]:
    """Return a vector for each text as the service writes it: base64 of little-endian floats."""
    seeds = (np.random.default_rng(zlib.crc32(text.encode())) for text in texts)
    return [written(seed.normal(size=dimensions) * 3) for seed in seeds]


def written(vector: NDArray[np.float64]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def event(kind: str, **fields: object) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def delta(text: str) -> str:
    return event("content-delta", index=0, delta={"message": {"content": {"text": text}}})


def end(finish_reason: str = "COMPLETE") -> str:
    return event("message-end", delta={"finish_reason": finish_reason, "usage": USAGE})


STREAM = [
    event("message-start", id="1", delta={"message": {"role": "assistant"}}),
    event("content-start", index=0, delta={"message": {"content": {"type": "text", "text": ""}}}),
    *[delta(piece) for piece in ("She sleeps", " badly", " [1].")],
    event("content-end", index=0),
    end(),
]


class CohereService:
    """Answers as the service would, or with `response`; `requests` remembers what was sent."""

    def __init__(self, response: httpx.Response | Exception | None = None) -> None:
        self.response = response
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self.response, Exception):
            raise self.response
        if self.response is not None:
            return self.response
        body = json.loads(request.content)
        if request.url.path == "/v2/embed":
            return self._embed(body["texts"], body.get("output_dimension", 1024))
        if body.get("stream"):
            kind = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=kind, text="".join(STREAM))
        message = {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]}
        whole = {"id": "1", "finish_reason": "COMPLETE", "message": message, "usage": USAGE}
        return httpx.Response(200, json=whole)

    def _embed(self, texts: list[str], dimensions: int) -> httpx.Response:
        meta = {"billed_units": {"input_tokens": 2.0 * len(texts)}}
        rows = {"base64": encode(texts, dimensions)}
        return httpx.Response(200, json={"id": "1", "embeddings": rows, "meta": meta})

    @property
    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(request.content) for request in self.requests]

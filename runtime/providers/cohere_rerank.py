"""Cohere's reranker by its own asynchronous client: how relevant each passage is to a question.

As in `cohere.py`, no exception and no word of the vendor's leaves this file, and its client makes
no call twice.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import cohere
import httpx

from runtime.errors import BadProviderResponse
from runtime.providers.cohere import ONE_ATTEMPT, PROVIDER, open_client
from runtime.providers.cohere_errors import translated
from runtime.providers.options import ProviderOptions


def make_reranker(options: ProviderOptions, http: httpx.AsyncClient) -> CohereReranker:
    """Return the Reranker for the catalogue."""
    return CohereReranker(options, http)


class CohereReranker:
    """A `Reranker` on `v2/rerank`."""

    def __init__(self, options: ProviderOptions, http: httpx.AsyncClient) -> None:
        assert options.api_key is not None
        assert options.base_url is not None
        self.provider = PROVIDER
        self.name = options.model
        self._client = open_client(http, options.api_key, options.base_url)
        self._clock = options.clock

    async def rank(self, question: str, texts: Sequence[str], *, timeout_s: float) -> list[float]:
        """Return how relevant each text is, 0 to 1, in the order given.

        Raises: ProviderError.
        """
        if not texts:
            return []
        with translated(self.name, "rerank", self._clock):
            async with asyncio.timeout(timeout_s):
                response = await self._client.rerank(
                    model=self.name,
                    query=question,
                    documents=list(texts),
                    top_n=len(texts),
                    request_options=ONE_ATTEMPT,
                )
            return self._in_order(response.results, count=len(texts))

    def _in_order(
        self, results: Sequence[cohere.V2RerankResponseResultsItem], *, count: int
    ) -> list[float]:
        """Return what was said of each text; it is told best first, by their numbers.

        The client checks nothing of it.
        """
        said = {result.index: float(result.relevance_score) for result in results}
        if len(results) != count or set(said) != set(range(count)):
            raise self._bad("not one result for each text")
        if not all(map(math.isfinite, said.values())):
            raise self._bad("a relevance that is no number")
        return [min(1.0, max(0.0, said[index])) for index in range(count)]

    def _bad(self, reason: str) -> BadProviderResponse:
        return BadProviderResponse(PROVIDER, self.name, "rerank", reason, None)

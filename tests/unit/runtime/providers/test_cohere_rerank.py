"""What Cohere's reranker is sent; how it keeps its port's promises is in test_conformance."""

from __future__ import annotations

from runtime.providers.cohere_rerank import make_reranker
from tests.unit.runtime.providers.vendors import options
from tests.unit.runtime.providers.wires import CohereWire, Service


async def test_the_request_asks_for_every_text() -> None:
    service = Service(CohereWire())
    async with service.open() as http:
        reranker = make_reranker(options("cohere", "rerank-v4.0-pro"), http)
        await reranker.rank("איך היא ישנה?", ("Sleeps badly.", "אוכלת."), timeout_s=5)
    assert service.bodies == [
        {
            "model": "rerank-v4.0-pro",
            "query": "איך היא ישנה?",
            "documents": ["Sleeps badly.", "אוכלת."],
            "top_n": 2,
        }
    ]
    [request] = service.requests
    assert request.url.path == "/v2/rerank"
    assert request.headers["authorization"] == "Bearer k3y"

"""How the simulated reranker reads its requests, and what it answers."""

from __future__ import annotations

import pytest

from benchmarks.simulator.answers import relevances
from benchmarks.simulator.calls import BadCall, Json, RerankWire
from benchmarks.simulator.wire_anthropic import AnthropicWire
from benchmarks.simulator.wire_cohere import CohereWire
from benchmarks.simulator.wire_openai import OpenAIWire

BODY: dict[str, Json] = {
    "model": "rerank-v4.0-pro",
    "query": "Who sleeps badly?",
    "documents": ["Eats well.", "Sleeps badly.", "Sleeps."],
}


def test_the_best_come_first_by_their_places_as_many_as_are_asked_for() -> None:
    wire = CohereWire()
    call = wire.read_rerank({**BODY, "top_n": 2})
    answer = wire.reranked(call, relevances(call), 1)
    assert isinstance(answer, dict)
    assert answer["results"] == [
        {"index": 1, "relevance_score": 0.666667},
        {"index": 2, "relevance_score": 0.333333},
    ]


@pytest.mark.parametrize("wrong", [{}, {"top_n": 9}])
def test_unless_told_otherwise_all_come(wrong: dict[str, Json]) -> None:
    assert CohereWire().read_rerank({**BODY, **wrong}).top_n == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": None},
        {"query": " "},
        {"query": None},
        {"documents": []},
        {"documents": [{"text": "structured"}]},
        {"top_n": 0},
    ],
    ids=repr,
)
def test_what_the_vendor_would_refuse_is_refused(wrong: dict[str, Json]) -> None:
    with pytest.raises(BadCall):
        CohereWire().read_rerank({**BODY, **wrong})


def test_nobody_else_reranks() -> None:
    assert isinstance(CohereWire(), RerankWire)
    assert not isinstance(OpenAIWire("openai"), RerankWire)
    assert not isinstance(AnthropicWire(), RerankWire)

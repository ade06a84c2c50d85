"""Each model that is tried is given what its own window holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from runtime.answering.context import CONTEXT_TRUNCATED
from runtime.errors import ProviderUnavailable
from runtime.messages import ChatReply, ChatRequest, Passage, Question
from runtime.providers.fakes import FakeChatModel
from runtime.telemetry import ContextBuilt
from tests.unit.runtime.answering.practice import WORKSPACE, Form, Practice

LONG = "She sleeps four hours and wakes before dawn. " * 20
ASKED = Question("How does she sleep?", max_results=10)


@pytest.fixture
def crowded(practice: Practice, make_passage: Callable[..., Passage]) -> Practice:
    """Return a practice that finds more than the first model can read."""
    practice.shelf.passages = [make_passage(f"{n}. {LONG}") for n in range(8)]
    practice.windows = {"fake": 4096, "second": 100_000}
    return practice


@pytest.mark.parametrize("form", ["whole", "stream"])
async def test_what_a_model_cannot_read_is_left_out_and_said(crowded: Practice, form: Form) -> None:
    answer = await crowded.ask(form, ASKED)
    assert answer.retrieved_count == 8
    assert answer.context is not None
    assert 0 < answer.context.included < 8
    assert answer.context.included + answer.context.dropped == 8
    assert len(answer.citations) == len(crowded.model.requests[0].documents)
    assert len(answer.citations) == answer.context.included
    assert answer.warnings == (CONTEXT_TRUNCATED,)
    built = [event for event in crowded.events if isinstance(event, ContextBuilt)]
    assert [event.dropped for event in built] == [answer.context.dropped]


async def test_the_next_model_has_a_window_of_its_own(crowded: Practice) -> None:
    failure = ProviderUnavailable("fake", "scripted", "chat", "503", None)
    crowded.model = FakeChatModel([failure])
    crowded.fallbacks = (FakeChatModel(provider="second"),)
    answer = await crowded.ask(question=ASKED)
    assert answer.provider == "second"
    assert answer.context is not None
    assert (answer.context.included, answer.context.dropped) == (8, 0)
    assert answer.warnings == ()
    assert len(crowded.model.requests[0].documents) < 8


async def test_a_question_too_long_for_one_model_is_put_to_the_next(crowded: Practice) -> None:
    crowded.fallbacks = (FakeChatModel(provider="second"),)
    answer = await crowded.ask(question=Question("ישנה ךםץ? " * 400, min_similarity=0))
    assert answer.provider == "second"
    assert crowded.model.requests == []


class Dear(FakeChatModel):
    """Counts far more tokens than we do."""

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        reply = await super().chat(request, timeout_s=timeout_s)
        return replace(reply, input_tokens=reply.input_tokens * 3)


async def test_what_the_vendor_counts_teaches_the_next_prompt(crowded: Practice) -> None:
    crowded.model = Dear()
    asking = crowded.open()
    first = await asking(WORKSPACE, ASKED, deadline_s=9)
    second = await asking(WORKSPACE, replace(ASKED, text="Does she sleep?"), deadline_s=9)
    assert first.context is not None
    assert second.context is not None
    assert second.context.included < first.context.included

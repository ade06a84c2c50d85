"""When an answer given before serves again, and which are kept: the whole flow over twins."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from runtime.errors import CircuitOpen, DatabaseUnavailable, StatementTimeout
from runtime.messages import (
    Answer,
    ChatReply,
    Question,
    RememberedAnswer,
    Turn,
    WorkspaceSettings,
)
from runtime.providers.fakes import FakeChatModel
from runtime.telemetry import AnsweredDegraded, CacheAsked, CacheEvicted
from tests.unit.runtime.answering.practice import ASKED, Form, Hold, Practice

CHAT_DOWN = CircuitOpen("fake", "scripted", "chat", "open", 42.0)
LOOSE = WorkspaceSettings(cache_similarity=0.0)
REWORDED = Question("In what way does she sleep?")
both_forms = pytest.mark.parametrize("form", ["whole", "stream"])


@pytest.fixture
def _all_ask_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.answering.reuse.asks_the_same", lambda *_: True)


def asked_of_cache(practice: Practice) -> list[str]:
    return [event.result for event in practice.events if isinstance(event, CacheAsked)]


# --- The very same question -------------------------------------------------------------------


@both_forms
async def test_the_same_question_is_answered_once(practice: Practice, form: Form) -> None:
    first = await practice.ask(form)
    again = await practice.ask(form, replace(ASKED, text=f"  {ASKED.text.upper()} "))
    assert (first.cache, again.cache, again.cache_similarity) == ("miss", "exact", None)
    assert (again.text, again.citations) == (first.text, first.citations)
    assert len(practice.model.requests) == len(practice.embedder.calls) == 1
    assert again.usage.input_tokens == again.usage.embedding_tokens == 0
    assert set(again.timings_ms) == {"guard", "cache"}
    assert asked_of_cache(practice) == ["not_found", "exact"]
    assert practice.cache.hits == [UUID(int=0)]


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, client_id=UUID(int=9)),
        replace(ASKED, max_results=4),
        replace(ASKED, min_similarity=0.31),
        replace(ASKED, history=(Turn("user", "Hello"),)),
        replace(ASKED, text=f"{ASKED.text} Or not?"),
    ],
    ids=["client", "max_results", "min_similarity", "history", "wording"],
)
async def test_whatever_changes_an_answer_makes_another_question_of_it(
    practice: Practice, other: Question
) -> None:
    await practice.ask()
    assert (await practice.ask(question=other)).cache == "miss"


async def test_another_day_makes_another_question_of_it(practice: Practice) -> None:
    await practice.ask()
    practice.clock.advance(86_400)
    assert (await practice.ask()).cache == "miss"


async def test_another_model_makes_another_question_of_it(practice: Practice) -> None:
    await practice.ask()
    practice.fallbacks = [FakeChatModel(provider="second")]
    assert (await practice.ask()).cache == "miss"


async def test_another_model_of_the_same_provider_makes_another_question_of_it(
    practice: Practice,
) -> None:
    await practice.ask()
    practice.model.name = "rewritten"
    assert (await practice.ask()).cache == "miss"


@pytest.mark.parametrize("version", ["PROMPT_VERSION", "STANDALONE_VERSION"])
async def test_another_wording_of_the_prompts_makes_another_question_of_it(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    await practice.ask()
    monkeypatch.setattr(f"runtime.answering.reuse.{version}", "another")
    assert (await practice.ask()).cache == "miss"


async def test_another_configuration_makes_another_question_of_it(practice: Practice) -> None:
    await practice.ask()
    practice.configured = ("rerank=cohere",)
    assert (await practice.ask()).cache == "miss"


@pytest.mark.parametrize(
    "turn", [Turn("assistant", "Does she sleep?"), Turn("user", "Does he sleep?")]
)
async def test_another_turn_before_it_makes_another_question_of_it(
    practice: Practice, turn: Turn
) -> None:
    asked = Question("How does Maya Thornton sleep?", history=(Turn("user", "Does she sleep?"),))
    await practice.ask(question=asked)
    assert (await practice.ask(question=replace(asked, history=(turn,)))).cache == "miss"


@pytest.mark.parametrize("where", ["configuration", "workspace", "question"])
async def test_switched_off_it_neither_serves_nor_keeps(practice: Practice, where: str) -> None:
    await practice.ask()
    question = ASKED
    if where == "configuration":
        practice.policy = replace(practice.policy, is_on=False)
    elif where == "workspace":
        practice.cache.own = WorkspaceSettings(cache_enabled=False)
    else:
        question = replace(ASKED, use_cache=False)
    answer = await practice.ask(question=question)
    assert (answer.cache, len(practice.model.requests)) == ("off", 2)
    assert len(practice.cache.kept) == 1
    assert asked_of_cache(practice) == ["not_found", "off"]


async def test_a_workspace_switches_it_on_where_the_configuration_has_it_off(
    practice: Practice,
) -> None:
    practice.policy = replace(practice.policy, is_on=False)
    practice.cache.own = WorkspaceSettings(cache_enabled=True)
    assert [(await practice.ask()).cache for _ in range(2)] == ["miss", "exact"]


async def test_an_expired_answer_is_not_served_while_a_model_answers(practice: Practice) -> None:
    await practice.ask()
    practice.cache.expired = True
    assert (await practice.ask()).cache == "miss"
    assert asked_of_cache(practice)[-1] == "expired"


# --- The same in other words ------------------------------------------------------------------


@both_forms
async def test_a_question_that_asks_the_same_is_served_what_was_said(
    practice: Practice, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.answering.reuse.asks_the_same", lambda *_: True)
    practice.cache.own = LOOSE
    first = await practice.ask(form)
    again = await practice.ask(form, Question("In what way does she sleep?"))
    assert (again.cache, again.text) == ("semantic", first.text)
    assert again.cache_similarity is not None
    assert 0 < again.cache_similarity < 1
    assert again.usage.embedding_tokens > 0
    assert len(practice.model.requests) == 1


async def test_what_the_gate_refuses_is_answered_anew(practice: Practice) -> None:
    practice.cache.own = LOOSE
    await practice.ask(question=Question("Does she report pain?"))
    answer = await practice.ask(question=Question("Does she deny pain?"))
    assert (answer.cache, len(practice.model.requests)) == ("miss", 2)
    assert asked_of_cache(practice) == ["not_found", "gate"]


async def test_what_is_less_alike_than_the_workspace_asks_is_not_looked_at(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.answering.reuse.asks_the_same", lambda *_: True)
    practice.cache.own = WorkspaceSettings(cache_similarity=1.0)
    await practice.ask()
    assert (await practice.ask(question=Question("In what way does she sleep?"))).cache == "miss"


@pytest.mark.usefixtures("_all_ask_the_same")
async def test_an_expired_answer_to_the_same_in_other_words_is_not_served_while_a_model_answers(
    practice: Practice,
) -> None:
    practice.cache.own = LOOSE
    await practice.ask()
    practice.cache.expired = True
    assert (await practice.ask(question=REWORDED)).cache == "miss"
    assert asked_of_cache(practice)[-1] == "expired"


@pytest.mark.usefixtures("_all_ask_the_same")
async def test_the_configured_likeness_holds_where_the_workspace_sets_none(
    practice: Practice,
) -> None:
    practice.policy = replace(practice.policy, min_similarity=1.0)
    await practice.ask()
    assert (await practice.ask(question=REWORDED)).cache == "miss"


# --- Nothing but sound answers is kept ---------------------------------------------------------


async def test_what_is_kept_says_what_it_was_made_of(practice: Practice) -> None:
    question = replace(ASKED, client_id=UUID(int=7))
    practice.cache.own = WorkspaceSettings(cache_ttl_seconds=60, cache_max_entries=3)
    practice.cache.evicts = 2
    answer = await practice.ask(question=question)
    [kept] = practice.cache.kept
    assert (kept.question, kept.answer, kept.as_of) == (ASKED.text, answer, "now")
    assert kept.clients == frozenset((UUID(int=7),))
    assert not kept.by_name
    assert kept.embedding_model == practice.embedder.model.key
    assert kept.vector is not None
    assert float(np.linalg.norm(kept.vector)) == pytest.approx(1)
    assert practice.cache.bounds == (60.0, 3)
    assert CacheEvicted("capacity", 2) in practice.events


async def test_a_degraded_answer_is_not_kept(practice: Practice) -> None:
    practice.model.replies = [CHAT_DOWN]
    assert (await practice.ask()).degraded == ("chat_unavailable",)
    assert practice.cache.kept == []


async def test_an_answer_with_a_warning_is_not_kept(practice: Practice) -> None:
    practice.model.replies = ["Sleeps badly. [1] [7]"]
    assert (await practice.ask()).warnings == ("unknown_marker",)
    assert practice.cache.kept == []


async def test_a_store_that_hangs_does_not_hold_up_the_answer(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object, **__: object) -> int:
        return int(await asyncio.Event().wait())

    monkeypatch.setattr("runtime.answering.reuse.KEEPING_TIMEOUT_S", 0.01)
    monkeypatch.setattr(practice.cache, "keep", hang)
    assert (await practice.ask()).text == "Sleeps badly. [1]"


async def test_a_failed_question_keeps_nothing(practice: Practice) -> None:
    practice.model.replies = [CHAT_DOWN]
    practice.may_extract = False
    with pytest.raises(CircuitOpen):
        await practice.ask()
    assert practice.cache.kept == []


# --- A cache that fails ------------------------------------------------------------------------


@both_forms
async def test_a_cache_that_is_down_costs_the_answer_nothing_else(
    practice: Practice, form: Form
) -> None:
    practice.cache.failure = StatementTimeout("the statement took too long")
    answer = await practice.ask(form)
    assert (answer.text, answer.cache) == ("Sleeps badly. [1]", "off")
    assert answer.degraded == ("cache_unavailable",)
    assert asked_of_cache(practice) == ["unavailable"]


async def test_a_cache_that_fails_by_meaning_alone_is_told_of(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> list[RememberedAnswer]:
        message = "the statement took too long"
        raise StatementTimeout(message)

    monkeypatch.setattr(practice.cache, "recall_similar", fail)
    assert (await practice.ask()).degraded == ("cache_unavailable",)
    assert practice.cache.kept == []


async def test_a_hit_that_cannot_be_counted_serves_all_the_same(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    await practice.ask()

    async def fail(*_: object) -> None:
        message = "the connection was lost"
        raise DatabaseUnavailable(message)

    monkeypatch.setattr(practice.cache, "count_hit", fail)
    assert (await practice.ask()).cache == "exact"


# --- Every chat provider down -------------------------------------------------------------------


@both_forms
async def test_an_expired_answer_serves_where_no_model_answers_and_says_so(
    practice: Practice, form: Form
) -> None:
    first = await practice.ask(form)
    practice.cache.expired = True
    practice.model.replies = [CHAT_DOWN]
    answer = await practice.ask(form)
    assert (answer.text, answer.cache) == (first.text, "stale")
    assert answer.degraded == ("stale_answer",)
    assert AnsweredDegraded("stale_answer") in practice.events
    assert asked_of_cache(practice) == ["not_found", "stale"]
    assert len(practice.cache.kept) == 1


async def test_a_stale_answer_serves_without_an_extract_too(practice: Practice) -> None:
    await practice.ask()
    practice.cache.expired = True
    practice.may_extract = False
    practice.model.replies = [CHAT_DOWN]
    assert (await practice.ask()).cache == "stale"


@pytest.mark.usefixtures("_all_ask_the_same")
async def test_an_expired_answer_to_the_same_in_other_words_serves_where_no_model_answers(
    practice: Practice,
) -> None:
    practice.cache.own = LOOSE
    first = await practice.ask()
    practice.cache.expired = True
    practice.model.replies = [CHAT_DOWN]
    answer = await practice.ask(question=REWORDED)
    assert (answer.text, answer.cache) == (first.text, "stale")


async def test_an_expired_answer_does_not_serve_while_any_model_answers(
    practice: Practice,
) -> None:
    practice.fallbacks = [FakeChatModel(provider="second")]
    await practice.ask()
    practice.cache.expired = True
    practice.model.replies = [CHAT_DOWN]
    answer = await practice.ask()
    assert (answer.cache, answer.provider) == ("miss", "second")


def edit_while_the_model_fails(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next question end the answer that is kept, and get none from the model."""

    async def fail(*_: object, **__: object) -> ChatReply:
        practice.cache.kept.clear()
        raise CHAT_DOWN

    practice.cache.expired = True
    monkeypatch.setattr(practice.model, "chat", fail)


async def test_an_answer_that_is_overtaken_while_the_models_fail_does_not_serve(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    await practice.ask()
    edit_while_the_model_fails(practice, monkeypatch)
    answer = await practice.ask()
    assert (answer.cache, answer.degraded) == ("miss", ("chat_unavailable",))


async def test_without_an_extract_either_the_models_failure_is_told(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.may_extract = False
    await practice.ask()
    edit_while_the_model_fails(practice, monkeypatch)
    with pytest.raises(CircuitOpen):
        await practice.ask()


async def test_a_cache_that_cannot_be_asked_again_serves_nothing_stale(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    await practice.ask()
    practice.cache.expired = True

    async def fail(*_: object, **__: object) -> ChatReply:
        practice.cache.failure = DatabaseUnavailable("the connection was lost")
        raise CHAT_DOWN

    monkeypatch.setattr(practice.model, "chat", fail)
    assert (await practice.ask()).cache == "miss"


# --- Asked twice at once ------------------------------------------------------------------------


async def test_one_that_hangs_leaves_the_second_time_to_answer(practice: Practice) -> None:
    practice.model.hold = hold = Hold()
    asking = practice.open()
    first = asyncio.create_task(ask(asking))
    await hold.reached.wait()
    practice.model.hold = None
    practice.shelf.takes_s = 0
    second: Answer = await asking(UUID(int=1), ASKED, deadline_s=0.3)
    assert (second.cache, first.done()) == ("miss", False)
    hold.set()
    await first


async def test_a_question_asked_twice_at_once_is_answered_once(practice: Practice) -> None:
    practice.model.hold = hold = Hold()
    asking = practice.open()
    tasks = [asyncio.create_task(ask(asking)) for _ in range(5)]
    await hold.reached.wait()
    hold.set()
    answers = await asyncio.gather(*tasks)
    assert sorted(answer.cache for answer in answers) == ["exact"] * 4 + ["miss"]
    assert len(practice.model.requests) == 1


async def test_who_wants_no_remembered_answer_waits_for_nobody(practice: Practice) -> None:
    practice.model.hold = hold = Hold()
    asking = practice.open()
    first = asyncio.create_task(ask(asking))
    await hold.reached.wait()
    practice.model.hold = None
    alone = replace(ASKED, use_cache=False)
    async with asyncio.timeout(9):
        answer = await asking(UUID(int=1), alone, deadline_s=900)
    assert (answer.cache, first.done()) == ("off", False)
    hold.set()
    assert (await first).cache == "miss"


async def test_the_first_ones_leaving_does_not_end_the_second(practice: Practice) -> None:
    practice.model.hold = hold = Hold()
    asking = practice.open()
    first = asyncio.create_task(ask(asking))
    await hold.reached.wait()
    second = asyncio.create_task(ask(asking))
    first.cancel()
    hold.set()
    assert (await second).cache == "miss"


async def ask(asking: object) -> Answer:
    answer: Answer = await asking(UUID(int=1), ASKED, deadline_s=9)  # type: ignore[operator]
    return answer

"""Where a question looks: its client, the clients and times it names, and its workspace's space."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from runtime.errors import StatementTimeout
from runtime.messages import NamedClient, Question, SearchScope, SessionDates, Turn
from runtime.providers.fakes import FakeEmbedder
from tests.unit.runtime.answering.practice import ASKED, Form, Practice

MAYA = NamedClient(UUID(int=5), "Maya Thornton")
DAY_S = 86_400
OF_MAYA = frozenset((MAYA.id,))
both_forms = pytest.mark.parametrize("form", ["whole", "stream"])


@both_forms
async def test_both_searches_look_at_the_client_that_is_named(
    practice: Practice, form: Form
) -> None:
    practice.directory.named = [MAYA]
    await practice.ask(form, Question("How does Maya Thornton sleep?"))
    assert practice.shelf.scopes == [SearchScope(OF_MAYA)] * 2
    [kept] = practice.cache.kept
    assert (kept.clients, kept.by_name) == (OF_MAYA, True)


async def test_a_client_that_is_given_leaves_names_unread(practice: Practice) -> None:
    practice.directory.named = [MAYA]
    asked = Question("How does Maya Thornton sleep?", client_id=UUID(int=6))
    await practice.ask(question=asked)
    assert practice.shelf.scopes == [SearchScope(frozenset((UUID(int=6),)))] * 2
    assert practice.directory.asked == []


async def test_who_is_not_named_narrows_nothing(practice: Practice) -> None:
    await practice.ask()
    assert practice.shelf.scopes == [SearchScope()] * 2
    [kept] = practice.cache.kept
    assert (kept.clients, kept.by_name) == (None, False)


async def test_a_span_of_time_narrows_without_a_client(practice: Practice) -> None:
    practice.clock.advance(78 * DAY_S)  # 20 March
    await practice.ask(question=Question("Who reported panic attacks last month?"))
    february, march = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    assert practice.shelf.scopes == [SearchScope(None, february, march)] * 2


async def test_the_last_session_is_that_of_the_client_who_is_named(practice: Practice) -> None:
    practice.directory.named = [MAYA]
    seen = datetime(2026, 3, 4, 15, tzinfo=UTC)
    practice.directory.dates = SessionDates(datetime(2025, 1, 1, tzinfo=UTC), seen)
    practice.clock.advance(78 * DAY_S)  # 20 March
    await practice.ask(question=Question("What did Maya Thornton say in the last session?"))
    day, tomorrow = datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 3, 21, tzinfo=UTC)
    assert practice.shelf.scopes == [SearchScope(OF_MAYA, day, tomorrow)] * 2


async def test_a_workspace_whose_space_is_not_served_is_searched_by_words(
    practice: Practice,
) -> None:
    practice.cache.space = "gone:model:7"
    answer = await practice.ask()
    assert answer.degraded == ("embedding_unavailable",)
    assert practice.embedder.calls == []


async def test_a_workspace_is_asked_in_its_own_space(practice: Practice) -> None:
    practice.cache.space = practice.embedder.model.key
    assert (await practice.ask(question=replace(ASKED, use_cache=False))).degraded == ()


async def test_while_a_space_retires_one_that_is_not_known_is_searched_by_words(
    practice: Practice,
) -> None:
    practice.retiring = [FakeEmbedder(64)]
    practice.cache.failure = StatementTimeout("the statement took too long")
    answer = await practice.ask()
    assert answer.degraded == ("embedding_unavailable", "cache_unavailable")
    assert practice.embedder.calls == []


TALKED = (Turn("user", "How does Maya Thornton sleep?"), Turn("assistant", "Badly. [1]"))


@both_forms
async def test_a_question_that_leans_on_the_one_before_is_searched_for_with_it(
    practice: Practice, form: Form
) -> None:
    practice.directory.named = [MAYA]
    await practice.ask(form, Question("And since when?", history=TALKED))
    question, text = practice.directory.asked
    assert question == "And since when?"
    assert practice.embedder.calls == [(text,)]
    assert practice.shelf.texts == [text]
    assert "Maya Thornton" in text
    assert "since when" in text
    assert practice.shelf.scopes == [SearchScope(OF_MAYA)] * 2
    assert practice.model.requests[-1].messages[-1].content == "And since when?"


async def test_who_is_named_in_the_question_comes_before_who_was_named_earlier(
    practice: Practice,
) -> None:
    dana = NamedClient(UUID(int=6), "Dana Keshet")
    practice.directory.named = [MAYA, dana]
    await practice.ask(question=Question("What about Dana Keshet?", history=TALKED))
    assert practice.shelf.scopes == [SearchScope(frozenset((dana.id,)))] * 2
    assert practice.directory.asked == ["What about Dana Keshet?"]
    assert practice.shelf.texts != practice.directory.asked, "it leans on what was asked before"


async def test_a_question_that_leans_on_nothing_is_searched_for_as_it_is(
    practice: Practice,
) -> None:
    await practice.ask(question=Question("Who takes lithium?", history=TALKED))
    assert practice.shelf.texts == ["Who takes lithium?"]
    assert len(practice.model.requests) == 1

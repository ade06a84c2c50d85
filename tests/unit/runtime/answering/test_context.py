"""No prompt exceeds the window of whoever reads it, and what it holds is in a sensible order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.answering.context import (
    CONTEXT_TRUNCATED,
    HISTORY_SHARE,
    MOST_HISTORY_TOKENS,
    VENDOR_TOKENS,
    Chosen,
    ContextBudget,
)
from runtime.answering.prompting import MAX_TOKENS, write_request
from runtime.answering.synthesize import WritingTask
from runtime.answering.tokens import most_prompt_tokens, most_tokens
from runtime.errors import ChatError
from runtime.language.detection import detect
from runtime.messages import SESSION_FIELDS, Passage, Question, RecordKey, Turn
from runtime.providers.catalog import PROVIDERS, UNKNOWN_WINDOW_TOKENS
from runtime.providers.fakes import FakeChatModel
from runtime.providers.local import ExtractiveChatModel
from runtime.telemetry import ContextBuilt, Event

ASKED = Question("How did she sleep?")
SMALL = 4096
HEBREW = "היא מספרת שישנה ארבע שעות בלילה ומתעוררת לפני הזריחה, בעיקר אחרי שיחות עם אמה. "
ENGLISH = (
    "She says that she sleeps four hours and wakes before dawn, mostly after her mother calls. "
)


class Desk:
    """A budget for one model, and what it told of."""

    def __init__(self, window: int | None = SMALL, *, enabled: bool = True) -> None:
        self.model = FakeChatModel()
        self.events: list[Event] = []
        windows = {} if window is None else {self.model.provider: window}
        self.budget = ContextBudget(windows, enabled=enabled, emit=self.events.append)

    def choose(self, passages: Sequence[Passage], question: Question = ASKED) -> Chosen:
        return self.budget.choose(self.model, task_of(passages, question))


def task_of(passages: Sequence[Passage], question: Question = ASKED) -> WritingTask:
    return WritingTask(question, passages, detect(question.text), date(2026, 1, 31))


def prompt_tokens(task: WritingTask) -> int:
    return most_prompt_tokens(
        write_request(task.question, task.passages, language=task.language, today=task.today)
    )


def passage(text: str, *, session: int, field: str = "subjective", part: int = 0) -> Passage:
    return Passage(
        record=RecordKey("session", UUID(int=session)),
        client_id=UUID(int=7),
        client_name="Noa Bar",
        session_date=datetime(2025, 1 + session % 12, 14, 9, tzinfo=UTC),
        field_name=field,
        part=part,
        start=0,
        end=len(text),
        text=text,
        similarity=0.8,
    )


def long_sessions(sentence: str, count: int = 24) -> list[Passage]:
    """Return every field of so many sessions, each some 600 characters long and no two alike."""
    return [
        passage(f"{session}.{field}: " + sentence * 7, session=session, field=field)
        for session in range(1, count + 1)
        for field in SESSION_FIELDS
    ]


TEXTS = st.text(st.sampled_from("a bcdeZ 09אבגץשי \n\t.,;\"'-–😀ָ漢\u200f"), max_size=400)
PASSAGES = st.lists(
    st.builds(
        passage,
        st.one_of(TEXTS, st.integers(1, 12).flatmap(lambda n: st.just(HEBREW * n))),
        session=st.integers(1, 6),
        field=st.sampled_from(SESSION_FIELDS),
        part=st.integers(0, 3),
    ),
    max_size=30,
)
HISTORIES = st.lists(
    st.builds(Turn, st.sampled_from(["user", "assistant"]), st.one_of(TEXTS, st.just(HEBREW * 40))),
    max_size=20,
).map(tuple)
QUESTIONS = st.builds(Question, TEXTS, history=HISTORIES)
WINDOWS = sorted(
    {UNKNOWN_WINDOW_TOKENS, SMALL}
    | {
        window
        for provider in PROVIDERS.values()
        if provider.chat is not None
        for window in provider.chat.windows.values()
    }
)


class TestTheWindow:
    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(PASSAGES, QUESTIONS, st.sampled_from(WINDOWS), st.integers(1, 8))
    def test_is_never_exceeded(
        self, passages: list[Passage], question: Question, window: int, counted: int
    ) -> None:
        desk = Desk(window)
        learnt = desk.choose(passages, ASKED)
        desk.budget.learn(desk.model, learnt, learnt.estimated_tokens * counted // 2)
        try:
            chosen = desk.choose(passages, question)
        except ChatError:
            return
        assert chosen.use.tokens + MAX_TOKENS + VENDOR_TOKENS <= window + 1
        assert chosen.estimated_tokens == prompt_tokens(chosen.task)
        assert chosen.task.question.text == question.text
        assert chosen.use.included + chosen.use.dropped <= len(passages)

    @pytest.mark.parametrize("sentence", [HEBREW, ENGLISH])
    def test_holds_the_best_of_many_long_sessions(self, sentence: str) -> None:
        desk, found = Desk(UNKNOWN_WINDOW_TOKENS), long_sessions(sentence)
        chosen = desk.choose(found)
        assert 4 <= chosen.use.included < len(found)
        assert chosen.use.included + chosen.use.dropped == len(found)
        assert list(chosen.task.passages) == found[: chosen.use.included]
        assert chosen.warnings == (CONTEXT_TRUNCATED,)
        limit = UNKNOWN_WINDOW_TOKENS - MAX_TOKENS - VENDOR_TOKENS
        assert chosen.use.limit == limit
        next_one = found[chosen.use.included]
        assert (
            prompt_tokens(task_of([*chosen.task.passages, next_one])) > limit >= chosen.use.tokens
        )
        assert desk.events == [
            ContextBuilt(chosen.use.tokens, chosen.use.included, chosen.use.dropped)
        ]

    def test_of_a_model_with_room_holds_all(self) -> None:
        found = long_sessions(HEBREW)
        chosen = Desk(1_000_000).choose(found)
        assert chosen.use.included == len(found)
        assert chosen.use.dropped == 0
        assert chosen.warnings == ()

    def test_of_each_provider_is_its_own(self) -> None:
        found = long_sessions(ENGLISH)
        budget = ContextBudget(
            {"small": SMALL, "large": 200_000}, enabled=True, emit=lambda _: None
        )
        small = budget.choose(FakeChatModel(provider="small"), task_of(found))
        large = budget.choose(FakeChatModel(provider="large"), task_of(found))
        assert small.use.included < large.use.included == len(found)

    def test_is_measured_by_what_the_vendor_counts(self) -> None:
        desk, found = Desk(UNKNOWN_WINDOW_TOKENS), long_sessions(ENGLISH)
        first = desk.choose(found)
        desk.budget.learn(desk.model, first, first.estimated_tokens * 2)
        second = desk.choose(found)
        assert second.use.included <= first.use.included / 2
        assert second.use.tokens >= second.estimated_tokens * 2

    @pytest.mark.parametrize("changed", ["provider", "name"])
    def test_is_not_measured_by_what_another_models_vendor_counts(self, changed: str) -> None:
        desk, found = Desk(UNKNOWN_WINDOW_TOKENS), long_sessions(ENGLISH)
        first = desk.choose(found)
        other = FakeChatModel()
        setattr(other, changed, "another")
        desk.budget.learn(other, first, first.estimated_tokens * 2)
        assert desk.choose(found).use == first.use

    def test_too_small_for_the_question_is_an_error_that_the_next_provider_is_asked_for(
        self,
    ) -> None:
        with pytest.raises(ChatError):
            Desk().choose([], Question("ךםץגז" * 400))

    def test_of_none_takes_all_and_has_no_limit(self) -> None:
        found = long_sessions(HEBREW)
        budget = ContextBudget({"fake": SMALL}, enabled=True, emit=lambda _: None)
        chosen = budget.choose(ExtractiveChatModel(), task_of(found))
        assert chosen.use.included == len(found)
        assert chosen.use.limit is None

    def test_a_smaller_passage_goes_in_where_a_larger_one_did_not(self) -> None:
        first, large, small = (
            passage("First.", session=1),
            passage(HEBREW * 60, session=2),
            passage("Small.", session=3),
        )
        chosen = Desk().choose([first, large, small])
        assert list(chosen.task.passages) == [first, small]
        assert chosen.use.dropped == 1


class TestHistory:
    def turns(self, count: int, size: int) -> tuple[Turn, ...]:
        return tuple(
            Turn("assistant" if n % 2 else "user", f"{n} " + "so " * size) for n in range(count)
        )

    def test_stays_whole_where_there_is_room(self) -> None:
        history = self.turns(20, 20)
        chosen = Desk(UNKNOWN_WINDOW_TOKENS).choose([], replace(ASKED, history=history))
        assert chosen.task.question.history == history
        assert chosen.warnings == ()

    def test_keeps_the_newest_turns_beside_passages_that_would_fill_the_window(self) -> None:
        history, found = self.turns(20, 120), long_sessions(ENGLISH)
        chosen = Desk(UNKNOWN_WINDOW_TOKENS).choose(found, replace(ASKED, history=history))
        kept = chosen.task.question.history
        assert 0 < len(kept) < len(history)
        assert kept == history[-len(kept) :]
        room = UNKNOWN_WINDOW_TOKENS - MAX_TOKENS - VENDOR_TOKENS
        # What the passages left over is less than the next of them, and may have gone to turns.
        one = most_tokens(found[0].text) + 100
        assert sum(most_tokens(turn.content) for turn in kept) <= room * HISTORY_SHARE + one
        assert chosen.use.included >= 4

    def test_may_use_what_no_passage_needs(self) -> None:
        history = self.turns(20, 400)
        chosen = Desk(UNKNOWN_WINDOW_TOKENS).choose([], replace(ASKED, history=history))
        room = UNKNOWN_WINDOW_TOKENS - MAX_TOKENS - VENDOR_TOKENS
        kept = chosen.task.question.history
        assert sum(most_tokens(turn.content) for turn in kept) > room * HISTORY_SHARE
        assert len(kept) < len(history)
        assert chosen.warnings == (CONTEXT_TRUNCATED,)
        assert chosen.use.dropped == 0

    def test_gives_way_to_a_long_question(self) -> None:
        history = self.turns(20, 20)
        chosen = Desk().choose([], Question("so " * 1900, history=history))
        assert 0 < len(chosen.task.question.history) < 10
        assert chosen.use.limit is not None
        assert chosen.use.tokens <= chosen.use.limit

    def test_is_bounded_however_large_the_window(self) -> None:
        history = self.turns(20, 1200)
        chosen = Desk(1_000_000).choose([], replace(ASKED, history=history))
        kept = chosen.task.question.history
        assert 0 < sum(most_tokens(turn.content) for turn in kept) <= MOST_HISTORY_TOKENS
        assert chosen.warnings == (CONTEXT_TRUNCATED,)


class TestTheOrder:
    def test_keeps_a_session_together_as_in_the_note_and_sessions_by_their_best(self) -> None:
        found = [
            passage("Plan of two.", session=2, field="plan"),
            passage("Objective of one.", session=1, field="objective"),
            passage("Second part of two.", session=2, field="assessment", part=1),
            passage("First part of two.", session=2, field="assessment"),
            passage("Subjective of three.", session=3),
            passage("Subjective of one.", session=1),
        ]
        assert [given.text for given in Desk().choose(found).task.passages] == [
            "First part of two.",
            "Second part of two.",
            "Plan of two.",
            "Subjective of one.",
            "Objective of one.",
            "Subjective of three.",
        ]

    def test_does_not_decide_what_is_left_out(self) -> None:
        best, worst = passage(ENGLISH, session=2, field="plan"), passage(HEBREW * 50, session=2)
        between = passage("Short.", session=1)
        chosen = Desk().choose([best, between, worst])
        assert list(chosen.task.passages) == [best, between]


class TestRepeats:
    def test_are_given_once_and_are_no_truncation(self) -> None:
        found = [passage(ENGLISH, session=session) for session in range(1, 25)]
        chosen = Desk().choose(found)
        assert list(chosen.task.passages) == found[:1]
        assert chosen.use.dropped == 0
        assert chosen.warnings == ()


class TestSwitchedOff:
    def test_all_is_given_as_it_is(self) -> None:
        found = [*long_sessions(HEBREW), passage(ENGLISH, session=3), passage(ENGLISH, session=4)]
        history = (Turn("user", HEBREW * 40),) * 20
        desk = Desk(enabled=False)
        chosen = desk.choose(found, replace(ASKED, history=history))
        assert chosen.task == task_of(found, replace(ASKED, history=history))
        assert chosen.use.included == len(found)
        assert chosen.use.limit is None
        assert chosen.use.tokens == prompt_tokens(chosen.task)
        assert chosen.warnings == ()


def test_the_least_window_that_may_be_set_holds_a_question_of_each_language(
    make_passage: Callable[..., Passage],
) -> None:
    for question in ("How did she sleep since the last visit?", "איך היא ישנה מאז הפגישה האחרונה?"):
        chosen = Desk(SMALL).choose([make_passage(HEBREW * 2)], Question(question))
        assert chosen.use.included == 1

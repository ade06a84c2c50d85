"""What is answered when providers fail: docs/decisions/0009-degraded-answers.md, as tests."""

from __future__ import annotations

import asyncio

import pytest

from runtime.errors import (
    ActorUnavailable,
    AIAgentError,
    BadProviderResponse,
    ChatError,
    CircuitOpen,
    ContentRefused,
    DatabaseUnavailable,
    EmbeddingError,
    Overloaded,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceededError,
    RateLimitError,
    StatementTimeout,
)
from runtime.messages import Question, SentenceReady
from runtime.phrases import NOT_IN_RECORDS
from runtime.providers.fakes import FakeChatModel
from runtime.telemetry import AnsweredDegraded, ContextBuilt, PassagesSearched
from tests.unit.runtime.answering.practice import ASKED, WORKSPACE, Form, Practice
from tests.unit.runtime.resilience.virtual_loop import LoopClock, in_virtual_time

EMBED_FAILURES = [
    EmbeddingError("shape"),
    CircuitOpen("fake", "trigrams", "embed", "open", 42.0),
    RateLimitError("fake", "trigrams", "embed", "HTTP 429", 2.0),
    BadProviderResponse("fake", "trigrams", "embed", "malformed", None),
    ActorUnavailable("embedding", "died"),
    Overloaded(1.0),
]
CHAT_FAILURES = [
    ChatError("nothing"),
    CircuitOpen("fake", "scripted", "chat", "open", 42.0),
    ContentRefused("fake", "scripted", "chat", "filter", None),
    QuotaExceededError("fake", "scripted", "chat", "HTTP 402", None),
    ProviderTimeout("fake", "scripted", "chat", "no answer", None),
    ActorUnavailable("chat", "died"),
    Overloaded(1.0),
]
EMBED_DOWN, CHAT_DOWN = EMBED_FAILURES[1], CHAT_FAILURES[1]
both_forms = pytest.mark.parametrize("form", ["whole", "stream"])


def name(error: AIAgentError) -> str:
    return type(error).__name__


def reasons(practice: Practice) -> list[str]:
    return [event.reason for event in practice.events if isinstance(event, AnsweredDegraded)]


@both_forms
@pytest.mark.parametrize("failure", EMBED_FAILURES, ids=name)
async def test_without_the_embedding_it_is_answered_by_words_and_says_so(
    practice: Practice, form: Form, failure: AIAgentError
) -> None:
    practice.embedder.failures = [failure]
    answer = await practice.ask(form, Question("How does she sleep?", min_similarity=0.95))
    assert answer.text == "Sleeps badly. [1]"
    assert (answer.provider, answer.retrieved_count) == ("fake", 2)
    assert answer.degraded == ("embedding_unavailable",)
    assert answer.usage.embedding_tokens == 0
    assert practice.shelf.texts == ["How does she sleep?"]
    searched = PassagesSearched("text", duration_s=0.25, found=2)
    assert [event for event in practice.events if not isinstance(event, ContextBuilt)][:2] == [
        searched,
        AnsweredDegraded("embedding_unavailable"),
    ]


@both_forms
@pytest.mark.parametrize("failure", CHAT_FAILURES, ids=name)
async def test_without_any_chat_it_is_answered_by_an_extract_and_says_so(
    practice: Practice, form: Form, failure: AIAgentError
) -> None:
    practice.model.replies = [failure]
    practice.fallbacks = [FakeChatModel([failure], provider="other")]
    answer = await practice.ask(form)
    assert answer.text == "Sleeps badly. [1]"
    assert (answer.provider, answer.model) == ("local", "extractive")
    assert [citation.quote for citation in answer.citations] == ["Sleeps badly."]
    assert answer.degraded == ("chat_unavailable",)
    assert reasons(practice) == ["chat_unavailable"]


@both_forms
@pytest.mark.parametrize("failure", CHAT_FAILURES, ids=name)
async def test_a_fallback_that_answers_is_named_and_not_degraded(
    practice: Practice, form: Form, failure: AIAgentError
) -> None:
    practice.model.replies = [failure]
    practice.fallbacks = [FakeChatModel(provider="second"), FakeChatModel(provider="third")]
    answer = await practice.ask(form)
    assert (answer.provider, answer.degraded) == ("second", ())
    assert practice.fallbacks[1].requests == []
    assert reasons(practice) == []


@both_forms
async def test_without_both_it_is_an_extract_of_what_shares_words_and_calls_nobody(
    practice: Practice, form: Form
) -> None:
    practice.embedder.failures = [EMBED_DOWN]
    practice.model.replies = [CHAT_DOWN]
    answer = await practice.ask(form)
    assert answer.text == "Sleeps badly. [1]"
    assert answer.degraded == ("embedding_unavailable", "chat_unavailable")
    assert reasons(practice) == list(answer.degraded)
    assert practice.embedder.calls == []
    assert len(practice.model.requests) == 1


@both_forms
async def test_where_no_word_is_shared_either_nothing_was_found(
    practice: Practice, form: Form
) -> None:
    practice.embedder.failures = [EMBED_DOWN]
    practice.shelf.passages = []
    answer = await practice.ask(form, Question("מה שלומה?"))
    assert (answer.text, answer.retrieved_count) == (NOT_IN_RECORDS["he"], 0)
    assert answer.degraded == ("embedding_unavailable",)
    assert practice.model.requests == []


class TestTurnedOff:
    @both_forms
    @pytest.mark.parametrize("may_extract", [True, False])
    @pytest.mark.parametrize("failure", EMBED_FAILURES, ids=name)
    async def test_text_search_leaves_the_embeddings_error(
        self, practice: Practice, form: Form, failure: AIAgentError, *, may_extract: bool
    ) -> None:
        practice.may_search_text, practice.may_extract = False, may_extract
        practice.embedder.failures = [failure]
        with pytest.raises(type(failure)):
            await practice.ask(form)
        assert practice.shelf.workspaces == []
        assert reasons(practice) == []

    @both_forms
    @pytest.mark.parametrize("may_search_text", [True, False])
    @pytest.mark.parametrize("failure", CHAT_FAILURES, ids=name)
    async def test_the_extract_leaves_the_last_providers_error(
        self, practice: Practice, form: Form, failure: AIAgentError, *, may_search_text: bool
    ) -> None:
        practice.may_search_text, practice.may_extract = may_search_text, False
        practice.model.replies = [EmbeddingError("another")]
        practice.fallbacks = [FakeChatModel([failure], provider="other")]
        with pytest.raises(type(failure)):
            await practice.ask(form)

    @both_forms
    async def test_the_extract_alone_leaves_the_fallbacks(
        self, practice: Practice, form: Form
    ) -> None:
        practice.may_extract = False
        practice.embedder.failures = [EMBED_DOWN]
        practice.model.replies = [CHAT_DOWN]
        practice.fallbacks = [FakeChatModel(provider="second")]
        answer = await practice.ask(form)
        assert (answer.provider, answer.degraded) == ("second", ("embedding_unavailable",))

    async def test_a_stream_that_fails_at_once_has_told_nothing(self, practice: Practice) -> None:
        practice.may_extract = False
        practice.model.replies = [CHAT_DOWN]
        stream = practice.open().stream(WORKSPACE, ASKED, deadline_s=9)
        with pytest.raises(CircuitOpen):
            await anext(stream)


@both_forms
@pytest.mark.parametrize("failure", [DatabaseUnavailable("lost"), StatementTimeout("ended")])
@pytest.mark.parametrize("embedding_is_down", [True, False])
async def test_the_database_is_not_done_without(
    practice: Practice, form: Form, failure: Exception, *, embedding_is_down: bool
) -> None:
    practice.embedder.failures = [EMBED_DOWN] * embedding_is_down
    practice.shelf.failure = failure
    with pytest.raises(type(failure)):
        await practice.ask(form)


class TestStreamThatBreaksOff:
    CUT = ProviderUnavailable("fake", "scripted", "chat", "reset", None)

    async def test_before_its_first_sentence_goes_on_unseen_with_the_next(
        self, practice: Practice
    ) -> None:
        practice.model = FakeChatModel(["She sleeps very"], cut=self.CUT)
        practice.fallbacks = [FakeChatModel(["Sleeps badly [1]."], provider="second")]
        answer = await practice.ask("stream")
        assert (answer.text, answer.provider) == ("Sleeps badly [1].", "second")

    async def test_before_its_first_citing_sentence_goes_on_unseen_with_the_extract(
        self, practice: Practice
    ) -> None:
        practice.model = FakeChatModel(["She sleeps. Very badly. She"], cut=self.CUT)
        answer = await practice.ask("stream")
        assert (answer.text, answer.degraded) == ("Sleeps badly. [1]", ("chat_unavailable",))

    async def test_after_its_first_sentence_ends_in_the_error(self, practice: Practice) -> None:
        practice.model = FakeChatModel(["Sleeps badly [1]. She"], cut=self.CUT)
        practice.fallbacks = [FakeChatModel(provider="second")]
        stream = practice.open().stream(WORKSPACE, ASKED, deadline_s=9)
        told = [await anext(stream) for _ in range(3)]
        assert told[1] == SentenceReady("Sleeps badly [1].")
        with pytest.raises(ProviderUnavailable):
            await anext(stream)
        assert practice.fallbacks[0].requests == []
        assert reasons(practice) == []


@in_virtual_time
class TestHangingVendors:
    @both_forms
    @pytest.mark.parametrize("fallbacks", [0, 2])
    async def test_all_of_them_leave_time_for_an_answer(
        self, practice: Practice, form: Form, fallbacks: int
    ) -> None:
        practice.fallbacks = [FakeChatModel(provider=f"{n}") for n in range(fallbacks)]
        practice.embedder.hold = asyncio.Event()
        for model in (practice.model, *practice.fallbacks):
            model.hold = asyncio.Event()
        practice.shelf.takes_s = 0
        answer = await practice.ask(form, deadline_s=1, clock=LoopClock())
        assert answer.text == "Sleeps badly. [1]"
        assert answer.degraded == ("embedding_unavailable", "chat_unavailable")


class TestTrial:
    @both_forms
    async def test_the_arm_answers_first_and_is_named(self, practice: Practice, form: Form) -> None:
        practice.fallbacks = [FakeChatModel(provider="second")]
        practice.split = {"second": 1}
        answer = await practice.ask(form)
        assert (answer.provider, answer.split_arm) == ("second", "second")

    @both_forms
    async def test_an_arm_that_fails_stays_the_workspaces_arm(
        self, practice: Practice, form: Form
    ) -> None:
        practice.fallbacks = [FakeChatModel([CHAT_DOWN], provider="second")]
        practice.split = {"second": 1}
        answer = await practice.ask(form)
        assert (answer.provider, answer.split_arm, answer.degraded) == ("fake", "second", ())

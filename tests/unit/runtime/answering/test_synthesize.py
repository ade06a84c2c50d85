from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.answering.synthesize import WritingTask, Written, synthesize
from runtime.errors import ChatError, ProviderTimeout, ProviderUnavailable
from runtime.messages import (
    ChatEvent,
    ChatReply,
    ChatRequest,
    Citation,
    CitationReady,
    Language,
    Passage,
    Question,
    SentenceReady,
    TextDelta,
    UsageSoFar,
)
from runtime.phrases import NOT_IN_RECORDS
from runtime.providers.fakes import FakeChatModel

NOTE = "Sleeps badly. Reports waking at 3 a.m. most nights. “I lie there,” she says."
HEBREW_NOTE = 'נוטלת אסציטלופרם 10 מ"ג. מדווחת על שיפור.'

PIECES = (
    *("Sleeps badly", "waking at 3", 'נוטלת 10 מ"ג', " ", ". ", "\n", "\n\n- ", "\u200f"),
    *("[1]", "[2]", "[1, 2]", "[7]", "]2[", "“I lie there”", '"I cannot"', 'ש"אני', "«", "'so'"),
)
WRITTEN = st.lists(st.sampled_from(PIECES)).map("".join) | st.text(max_size=60)


@pytest.fixture
def passages(make_passage: Callable[..., Passage]) -> list[Passage]:
    return [make_passage(NOTE), make_passage(HEBREW_NOTE, field_name="plan", similarity=0.6)]


async def tell(
    passages: list[Passage],
    model: FakeChatModel,
    *,
    language: Language = "en",
    streamed: bool = True,
    share_s: float = 5,
) -> list[SentenceReady | CitationReady | Written]:
    task = WritingTask(Question("How does she sleep?"), passages, language, date(2026, 1, 31))
    telling = synthesize(model, task, share_s=share_s, streamed=streamed)
    return [event async for event in telling]


async def write(
    passages: list[Passage],
    reply: str | None = None,
    *,
    model: FakeChatModel | None = None,
    language: Language = "en",
) -> Written:
    events = await tell(
        passages, model or FakeChatModel([reply or ""]), language=language, streamed=False
    )
    written = events[-1]
    assert isinstance(written, Written)
    return written


class TestWhatIsShown:
    async def test_a_cited_answer_is_shown_with_the_place_and_the_quote_it_rests_on(
        self, passages: list[Passage]
    ) -> None:
        written = await write(passages, "She reports waking at 3 a.m. most nights [1].")
        assert written.text == "She reports waking at 3 a.m. most nights [1]."
        assert written.warnings == ()
        citation = written.citations[0]
        assert citation.quote == "Reports waking at 3 a.m. most nights."
        assert [(span.answer_start, span.answer_end) for span in citation.spans] == [(0, 45)]
        assert citation.spans[0].quote == citation.quote
        assert citation.verified

    async def test_every_passage_is_cited_by_its_rank_and_one_not_used_has_no_span(
        self, passages: list[Passage]
    ) -> None:
        written = await write(passages, "She sleeps badly [1].")
        assert [citation.marker for citation in written.citations] == [1, 2]
        assert [citation.record for citation in written.citations] == [p.record for p in passages]
        assert written.citations[1].spans == ()
        assert written.citations[1].quote in HEBREW_NOTE

    async def test_each_span_has_its_own_quote(self, passages: list[Passage]) -> None:
        written = await write(passages, "She sleeps badly [1].\n\nShe wakes at 3 [1].")
        quotes = [span.quote for span in written.citations[0].spans]
        assert quotes == ["Sleeps badly.", "Reports waking at 3 a.m. most nights."]
        assert written.text == "She sleeps badly [1].\n\nShe wakes at 3 [1]."

    async def test_the_layout_survives_a_removed_sentence(self, passages: list[Passage]) -> None:
        written = await write(passages, "Sleeps badly [1]. “I cannot” [1].\n- Wakes at 3 [1].")
        assert written.text == "Sleeps badly [1].\n- Wakes at 3 [1]."

    async def test_a_number_that_the_note_does_not_have_is_not_verified(
        self, passages: list[Passage]
    ) -> None:
        written = await write(passages, "She sleeps badly [1]. She takes 20 mg [2].")
        assert [citation.verified for citation in written.citations] == [True, False]


class TestModelsThatCannotBeTrusted:
    async def test_a_misquote_is_removed_and_the_rest_shown(self, passages: list[Passage]) -> None:
        written = await write(passages, "Sleeps badly [1]. She said “I want to die” [1].")
        assert written.text == "Sleeps badly [1]."
        assert written.warnings == ("misquote_removed",)

    async def test_where_only_misquotes_were_written_nothing_was_found(
        self, passages: list[Passage]
    ) -> None:
        written = await write(passages, "She said “I want to die” [1].")
        assert (written.text, written.citations) == (NOT_IN_RECORDS["en"], ())
        assert written.warnings == ("misquote_removed",)

    async def test_what_its_note_contradicts_is_removed_and_the_rest_shown(
        self, passages: list[Passage]
    ) -> None:
        written = await write(passages, "Sleeps badly [1]. She does not sleep badly [1].")
        assert written.text == "Sleeps badly [1]."
        assert written.warnings == ("unsupported_removed",)

    async def test_where_all_was_contradicted_nothing_was_found(
        self, passages: list[Passage]
    ) -> None:
        written = await write(passages, "נוטלת אסציטלופרם 30 מ״ג [2].", language="he")
        assert (written.text, written.citations) == (NOT_IN_RECORDS["he"], ())
        assert written.warnings == ("unsupported_removed",)

    async def test_what_cannot_be_confirmed_is_shown_and_told_of(
        self, passages: list[Passage]
    ) -> None:
        written = await write(passages, "She sleeps badly since 1 May 2019 [1].")
        assert written.text == "She sleeps badly since 1 May 2019 [1]."
        assert (written.warnings, written.citations[0].verified) == (("unverified",), False)

    async def test_a_claim_that_shares_no_word_with_what_it_cites_is_not_verified(
        self, passages: list[Passage]
    ) -> None:
        written = await write(passages, "The patient owns four boats [1].")
        assert not written.citations[0].verified

    async def test_an_answer_citing_only_what_was_not_given_is_withheld(
        self, passages: list[Passage]
    ) -> None:
        written = await write(passages, model=FakeChatModel(behaviour="invent"))
        assert (written.text, written.citations) == (NOT_IN_RECORDS["en"], ())
        assert written.warnings == ("unknown_marker", "uncited_answer")

    async def test_an_answer_that_cites_nothing_is_withheld(self, passages: list[Passage]) -> None:
        written = await write(passages, "She is well.", language="he")
        assert (written.text, written.citations) == (NOT_IN_RECORDS["he"], ())
        assert written.warnings == ("uncited_answer",)

    async def test_the_wrong_language_is_told_of(self, passages: list[Passage]) -> None:
        written = await write(passages, "She sleeps badly [1].", language="he")
        assert written.text == "She sleeps badly [1]."
        assert written.warnings == ("answer_language",)

    async def test_a_model_that_says_nothing_was_found_is_believed(
        self, passages: list[Passage]
    ) -> None:
        written = await write(passages, NOT_IN_RECORDS["en"])
        assert (written.text, written.citations) == (NOT_IN_RECORDS["en"], ())
        assert written.warnings == ()

    @pytest.mark.parametrize("reply", [" \n", "\u200f"])
    async def test_an_empty_answer_is_a_failure_not_a_finding(
        self, passages: list[Passage], reply: str
    ) -> None:
        with pytest.raises(ChatError):
            await write(passages, reply)

    async def test_a_providers_error_is_let_through(self, passages: list[Passage]) -> None:
        error = ProviderUnavailable("fake", "scripted", "chat", "HTTP 503", None)
        with pytest.raises(ProviderUnavailable):
            await write(passages, model=FakeChatModel([error]))


class Pieces(FakeChatModel):
    """Streams exactly these events."""

    def __init__(self, *events: ChatEvent) -> None:
        super().__init__()
        self.events = events

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        del request, timeout_s
        for event in self.events:
            yield event


REPLY = ChatReply("Sleeps badly [1].", "fake", "scripted", 9, 3)


class TestStream:
    async def test_a_sentence_is_told_as_soon_as_the_model_has_begun_the_next(
        self, passages: list[Passage]
    ) -> None:
        model = FakeChatModel(["Sleeps badly [1].\n- Takes 10 mg [2]."])
        model.hold_end = asyncio.Event()
        task = WritingTask(Question("?"), passages, "en", date(2026, 1, 31))
        telling = synthesize(model, task, share_s=5, streamed=True)
        assert await anext(telling) == SentenceReady("Sleeps badly [1].")
        cited = await anext(telling)
        assert isinstance(cited, CitationReady)
        assert (cited.citation.marker, len(cited.citation.spans)) == (1, 1)
        model.hold_end.set()
        assert await anext(telling) == SentenceReady("\n- Takes 10 mg [2].")
        await telling.aclose()

    async def test_what_its_note_contradicts_is_never_told(self, passages: list[Passage]) -> None:
        said = "Sleeps badly [1]. She does not sleep badly [1]. Wakes at 3 [1]."
        events = await tell(passages, FakeChatModel([said]))
        told = [event.text for event in events if isinstance(event, SentenceReady)]
        assert told == ["Sleeps badly [1].", " Wakes at 3 [1]."]

    async def test_a_misquote_is_withheld_and_its_layout_kept(
        self, passages: list[Passage]
    ) -> None:
        said = "Sleeps badly [1].\n- She said “I want to die” [1].\n- Wakes at 3 [1]."
        events = await tell(passages, FakeChatModel([said]))
        told = [event.text for event in events if isinstance(event, SentenceReady)]
        assert told == ["Sleeps badly [1].", "\n- Wakes at 3 [1]."]
        assert isinstance(events[-1], Written)
        assert events[-1].warnings == ("misquote_removed",)

    async def test_nothing_is_told_before_a_sentence_cites(self, passages: list[Passage]) -> None:
        said = "Here is what I found. She sleeps badly [1]."
        first, second, *_ = await tell(passages, FakeChatModel([said]))
        assert (first, second) == (
            SentenceReady("Here is what I found."),
            SentenceReady(" She sleeps badly [1]."),
        )
        cut = FakeChatModel(["She is well. She eats. She"], cut=ChatError("cut"))
        told: list[object] = []
        with pytest.raises(ChatError):
            await tell_until_error(passages, cut, told)
        assert told == []

    async def test_every_citation_is_told_once_those_without_a_place_at_the_end(
        self, passages: list[Passage]
    ) -> None:
        events = await tell(passages, FakeChatModel(["Sleeps badly [1]. Wakes at 3 [1]."]))
        cited = [event.citation for event in events if isinstance(event, CitationReady)]
        assert [(citation.marker, len(citation.spans)) for citation in cited] == [(1, 1), (2, 0)]
        assert isinstance(events[-1], Written)
        assert [len(citation.spans) for citation in events[-1].citations] == [2, 0]

    async def test_a_stream_of_the_whole_alone_is_told_all_the_same(
        self, passages: list[Passage]
    ) -> None:
        first, *_ = await tell(passages, Pieces(UsageSoFar(9, 0), REPLY))
        assert first == SentenceReady("Sleeps badly [1].")

    async def test_a_stream_without_its_reply_is_a_failure(self, passages: list[Passage]) -> None:
        with pytest.raises(ChatError):
            await tell_until_error(passages, Pieces(TextDelta("Sleeps badly [1].")), [])

    @pytest.mark.parametrize("streamed", [True, False])
    async def test_a_model_that_ignores_its_time_out_is_held_to_its_share(
        self, passages: list[Passage], *, streamed: bool
    ) -> None:
        class Hung(FakeChatModel):
            async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
                del request
                assert timeout_s < 0.01
                await asyncio.Event().wait()
                raise AssertionError

        with pytest.raises(ProviderTimeout):
            await tell(passages, Hung(), streamed=streamed, share_s=0.01)

    async def test_a_timeout_of_another_thing_is_not_taken_for_the_share(
        self, passages: list[Passage]
    ) -> None:
        class Faulty(FakeChatModel):
            async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
                raise TimeoutError(request, timeout_s)

        with pytest.raises(TimeoutError):
            await tell(passages, Faulty())

    async def test_leaving_early_closes_the_models_stream(self, passages: list[Passage]) -> None:
        model = FakeChatModel(["Sleeps badly [1]. She"], endless=True)
        task = WritingTask(Question("?"), passages, "en", date(2026, 1, 31))
        telling = synthesize(model, task, share_s=5, streamed=True)
        await anext(telling)
        await telling.aclose()
        assert model.closed == 1


async def tell_until_error(
    passages: list[Passage], model: FakeChatModel, told: list[object]
) -> None:
    task = WritingTask(Question("?"), passages, "en", date(2026, 1, 31))
    async for event in synthesize(model, task, share_s=5, streamed=True):
        told.append(event)  # noqa: PERF401 - what came before the error counts


class TestWhateverTheModelWrites:
    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(reply=WRITTEN)
    async def test_the_stream_and_the_whole_are_the_same_answer(
        self, passages: list[Passage], reply: str
    ) -> None:
        try:
            whole = await write(passages, reply)
        except ChatError:
            with pytest.raises(ChatError):
                await tell(passages, FakeChatModel([reply]))
            return
        *told, written = await tell(passages, FakeChatModel([reply]))
        assert written == whole
        sentences = [event.text for event in told if isinstance(event, SentenceReady)]
        assert "".join(sentences) == whole.text
        cited = [event.citation for event in told if isinstance(event, CitationReady)]
        assert sorted(map(key, cited)) == sorted(map(key, whole.citations))

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(reply=WRITTEN)
    async def test_quotes_are_verbatim_and_spans_are_places_of_the_answer_that_cite(
        self, passages: list[Passage], reply: str
    ) -> None:
        try:
            written = await write(passages, reply)
        except ChatError:
            return
        assert written.text
        for citation, passage in zip(written.citations, passages, strict=bool(written.citations)):
            assert citation.quote
            assert citation.quote in passage.text
            for span in citation.spans:
                assert span.quote in passage.text
                place = written.text[span.answer_start : span.answer_end]
                assert place == place.strip()
                assert f"[{citation.marker}]" in place
        assert "[7]" not in written.text
        assert "I cannot" not in written.text


def key(citation: Citation) -> tuple[int, str]:
    return citation.marker, citation.field_name

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.answering.synthesize import Written, synthesize
from runtime.errors import ChatError, ProviderUnavailable
from runtime.messages import Language, Passage, Question
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


async def write(
    passages: list[Passage],
    reply: str | None = None,
    *,
    model: FakeChatModel | None = None,
    language: Language = "en",
) -> Written:
    return await synthesize(
        model or FakeChatModel([reply or ""]),
        Question("How does she sleep?"),
        passages,
        language=language,
        today=date(2026, 1, 31),
        timeout_s=5,
    )


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


class TestWhateverTheModelWrites:
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

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.answering.quoting import (
    best_sentence,
    has_open_quotation,
    is_backed,
    quotations,
    stands_in,
)


class TestQuotations:
    @pytest.mark.parametrize(
        "sentence",
        [
            "She said “I am tired.”",
            'She said "I am tired," twice.',
            "She said «I am tired».",
            "She said ‘I am tired’ today.",
            "She said 'I am tired' today.",
            "She said „I am tired“.",
            'She said "I am tired',
            'She said:"I am tired"',
        ],
    )
    def test_every_style_is_read_and_one_left_open_too(self, sentence: str) -> None:
        assert quotations(sentence)[0].startswith("I am tired")

    def test_a_mark_without_a_space_before_it_opens_too(self) -> None:
        assert quotations('said"I am tired" twice') == ["I am tired"]
        assert quotations('at 3"I am tired"') == ["I am tired"]

    def test_a_hebrew_prefix_may_stand_before_the_mark(self) -> None:
        assert quotations('היא אמרה ש"אני עייפה" ולכ״אין לי כוח״.') == ["אני עייפה", "אין לי כוח"]

    @pytest.mark.parametrize(
        "sentence",
        [
            'ד"ר לוי רשמה 10 מ"ג, עו״ס ומנכ"לית, שני דו"חות בארה"ב.',
            "It's the patients' own choice, isn't it?",
            "מר ג'ורג' צ'רלס",
            'a 5" wound and a 6" wound',
        ],
    )
    def test_abbreviations_apostrophes_and_inches_quote_nothing(self, sentence: str) -> None:
        assert quotations(sentence) == []

    def test_an_abbreviation_inside_a_quotation_does_not_end_it(self) -> None:
        assert quotations('אמרה "ד"ר לוי צודקת" וצחקה') == ['ד"ר לוי צודקת']

    @pytest.mark.parametrize(
        ("text", "is_open"),
        [('so "I am', True), ('so "I am"', False), ("«so", True), ('ד"ר לוי', False)],
    )
    def test_an_open_quotation_is_known(self, text: str, is_open: bool) -> None:  # noqa: FBT001
        assert has_open_quotation(text) is is_open


class TestStandsIn:
    @pytest.mark.parametrize(
        ("quotation", "text"),
        [
            ("I can't sleep", "She: “I  can’t\nsleep.”"),
            ("waking at 3", "Waking at 3 a.m."),
            ("כאב ראש", "מדווחת על הכאב ראש שלה"),
            ('10 מ"ג', "נוטלת 10 מ״ג"),
        ],
    )
    def test_space_case_quote_style_and_prefixes_do_not_matter(
        self, quotation: str, text: str
    ) -> None:
        assert stands_in(quotation, text)

    @pytest.mark.parametrize(
        ("quotation", "text"),
        [("able to walk", "unable to walk"), ("deny pain", "denies pain"), ("5 mg", "25 mg")],
    )
    def test_other_words_and_halves_of_words_are_not_the_same(
        self, quotation: str, text: str
    ) -> None:
        assert not stands_in(quotation, text)


class TestBestSentence:
    @settings(deadline=None)  # the machine may be busy
    @given(passage=st.text(), text=st.text())
    def test_it_is_always_verbatim(self, passage: str, text: str) -> None:
        assert best_sentence(passage, text) in passage

    def test_it_shares_the_most_words(self) -> None:
        passage = "Sleeps well. Reports headaches every morning. Walks daily."
        assert best_sentence(passage, "Her morning headache is reported") == (
            "Reports headaches every morning."
        )

    def test_hebrew_prefixes_do_not_hide_a_word(self) -> None:
        passage = "הולכת מדי יום. סובלת מכאבי ראש בבוקר."
        assert best_sentence(passage, "הכאבי שלה") == "סובלת מכאבי ראש בבוקר."

    def test_where_nothing_tells_it_is_the_whole_passage(self) -> None:
        assert (
            best_sentence("Sleeps well. Walks daily. ", "ישנה היטב") == "Sleeps well. Walks daily."
        )


class TestIsBacked:
    def test_a_sentence_that_shares_no_telling_word_is_not(self) -> None:
        assert not is_backed("The patient sleeps on the moon", "Walks the dog on the beach")

    def test_between_languages_words_cannot_tell(self) -> None:
        assert is_backed("היא ישנה היטב", "Sleeps well")


def test_a_long_word_without_marks_takes_no_time_by_its_square() -> None:
    assert quotations("וה" * 200_000) == []

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.answering.checking import check_sentence, split_answer
from runtime.answering.support import Evidence
from runtime.messages import Passage
from runtime.phrases import NOT_IN_RECORDS

PIECES = st.sampled_from(
    [
        "She sleeps",
        " badly",
        ".",
        " ",
        "\n",
        "[1]",
        "[2, 7]",
        "]1[",
        '"',
        "“",
        "”",
        'מ"ג',
        "!",
        "a.m.",
    ]
)


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in split_answer(text)]


class TestSplitAnswer:
    @settings(deadline=None)  # the machine may be busy
    @given(st.lists(PIECES).map("".join))
    def test_sentences_follow_each_other_and_leave_out_only_space(self, text: str) -> None:
        end_before = 0
        text = f"She {text}"
        for start, end in split_answer(text):
            assert start < end
            assert not text[end_before:start].strip()
            end_before = end
        assert not text[end_before:].strip()

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("She sleeps [1]. She eats [2].", ["She sleeps [1].", "She eats [2]."]),
            ("She sleeps. [1] She eats. [2]", ["She sleeps. [1]", "She eats. [2]"]),
            ("She sleeps. [1][2]", ["She sleeps. [1][2]"]),
            ("She sleeps [1]. [2] says more.", ["She sleeps [1].", "[2] says more."]),
            ("- sleeps\n- [2] eats", ["- sleeps", "- [2] eats"]),
            ("Sleeps.\n[2] Eats.", ["Sleeps.", "[2] Eats."]),
            ("Sleeps.\n[1]", ["Sleeps.\n[1]"]),
            ("[1] Sleeps.", ["[1] Sleeps."]),
            ("Woke at 3 a.m. [1]. Ate.", ["Woke at 3 a.m. [1].", "Ate."]),
            ("1. Sleeps. [1] 2. Eats. [2]", ["1. Sleeps. [1]", "2. Eats. [2]"]),
            ("[1]", []),
            ("Seen [1] as before. [2] Eats. [2]", ["Seen [1] as before. [2]", "Eats. [2]"]),
            ("It is [1] and [2].", ["It is [1] and [2]."]),
        ],
    )
    def test_a_marker_after_the_stop_belongs_to_the_sentence_before(
        self, text: str, expected: list[str]
    ) -> None:
        assert split(text) == expected

    def test_a_quotation_of_two_sentences_is_not_cut(self) -> None:
        text = "She said “I wake. I lie there.” She cried."
        assert split(text) == ["She said “I wake. I lie there.”", "She cried."]


class TestCheckSentence:
    @pytest.fixture
    def evidence(self, make_passage: Callable[..., Passage]) -> Evidence:
        texts = (
            'Reports waking at 3. "I lie there," she says.',
            'נוטלת אסציטלופרם 10 מ"ג. מדווחת על שיפור.',
        )
        return Evidence(dict(enumerate(map(make_passage, texts), start=1)))

    @pytest.mark.parametrize(
        ("written", "shown"),
        [
            ("She wakes [1, 2].", "She wakes [1][2]."),
            ("She wakes [1-2].", "She wakes [1][2]."),
            ("She wakes [1][1].", "She wakes [1][1]."),
            ("She wakes [1, 1].", "She wakes [1]."),
            ("היא מתעוררת ]1[.", "היא מתעוררת [1]."),
            ("She wakes 【2】.", "She wakes [2]."),
            ("Pulse [low] 2 [sic] [1].", "Pulse [low] 2 [sic] [1]."),
            ("She wakes [9].", "She wakes."),
            ("She [9] wakes [1; 9].", "She wakes [1]."),
        ],
    )
    def test_markers_are_shown_one_way_and_unknown_ones_not_at_all(
        self, evidence: Evidence, written: str, shown: str
    ) -> None:
        checked = check_sentence(written, evidence)
        assert checked.text == shown
        assert ("unknown_marker" in checked.warnings) == ("9" in written)

    def test_each_marker_has_the_sentence_it_rests_on(self, evidence: Evidence) -> None:
        checked = check_sentence('She reports waking [1] and takes 10 מ"ג [2].', evidence)
        assert checked.quotes == ((1, "Reports waking at 3."), (2, 'נוטלת אסציטלופרם 10 מ"ג.'))

    def test_a_quotation_that_stands_in_what_it_cites_is_shown(self, evidence: Evidence) -> None:
        assert check_sentence("She says “I lie there.” [1]", evidence).text

    @pytest.mark.parametrize(
        "sentence",
        ["She says “I lie awake” [1].", "She says “I lie there” [2].", "She says “I lie there”."],
    )
    def test_a_quotation_that_does_not_withholds_the_sentence(
        self, evidence: Evidence, sentence: str
    ) -> None:
        checked = check_sentence(sentence, evidence)
        assert (checked.text, checked.quotes) == ("", ())
        assert checked.warnings == ("misquote_removed",)

    @pytest.mark.parametrize(
        "sentence",
        [
            "She sleeps badly, see https://help.example/reset?id=7 [1].",
            "She sleeps badly; write to nurse@help.example [1].",
            "She sleeps badly, more on www.help.example. [1]",
            "She sleeps badly, details at help-now.com/login [1].",
            "היא ישנה רע, פרטים ב-help.co.il [1].",
            "היא ישנה רע, פרטים ב-https://help.example או בhelp.org [1].",
            "See https://help.example.",
        ],
    )
    def test_an_address_that_no_passage_has_withholds_the_sentence(
        self, evidence: Evidence, sentence: str
    ) -> None:
        checked = check_sentence(sentence, evidence)
        assert checked.text == ""
        assert checked.warnings == ("unsupported_removed",)

    def test_an_address_of_its_passage_is_shown_with_its_scheme_or_without(
        self, make_passage: Callable[..., Passage]
    ) -> None:
        text = "She reads HTTPS://www.Sleep-well.org/tips. Her mail: noa@sleep.example"
        evidence = Evidence({1: make_passage(text)})
        for sentence in ("She reads sleep-well.org/tips [1].", "Mail: noa@sleep.example. [1]"):
            assert check_sentence(sentence, evidence).text == sentence

    def test_the_date_and_the_name_of_the_record_back_a_sentence(self, evidence: Evidence) -> None:
        assert check_sentence("Noa woke on 14.", evidence).backed is False
        assert check_sentence("On 14 in 2025, Noa woke at 3 [1].", evidence).backed

    def test_what_its_passage_contradicts_is_withheld(self, evidence: Evidence) -> None:
        checked = check_sentence('נוטלת אסציטלופרם 20 מ"ג [2].', evidence)
        assert (checked.text, checked.warnings) == ("", ("unsupported_removed",))

    def test_what_its_passage_cannot_confirm_is_shown_and_told_of(self, evidence: Evidence) -> None:
        checked = check_sentence("She reports waking at 3 on 5 May 2024 [1].", evidence)
        assert (checked.text[:7], checked.backed) == ("She rep", False)
        assert checked.warnings == ("unverified",)

    def test_facts_that_cite_nothing_and_stand_in_no_passage_are_withheld(
        self, evidence: Evidence
    ) -> None:
        checked = check_sentence("She takes 900 mg of lithium.", evidence)
        assert (checked.text, checked.warnings) == ("", ("unsupported_removed",))

    def test_what_cites_nothing_and_contradicts_no_passage_is_shown_and_told_of(
        self, evidence: Evidence
    ) -> None:
        checked = check_sentence("She seems to feel better.", evidence)
        assert (checked.text, checked.warnings) == (
            "She seems to feel better.",
            ("uncited_sentence",),
        )

    @pytest.mark.parametrize("text", ["The notes say:", "**Sleep**", *NOT_IN_RECORDS.values()])
    def test_what_says_nothing_of_a_client_needs_no_citation(
        self, evidence: Evidence, text: str
    ) -> None:
        assert check_sentence(text, evidence).warnings == ()

    def test_what_the_records_do_not_say_can_be_told_without_a_citation(
        self, evidence: Evidence
    ) -> None:
        checked = check_sentence("The notes do not mention lithium 900 mg.", evidence)
        assert (checked.text != "", checked.warnings) == (True, ("uncited_sentence",))

"""Neither side can spoil what the other found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.answering.fusion import UNKNOWN_NEARNESS, WORDS_SHARE, fuse
from runtime.messages import Language, Passage, RecordKey

MOST = 0.95
ENGLISH = "She wakes at three."
HEBREW = "היא מתעוררת בשלוש."


def at(
    record: int,
    similarity: float,
    *,
    text: str = ENGLISH,
    field_name: str = "subjective",
    part: int = 0,
) -> Passage:
    return Passage(
        record=RecordKey("session", UUID(int=record)),
        client_id=UUID(int=0),
        client_name="Dana",
        session_date=None,
        field_name=field_name,
        part=part,
        start=0,
        end=len(text),
        text=text,
        similarity=similarity,
    )


def order(passages: Sequence[Passage]) -> list[int]:
    return [passage.record.id.int for passage in passages]


def english(by_meaning: Sequence[Passage], by_words: Sequence[Passage]) -> list[Passage]:
    return fuse(by_meaning, by_words, language="en")


similarities = st.integers(0, 100).map(lambda hundredths: hundredths / 100)
shares = similarities.filter(lambda share: share <= MOST)


@st.composite
def rankings(draw: st.DrawFn, shared: st.SearchStrategy[float] = similarities) -> list[Passage]:
    """Return passages of up to six records, of either language, in any order."""
    return [
        at(
            draw(st.integers(0, 5)),
            draw(shared),
            text=draw(st.sampled_from([ENGLISH, HEBREW])),
            field_name=draw(st.sampled_from(["subjective", "plan"])),
            part=draw(st.integers(0, 2)),
        )
        for _ in range(draw(st.integers(0, 10)))
    ]


class TestAlone:
    def test_nothing_found_is_nothing(self) -> None:
        assert english([], []) == []

    def test_meaning_alone_keeps_its_order_and_its_similarities(self) -> None:
        near, far = at(1, 0.8), at(2, 0.4)
        assert english([near, far], []) == [near, far]

    def test_words_alone_keep_their_order(self) -> None:
        assert order(english([], [at(1, 0.9), at(2, 0.3), at(3, 0.1)])) == [1, 2, 3]

    def test_a_note_that_is_not_embedded_yet_is_near_enough_for_the_default_bar(self) -> None:
        (found,) = english([], [at(1, 0.1)])
        assert found.similarity == pytest.approx(1 - 0.7 * (1 - 0.1 * WORDS_SHARE))
        assert found.similarity > UNKNOWN_NEARNESS

    @given(rankings(), st.sampled_from(["he", "en"]))
    def test_meaning_alone_never_sinks_in_its_similarity(
        self, by_meaning: list[Passage], language: Language
    ) -> None:
        best = max((passage.similarity for passage in by_meaning), default=0.0)
        found = fuse(by_meaning, [], language=language)
        assert not found or found[0].similarity >= best


class TestTogether:
    def test_a_passage_that_both_found_comes_before_one_that_either_did(self) -> None:
        found = english([at(1, 0.5), at(3, 0.5)], [at(2, 0.5), at(3, 0.5)])
        assert order(found) == [3, 1, 2]

    def test_matching_words_lift_what_is_nearly_as_near(self) -> None:
        assert order(english([at(1, 0.50), at(2, 0.45)], [at(2, 0.7)])) == [2, 1]

    def test_shared_small_change_does_not_outvote_meaning(self) -> None:
        by_words = [at(noise, 0.15) for noise in range(2, 50)]
        assert order(english([at(1, 0.5)], by_words))[0] == 1

    def test_the_only_note_that_holds_all_words_is_not_lost_beyond_what_is_merely_near(
        self,
    ) -> None:
        by_meaning = [at(noise, 0.5) for noise in range(2, 102)]
        assert order(english(by_meaning, [at(1, MOST)]))[0] == 1

    @given(similarities, similarities, shares, shares)
    def test_what_is_nearer_and_shares_more_words_is_never_behind(
        self, near: float, far: float, many: float, few: float
    ) -> None:
        near, far = max(near, far), min(near, far)
        many, few = max(many, few), min(many, few)
        found = english([at(1, near), at(2, far)], [at(1, many), at(2, few)])
        assert order(found)[0] == 1

    @given(rankings(), rankings(shares), st.sampled_from(["he", "en"]))
    def test_words_never_lower_what_meaning_found_and_settle_at_most_half_its_doubt(
        self, by_meaning: list[Passage], by_words: list[Passage], language: Language
    ) -> None:
        nearness: dict[tuple[RecordKey, str], float] = {}
        for passage in by_meaning:
            field = (passage.record, passage.field_name)
            nearness[field] = max(nearness.get(field, 0), passage.similarity)
        for passage in fuse(by_meaning, by_words, language=language):
            near = nearness.get((passage.record, passage.field_name), UNKNOWN_NEARNESS)
            assert near - 1e-9 <= passage.similarity <= 1 - (1 - near) / 2 + 1e-9

    @given(rankings(), rankings(shares), st.sampled_from(["he", "en"]))
    def test_each_field_that_either_found_is_there_once_the_best_first(
        self, by_meaning: list[Passage], by_words: list[Passage], language: Language
    ) -> None:
        found = fuse(by_meaning, by_words, language=language)
        fields = [(passage.record, passage.field_name) for passage in found]
        assert len(fields) == len(set(fields))
        asked = {(passage.record, passage.field_name) for passage in [*by_meaning, *by_words]}
        assert set(fields) == asked
        similarities = [passage.similarity for passage in found]
        assert similarities == sorted(similarities, reverse=True)
        assert all(0 <= similarity <= 1 for similarity in similarities)

    @given(st.permutations([1, 2, 3, 4]), st.permutations([1, 2, 3, 4]))
    def test_equal_passages_stand_in_one_order_however_they_came(
        self, meaning: list[int], words: list[int]
    ) -> None:
        found = english([at(each, 0.5) for each in meaning], [at(each, 0.5) for each in words])
        assert order(found) == [1, 2, 3, 4]


class TestTwoLanguages:
    def test_words_of_the_question_s_language_do_not_outvote_a_nearer_note_in_the_other(
        self,
    ) -> None:
        by_meaning = [at(1, 0.5, text=HEBREW), at(2, 0.45)]
        assert order(english(by_meaning, [at(2, 0.2)])) == [1, 2]
        assert order(fuse(by_meaning, [at(1, 0.2, text=HEBREW)], language="he")) == [1, 2]

    def test_words_that_tell_decide_between_two_languages_too(self) -> None:
        by_meaning = [at(1, 0.5, text=HEBREW), at(2, 0.45)]
        assert order(english(by_meaning, [at(2, 0.8)])) == [2, 1]

    @pytest.mark.parametrize("share", [0.1, 0.6])
    def test_a_drug_s_name_in_the_other_language_counts_besides_what_is_expected(
        self, share: float
    ) -> None:
        named, unnamed = (at(each, 0.5, text=HEBREW) for each in (2, 1))
        both = english([unnamed, named], [at(2, share, text=HEBREW)])
        assert order(both) == [2, 1]
        gained = 0.5 * WORDS_SHARE * share
        assert both[0].similarity - both[1].similarity == pytest.approx(gained)

    def test_english_that_is_not_plain_ascii_is_english_still(self) -> None:
        by_meaning = [at(1, 0.5, text="She’s awake at three."), at(2, 0.5)]
        assert order(fuse(by_meaning, [], language="en")) == [1, 2]
        assert [passage.similarity for passage in english(by_meaning, [])] == [0.5, 0.5]

    def test_among_notes_of_one_language_the_order_of_meaning_stays(self) -> None:
        by_meaning = [at(each, 0.9 - each / 10, text=HEBREW) for each in range(1, 8)]
        assert order(english(by_meaning, [])) == list(range(1, 8))


class TestParts:
    def test_the_nearest_part_stands_for_its_field(self) -> None:
        weak, strong = at(1, 0.5, part=0), at(1, 0.9, part=1)
        assert english([weak, strong], []) == [strong]

    def test_words_that_tell_choose_the_part(self) -> None:
        (found,) = english([at(1, 0.5, part=0)], [at(1, 0.6, part=3)])
        assert found.part == 3

    def test_words_that_tell_little_leave_the_nearest_part(self) -> None:
        (found,) = english([at(1, 0.5, part=0)], [at(1, 0.2, part=3)])
        assert found.part == 0

    @pytest.mark.parametrize(("share", "part"), [(0.24, 0), (0.25, 3)])
    def test_words_tell_from_half_of_the_nearness_on(self, share: float, part: int) -> None:
        (found,) = english([at(1, 0.5, part=0)], [at(1, share, part=3)])
        assert found.part == part

    def test_the_text_is_that_of_the_part_it_names(self) -> None:
        worded = replace(at(1, 0.6, part=3), text="At three she wakes.", start=40, end=59)
        (found,) = english([at(1, 0.5)], [worded])
        assert (found.text, found.start, found.end) == ("At three she wakes.", 40, 59)

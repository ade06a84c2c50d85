"""Texts as claims."""

from __future__ import annotations

from runtime.clinical.claims import MOST_CHARACTERS, MOST_SENTENCES, Claim, read_claims


def claims(text: str, kind: str) -> list[Claim]:
    return [claim for claim in read_claims(text).claims if claim.kind == kind]


def values(text: str, kind: str) -> list[str]:
    return [str(claim.value) for claim in claims(text, kind)]


def test_words_for_one_thing_are_one_topic_in_both_languages() -> None:
    for text in ("Her knees ache.", "כאבים בברכיים."):
        assert {"knee", "pain"} <= set(values(text, "topic"))


def test_a_range_is_two_numbers() -> None:
    assert values("It fell from 61 to 48.", "number") == ["61", "48"]
    assert [str(each.value) for each in claims("Takes 5-10 mg.", "dose")] == [
        str(each.value) for each in claims("Takes 5 mg, 10 mg.", "dose")
    ]


def test_since_when_is_a_date() -> None:
    assert values("Pain since 1 May 2019.", "date") == values("Pain on 1 May 2019.", "date")


def test_a_number_behind_hebrew_letters_is_read() -> None:
    assert values("נשואה ואם לשלושה ילדים.", "number") == ["3"]


def test_a_day_of_the_week_is_no_ordinal() -> None:
    assert values("נפגשים ביום שני.", "weekday") == ["monday"]
    assert values("הילד השני ישן.", "weekday") == []


def test_whose_it_is_goes_with_each_claim() -> None:
    said = {str(c.value): c.subject for c in claims("Her mother drinks; sleeps badly.", "topic")}
    assert said["alcohol"] == "mother"
    assert said["sleep"] == "client"
    [lives] = claims("He lives with his parents.", "topic")
    assert lives.subject == "client"
    critical = claims("Her own father was critical.", "topic")[-1]
    assert critical.subject == "father"


def test_what_is_answered_with_no_is_denied_and_no_change_denies_nothing() -> None:
    assert [claim.negated for claim in claims("Seizures: none.", "topic")] == [True]
    assert [c.negated for c in claims("No change in sertraline.", "medication")] == [False]
    assert [c.negated for c in claims("No sertraline.", "medication")] == [True]


def test_a_text_is_read_up_to_a_bound() -> None:
    for text in ("not 5 mg left " * 50_000, "No knee. " * 50_000, "1-" * 50_000):
        reading = read_claims(text)
        assert reading.is_cut
        assert len(reading.claims) < MOST_SENTENCES * MOST_CHARACTERS
    assert not read_claims("Sleeps badly.").is_cut

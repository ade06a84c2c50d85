"""An answer's sentence against its passages."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.answering.support import Evidence, Verdict
from runtime.messages import Passage, RecordKey

WORDS = st.lists(
    st.sampled_from(
        ["no", "5 mg", "left", "knee", ".", ",", "Her mother", "sertraline", "אין", "from 3 to 5",
         "12 May", "at 9:30", "twice a day", "three", "[", "stopped", "Noa", "Dan Levi", "לשלושה"]
    )
).map(" ".join)  # fmt: skip
NOTE = (
    "Pain in the left wrist since 4 May. Right wrist is normal. Zolpidem 5 mg at night stopped. "
    "Denies flashbacks. Her aunt takes warfarin. Attacks went down to two a week. Seen at 09:30."
)

LABELLED: list[dict[str, str]] = [
    json.loads(line)
    for line in (Path(__file__).parents[4] / "benchmarks" / "support_pairs.jsonl")
    .read_text("utf-8")
    .splitlines()
]
REMOVED = {
    "negation": 55, "dose": 31, "number": 33, "frequency": 10, "medication": 12, "person": 36,
    "side": 15, "date": 31, "time": 7, "direction": 34, "quality": 14,
}  # fmt: skip
"""Of the labelled contradictions of each kind, those removed: docs/benchmarks.md."""


@pytest.fixture
def judge(make_passage: Callable[..., Passage]) -> Callable[..., Verdict]:
    def judge(sentence: str, *passages: str) -> Verdict:
        given = map(make_passage, passages or (NOTE,))
        cited = dict(enumerate(given, start=1))
        return Evidence(cited).judge(sentence, cited).verdict

    return judge


@pytest.mark.parametrize(
    "sentence",
    [
        "Her left wrist hurts since 4 May.",
        "The right wrist is normal.",
        "Zolpidem was discontinued.",
        "She has no flashbacks.",
        "Her aunt is on warfarin.",
        "She was seen at 9:30.",
        "כאב בשורש כף היד השמאלי מאז 4 במאי.",
        "היא שוללת פלאשבקים.",
    ],
)
def test_a_faithful_sentence_is_supported(judge: Callable[..., Verdict], sentence: str) -> None:
    assert judge(sentence) == "supported"


@pytest.mark.parametrize(
    "sentence",
    [
        "Her right wrist hurts since 4 May.",
        "Her left wrist hurts since 14 May.",
        "Zolpidem 10 mg at night was stopped.",
        "Zopiclone 5 mg at night was stopped.",
        "Zolpidem 5 mg at night was started.",
        "She reports flashbacks.",
        "She takes warfarin.",
        "Her sister takes warfarin.",
        "Attacks went up.",
        "Seen at 10:30.",
        "זולפידם 10 מ״ג בלילה הופסק.",
        "היא מדווחת על פלאשבקים.",
    ],
)
def test_one_that_changes_a_fact_is_contradicted(
    judge: Callable[..., Verdict], sentence: str
) -> None:
    assert judge(sentence) == "contradicted"


def test_what_stands_nowhere_is_doubtful(judge: Callable[..., Verdict]) -> None:
    assert judge("She takes 40 mg of something.", "She sleeps badly.") == "doubtful"


def test_what_another_passage_says_excuses_only_where_it_is_cited(
    make_passage: Callable[..., Passage],
) -> None:
    passages = {1: make_passage("Left knee hurts."), 2: make_passage("Right knee hurts.")}
    evidence = Evidence(passages)
    assert evidence.judge("Her right knee hurts.", [1]).verdict == "contradicted"
    assert evidence.judge("Her right knee hurts.", [1, 2]).verdict == "supported"


def test_what_two_passages_say_is_not_read_as_one_sentence(
    make_passage: Callable[..., Passage],
) -> None:
    passages = {1: make_passage("Left knee hurts."), 2: make_passage("Right shoulder aches.")}
    verdict = Evidence(passages).judge("Her right knee hurts.", [1, 2]).verdict
    assert verdict == "contradicted"


@pytest.mark.parametrize(
    ("sentence", "note"),
    [
        ("Her partner drives her to work.", "Her husband drives her to work."),
        ("Takes zolpidem 5 mg daily.", "Zolpidem 5 mg nightly."),
    ],
)
def test_a_wider_word_for_the_same_is_no_other_fact(
    judge: Callable[..., Verdict], sentence: str, note: str
) -> None:
    assert judge(sentence, note) == "supported"


def test_another_clients_name_does_not_go_with_this_ones_record(
    make_passage: Callable[..., Passage],
) -> None:
    mine = make_passage("Sleeps badly.")
    other = replace(make_passage("Sleeps well."), client_name="Dan Levi")
    evidence = Evidence({1: mine, 2: other})
    assert evidence.judge("Dan Levi sleeps badly.", [1]).verdict == "contradicted"
    assert evidence.judge("Noa Bar sleeps badly.", [1]).verdict == "supported"
    assert evidence.judge("Tal Bar sleeps badly.", [1]).verdict == "contradicted"
    assert evidence.judge("Noa Peretz sleeps badly.", [1]).verdict == "contradicted"
    for opening in ("On 14 October Noa", "Today Noa", "Dr Bar's client"):
        assert evidence.judge(f"{opening} sleeps badly.", [1]).verdict != "contradicted"


def test_the_date_of_the_session_supports(judge: Callable[..., Verdict]) -> None:
    assert judge("On 14 October 2025 she slept badly.", "Sleeps badly.") == "supported"


def test_nothing_is_held_against_a_sentence_that_cites_nothing() -> None:
    assert Evidence({}).judge("She takes 40 mg.", [1]).verdict == "supported"


def test_a_sentence_of_the_passage_is_supported_whatever_else_it_says(
    judge: Callable[..., Verdict],
) -> None:
    note = "Left knee hurts. Right knee hurts since May. Denies pain."
    assert judge("Left knee  hurts.".replace("  ", " "), note) == "supported"
    assert judge("Right knee hurts since May.", note) == "supported"


def test_half_a_sentence_of_it_may_say_the_reverse(judge: Callable[..., Verdict]) -> None:
    assert judge("suicidal thoughts.", "Denies suicidal thoughts.") == "contradicted"


@settings(deadline=None, max_examples=60)  # the machine may be busy
@given(WORDS, WORDS)
def test_no_words_make_it_fail(sentence: str, note: str) -> None:
    passage = Passage(
        record=RecordKey("session", UUID(int=1)),
        client_id=UUID(int=2),
        client_name="Noa Bar",
        session_date=None,
        field_name="plan",
        part=0,
        start=0,
        end=len(note),
        text=note,
        similarity=0.5,
    )
    assert Evidence({1: passage}).judge(sentence, [1]).verdict in get_args(Verdict)


def test_a_sentence_too_long_to_be_read_is_not_vouched_for(judge: Callable[..., Verdict]) -> None:
    assert judge("She sleeps badly " * 200 + ".", "She sleeps badly at home.") == "doubtful"


@pytest.fixture
def judge_labelled(make_passage: Callable[..., Passage]) -> Callable[[dict[str, str]], Verdict]:
    def judge(pair: dict[str, str]) -> Verdict:
        passage = replace(
            make_passage(pair["passage"]),
            client_name=pair["client"],
            session_date=datetime.fromisoformat(pair["date"]),
        )
        return Evidence({1: passage}).judge(pair["sentence"], [1]).verdict

    return judge


@pytest.mark.parametrize("kind", REMOVED)
def test_no_fewer_of_the_labelled_contradictions_are_removed_than_is_written(
    judge_labelled: Callable[[dict[str, str]], Verdict], kind: str
) -> None:
    of_kind = [pair for pair in LABELLED if (pair["label"], pair["kind"]) == ("contradicted", kind)]
    assert list(map(judge_labelled, of_kind)).count("contradicted") >= REMOVED[kind]


def test_every_kind_of_labelled_contradiction_is_counted() -> None:
    assert {pair["kind"] for pair in LABELLED if pair["label"] == "contradicted"} == set(REMOVED)


def test_hardly_any_labelled_faithful_sentence_is_removed_or_marked(
    judge_labelled: Callable[[dict[str, str]], Verdict],
) -> None:
    faithful = [pair for pair in LABELLED if pair["label"] == "supported"]
    verdicts = list(map(judge_labelled, faithful))
    assert verdicts.count("contradicted") <= 2
    assert verdicts.count("supported") >= len(faithful) - 7


def test_no_more_facts_of_a_sentence_are_read_than_stand_in_one_that_is_written(
    judge: Callable[..., Verdict],
) -> None:
    assert judge("1 " * 250, "1 " * 250 + ".") == "doubtful"


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("She had surgery on the left hip.", "Surgery on the right hip; left shoulder is fine."),
        ("She takes quetiapine.", "She was advised to take quetiapine but declined."),
        ("She agreed to take quetiapine.", "Quetiapine was offered; she refused it."),
        ("She takes lithium.", "She is considering lithium."),
        ("He stopped smoking.", "He hopes to stop smoking."),
        ("היא לוקחת סרוקוול.", "היא סירבה לקחת סרוקוול."),
        ("היא התחילה ליתיום.", "היא שוקלת להתחיל ליתיום."),
        ("הוא התחיל טיפול בליתיום.", "הוא טרם התחיל טיפול בליתיום."),
        ("She started sertraline.", "She has yet to start sertraline."),
        ("היא אושפזה.", "מעולם לא אושפזה."),
        ("יש לה מחשבות אובדניות.", "אין לה שום מחשבות אובדניות."),
        ("She drinks two glasses of wine a day.", "She drinks two glasses of wine a week."),
        ("היא שותה שתי כוסות יין ביום.", "היא שותה שתי כוסות יין בשבוע."),
        ("PHQ-9 rose from 9 to 18.", "PHQ-9 fell from 18 to 9."),
        ("Sertraline went from 50 mg to 100 mg.", "Sertraline went from 100 mg to 50 mg."),
        (
            "Lithium 600 mg in the morning and 300 mg at night.",
            "Lithium 300 mg in the morning, 600 mg at night.",
        ),
        ("Her anxiety is better.", "Her mood is better, anxiety is worse."),
        ("She attended the group.", "She failed to attend the group."),
        ("She is able to work.", "She is unable to work."),
        ("Sertraline helped.", "Only lithium helped; sertraline did not."),
        ("He attempted suicide.", "אחותו ניסתה להתאבד."),
    ],
)
def test_what_a_passage_says_the_reverse_of_is_never_supported(
    judge: Callable[..., Verdict], sentence: str, passage: str
) -> None:
    assert judge(sentence, passage) != "supported"


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("She does not take lithium.", "She is off lithium."),
        (
            "She restarted sertraline in May at 50 mg.",
            "Stopped sertraline in March; restarted in May at 50 mg.",
        ),
        (
            "She has two children, 4 and 7 years old.",
            "Married for 10 years, two children aged 4 and 7.",
        ),
        ("She drinks alcohol daily.", "She drinks a glass of wine every evening."),
        ("He was offered risperidone.", "He was offered risperidone but declined."),
        ("He declined risperidone.", "He was offered risperidone but declined."),
        ("השינה לא השתפרה.", "לא חל שיפור בשינה."),
        ("מצב הרוח לא השתנה.", "לא חל שינוי במצב הרוח."),
        ("היא לא עישנה אף פעם.", "מעולם לא עישנה."),
        ("Now 100 mg, up from 50 mg.", "Raised from 50 mg to 100 mg."),
    ],
)
def test_a_faithful_rewording_is_not_removed(
    judge: Callable[..., Verdict], sentence: str, passage: str
) -> None:
    assert judge(sentence, passage) != "contradicted"


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("Noa has diabetes.", "Her mother has diabetes."),
        ("Noa Bar takes lithium.", "Her boss takes lithium."),
        ("Noa drinks alcohol.", "Her sister Dana drinks alcohol."),
        ("Noa Bar drinks alcohol.", "Her sister Dana Bar drinks alcohol."),
        ("נועה לוקחת ליתיום.", "אמה לוקחת ליתיום."),
        ("לנועה יש סוכרת.", "לאמה יש סוכרת."),
        ("Noa told Dana that she drinks alcohol.", "Her sister Dana drinks alcohol."),
        ("Noa has diabetes.", "The mother of Noa has diabetes."),
        ("Noa drinks alcohol.", "Noa says her sister drinks alcohol."),
        ("נועה נוטלת ליתיום.", "נועה סיפרה שאמה נוטלת ליתיום."),
    ],
)
def test_what_is_said_of_a_relative_is_not_the_clients_for_being_told_by_name(
    make_passage: Callable[..., Passage], sentence: str, passage: str
) -> None:
    name = "נועה בר" if "נועה" in sentence else "Noa Bar"
    cited = {1: replace(make_passage(passage), client_name=name)}

    assert Evidence(cited).judge(sentence, cited).verdict == "contradicted"


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("Noa has diabetes.", "Has had diabetes since childhood."),
        ("Noa's mother has diabetes.", "Her mother has diabetes."),
        ("Her mother has diabetes.", "Noa Bar's mother has diabetes."),
        ("Noa told her mother about the abuse.", "Told her mother about the abuse."),
        ("Dana drinks alcohol.", "Her sister Dana drinks alcohol."),
    ],
)
def test_the_clients_name_is_read_as_the_client_and_a_relatives_as_the_relative(
    make_passage: Callable[..., Passage], sentence: str, passage: str
) -> None:
    cited = {1: replace(make_passage(passage), client_name="Noa Bar")}

    assert Evidence(cited).judge(sentence, cited).verdict == "supported"


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("She feels unsafe at home.", "She feels safe at home."),
        ("He sleeps badly since the holiday.", "He sleeps well since the holiday."),
        ("Her appetite is good.", "Her appetite is poor and she lost weight."),
        ("He has active suicidal ideation.", "He has passive suicidal ideation."),
        ("Bipolar disorder was confirmed.", "Bipolar disorder was ruled out."),
        ("Allergic to ibuprofen.", "Allergic to penicillin; tolerates ibuprofen."),
        ("היא ישנה רע מאז החג.", "היא ישנה טוב מאז החג."),
        ("התיאבון טוב.", "התיאבון ירוד והיא ירדה במשקל."),
        ("יש מחשבות אובדניות אקטיביות.", "יש מחשבות אובדניות פסיביות."),
        ("אלרגית לאיבופרופן.", "אלרגית לפניצילין; סובלת היטב איבופרופן."),
    ],
)
def test_a_quality_is_contradicted_by_its_opposite(
    judge: Callable[..., Verdict], sentence: str, passage: str
) -> None:
    assert judge(sentence, passage) == "contradicted"


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("Panic began before the accident.", "Panic began after the accident."),
        ("He drinks less than last year.", "He drinks more than last year."),
        ("The last attack was in March.", "The first attack was in March."),
        ("The younger brother is supportive.", "The older brother is supportive."),
        ("החרדה התחילה לפני התאונה.", "החרדה התחילה אחרי התאונה."),
        ("הוא שותה פחות מאשר אז.", "הוא שותה יותר מאשר אז."),
        ("האח הקטן תומך.", "האח הגדול תומך, הקטן מרוחק."),
    ],
)
def test_the_reverse_of_a_relation_is_only_doubtful_since_it_may_be_the_converse(
    judge: Callable[..., Verdict], sentence: str, passage: str
) -> None:
    assert judge(sentence, passage) == "doubtful"


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("She sleeps poorly; her mood is good.", "Her mood is good but her sleep is poor."),
        ("At work she feels unsafe.", "She feels safe at home and unsafe at work."),
        ("Energy is good and appetite is poor.", "Appetite is poor, energy is good."),
        ("He sleeps badly.", "He is not sleeping well."),
        ("She denies passive and active ideation.", "Passive ideation was denied; active too."),
        ("She did not go to work for 14 days.", "She did not go to work for two weeks."),
        ("He has been sober for six months.", "He has been sober for half a year."),
        ("השינה גרועה והתיאבון טוב.", "התיאבון טוב והשינה גרועה."),
        ("היא לא הייתה בעבודה 14 ימים.", "היא לא הייתה בעבודה שבועיים."),
    ],
)
def test_what_says_the_same_of_a_quality_or_a_time_is_supported(
    judge: Callable[..., Verdict], sentence: str, passage: str
) -> None:
    assert judge(sentence, passage) == "supported"

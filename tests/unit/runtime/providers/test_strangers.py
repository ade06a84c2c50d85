"""Whether a question names somebody of whom the passages are not: declined only where it is clear.

The practice is made up: Yael Cohen's notes are in Hebrew, Grace Rowe's in English.
"""

from __future__ import annotations

import pytest

from runtime.messages import ChatDocument
from runtime.providers.strangers import names_another, names_other_medication

ENGLISH = [ChatDocument(1, "Dana Levi, plan", "Her brother Tom sleeps badly.", "Dana Levi")]
MIXED = [
    ChatDocument(
        1,
        "יעל כהן, 2025-01-01, סובייקטיבי",
        "אלרגית לפניצילין, נוטלת ציפרלקס. דיברה על יוסי.",
        "יעל כהן",
    ),
    ChatDocument(
        2,
        "Grace Rowe, plan",
        "Wakes at 6. Her sister Ruth helps, and so does Miriam.",
        "Grace Rowe",
    ),
]


@pytest.mark.parametrize("question", ["Does Michael sleep?", "How is Michael's sleep?"])
def test_a_question_of_somebody_else_is_none_of_these_passages(question: str) -> None:
    assert names_another(question, ENGLISH)


@pytest.mark.parametrize(
    "question",
    [
        "Does Dana sleep?",
        "How is Tom's sleep?",
        "Does she sleep?",
        "Was it May?",
        "What was said about Monday's session, and of December?",
    ],
)
def test_whom_the_passages_speak_of_is_nobody_else(question: str) -> None:
    assert not names_another(question, ENGLISH)


@pytest.mark.parametrize("question", ["How is Mr. Goldberg doing?", "Did Ms Rosen sleep?"])
def test_whoever_has_a_title_is_somebody_against_hebrew_passages_too(question: str) -> None:
    assert names_another(question, MIXED)
    assert not names_another("How is Mrs. Cohen?", MIXED)


@pytest.mark.parametrize(
    "question",
    [
        "What is Dana Cohen allergic to?",
        "Is Zilpa Cohen allergic?",
        "When does Dana wake up?",
        "האם שרה כהן נוטלת Cipralex?",
        "האם Dana נוטלת ציפרלקס?",
        "מתי דנה מתעוררת?",
        "מה עלה אצל אברהם?",
        "מה אמר אברהם לוי?",
        "האם נועם שותה?",
    ],
)
def test_a_stranger_is_told_in_either_script(question: str) -> None:
    assert names_another(question, MIXED)


@pytest.mark.parametrize(
    "question",
    [
        "Is Yael allergic?",
        "What is Yael Cohen allergic to?",
        "האם יעל כהן נוטלת Cipralex?",
        "האם גרייס ישנה?",
        "מתי Grace מתעוררת?",
        "האם רות עוזרת?",
        "האם מרים עוזרת?",
        "מה אמר יוסף?",
    ],
)
def test_a_name_is_the_same_in_the_other_script_and_beside_its_pet_name(question: str) -> None:
    assert not names_another(question, MIXED)


@pytest.mark.parametrize(
    "question",
    [
        "Does Ritalin help?",
        "What about Covid?",
        "How was Christmas?",
        "What about London?",
        "Does Mrs. Cohen sleep?",
        "האם שירה עושה לה טוב?",
        "מתי חשה נועם?",
        "איזה ספר של שירה קראה?",
        "מי דנה בנושא?",
        "האם היא שרה?",
        "מה עם כהן?",
        "האם משפחת כהן באה?",
        "מה אמרה אחותה תמרה?",
        "איזה דוד ביקר?",
    ],
)
def test_what_may_be_no_name_or_no_clients_is_nobodys(question: str) -> None:
    assert not names_another(question, MIXED)


def test_one_name_of_which_the_passages_speak_is_enough() -> None:
    assert not names_another("Did Michael call about Grace?", MIXED)
    assert not names_another("האם אברהם פגש את יעל?", MIXED)


def test_only_whole_words_of_a_passage_are_a_hebrew_name() -> None:
    assert names_another(
        "מה עלה אצל דוד כהן?", [ChatDocument(1, "יעל כהן", "היא מודדת.", "יעל כהן")]
    )
    assert not names_another(
        "מה עלה אצל דוד כהן?", [ChatDocument(1, "יעל כהן", "כשדוד בא.", "יעל כהן")]
    )


SERTRALINE = [ChatDocument(1, "Noa", "Walks. Sertraline 50 mg since May.")]


@pytest.mark.parametrize("question", ["Does she take Zoloft?", "האם היא נוטלת לוסטרל?"])
def test_a_medication_is_known_by_its_other_names(question: str) -> None:
    assert not names_other_medication(question, SERTRALINE)


@pytest.mark.parametrize("question", ["Who takes lithium?", "מי נוטל ליתיום?"])
def test_what_is_said_of_another_medication_is_no_answer(question: str) -> None:
    assert names_other_medication(question, SERTRALINE)


def test_a_question_without_a_medication_is_of_none() -> None:
    assert not names_other_medication("Does she walk?", SERTRALINE)

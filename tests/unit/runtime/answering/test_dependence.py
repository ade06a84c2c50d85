"""Which questions lean on what was said before: conversations of both languages, labelled."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

import pytest

from runtime.answering.dependence import MOST_CHARACTERS, MOST_EARLIER, rule
from runtime.messages import Question, Turn

SLEEP = "How did Noa sleep last month?"
SLEEP_HE = "איך נועה ישנה בחודש שעבר?"
DOSE = "What dose of sertraline does Noa take?"
DOSE_HE = "איזה מינון של ציפרלקס נועה נוטלת?"
KNEE = "Is the pain in Dan's left knee better?"
KNEE_HE = "האם הכאב בברך שמאל של דן השתפר?"

Asked: TypeAlias = tuple[str, ...]
"""What the user said, in order; the last is the question."""

INDEPENDENT: list[Asked] = [
    (SLEEP, "What dose of sertraline does Noa take?"),
    (SLEEP, "Which clients reported panic attacks this month?"),
    (SLEEP, "Did Dana's mother visit before she moved to Haifa?"),
    (SLEEP, "Has Michael stopped smoking since his surgery?"),
    (SLEEP, "Who missed their last two sessions?"),
    (SLEEP, "List the clients who take lithium and their doses"),
    (SLEEP, "Summarize the sessions of Noa Bar in March 2025"),
    (DOSE, "Did the client say that she would come back?"),
    (DOSE, "What did Noa say about the medication when it was changed?"),
    (DOSE, "And which clients reported side effects of lithium this year?"),
    (SLEEP, "And Dana's mood?"),
    (KNEE, "How is Ruth's sleep this week?"),
    (KNEE, "What goals did Dan set for the spring?"),
    (SLEEP_HE, "איזה מינון של ציפרלקס נועה נוטלת?"),
    (SLEEP_HE, "אילו מטופלים דיווחו על התקפי פאניקה החודש הזה?"),
    (SLEEP_HE, "מה אמרה האמא של דנה על המעבר שלה לחיפה?"),
    (SLEEP_HE, "מי מהמטופלים לא הגיע לפגישה האחרונה שלו?"),
    (DOSE_HE, "סכם את הפגישות של רותי במרץ 2025"),
    (DOSE_HE, "האם המטופלת סיפרה שהיא מתכננת נסיעה לחוץ לארץ?"),
    (KNEE_HE, "מהן המטרות שדן קבע לתקופת האביב?"),
    (KNEE_HE, "ואילו מטופלים דיווחו על כאבי ראש ובחילות בעקבות תרופה?"),
    (KNEE_HE, "מה זה טיפול קוגניטיבי התנהגותי?"),
    (KNEE_HE, "מה הוא המינון המרבי של ליתיום אצל מטופלים מבוגרים?"),
    (KNEE_HE, "ורד דיווחה על שיפור בכאבי הגב?"),
]

JOINED: list[Asked] = [
    (SLEEP, "Why?"),
    (SLEEP, "Since when?"),
    (SLEEP, "And her appetite?"),
    (SLEEP, "Did she mention nightmares?"),
    (SLEEP, "What helped her fall asleep?"),
    (SLEEP, "What about work stress?"),
    (SLEEP, "Tell me more"),
    (SLEEP, "Anything else?"),
    (DOSE, "When did she start it?"),
    (DOSE, "Does it help?"),
    (DOSE, "Any side effects?"),
    (DOSE, "Did that cause nausea?"),
    (DOSE, "How long has this been going on?"),
    (DOSE, "And before the move?"),
    (KNEE, "What exercises did he get for it?"),
    (KNEE, "Is the same true of the right one?"),
    (KNEE, "What happened after that?"),
    (SLEEP_HE, "למה?"),
    (SLEEP_HE, "ממתי?"),
    (SLEEP_HE, "ומה עם התיאבון שלה?"),
    (SLEEP_HE, "מה לגבי העבודה?"),
    (SLEEP_HE, "האם היא סובלת מסיוטים?"),
    (SLEEP_HE, "מה עזר לה להירדם?"),
    (SLEEP_HE, "ספרי לי עוד"),
    (SLEEP_HE, "מה עוד?"),
    (DOSE_HE, "מתי זה התחיל?"),
    (DOSE_HE, "האם התרופה הזאת עוזרת?"),
    (DOSE_HE, "תופעות לוואי?"),
    (DOSE_HE, "ולמה העלו את המינון?"),
    (KNEE_HE, "אילו תרגילים הוא קיבל?"),
    (KNEE_HE, "ומה קרה אחרי זה?"),
    (KNEE_HE, "מה זה אומר?"),
    (KNEE_HE, "מה אמר לו הרופא?"),
]

OPEN: list[Asked] = [
    (SLEEP, "And in March?"),
    (SLEEP, "What about last week?"),
    (SLEEP, "How does Dana sleep?", "Which of them takes medication for it?"),
    ("Do Noa and Dana sleep well?", "Does she take anything for it?"),
    (SLEEP, DOSE, KNEE, "Does he take anything for it?"),
    (SLEEP, "Why?", "And since when?"),
    (DOSE, "When did she start it?", "Did it help?"),
    (DOSE, "What else does she take?", "And the second one?"),
    (SLEEP_HE, "ומה לגבי דנה?"),
    (SLEEP_HE, "ומה עם רותי כהן?"),
    (SLEEP_HE, "ובמרץ?"),
    (SLEEP_HE, "ומה היה בשבוע שעבר?"),
    (DOSE_HE, "מתי היא התחילה?", "וזה עזר?"),
    (KNEE_HE, "למה?", "ומה עזר לו?"),
    (DOSE_HE, "אילו עוד תרופות היא נוטלת?", "מה המינון של השנייה?"),
]

REPLACED: list[tuple[str, str, str]] = [
    (SLEEP, "And Dana?", "How did Dana sleep last month?"),
    (SLEEP, "What about Dana?", "How did Dana sleep last month?"),
    (KNEE, "and Ruth's?", "Is the pain in Ruth's left knee better?"),
]


def conversation(asked: Asked, *, answer: str = "She does [1].", scoped: bool = False) -> Question:
    *earlier, text = asked
    history = [turn for said in earlier for turn in (Turn("user", said), Turn("assistant", answer))]
    return Question(text, UUID(int=7) if scoped else None, history=tuple(history))


@pytest.mark.parametrize("asked", INDEPENDENT, ids=lambda asked: asked[-1])
def test_a_question_that_says_all_stays_as_it_is(asked: Asked) -> None:
    ruling = rule(conversation(asked))
    assert (ruling.verdict, ruling.text) == ("independent", asked[-1])


@pytest.mark.parametrize("asked", JOINED, ids=lambda asked: asked[-1])
def test_what_is_missing_is_taken_from_the_question_before(asked: Asked) -> None:
    ruling = rule(conversation(asked))
    assert (ruling.verdict, ruling.text) == ("joined", " ".join(asked[-2:]))


@pytest.mark.parametrize("asked", OPEN, ids=lambda asked: asked[-1])
def test_where_several_could_be_meant_the_rule_does_not_settle_it(asked: Asked) -> None:
    ruling = rule(conversation(asked))
    assert ruling.verdict == "open"
    assert ruling.text.endswith(asked[-1])
    assert asked[-2] in ruling.text


@pytest.mark.parametrize(("before", "asked", "expected"), REPLACED, ids=lambda text: text)
def test_a_bare_name_takes_the_place_of_the_one_before(
    before: str, asked: str, expected: str
) -> None:
    ruling = rule(conversation((before, asked)))
    assert (ruling.verdict, ruling.text) == ("joined", expected)


@pytest.mark.parametrize("asked", ["How does she sleep?", "איך היא ישנה?", "Allergies?"])
def test_with_a_client_given_she_is_that_client(asked: str) -> None:
    earlier = DOSE if asked.isascii() else DOSE_HE
    assert rule(conversation((earlier, asked), scoped=True)).verdict == "independent"
    assert rule(conversation((earlier, asked))).verdict == "joined"
    assert rule(conversation((earlier, "Why?"), scoped=True)).verdict == "joined"


def test_without_a_conversation_there_is_nothing_to_lean_on() -> None:
    assert rule(Question("Why?")).verdict == "independent"
    greeted = Question("Why?", history=(Turn("assistant", "Hello, ask me anything."),))
    assert rule(greeted).verdict == "independent"


def test_after_a_long_answer_that_may_be_one_of_many_things() -> None:
    asked = (DOSE, "Did that cause nausea?")
    assert rule(conversation(asked)).verdict == "joined"
    assert rule(conversation(asked, answer="She takes it [1]. " * 40)).verdict == "open"


def test_a_long_question_brings_its_own_words() -> None:
    asked = (SLEEP, "Why? " + "She spoke of it at length and more than once. " * 7)
    assert rule(conversation(asked)).verdict == "independent"


def test_the_text_is_bounded() -> None:
    asked = (*(f"{n} and her? " + "word " * 700 for n in range(6)), "Why?")
    text = rule(conversation(asked)).text
    assert text.endswith("Why?")
    assert len(text) <= (MOST_EARLIER + 1) * (MOST_CHARACTERS + 1)

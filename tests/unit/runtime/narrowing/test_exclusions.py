"""Clients and times that a question looks beyond hide nothing; what it asks of still narrows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from runtime.messages import NamedClient, SearchScope
from runtime.narrowing.narrow import Narrowing, narrow

if TYPE_CHECKING:
    from runtime.messages import Language

NAMES = ["Maya Thornton", "Maya Levi", "Grace Rowe", "Olga Beck", "מאיה לוי", "דנה בן-ארי"]
NAMED = [NamedClient(UUID(int=number), name) for number, name in enumerate(NAMES, start=1)]
CLIENT = UUID(int=99)
TODAY = date(2025, 11, 19)

BEYOND = [
    "Who else besides Olga Beck takes lithium?",
    "Who other than Olga Beck takes lithium?",
    "Everyone except Olga Beck who takes lithium?",
    "Everyone but Olga Beck who takes lithium?",
    "All my clients but Olga Beck?",
    "Compare Olga Beck with the rest",
    "Compare Olga Beck to everyone else",
    "Compare Olga Beck's progress with my other clients",
    "How does Olga Beck compare to other clients?",
    "How does Olga Beck differ from the others?",
    "Which of my clients sleeps as badly as Olga Beck?",
    "Which client is afraid of Olga Beck?",
    "Which client mentioned Olga Beck?",
    "Which client is married to Olga Beck?",
    "Who mentioned Olga Beck?",
    "Who is married to Olga Beck?",
    "Who's afraid of Olga Beck?",
    "Who is afraid of Ms. Beck?",
    "Who talked about Olga Beck's divorce?",
    "Whose notes mention Olga Beck?",
    "Does any client know Olga Beck?",
    "Has anyone mentioned Olga Beck?",
    "Is anyone related to Olga Beck?",
    "Who sleeps worse than Olga Beck?",
    "Anyone similar to Olga Beck?",
    "Clients like Olga Beck",
    "Do I have another client with symptoms like Olga Beck's?",
    "Apart from Mrs. Beck, who takes lithium?",
    "Who takes lithium, excluding Olga Beck?",
    "Who takes lithium, but not Olga Beck?",
    "Who takes lithium? Not Olga Beck.",
    "Who, not counting Olga Beck, takes lithium?",
    "In whose sessions was Olga Beck mentioned?",
    "When was Olga Beck mentioned?",
    "Is Olga Beck the only one of my clients on lithium?",
    "Does Olga Beck drink more than any of my clients?",
    "What do my other clients have that Olga Beck has?",
    "What did she say about Olga Beck?",
    "Is he afraid of Olga Beck?",
    "How did the group go without Olga Beck?",
    "Aside from my client Olga Beck, who takes lithium?",
    "Find patients who complain about Olga Beck",
    "List all clients who know Olga Beck",
    "Tell me who knows Olga Beck",
    "How is Olga Beck? Who else besides her takes lithium?",
    "Unlike Olga Beck, who takes no medication?",
    "מי מלבד מאיה לוי לוקח ליתיום?",
    "אילו מטופלים חוץ ממאיה לוי לוקחים ליתיום?",
    "מי חוץ ממאיה לוקח ליתיום?",
    "כולם פרט למאיה לוי",
    "כל המטופלים למעט מאיה לוי",
    "מי עוד כמו מאיה לוי לוקח ליתיום?",
    "מי לוקח ליתיום ולא מאיה לוי?",
    "השווי את מאיה לוי לשאר המטופלים",
    "השווה את מאיה לוי לכולם",
    "השווה בין מאיה לוי לכל השאר",
    "במה מאיה לוי שונה מהאחרים?",
    "מי מפחד ממאיה לוי?",
    "מי הזכיר את מאיה לוי?",
    "איזה מטופל נשוי למאיה לוי?",
    "אילו מטופלים הזכירו את מאיה לוי?",
    "איזו מטופלת מפחדת ממאיה לוי?",
    "אצל מי הוזכרה מאיה לוי?",
    "מתי הוזכרה מאיה לוי?",
    "האם יש מטופל שמכיר את מאיה לוי?",
    "מי נשוי למאיה לוי?",
    "מי מדבר על מאיה לוי?",
    "מה היא אמרה על מאיה לוי?",
    "מי ישן פחות טוב ממאיה לוי?",
    "איזה מטופלים דומים למאיה לוי?",
    "מישהו הזכיר את מאיה לוי?",
    "מה אמרה מאיה לוי? מי עוד מלבדה לוקח ליתיום?",
    "להוציא את מאיה לוי, מי לוקח ליתיום?",
    "מי, חוץ מהמטופלת מאיה לוי, לוקח ליתיום?",
    "מי לוקח ליתיום במקום מאיה לוי?",
    "Who knows about Olga Beck's divorce?",
    "Who is afraid of Olga Beck's dog?",
    "מי מפחד מהכלב של מאיה לוי?",
    "Who is the client that fears Olga Beck?",
    "Which clients other than Maya take lithium?",
    "Which client lives near Olga Beck?",
    "who else besides olga beck takes lithium",
    "WHO BESIDES OLGA BECK TAKES LITHIUM",
    "מי מלבד Olga Beck לוקח ליתיום?",
    "Who besides מאיה לוי takes lithium?",
    "Who besides Maya Thornton and Grace Rowe takes lithium?",
    "Leave out Olga Beck: who takes lithium?",
    "Leaving Olga Beck aside, who takes lithium?",
    "Who takes lithium apart from Olga?",
    "Which clients, Olga Beck excluded, take lithium?",
    "Ignore Olga Beck, who else sleeps badly?",
    "Is anybody more anxious than Olga Beck?",
    "Show me clients with the same diagnosis as Olga Beck",
    "Which clients share Olga Beck's diagnosis?",
    "Anyone else with Olga Beck's problem?",
    "Who else, like Olga Beck, lost a parent?",
    "Has any other client the same fear as Olga Beck?",
    "Do I treat anyone who knows Olga Beck?",
    "Do I have a client who knows Olga Beck?",
    "How many clients know Olga Beck?",
    "Who are Olga Beck's friends among my clients?",
    "People who talk about Olga Beck",
    "Not Olga Beck, the other one with insomnia",
    "Except for Olga, who missed sessions?",
    "With the exception of Olga Beck, who takes lithium?",
    "Who is worse off than Maya?",
    "What do others say about Olga Beck?",
    "What is said about Olga Beck in other clients' notes?",
    "Who takes the same drug as Olga?",
    "Which clients take what Olga Beck takes?",
    "מי עוד חוץ ממאיה?",
    "בלי מאיה לוי, מי לוקח ליתיום?",
    "מי עוד לוקח ליתיום כמו מאיה לוי?",
    "מישהו אחר עם אותה בעיה כמו של מאיה לוי?",
    "אילו מטופלים לוקחים אותה תרופה כמו מאיה לוי?",
    "מי לוקח אותה תרופה שמאיה לוי לוקחת?",
    "מה מטופלים אחרים אומרים על מאיה לוי?",
    "למעט מאיה, מי לא ישן?",
    "לא מאיה לוי, מי עוד?",
    "מי מהמטופלים מכיר את מאיה לוי?",
    "מי מהמטופלים שלי דומה למאיה לוי?",
    "כמה מטופלים מכירים את מאיה לוי?",
    "בהשוואה למאיה לוי, מי ישן טוב?",
    "תמצאי מטופלים עם אבחנה כמו של מאיה לוי",
]

OF_THE_CLIENT = [
    "Who did Maya Thornton meet?",
    "Who is Maya Thornton?",
    "Who is Olga Beck's husband?",
    "Who's Olga Beck's psychiatrist?",
    "Who in Olga Beck's family has diabetes?",
    "Who else in Maya Thornton's family is anxious?",
    "Who referred Olga Beck?",
    "Who prescribed Maya Levi her sertraline?",
    "Who diagnosed Olga Beck with ADHD?",
    "Whose advice did Olga Beck follow?",
    "What else did Maya Thornton say besides the headaches?",
    "Besides her headaches, what did Olga Beck report?",
    "What did Olga Beck say about anyone else?",
    "Did Olga Beck compare herself with others?",
    "Compare Maya Thornton and Grace Rowe",
    "Compare Olga Beck's sleep with the rest of her symptoms",
    "Does Grace Rowe sleep better than Maya Thornton?",
    "Who sleeps better, Maya Thornton or Grace Rowe?",
    "Which of my clients sleeps better, Maya Thornton or Grace Rowe?",
    "Which medication does Olga Beck take?",
    "Which medication made Olga Beck dizzy?",
    "What does Olga Beck like?",
    "I would like Olga Beck's last summary",
    "Does Olga Beck get along with other people?",
    "How is Olga Beck doing compared to March?",
    "What did Olga Beck say about her mother, who left?",
    "What did Olga Beck say without crying?",
    "Has anyone in Olga Beck's family had cancer?",
    "Who is the emergency contact of Olga Beck's family?",
    "What does Olga Beck feel about the man who hit her?",
    "How does Olga Beck differ from last year?",
    "Why did Olga Beck not come?",
    "What triggers Olga Beck?",
    "What did I say to Olga Beck?",
    "What did we decide about Olga Beck?",
    "Summarise the case of Olga Beck",
    "Is Olga Beck afraid of anyone?",
    "Which clients did Olga Beck mention?",
    "Remind me who Olga Beck lives with",
    "List every medication of Olga Beck",
    "Show me all notes of Olga Beck",
    "Is there a risk for Olga Beck?",
    "What did she report, Olga Beck?",
    "את מי הזכירה מאיה לוי?",
    "עם מי מאיה לוי גרה?",
    "מי זאת מאיה לוי?",
    "מי הבעל של מאיה לוי?",
    "מי אמא של מאיה לוי?",
    "מי בן הזוג של מאיה לוי?",
    "מי במשפחה של מאיה לוי חולה?",
    "מי הפנה את מאיה לוי?",
    "מי הפסיכיאטר של מאיה לוי?",
    "למי סיפרה מאיה לוי?",
    "חוץ מכאבי ראש, על מה התלוננה מאיה לוי?",
    "חוץ מכאבים מה מאיה לוי דיווחה?",
    "פרט על מאיה לוי",
    "איזה טיפול קיבלה מאיה לוי?",
    "אילו תרופות נותנים למאיה לוי?",
    "מאיה לוי ודנה בן-ארי: מי ישנה טוב יותר?",
    "מי ישנה טוב יותר, מאיה לוי או דנה בן-ארי?",
    "השווי את מאיה לוי לדנה בן-ארי",
    "כמו שמאיה לוי אמרה, מה התוכנית?",
    "מה מאיה לוי לא אמרה?",
    "איך מאיה לוי מרגישה בהשוואה לחודש שעבר?",
    "כל הפגישות של מאיה לוי",
    "מה כל התרופות של מאיה לוי?",
    "השווי את השינה של מאיה לוי לשאר התסמינים",
    "מה מאיה לוי אומרת על אנשים אחרים?",
    "יש לי פגישה עם מאיה לוי, מה לזכור?",
    "Who does Olga Beck's morning routine?",
    "Who pays for Olga Beck's sessions?",
    "Who is the husband of Olga Beck?",
    "מי לוקח את הבקרים של מאיה לוי?",
    "מי משלם על הטיפולים של מאיה לוי?",
    "Does anyone in Olga Beck's family drink?",
    "What is each of Olga Beck's children like?",
    "What happened to Olga Beck besides the divorce?",
    "What did Olga Beck say that she has not told anyone?",
    "Is Olga Beck sleeping better than last month?",
    "Has Olga Beck improved since she started lithium?",
    "Does Olga Beck live alone or with someone else?",
    "Whom does Olga Beck trust?",
    "What medications besides lithium does Olga Beck take?",
    "Who was with Olga Beck's son at the hospital?",
    "Which sessions of Olga Beck dealt with grief?",
    "Does Olga Beck have other people to talk to?",
    "Which other medications has Olga Beck tried?",
    "Did Olga Beck mention her brother?",
    "How does Olga Beck like her new job?",
    "What does everyone in Olga Beck's family do?",
    "Can Olga Beck and Grace Rowe be in the same group?",
    "What did Grace Rowe say about Olga Beck?",
    "Does Olga Beck take any of the drugs that my other notes warn of?",
    "Who, according to Olga Beck, hurt her?",
    "Has Olga Beck ever been without medication?",
    "Is there anyone Olga Beck trusts?",
    "Did anything but alcohol help Olga Beck?",
    "Did she, Olga Beck, ever drink?",
    "מה דנה בן-ארי אמרה על מאיה לוי?",
    "איזה מטופל הזכירה מאיה לוי?",
    "על מי מאיה לוי כועסת?",
    "איך מאיה לוי בהשוואה לפגישה הקודמת?",
    "האם יש למאיה לוי אלרגיות?",
    "כמה פגישות היו למאיה לוי?",
    "כל מה שנאמר על מאיה לוי",
    "מי הם האנשים הקרובים של מאיה לוי?",
    "מה עוד סיפרה מאיה לוי?",
]

NO_TIME = [
    "Which clients have I not seen in the last 3 months?",
    "Which clients haven't I seen in the last 3 months?",
    "Who has not come since last month?",
    "Who hasn't come this month?",
    "Who didn't attend in the last two weeks?",
    "Whom did I not see last month?",
    "Which clients have had no sessions since March?",
    "Which clients had no appointment last month?",
    "Who has not had a session since March?",
    "Who stopped coming last month?",
    "Who dropped out in the last 3 months?",
    "Who went without a visit last month?",
    "Who has never returned since March?",
    "Who was not seen last week?",
    "Nobody heard from whom since March?",
    "How was Dana before the change of last month?",
    "How was Dana before the change last month?",
    "How was she after the surgery last month?",
    "How was she after surgery last month?",
    "How has she slept since the move in March 2025?",
    "How was she before she moved in October?",
    "What did she say before starting lithium last month?",
    "What did she report besides last month?",
    "What did she report except in March 2025?",
    "What did she report other than last week?",
    "What did we do except in the last session?",
    "What did we do besides the last session?",
    "What did she say not in the last month?",
    "How was she before the session of 12 March 2025?",
    "מי לא הגיע בחודש האחרון?",
    "מי לא הגיעה מאז מרץ?",
    "את מי לא ראיתי בשלושת החודשים האחרונים?",
    "עם מי לא נפגשתי בחודש האחרון?",
    "אילו מטופלים לא היו בפגישה בחודש האחרון?",
    "למי לא הייתה פגישה בחודש שעבר?",
    "מי הפסיק להגיע בחודש שעבר?",
    "אצל מי אין פגישות מאז ינואר?",
    "מי טרם הגיע החודש?",
    "איך דנה הייתה לפני השינוי של חודש שעבר?",
    "איך היא ישנה לפני השינוי בחודש שעבר?",
    "איך היא מאז הניתוח בחודש שעבר?",
    "מה היא דיווחה אחרי שעברה דירה בחודש שעבר?",
    "מה דיווחה חוץ מהחודש האחרון?",
    "מה דיווחה מלבד בשבוע שעבר?",
    "מה עשינו מלבד הפגישה האחרונה?",
    "Who is not back since last month?",
    "Which clients did I last see before March?",
    "Who has not been here for the last month?",
    "Any clients I haven't met with in the last month?",
    "Who never came back after last month?",
    "Clients I did not see this year",
    "Who skipped the last month?",
    "Who has gone quiet since March?",
    "Which clients have no notes since last month?",
    "How was Dana prior to the change of medication in March?",
    "What was Dana like up until the accident last month?",
    "What did she say apart from in March 2025?",
    "מי לא היה אצלי בחודש האחרון?",
    "מי לא הגיעו השנה?",
    "מי נעלם מאז מרץ?",
    "אילו מטופלים לא ראיתי מאז ינואר?",
    "מי לא חזר אחרי החודש שעבר?",
    "מי לא היה בטיפול בחודש האחרון?",
    "עם מי לא דיברתי בחודש האחרון?",
    "למי אין תיעוד מהחודש האחרון?",
    "לפני המעבר של חודש שעבר איך היא ישנה?",
]

A_TIME = [
    "What did she say last month?",
    "Who did not sleep well last week?",
    "Which clients did not mention pain last month?",
    "Who has not taken lithium in the last 3 months?",
    "Who hasn't slept since last month?",
    "What did she say since March?",
    "How has she been since the beginning of last month?",
    "How has she been before the end of last month?",
    "What did she report after the middle of March 2025?",
    "How did she sleep after work this week?",
    "What did she say in 2024 except in March?",
    "What did she report in March but not in April?",
    "What came up in the last session?",
    "Who came last week?",
    "Did she see a doctor in the last month?",
    "Who did not see a doctor in the last month?",
    "Did she feel better before March and in the last week?",
    "What changed in the last month for the better?",
    "Was she or was she not anxious last week?",
    "Did she sleep well or not last week?",
    "מה דיווחה בחודש האחרון?",
    "מי לא ישן טוב בשבוע שעבר?",
    "מי הגיע בחודש האחרון?",
    "מה עלה לפני חודשיים ובשבוע שעבר?",
    "איך היא מאז תחילת החודש שעבר?",
    "מה עלה בפגישה האחרונה?",
    "מי לא לקח תרופות בחודש האחרון?",
    "האם ישנה טוב או לא בשבוע שעבר?",
    "What did she not tell me last month?",
    "What did we not manage last week?",
    "Why is she not sleeping this week?",
    "Has she not eaten in the last week?",
    "What did she say about her mother last month?",
    "Who reported no sleep last month?",
    "What did she report in the first week of last month?",
    "What do the notes of last month say?",
    "Which clients started medication in the last month?",
    "Who mentioned no one last week?",
    "מה לא סיפרה בחודש שעבר?",
    "מה היא סיפרה על הילדים בשבוע שעבר?",
]


def ask(question: str, client_id: UUID | None = None) -> Narrowing:
    language: Language = "he" if any("א" <= char <= "ת" for char in question) else "en"
    return narrow(question, client_id=client_id, named=NAMED, today=TODAY, language=language)


@pytest.mark.parametrize("question", BEYOND)
def test_a_client_whom_a_question_looks_beyond_hides_no_other(question: str) -> None:
    asked = ask(question)

    assert asked.scope.clients is None
    assert not asked.by_name


@pytest.mark.parametrize("question", OF_THE_CLIENT)
def test_a_client_whom_a_question_is_about_narrows(question: str) -> None:
    assert ask(question).scope.clients


@pytest.mark.parametrize("question", NO_TIME)
def test_a_time_that_a_question_looks_beyond_hides_nothing(question: str) -> None:
    asked = ask(question, CLIENT)

    assert asked == Narrowing(SearchScope(frozenset((CLIENT,))))


@pytest.mark.parametrize("question", A_TIME)
def test_a_time_that_a_question_is_about_narrows(question: str) -> None:
    scope = ask(question, CLIENT).scope

    assert scope.since or scope.until


def test_the_time_that_is_left_when_another_is_excepted_narrows() -> None:
    scope = ask("What did she say in 2024 except in March?", CLIENT).scope

    assert scope.since == datetime(2024, 1, 1, tzinfo=UTC)
    assert scope.until == datetime(2025, 1, 1, tzinfo=UTC)


def test_a_client_who_is_given_stays_whoever_is_excepted() -> None:
    scope = ask("Who besides Olga Beck worries her?", CLIENT).scope

    assert scope.clients == frozenset((CLIENT,))


def test_a_name_of_which_only_a_word_is_excepted_hides_no_other() -> None:
    assert ask("Who besides Maya takes lithium?").scope.clients is None
    assert ask("What did Grace take besides lithium?").scope.clients == frozenset((NAMED[2].id,))


def test_a_name_in_the_other_script_that_is_excepted_hides_no_other() -> None:
    noam = NamedClient(UUID(int=7), "נועם")

    def choose(question: str) -> frozenset[UUID] | None:
        asked = narrow(question, client_id=None, named=[noam], today=TODAY, language="en")
        return asked.scope.clients

    assert choose("Does Noam take lithium?") == frozenset((noam.id,))
    assert choose("Who is with Noam in the group?") is None
    assert choose("What is known about Noam besides the divorce?") == frozenset((noam.id,))

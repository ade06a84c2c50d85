"""Which clients a question means: whole names, single ones that can mean no other thing."""

from __future__ import annotations

from uuid import UUID

import pytest

from runtime.messages import NamedClient
from runtime.narrowing.mentions import choose_meant
from tests.unit.runtime.narrowing.naming import name_meant

NAMES = [
    "Maya Thornton",
    "Maya Levi",
    "Grace Rowe",
    "Will Cross",
    "May Ellison",
    "Mark Summers",
    "Olga Beck",
    "Sean O'Neill",
    "Tom Ben-Ari",
    "Anna Maria Keller",
    "Rose Price",
    "José García",
    "Ian Thornton",
    "מאיה לוי",
    "דנה בן-ארי",
    "שיר גולן",
    "אור כהן",
    "טל ברק",
    "מיכל אזולאי",
    "יעל שמש",
    "תקווה חיים",
    "איתן כץ",
    "עידו נחום",
    "גיל מזרחי",
]
USUAL = frozenset(("price", "cross", "mark"))
"""As if they stood in many clients' notes."""

MEANT = {
    # whole names
    "What did Maya Thornton report?": "Maya Thornton",
    "what did maya thornton report": "Maya Thornton",
    "Thornton, Maya: last notes": "Maya Thornton",
    "Maya R. Thornton's medication?": "Maya Thornton",
    "Maya Rose Thornton's medication?": "Maya Thornton",
    "MAYA THORNTON": "Maya Thornton",
    "How is Anna Keller?": "Anna Maria Keller",
    "How is Anna Maria?": "Anna Maria Keller",
    "Does Grace Rowe sleep?": "Grace Rowe",
    "Did Will Cross come?": "Will Cross",
    "Sean O’Neill's knee": "Sean O'Neill",
    "sean oneill knee pain": "Sean O'Neill",
    "Goals of Tom Ben Ari?": "Tom Ben-Ari",
    "Goals of Ben-Ari?": "Tom Ben-Ari / דנה בן-ארי",
    "How is Jose Garcia?": "José García",
    "Compare Maya Thornton and Grace Rowe": "Maya Thornton / Grace Rowe",
    "מה אמרה מאיה לוי?": "Maya Levi / מאיה לוי",
    "מה אמרה תקווה על השינה שלה?": "תקווה חיים",
    "מתי התחיל אור לקחת לוסטרל?": "אור כהן",
    "מה אמרתי למאיה לוי?": "Maya Levi / מאיה לוי",
    "מה עלה אצל דנה בן ארי?": "דנה בן-ארי",
    "מה עלה אצל דנה בן־ארי?": "דנה בן-ארי",
    "מה שלומו של אור כהן?": "אור כהן",
    "כששיר גולן התלוננה, מה עשינו?": "שיר גולן",
    "לוי מאיה - סיכום": "Maya Levi / מאיה לוי",
    "האם טָל בָּרָק ישן?": "טל ברק",
    "מאיה לוי ודנה בן-ארי: מי ישנה טוב יותר?": "Maya Levi / מאיה לוי / דנה בן-ארי",
    # one word
    "What did Maya report?": "Maya Thornton / Maya Levi / מאיה לוי",
    "what did maya report?": "Maya Thornton / Maya Levi",
    "Maya's sleep": "Maya Thornton / Maya Levi / מאיה לוי",
    "What did Maya T. report?": "Maya Thornton",
    "Did M. Thornton call?": "Maya Thornton",
    "How does Thornton sleep?": "Maya Thornton / Ian Thornton",
    "How does Mr. Thornton sleep?": "Maya Thornton / Ian Thornton",
    "Did Grace sleep?": "Grace Rowe",
    "How is Grace's sleep?": "Grace Rowe",
    "Grace's sleep": "Grace Rowe",
    "Did Will report pain?": "Will Cross",
    "What does May Ellison want?": "May Ellison",
    "Did May feel better?": "May Ellison",
    "How did Mark respond?": "Mark Summers",
    "Did Mrs. Price pay?": "Rose Price",
    "Did Maya and Grace meet?": "Maya Thornton / Maya Levi / Grace Rowe / מאיה לוי",
    "How is Maya's mother?": "Maya Thornton / Maya Levi / מאיה לוי",
    "Did O'Neill stretch?": "Sean O'Neill",
    "מה מיכל דיווחה?": "מיכל אזולאי",
    "מה אמרתי למיכל?": "מיכל אזולאי",
    "ושל מיכל?": "מיכל אזולאי",
    "ומיכל?": "מיכל אזולאי",
    "כשמיכל ישנה, האם היא חולמת?": "מיכל אזולאי",
    "האם איתן ישן?": "איתן כץ",
    "הפגישה עם שיר": "שיר גולן",
    "מה המצב של אור?": "אור כהן",
    "מה טל סיפר?": "טל ברק",
    "מה עם תקווה?": "תקווה חיים",
    "מה אצל מר אזולאי?": "מיכל אזולאי",
    "איך ישן איתן החודש?": "איתן כץ",
    "מה יעל ועידו אמרו?": "יעל שמש / עידו נחום",
    "What did מיכל report?": "מיכל אזולאי",
    # one beside another
    "Will and Olga's sessions": "Will Cross / Olga Beck",
    "Grace or Olga: who sleeps worse?": "Grace Rowe / Olga Beck",
    "Did Olga and May meet?": "May Ellison / Olga Beck",
    "מי ישן גרוע יותר, שיר או מיכל?": "שיר גולן / מיכל אזולאי",
    "מה משותף לאור ומיכל?": "אור כהן / מיכל אזולאי",
    "מה משותף לטל ולמיכל?": "טל ברק / מיכל אזולאי",
    "מה ההבדל בין שיר למיכל?": "שיר גולן / מיכל אזולאי",
    "מיכל לעומת אור": "אור כהן / מיכל אזולאי",
    "Did Olga and will power help?": "Olga Beck",
    "מה Grace דיווחה?": "Grace Rowe",
}

NOT_MEANT = [
    "Will she sleep better?",
    "will cross training help?",
    "May I see the notes?",
    "What happened in May?",
    "How was she since May 5?",
    "Who found grace in prayer?",
    "Grace under pressure is her theme",
    "What is the mark on her arm?",
    "What is the Price of a session?",
    "Whose pain rose?",
    "What was the Beck Depression Inventory score?",
    "What was her Beck score?",
    "Who saw Dr. Thornton?",
    "What did she say about her sister Maya?",
    "Who has a dog named Grace?",
    "Who read Maya Angelou?",
    "Did Aaron Beck write it?",
    "Did John Thornton call?",
    "Did Maya Z. call?",
    "did grace levi call?",
    "Who moved to Thornton?",
    "Who fell in Ellison?",
    "What Is The Mark Of A Good Rose?",
    "How is Ben?",
    "Did Rowena call?",
    "Whose summers are hard?",
    "מה הגיל שלה?",
    "בגיל כמה עברה ניתוח?",
    "מה גיל המטופלת?",
    "מי אוהב שיר מולדת?",
    "האם יש אור בקצה המנהרה?",
    "לאור הממצאים, מה התוכנית?",
    "האם יש תקווה?",
    "מי חי חיים טובים?",
    "מי טייל בגולן?",
    "מה עם ברק ורעם?",
    "האם שמש מזיקה לה?",
    "מה אמרה על אחותה מיכל?",
    'מה אמר ד"ר אזולאי?',
    "מה אמרה מיכל רוזנברג?",
    "מה אמרה מיכל לוינסון?",
    "מה אמרה מיכל סער?",
    "למי יש בן איתן?",
    "מי בן עשרים?",
    "מה אמרה מיכלי?",
    "מי סובל מכאבים?",
    "באיזה גיל התחילה החרדה?",
    "מי תיאר תקווה?",
    "האם תיאר שיר של ילדים?",
    "מי יעל לטיפול?",
    "",
]


@pytest.mark.parametrize("question", MEANT)
def test_a_client_who_is_named_is_meant(question: str) -> None:
    assert name_meant(question, NAMES, usual=USUAL) == MEANT[question]


@pytest.mark.parametrize("question", NOT_MEANT)
def test_a_word_that_may_be_anything_else_means_no_client(question: str) -> None:
    assert name_meant(question, NAMES, usual=USUAL) == ""


def test_the_longer_of_two_whole_names_is_meant() -> None:
    named = [
        NamedClient(UUID(int=0), "Maria Keller"),
        NamedClient(UUID(int=1), "Anna Maria Keller"),
    ]

    assert choose_meant("What did Anna Maria Keller say?", named) == {UUID(int=1)}
    assert choose_meant("What did Maria Keller say?", named) == {UUID(int=0), UUID(int=1)}


def test_a_name_as_it_stands_is_meant_before_one_without_its_first_letter() -> None:
    named = [NamedClient(UUID(int=0), "לירון כץ"), NamedClient(UUID(int=1), "ירון כץ")]

    assert choose_meant("האם לירון ישן?", named) == {UUID(int=0)}
    assert choose_meant("האם לירון ישן?", named[1:]) == {UUID(int=1)}


def test_all_clients_of_one_name_are_meant() -> None:
    twins = [NamedClient(UUID(int=number), "Maya Thornton") for number in range(2)]

    assert choose_meant("What did Maya Thornton say?", twins) == {UUID(int=0), UUID(int=1)}


def test_a_word_that_is_usual_in_the_notes_needs_a_capital() -> None:
    seen = [NamedClient(UUID(int=0), "Quill Rowe", frozenset({"quill"}))]
    unseen = [NamedClient(UUID(int=0), "Quill Rowe")]

    assert choose_meant("did quill write?", seen) == frozenset()
    assert choose_meant("did quill write?", unseen) == {UUID(int=0)}
    assert choose_meant("did Quill write?", seen) == {UUID(int=0)}


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("שבת לוי", "מה קרה בשבת?"),
        ("מאי לב", "מה קרה במאי?"),
        ("יולי לב", "מה השתנה ביולי?"),
        ("אלה ורד", "מה אלה התסמינים?"),
        ("אלה ורד", "אלה תרופות ניתנו?"),
        ("שרה לב", "מי שרה במקהלה?"),
        ("אושר כץ", "מי חווה אושר?"),
        ("דניאל בן דוד", "מי בן דוד של המטופל?"),
    ],
)
def test_a_word_of_another_meaning_is_told_by_what_stands_beside_it(
    name: str, question: str
) -> None:
    assert name_meant(question, [name]) == ""


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("מאי לב", "מה אמרה מאי במאי?"),
        ("אלה ורד", "האם אלה סיפרה על העבודה?"),
        ("שרה לב", "מה שרה סיפרה?"),
        ("דניאל בן דוד", "מה אמר דניאל בן דוד?"),
        ("גיל בר", "מה גיל אמר?"),
    ],
)
def test_the_same_name_is_meant_where_a_person_stands(name: str, question: str) -> None:
    assert name_meant(question, [name]) == name

"""Which Hebrew words that are also names are the subject of what only people do."""

from __future__ import annotations

from uuid import UUID

import pytest

from runtime.messages import NamedClient
from runtime.name_words import list_asked_words, list_name_words
from runtime.narrowing.mentions import choose_meant

NAMES = """
    נועם אלקיים, שירה לוי, אביב כהן, טל ברק, גל דיין, רון שגב, חן מזרחי, אור כהן, תקווה חיים,
    שמחה פרץ, שיר גולן, ישראל סבן, ירדן הדר, שחר אופיר, תמר גבאי
"""

MEANT = """
    למה רגיש נועם?=נועם אלקיים
    האם נועם רגיש לפניצילין?=נועם אלקיים
    האם רגיש נועם לאגוזים?=נועם אלקיים
    האם נועם שותה אלכוהול?=נועם אלקיים
    מה שותה נועם?=נועם אלקיים
    מתי מתעורר נועם?=נועם אלקיים
    מתי נועם מתעורר בבוקר?=נועם אלקיים
    איפה נועם עובד?=נועם אלקיים
    איך ישנה שירה?=שירה לוי
    האם שירה ישנה טוב?=שירה לוי
    מתי אושפזה שירה?=שירה לוי
    שירה מעשנת.=שירה לוי
    מתי טל נרדם?=טל ברק
    כמה גל מעשן?=גל דיין
    איפה גר רון?=רון שגב
    למה חן בוכה?=חן מזרחי
    האם אור עדיין מעשן?=אור כהן
    איך ישן אביב בלילה?=אביב כהן
    שלום. האם טל גרושה?=טל ברק
    מה קרה בפגישה עם אור?=אור כהן
    על מה דיברנו עם אור בפגישה?=אור כהן
    מה היה עם אור השבוע?=אור כהן
    האם שחר אלרגי לאגוזים?=שחר אופיר
"""

NOT_MEANT = """
    האם ישנה שירה שמרגיעה אותה?
    האם שירה ישנה מרגיעה אותה?
    האם שירה עוזרת לה?
    למה ישנה שירה בעולם?
    איך עובדת שירה כטיפול?
    האם שירה עובדת?
    מה עושה שירה לנפש?
    מתי כתבה שירה?
    איך למדה שירה?
    למה אוהבת שירה?
    מה לומדת משירה?
    מתי מגיע אביב?
    האם אביב מגיע מוקדם?
    מה התחיל באביב?
    כמה טל ירד בלילה?
    מי שותה טל?
    האם גל חום השפיע עליה?
    האם הוא מרגיש נועם?
    האם יש נועם בקולו?
    כמה אור נכנס לחדר?
    איך אור משפיע על השינה?
    למה רגישה לאור?
    האם עור רגיש לאור?
    איך ישנה בלי אור?
    האם ישן אור דולק?
    מתי מתעוררת תקווה?
    האם תקווה מתעוררת אצלה?
    מתי תקווה מתעוררת?
    האם ישנה תקווה?
    איך ישנה עם אור דולק?
    האם שמחה מתעוררת בה?
    האם שיר ישן מרגיע אותה?
    איזה שיר ישן היא אוהבת?
    מה ישראל רוצה?
    למה ישראל כועסת?
    האם ירדן רוצה שלום?
    כמה חן יש לה?
    האם היא אוכלת תמר?
    מי נשוי לאור?
"""


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def ask(question: str) -> str:
    names = [name.strip() for name in NAMES.split(",")]
    asked = {reading for word in list_asked_words(question) for reading in word.words}
    named = [
        NamedClient(UUID(int=number), name)
        for number, name in enumerate(names)
        if asked & set(list_name_words(name))
    ]
    meant = choose_meant(question, named)
    return " / ".join(client.name for client in named if client.id in meant)


@pytest.mark.parametrize("line", lines(MEANT))
def test_what_only_people_do_makes_a_word_a_name(line: str) -> None:
    question, name = line.split("=")
    assert ask(question) == name


@pytest.mark.parametrize("question", lines(NOT_MEANT))
def test_what_a_thing_may_do_makes_none(question: str) -> None:
    assert ask(question) == ""

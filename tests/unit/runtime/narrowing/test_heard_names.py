"""A client is meant by the same name in the other script, where it is one."""

from __future__ import annotations

import pytest

from tests.unit.runtime.narrowing.naming import lines, name_meant

NAMES = """
    נועם אלקיים, שירה לוי, דנה כהן, Dana Levi, דינה רז, רון שגב, רן שני, מיכאל סבן, מיכל אזולאי,
    טל ברק, אדם לביא, מרים כץ, אילת חדד, כרמל בר, סיון גל, שלום עטיה
"""

MEANT = """
    Does Noam drink alcohol?=נועם אלקיים
    What is Noam Elkayam allergic to?=נועם אלקיים
    summarise Noam Elkayam=נועם אלקיים
    Noam's sleep=נועם אלקיים
    How is Shira sleeping?=שירה לוי
    Tell me about Shira=שירה לוי
    What is Dana Cohen allergic to?=דנה כהן
    When did Dana start lithium?=דנה כהן / Dana Levi
    Does Dina sleep?=דינה רז
    Did Ron call?=רון שגב
    Did Ran call?=רן שני
    Does Michael sleep?=מיכאל סבן
    Does Michal sleep?=מיכל אזולאי
    Did Tal cry?=טל ברק
    Session with Adam=אדם לביא
    What did Miriam Katz say?=מרים כץ
    Compare Noam Elkayam and Dana Levi=נועם אלקיים / Dana Levi
    האם Noam שותה?=נועם אלקיים
    מה Shira אמרה?=שירה לוי
    מה עלה אצל Noam?=נועם אלקיים
"""

NOT_MEANT = """
    Does noam mean pleasant?
    Noam Chomsky wrote what?
    Did Noam Chomsky write it?
    Did Dana Rosen call?
    What did her sister Dana say?
    Did Dr. Dana call?
    Was the Shira Hotel good?
    What Does Noam Mean For Shira Today
    How is SHIRA?
    When did the Noam party form?
    Who was in Noam?
    What about Eilat?
    Is Carmel far?
    Did Sivan begin?
    Is it Shalom?
    Does Danny sleep?
    Is Tali well?
    Did Shirley call?
    Does Adam Smith matter?
    האם היא נסעה ל-Eilat?
    מה עשתה ב-Noam?
"""


LATIN = """
    Daniel Levi, Sarah Abel, Jonathan Katz, Mila Rosen, Tom Ben-Ari, Mark Summers, May Lee,
    Dan Cohen, Amelia Price
"""

MEANT_IN_HEBREW = """
    מה לוקח דניאל לוי?=Daniel Levi
    מה אמרתי לדניאל לוי?=Daniel Levi
    לוי דניאל - סיכום=Daniel Levi
    מה דניאל אמר על השינה?=Daniel Levi
    האם דניאל שותה?=Daniel Levi
    מה עלה אצל שרה?=Sarah Abel
    מה המצב של יונתן?=Jonathan Katz
    מה סיפרה מילה רוזן?=Mila Rosen
    האם טום בן ארי ישן?=Tom Ben-Ari
    מה אמר דן כהן?=Dan Cohen
    מה דיווחה מילה בפגישה?=Mila Rosen
"""

NOT_MEANT_IN_HEBREW = """
    באיזו מילה היא השתמשה?
    מי אכל מרק?
    עד תום הטיפול?
    מה אמרה על אחותה שרה?
    מה אמר ד"ר דניאל?
    מה אמר דניאל כהן?
    מה הוא אמר?
    מי לי יעזור?
    מה אמר דן?
    למי יש דניאל?
    מה עשה סאמרס?
"""


def ask(question: str) -> str:
    return name_meant(question, [name.strip() for name in NAMES.split(",")])


@pytest.mark.parametrize("line", lines(MEANT))
def test_a_name_in_latin_letters_means_whom_hebrew_writes_so(line: str) -> None:
    question, name = line.split("=")
    assert ask(question) == name


@pytest.mark.parametrize("question", lines(NOT_MEANT))
def test_what_only_sounds_like_a_client_means_none(question: str) -> None:
    assert ask(question) == ""


def test_a_surname_alone_means_only_who_is_written_so() -> None:
    assert ask("Did Levi call?") == "Dana Levi"


@pytest.mark.parametrize("line", lines(MEANT_IN_HEBREW))
def test_a_name_in_hebrew_means_whom_latin_letters_write_so(line: str) -> None:
    question, name = line.split("=")
    assert name_meant(question, [name.strip() for name in LATIN.split(",")]) == name


@pytest.mark.parametrize("question", lines(NOT_MEANT_IN_HEBREW))
def test_a_hebrew_word_that_a_latin_name_only_sounds_like_means_none(question: str) -> None:
    assert name_meant(question, [name.strip() for name in LATIN.split(",")]) == ""

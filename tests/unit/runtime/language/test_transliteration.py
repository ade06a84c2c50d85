"""How names in Latin letters are written in Hebrew."""

from __future__ import annotations

import pytest

from runtime.language.name_words import normalise
from runtime.language.transliteration import MOST_SPELLINGS, list_spellings, may_be_same

SAME = """
    noam=נועם shira=שירה dana=דנה maya=מאיה maya=מיה yael=יעל michael=מיכאל michal=מיכל rachel=רחל
    sarah=שרה sara=שרה hannah=חנה leah=לאה yosef=יוסף joseph=יוסף avraham=אברהם yitzhak=יצחק noa=נעה
    daniel=דניאל tamar=תמר shaul=שאול maor=מאור rafael=רפאל lior=ליאור naama=נעמה adi=עדי omer=עומר
    avi=אבי efrat=אפרת inbal=ענבל ido=עידו itay=איתי idan=עידן oren=אורן uri=אורי eyal=אייל
    boaz=בועז reut=רעות chaim=חיים chen=חן eliyahu=אליהו jonathan=יונתן dvora=דבורה esther=אסתר
    aviv=אביב ayelet=איילת roi=רועי assaf=אסף keren=קרן elkayam=אלקיים cohen=כהן levi=לוי peretz=פרץ
    katz=כץ azoulay=אזולאי shapira=שפירא rosenberg=רוזנברג meir=מאיר
"""
OTHER = """
    dana=דינה dina=דנה ron=רן dan=דנה dana=דן shira=שרה sarah=שירה noa=נועם tal=טלי michal=מיכאל
    mia=מאיה adi=עידו
"""


def pairs(text: str) -> list[tuple[str, str]]:
    return [(latin, hebrew) for latin, _, hebrew in (each.partition("=") for each in text.split())]


@pytest.mark.parametrize(("latin", "hebrew"), pairs(SAME))
def test_a_name_has_its_usual_spelling(latin: str, hebrew: str) -> None:
    assert normalise(hebrew) in list_spellings(latin)
    assert may_be_same(latin, hebrew)


@pytest.mark.parametrize(("latin", "hebrew"), pairs(OTHER))
def test_names_that_differ_in_vowels_are_kept_apart(latin: str, hebrew: str) -> None:
    assert normalise(hebrew) not in list_spellings(latin)


@pytest.mark.parametrize(
    ("latin", "hebrew"),
    [("ron", "רן"), ("michelle", "מישל"), ("sean", "שון"), ("grace", "גרייס"), ("john", "ג'ון")],
)
def test_names_that_sound_alike_may_be_the_same(latin: str, hebrew: str) -> None:
    assert may_be_same(latin, normalise(hebrew))


@pytest.mark.parametrize(("latin", "hebrew"), [("dana", "יעל"), ("dana", "דיון"), ("noa", "נועם")])
def test_names_of_other_consonants_or_another_ending_are_not(latin: str, hebrew: str) -> None:
    assert not may_be_same(latin, hebrew)


@pytest.mark.parametrize("word", ["", "josé", "o'neill", "aeiou", "b12", "tetrahydrocannabinol"])
def test_what_is_no_name_in_plain_letters_has_no_spelling(word: str) -> None:
    assert list_spellings(word) == ()
    assert not may_be_same(word, "דנה")


def test_spellings_are_bounded() -> None:
    assert list_spellings("sacasazatasaha") == ()
    assert all(len(list_spellings(latin)) <= MOST_SPELLINGS for latin, _ in pairs(SAME))

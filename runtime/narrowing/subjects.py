"""Whether a Hebrew word that is also a name is the subject of what only people do.

`mentions.py` asks of `נועם`, `שירה`, `טל`: "האם נועם שותה?" speaks of a person, "האם שירה עוזרת?"
may speak of poetry. Words are normalised as in `name_words.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.language.name_words import normalise


def _words(text: str) -> frozenset[str]:
    return frozenset(map(normalise, text.split()))


_ASKING: Final = _words("האם מה למה ממה מדוע מתי ממתי איך כיצד כמה איפה היכן")
_AGAIN: Final = _words("לא עדיין עדין כבר גם עוד תמיד כן")
"""Between a name and its verb."""
_NATIONS: Final = _words("ישראל ירדן")
"""They do what people do, in the words of a newspaper."""
_FEELINGS: Final = _words(
    "תקווה תקוה שמחה אהבה אמונה רוח חסד נחמה רננה תהילה תפארת אורה אור שחר בוקר יום שיר שירה"
)
"""They awake and arise too."""
_DOES: Final = _words(
    """
    שותה שתה שתתה מעשן מעשנת עישן עישנה נרדם נרדמת נרדמה בוכה בכה בכתה כועס כועסת כעסה פוחד
    פוחדת מפחדת פחדה חולם חולמת חלם חלמה גר גרה מתגורר מתגוררת נשוי נשואה גרוש גרושה רווק
    רווקה מתקשה התקשה התקשתה משתמש משתמשת השתמש השתמשה מתאמן מתאמנת התאמן התאמנה רוצה רצתה
    התחתן התחתנה התגרש התגרשה אושפז אושפזה נפצע נפצעה
    """
)
"""Behind a name."""
_WAKES: Final = _words("מתעורר מתעוררת התעורר התעוררה קם")
_SLEEPS: Final = _words("ישן ישנה")
"""Also old, and there is."""
_SENSITIVE: Final = _words("רגיש רגישה אלרגי אלרגית")
_WORKS: Final = _words("עובד עובדת")
_OF_ITSELF: Final = _words(
    """
    מעשן מעשנת נרדם נרדמת נרדמה בוכה כועס כועסת פוחד פוחדת מפחדת חולם חולמת גר גרה מתגורר
    מתגוררת מתאמן מתאמנת אושפז אושפזה התחתן התחתנה התגרש התגרשה נפצע נפצעה
    """
)
"""Before a name: no object follows, so that it is the subject."""
_TAKES: Final = _words("שותה שתה שתתה אוכל אוכלת אכל אכלה")
"""Before a name where "what" or "how much" is already the object."""
_HOW: Final = _words("איך כיצד כמה")
_WHAT: Final = _words("מה כמה")
_WHY: Final = _words("למה ממה מדוע")
_WHERE: Final = _words("איפה היכן ממתי")
_JOINED: Final = "בהוכלמש"
_WHEN: Final = _words(
    """
    בלילה בלילות בבוקר בבקרים בערב היום אתמול השבוע החודש השנה לאחרונה עכשיו כעת כיום מוקדם מאוחר
    """
)
_HOW_WELL: Final = _WHEN | _words("טוב היטב רע מספיק פחות לא")


def is_subject(words: Sequence[str], place: int) -> bool:
    """Say whether the name at a place of one sentence is the subject of its question."""
    if words[place] in _NATIONS:
        return False
    return _is_before_verb(words, place) or _is_behind_verb(words, place)


def is_described(words: Sequence[str], place: int) -> bool:
    """Say whether what follows "with" and the word tells how a thing is: "with light on"."""
    after = words[place + 1] if place + 1 < len(words) else ""
    if not place or words[place - 1] != normalise("עם") or not after or after in _HOW_WELL:
        return False
    return after[0] not in _JOINED


def _is_before_verb(words: Sequence[str], place: int) -> bool:
    before, name = words[place - 1] if place else "", words[place]
    if before and before not in _ASKING:
        return False
    skipped = place + 1 < len(words) and words[place + 1] in _AGAIN
    verb, after = (*words[place + 1 + skipped :], "", "")[:2]
    if verb in _SLEEPS:
        return bool(before) and (not after or after in _HOW_WELL)
    if verb in _WAKES:
        return name not in _FEELINGS and (not after or after in _WHEN)
    if verb in _SENSITIVE:
        return after.startswith("ל")
    if verb in _WORKS:
        return before in _WHERE
    return verb in _DOES


def _is_behind_verb(words: Sequence[str], place: int) -> bool:
    if place < 2 or words[place - 2] not in _ASKING:  # noqa: PLR2004 - question word, verb
        return False
    asking, verb, name = words[place - 2 : place + 1]
    after = words[place + 1] if place + 1 < len(words) else ""
    if after and after not in _WHEN:
        return verb in _SENSITIVE and asking == "האמ" and after.startswith("ל")
    if verb in _SLEEPS:
        return asking in _HOW
    if verb in _WAKES:
        return name not in _FEELINGS
    if verb in _SENSITIVE:
        return asking in _WHY
    return verb in _OF_ITSELF or (verb in _TAKES and asking in _WHAT)

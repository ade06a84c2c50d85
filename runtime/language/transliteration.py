"""How a name in Latin letters is written in Hebrew: `Noam` is `נועם`, `Shira` is `שירה`.

`name_words.py` looks names up by `list_spellings`, which keeps Dana from Dina; `may_be_same` is
for where two names must be surely different. Rules for the names of people, not for other words.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import Final

MOST_SPELLINGS: Final = 128
"""A word that could be written in more ways is long, and not looked up."""
_LONGEST: Final = 14

_CONSONANTS: Final = {
    "b": "ב",
    "c": "ק כ",
    "ch": "ח כ צ",
    "ck": "ק",
    "d": "ד",
    "f": "פ",
    "g": "ג",
    "gh": "ג",
    "h": "ה ח",
    "j": "ג י",
    "k": "ק כ",
    "kh": "ח כ",
    "l": "ל",
    "m": "מ",
    "n": "נ",
    "p": "פ",
    "ph": "פ",
    "q": "ק",
    "r": "ר",
    "s": "ס ש ז",
    "sh": "ש",
    "t": "ט ת",
    "th": "ת ט",
    "ts": "צ",
    "tz": "צ",
    "v": "ב ו וו",
    "w": "ו וו",
    "x": "קס כס",
    "y": "י יי",
    "z": "ז צ",
}
_C_BEFORE_E: Final = "ס צ"
_FIRST: Final = {
    "a": "א ע",
    "e": "א ע",
    "i": "אי עי ע",
    "o": "או עו ע א",
    "u": "או עו",
    "ai": "אי",
    "ei": "אי עי",
    "au": "או",
    "aa": "א",
}
_MIDDLE: Final = {
    "a": "- א",
    "e": "-",
    "i": "י",
    "o": "ו",
    "u": "ו",
    "aa": "- ע א",
    "ae": "א ע",
    "ai": "יי אי י עי",
    "ao": "או עו",
    "au": "או עו",
    "ea": "א אה",
    "ee": "י",
    "ei": "י יי",
    "eo": "או עו",
    "eu": "עו או",
    "ia": "יא יה י",
    "ie": "יא י",
    "io": "יו יאו",
    "oa": "וע וא",
    "oe": "וא",
    "oo": "ו",
    "ou": "ו",
    "ua": "וא",
    "ue": "וא",
    "ui": "ואי",
}
_LAST: Final = {
    "a": "ה א ע",
    "e": "ה -",
    "i": "י",
    "o": "ו",
    "u": "ו",
    "ai": "י אי",
    "ea": "אה",
    "ee": "י",
    "ei": "י",
    "ia": "יה יא",
    "ie": "י",
    "io": "יו",
    "oa": "ועה עה ואה",
    "oe": "ו",
    "oi": "וי ועי",
    "oo": "ו",
    "ua": "ועה וע",
}
"""What vowels leave in Hebrew at the start, within and at the end of a name; `-` is nothing."""
_UNUSUAL: Final = {
    "aharon": "אהרון אהרן",
    "cohen": "כהן",
    "david": "דוד דויד",
    "efraim": "אפרים",
    "elad": "אלעד",
    "meir": "מאיר",
    "miriam": "מרים",
    "mizrachi": "מזרחי",
    "mizrahi": "מזרחי",
    "moshe": "משה",
    "naomi": "נעמי נעומי",
    "noa": "נועה נעה",
    "noah": "נח",
    "noam": "נועם נעם",
    "orna": "אורנה ארנה",
    "rebecca": "רבקה",
    "rivka": "רבקה",
    "shimon": "שמעון",
    "shlomo": "שלמה",
    "yaakov": "יעקב",
    "yehoshua": "יהושע",
    "yehuda": "יהודה",
    "yifat": "יפעת",
    "yitzhak": "יצחק",
}
"""Names of which the spelling is older than the rules; these are all of theirs."""

_SOUND: Final = re.compile(r"sh|ch|ck|gh|kh|ph|th|t[sz]|([b-df-hj-np-tv-z])\1?|[aeiou]+")
_RULES: Final = (
    (re.compile(r"(?<=[aeiou])h$"), ""),
    (re.compile(r"iy(?=[aeiou])|yi"), "y"),
    (re.compile(r"y(?![aeiou])"), "i"),
)
_LOOSELY: Final = {"c": "קכסצ", "ch": "חכקצש", "g": "גז", "j": "גיז", "k": "קכח", "h": "החא"}
"""What is also heard for a consonant where two names are held against each other."""
_VOWELS: Final = frozenset("aeiou")
FINAL_LETTERS: Final = str.maketrans("ךםןףץ", "כמנפצ")
"""To the form that a letter has within a word."""
_ANY_VOWELS: Final = "[אהויע]*"


@lru_cache(maxsize=4_096)
def list_spellings(latin: str) -> tuple[str, ...]:
    """Return how a lower-case name may be written in Hebrew, as `name_words.py` has its words."""
    if latin in _UNUSUAL:
        return tuple(_UNUSUAL[latin].translate(FINAL_LETTERS).split())
    sounds = _split(latin)
    choices = [_choose(sounds, place) for place in range(len(sounds))]
    count = 1
    for choice in choices:
        count *= len(choice)
    if not 0 < count <= MOST_SPELLINGS:
        return ()
    spelled = ("".join(letters).replace("-", "") for letters in itertools.product(*choices))
    return tuple(dict.fromkeys(spelled)) if choices else ()


@lru_cache(maxsize=4_096)
def may_be_same(latin: str, hebrew: str) -> bool:
    """Say whether a lower-case Latin and a Hebrew name may be one: by consonants and last vowel."""
    word = hebrew.translate(FINAL_LETTERS)
    return word in list_spellings(latin) or _pattern_of(latin).fullmatch(word) is not None


@lru_cache(maxsize=4_096)
def _pattern_of(latin: str) -> re.Pattern[str]:
    sounds = _split(latin)
    parts = []
    for place, sound in enumerate(sounds):
        if sound[0] not in _VOWELS:
            letters = "|".join((*_choose(sounds, place), *_LOOSELY.get(sound, "")))
            parts.append(f"(?:{letters}){'?' if sound == 'h' else ''}{_ANY_VOWELS}")
        elif place == 0:
            parts.append(f"[אהעוי]{_ANY_VOWELS}")
        elif place == len(sounds) - 1 and sound == "a":
            parts.append("(?<=[אהע])")
    return re.compile("".join(parts) or r"(?!)")


def _split(latin: str) -> list[str]:
    """Return the sounds of a name in order, none where it is no name in plain Latin letters."""
    if not latin.isascii() or not latin.isalpha() or len(latin) > _LONGEST:
        return []
    for pattern, instead in _RULES:
        latin = pattern.sub(instead, latin)
    found = [match.group() for match in _SOUND.finditer(latin)]
    return found if found and any(sound[0] not in _VOWELS for sound in found) else []


def _choose(sounds: list[str], place: int) -> list[str]:
    sound = sounds[place]
    if sound[0] in _VOWELS:
        if sound == "a" and 1 < place < len(sounds) - 1:
            return ["-"]  # or Michal would be Michael
        table = _FIRST if place == 0 else _LAST if place == len(sounds) - 1 else _MIDDLE
        return table.get(sound, "").split()
    if sound == "c" and "".join(sounds[place + 1 : place + 2])[:1] in ("e", "i"):
        return _C_BEFORE_E.split()
    return _CONSONANTS.get(sound, _CONSONANTS[sound[0]]).split()

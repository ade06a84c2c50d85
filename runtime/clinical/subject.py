"""Of whom a sentence speaks: the client, or a relative. `claims.py` asks, word by word. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.clinical.reading import Mention
from runtime.clinical.words import SAYS_NOTHING, Word, listed

CLIENT: Final = "client"
"""The subject of what is said of nobody else."""
_CLINICIANS: Final = frozenset(
    ("psychiatrist", "psychologist", "doctor", "gp", "social worker", "nurse", "therapist")
)
_OPENS_CLAUSE: Final = frozenset(
    listed("but that which who while although whereas אבל אך אולם ואילו בעוד")
)
_TELLS: Final = frozenset(
    listed(
        "says said reports reported states stated mentions mentioned אומרת אומר אמרה אמר מספרת מספר"
    )
)
"""Behind these somebody else may be spoken of: `says her sister drinks`."""
_SUBJECTS: Final = frozenset(listed("he she it they i הוא היא הם הן אני"))
_OF_PERSONS: Final = frozenset(
    listed("the own late older younger elder eldest youngest oldest former biological only both")
)
_OBLIQUE: Final = frozenset(
    listed("with by to for at from about of because against than את עם של על אל")
)
"""Behind these stands no subject: `lives with his parents`."""
_OPENS: Final = _OPENS_CLAUSE | _TELLS | {";", ":", ".", ","}
_LEAVES_OPEN: Final = SAYS_NOTHING | _OF_PERSONS
_HAS: Final = frozenset(listed("יש אין היה הייתה היו"))
"""Before these `לאמה` is the subject: her mother has."""


class SubjectTracker:
    """Of whom the sentence speaks, word by word: the client, unless a relative is its subject."""

    def __init__(self, names: frozenset[str]) -> None:
        self.now = CLIENT
        self._names = names
        self._clause_open = True

    def note(self, mention: Mention, words: Sequence[Word], place: int) -> str:
        """Take note of what is mentioned next; return the role of a person of the client's own."""
        if mention.kind != "person":
            self._pass_by(words, place)
            return ""
        role = str(mention.fact).removesuffix(" he").removesuffix(" she").removesuffix(" i")
        is_relative = role.split()[0] != CLIENT and role not in _CLINICIANS
        may_begin = self._clause_open or (place > 0 and words[place - 1].text in {"and", ","})
        may_begin = may_begin or words[place].text[:1] == "ש"
        if may_begin and not self._stands_behind(words, place):
            self.now = role if is_relative else CLIENT
            self._clause_open = False
        return role if is_relative else ""

    def _stands_behind(self, words: Sequence[Word], place: int) -> bool:
        """Say whether the person is an object here: `lives with his parents`."""
        before = words[place - 1].text if place else ""
        owner = words[place - 2].text if place > 1 and before in {"her", "his", "their"} else before
        is_object = before in _OBLIQUE or owner in _OBLIQUE
        has = any(word.text in _HAS for word in words[place + 1 : place + 5])
        return is_object or (words[place].text[:1] in {"ל", "מ"} and not has)

    def _pass_by(self, words: Sequence[Word], place: int) -> None:
        text = words[place].text
        if text == "'s":
            return
        if text == ";":
            self.now = CLIENT
        if text in _OPENS:
            self._clause_open = True
        elif is_name(words[place], self._names) and self._clause_open:
            self.now = CLIENT
            self._clause_open = _owns_the_next(words, place)
        elif text in _SUBJECTS and (self._clause_open or words[place - 1].text in {"and", "so"}):
            self.now = CLIENT
            self._clause_open = False
        elif text not in _LEAVES_OPEN:
            self._clause_open = False


def _owns_the_next(words: Sequence[Word], place: int) -> bool:
    """Say whether a name is only whose the next is: `Noa's mother`, `Noa Bar's mother`."""
    return any(word.text == "'s" for word in words[place + 1 : place + 3])


def is_name(word: Word, names: frozenset[str]) -> bool:
    """Say whether the word is one of the names, with what Hebrew writes onto it or without."""
    if word.text in names:
        return True
    return word.is_hebrew and word.text[:1] in set("ולשמבהכ") and word.text[1:] in names

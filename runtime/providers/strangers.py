"""Whether a question names whom or what the given passages say nothing of: no answer is theirs.

`local.py` asks before it extracts. Where it is not clear that a person is named, nobody is: a
question that could be answered and is declined costs more than one that is answered beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final
from uuid import UUID

from runtime.clinical.medications import find_medications
from runtime.language.first_names import HEBREW_NAMES, LATIN_NAMES, NAMES_OF_OTHER_MEANING
from runtime.language.name_words import (
    LEFT_OUT,
    is_hebrew,
    list_asked_words,
    list_name_words,
    prepare,
)
from runtime.language.sentences import sentences
from runtime.language.transliteration import FINAL_LETTERS, list_spellings, may_be_same
from runtime.messages import ChatDocument, NamedClient
from runtime.narrowing.mentions import choose_meant
from runtime.narrowing.ordinary_names import ORDINARY, OTHER_PERSONS, SURNAMES
from runtime.narrowing.subjects import is_subject

_NAMED: Final = re.compile(
    r"\b(?i:is|was|are|were|does|did|do|has|had|have|can|could|will|would|should|about|of|for)"
    r" ([A-Z][a-z]{2,})\b|\b([A-Z][a-z]{2,})['’]s\b"
)
"""A name where a person's stands: `Does Noa sleep?`, `Noa's sleep`. Hebrew has no capitals."""
_TITLED: Final = re.compile(r"\b(?:Mr|Mrs|Ms|Miss)\.? ([A-Z][a-z]{2,})\b")
"""Whoever is spoken of so is somebody."""
_NOT_NAMES: Final = re.compile(
    r"(?:What|Who|Where|When|How|That|There|Here|It|She|He|Today|Yesterday|English|Hebrew|Passover"
    r"|(?:Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day|January|February|March|April|May|June|July|August"
    r"|September|October|November|December)"
)
_HEBREW: Final = re.compile("[א-ת]")
_HEBREW_WORD: Final = re.compile("[א-ת]{2,}")
_CAPITALISED: Final = re.compile(r"\b[A-Z][a-z]+\b")
_JOINED: Final = re.compile("[ושהכבלמ]{0,3}")
_SOMEBODY: Final = UUID(int=0)


def names_another(question: str, documents: Sequence[ChatDocument]) -> bool:
    """Return whether the question names somebody of whom none of these passages is, or speaks.

    Names meet across scripts by their sounds. In Latin letters a name has a capital; in Hebrew, and
    against Hebrew passages, where a drug or a town is written otherwise, only a usual first name is
    one, or what stands before a surname that one of these clients has.
    """
    known = [f"{document.heading} {document.text}" for document in documents]
    surnames = {word for each in documents for word in list_name_words(each.client_name)[1:]}
    in_hebrew = any(map(_HEBREW.search, known))
    named = {
        *_find_latin_names(question, surnames, sure=not in_hebrew),
        *_find_hebrew_names(question, surnames),
    }
    if not named:
        return False
    named |= set(_find_latin_names(question, surnames, sure=True))
    return not any(_speaks_of(name, text) for name in named for text in known)


def names_other_medication(question: str, documents: Sequence[ChatDocument]) -> bool:
    """Return whether the question names medications of which none of these passages names one.

    By their generic names, in either script. What is said of another drug would fit best, and be
    wrong. Of 1,169 labelled questions 16 name one; one of them would be declined wrongly.
    """
    asked = find_medications(question)
    return bool(asked) and not any(
        asked & find_medications(document.text[start:end])
        for document in documents
        for start, end in sentences(document.text)
    )


def _find_latin_names(question: str, surnames: set[str], *, sure: bool) -> Iterator[str]:
    """Yield the names in Latin letters, lower-case; `sure`: whatever stands in a name's place."""
    for match in _NAMED.finditer(question):
        name = match[1] or match[2]
        if _NOT_NAMES.fullmatch(name):
            continue
        following = _CAPITALISED.match(question, match.end() + 1)
        surname = following is not None and _is_among(following[0].casefold(), surnames)
        if sure or surname or _is_first_name(name.casefold()):
            yield name.casefold()
    for match in _TITLED.finditer(question):
        yield match[1].casefold()
    if not _HEBREW.search(question):
        return
    asked = list_asked_words(question)
    for before, word in zip((None, *asked), asked, strict=False):
        others = before is not None and before.words[0] in OTHER_PERSONS
        if _CAPITALISED.fullmatch(word.text) and not others and _is_first_name(word.words[0]):
            yield word.words[0]


def _is_first_name(name: str) -> bool:
    spelled = name in LATIN_NAMES or not HEBREW_NAMES.isdisjoint(list_spellings(name))
    return spelled and name not in ORDINARY


def _is_among(latin: str, surnames: set[str]) -> bool:
    return any(
        may_be_same(latin, surname) if is_hebrew(surname) else latin == surname
        for surname in surnames
    )


def _find_hebrew_names(question: str, surnames: set[str]) -> Iterator[str]:
    """Yield the first names in Hebrew that could mean nothing but a person, as `mentions` judges.

    That judgement is of a client of this name, so that somebody is made up who has it.
    """
    asked = list_asked_words(question)
    bare = [word.words[0] for word in asked]
    for place, word in enumerate(asked):
        name = next((each for each in word.words if each in HEBREW_NAMES), "")
        if not name or (place and bare[place - 1] in OTHER_PERSONS):
            continue
        after = "".join(bare[place + 1 : place + 2])
        whole = after in SURNAMES | surnames
        if name in ORDINARY and not (whole or is_subject(bare, place)):
            continue
        other = frozenset((name,) if name in NAMES_OF_OTHER_MEANING else ())
        somebody = NamedClient(_SOMEBODY, f"{name} {after}" if whole else name, other)
        if choose_meant(question, [somebody]):
            yield name


def _speaks_of(name: str, text: str) -> bool:
    """Say whether a name stands in a text, in either script; a pet name may be short for it."""
    if not is_hebrew(name):
        heard = (may_be_same(name, word) for word in _words_of(text))
        return name in text.casefold() or any(heard)
    return _pattern_of(name).search(_plain(text)) is not None or any(
        may_be_same(word.casefold(), name) for word in _CAPITALISED.findall(text)
    )


@lru_cache(maxsize=256)
def _words_of(text: str) -> frozenset[str]:
    """Return the Hebrew words of a text, with and without what may be joined to them."""
    return frozenset(
        word[start:]
        for word in _HEBREW_WORD.findall(_plain(text))
        for start in range(3)
        if _JOINED.fullmatch(word[:start])
    )


@lru_cache(maxsize=256)
def _plain(text: str) -> str:
    return LEFT_OUT.sub("", prepare(text)).translate(FINAL_LETTERS)


@lru_cache(maxsize=256)
def _pattern_of(name: str) -> re.Pattern[str]:
    """Return what finds a Hebrew name in a text: `נעה` is also `נועה`, and `דניאל` may be `דני`."""
    start = "[וי]*" + name[0]
    rest = [letter for letter in name[1:] if letter not in "וי"]
    pets = [f"{name[:end]}י" for end in range(2, len(name))]
    either = "|".join(("[וי]*".join((start, *rest, "")), *pets))
    return re.compile(f"(?<![א-ת]){_JOINED.pattern}(?:{either})(?![א-ת])")

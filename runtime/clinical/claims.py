"""A text as claims that can be held against those of another: what is said, of whom, about what.

The support check compares an answer's sentence with its passage by it. A claim is one fact with its
surroundings, since `right` is only wrong of the knee that was meant, not of the other one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, TypeAlias

from runtime.clinical.dates import CalendarDate, read_date
from runtime.clinical.lexicon import lexicon, prefixes
from runtime.clinical.negation import negated_places, refusal_place, unreal_places
from runtime.clinical.numbers import read_number
from runtime.clinical.quantities import Dose
from runtime.clinical.reading import Mention, read
from runtime.clinical.subject import SubjectTracker, is_name
from runtime.clinical.words import SAYS_NOTHING, Word, listed
from runtime.language.sentences import sentences
from runtime.language.stems import list_stems

Value: TypeAlias = str | CalendarDate | Dose

MOST_CHARACTERS: Final = 600
"""Of a sentence, what is read: longer ones are cut, so that no text takes long."""
MOST_SENTENCES: Final = 40
MOST_CLAIMS: Final = 120
"""Of a sentence: one of 600 characters has fewer, unless it is `1 1 1 1`, which took seconds."""

_PARTS_CLAUSES: Final = frozenset(("and", "but", ",", ";", ":", "אבל", "אך", "ואילו"))
_DAYPARTS: Final = frozenset(("morning", "evening", "night"))
_NONE: Final = frozenset(listed("no without ללא אין בלי"))
_CHANGE: Final = frozenset(listed("change changes changed שינוי שינויים השתנה השתנתה"))
_NOT: Final = frozenset(listed("not לא"))
_RANGE: Final = re.compile(r"[\d.,/]+-[\d.,/]+")
_TURNS: Final = re.compile(
    r"\b(?:miss(?:ed|es)|fail(?:ed|s)?(?! to)|resolved|remission|remitted|absent|los[st]|loss|gone"
    r"|avoid\w*|bad(?:ly)?|poor(?:ly)?|less|fewer|normal|healed|difficult\w*|trouble|hardly|barely"
    r"|rarely|ruled out|lacks?)\b"
    r"|החמיצ|נעלמ|חלפ|תקינ|תקין|מתקש|קשה|קשיי|פחות|בקושי|רמיסיה",
    re.IGNORECASE,
)
_ANSWERS_NO: Final = frozenset(
    listed("no none nil never denies denied absent negative אין ללא שולל שוללת שלילי")
)
_ENDS_OF_CHANGE: Final = {"from": "from", "מ": "from", "to": "to", "ל": "to"}
_PER: Final = {
    "day": "day", "week": "week", "month": "month", "ביום": "day", "בשבוע": "week",
    "בחודש": "month",
}  # fmt: skip
_COUNTED_WITHIN: Final = 4
"""Words between a number and `a day` in `two glasses of wine a day`."""
_TWO: Final = frozenset(("שתי", "שני"))


@dataclass(frozen=True, slots=True)
class Claim:
    """One mention: what kind of fact, its value, where it stands, and whether it is negated.

    A `topic` is a plain word that carries meaning, as a concept of both languages or as a stem.
    """

    kind: str
    value: Value
    place: int
    sentence: int
    negated: bool
    subject: str
    clause: int = 0
    turned: bool = False
    """Its sentence has a word that turns a statement round without a negation: `missed`, `poor`."""
    unreal: bool = False
    """It is wished, weighed, advised or offered, not said to be so: `considers lithium`."""
    end: str = ""
    """Of two values between which something changed, which this is: `from` or `to`."""
    is_capital: bool = False
    """It is written with a capital within its sentence, as a name is."""

    @property
    def key(self) -> str:
        """What it adds to the surroundings of others."""
        return f"{self.value}"


@dataclass(frozen=True, slots=True)
class Reading:
    """The claims of a text, in order."""

    claims: tuple[Claim, ...]
    is_cut: bool = False


def read_claims(text: str, *, names: frozenset[str] = frozenset()) -> Reading:
    """Return the claims of a text. Takes time in proportion to its length, up to a bound.

    `names` are the words, in small letters, of the name of the client it is about: where one
    stands, the client is spoken of, as where `she` does.
    """
    parts = sentences(text[: MOST_CHARACTERS * MOST_SENTENCES])
    claims: list[Claim] = []
    is_cut = len(text) > MOST_CHARACTERS * MOST_SENTENCES or len(parts) > MOST_SENTENCES
    for number, (start, end) in enumerate(parts[:MOST_SENTENCES]):
        is_cut = is_cut or end - start > MOST_CHARACTERS
        read_here = _read_sentence(text[start : min(end, start + MOST_CHARACTERS)], number, names)
        claims += islice(read_here, MOST_CLAIMS)
        is_cut = is_cut or next(read_here, None) is not None
    return Reading(tuple(claims), is_cut)


def _read_sentence(text: str, number: int, names: frozenset[str]) -> Iterator[Claim]:
    mentions = read(text)
    words = [word for mention in mentions for word in mention.words]
    negated = negated_places(_neutral(words)) | _answered_no(words)
    unreal = unreal_places(words)
    turned = _TURNS.search(text) is not None or refusal_place(words) > 0
    subjects = SubjectTracker(names)
    clause = at = skip_until = 0

    def claim(kind: str, value: Value, place: int) -> Claim:
        is_negated = place in negated
        who, is_unreal = subjects.now, place in unreal
        end = _end(words, place)
        name = words[place].written[:1].isupper() and not words[place].opens
        return Claim(
            kind, value, place, number, is_negated, who, clause, turned, is_unreal, end, name
        )

    for mention in mentions:
        place, at = at, at + len(mention.words)
        clause += words[place].text in _PARTS_CLAUSES
        relative = subjects.note(mention, words, place)
        if relative:
            yield claim("person", relative, place)
        if mention.kind == "word" and (place < skip_until or is_name(words[place], names)):
            continue
        quality = lexicon("qualities").find(words, place) if mention.kind == "word" else None
        if quality is not None:  # beside what the word is otherwise
            yield claim("quality", quality.meaning, place)
        for kind, value, length in _facts_at(mention, words, place):
            found = claim(kind, value, place)
            # `from 18 to 9` is one mention of two numbers, at one place.
            is_second = found.end == "from" and skip_until == place + length
            skip_until = place + length
            yield replace(found, end="to") if is_second else found


def _end(words: Sequence[Word], place: int) -> str:
    """Return `from` or `to`, where one of them stands before the value."""
    before = place - 1 - (place > 0 and words[place - 1].text == "-")
    return _ENDS_OF_CHANGE.get(words[before].text, "") if before >= 0 else ""


def _facts_at(
    mention: Mention, words: Sequence[Word], place: int
) -> Iterator[tuple[str, Value, int]]:
    """Yield what is mentioned here: kinds, values, how many words each takes."""
    if mention.kind == "word":
        phrases = [
            (kind, found.meaning, found.length)
            for kind, table in (("change", "changes"), ("weekday", "weekdays"))
            if (found := lexicon(table).find(words, place))
        ]
        per = _per(words, place)
        if per:
            yield "per", per, 2 - words[place].is_hebrew
            return
        plain = _read_word(words, place)
        yield from phrases or ([plain] if plain[1] else [])
    elif mention.kind == "span" and _is_age(words, place + len(mention.words)):
        yield "number", str(mention.fact).split()[0], len(mention.words)
    elif began := _began(mention):
        yield "date", began, len(mention.words)
    elif mention.kind != "person":
        for value in _single(mention.fact):
            yield mention.kind, value, len(mention.words)


def _per(words: Sequence[Word], place: int) -> str:
    """Return the time within which something counted is counted: `day` of `ten drinks a day`."""
    text = words[place].text
    here, behind = (text, place + 1) if words[place].is_hebrew else ("", place + 2)
    if text in {"a", "per"} and place + 1 < len(words):
        here = words[place + 1].text
    after = words[behind].text if behind < len(words) else "."
    counted = words[max(0, place - _COUNTED_WITHIN) : place]
    is_counted = any(word.text in _TWO or read_number([word], 0) for word in counted[:-1])
    is_closed = after in {".", ",", ";", "and", "\n", "ו"} or behind >= len(words)
    return _PER.get(here, "") if is_counted and is_closed else ""


def _is_age(words: Sequence[Word], at: int) -> bool:
    """Say whether `old` follows: `7 years old` is how old, not how long."""
    return any(word.text == "old" for word in words[at : at + 2] if word.text in {"-", "old"})


def _began(mention: Mention) -> CalendarDate | None:
    """Return the date of `since 1 May`."""
    if mention.kind != "span" or len(mention.words) == 1:
        return None
    found = read_date(mention.words, 1)
    return found[0] if found else None


def _read_word(words: Sequence[Word], place: int) -> tuple[str, str, int]:
    """Return what a plain word or a set phrase is about: its kind, its value, how many words."""
    number = _prefixed_number(words, place)
    if number:
        return "number", number, 1
    topic = lexicon("concepts").find(words, place)
    if topic is None:
        return "topic", _stem(words[place]), 1
    kind = "daypart" if topic.meaning in _DAYPARTS else "topic"
    return kind, topic.meaning, topic.length


def _prefixed_number(words: Sequence[Word], place: int) -> str:
    """Return the number of `לשלושה`, or nothing."""
    word = words[place]
    for run in prefixes(word.text)[1:] if word.is_hebrew else ():
        bare = Word(word.text[len(run) :], word.written[len(run) :])
        found = read_number([bare], 0)
        if found is not None:
            return found[0]
    return ""


def _single(fact: Value) -> Iterator[Value]:
    """Yield both ends of a range: `from 61 to 48` and `5-10` name two numbers."""
    amount = fact.amount if isinstance(fact, Dose) else fact if isinstance(fact, str) else ""
    ends = amount.split("-") if _RANGE.fullmatch(amount) else []
    for end in ends:
        yield Dose(end, fact.unit) if isinstance(fact, Dose) else end
    if not ends:
        yield fact


def _neutral(words: Sequence[Word]) -> list[Word]:
    """Return the words with nothing denied by `no change`: it says that all is as it was."""
    neutral = list(words)
    for at, word in enumerate(words):
        reach = 2 if word.text in _NOT else 1 if word.text in _NONE else 0
        if any(each.text in _CHANGE for each in words[at + 1 : at + 1 + reach]):
            neutral[at] = Word("unchanged", "unchanged")
    return neutral


def _answered_no(words: Sequence[Word]) -> frozenset[int]:
    """Return the places of `Seizures` in `Seizures: none`."""
    for at, word in enumerate(words[:-1]):
        if word.text in {":", "-"} and words[at + 1].text in _ANSWERS_NO:
            return frozenset(range(at))
    return frozenset()


def _stem(word: Word) -> str:
    if word.is_sign or word.text in SAYS_NOTHING:
        return ""
    stems = list_stems(word.written)
    return stems[0] if stems else ""

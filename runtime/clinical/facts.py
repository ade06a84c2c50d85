"""What a clinical text claims, in a form that can be compared across wordings and languages.

The local chat model asks it which medications a question and a sentence name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from runtime.clinical.dates import CalendarDate, read_date
from runtime.clinical.lexicon import lexicon
from runtime.clinical.negation import negated_places
from runtime.clinical.quantities import Dose
from runtime.clinical.reading import Mention, read
from runtime.clinical.words import Word, listed
from runtime.language.stems import stems_of

_PRONOUNS: Final = {
    **dict.fromkeys(listed("he him his himself הוא אותו שלו"), "he"),
    **dict.fromkeys(listed("she her hers herself היא אותה שלה"), "she"),
    **dict.fromkeys(listed("they them their theirs themselves הם הן שלהם שלהן"), "they"),
    **dict.fromkeys(listed("i me my mine myself אני אותי שלי"), "i"),
    **dict.fromkeys(listed("you your yours yourself את אתה שלך"), "you"),
    **dict.fromkeys(listed("we us our ours ourselves אנחנו שלנו"), "we"),
}
_OBJECT_MARK: Final = "את"
"""Marks the object far oftener than it means `you`."""
_NEAR: Final = 8
"""A dose at most this many mentions behind a medication is taken as its own."""
_COUNT: Final = re.compile(r"(?<![\w.?-])\d+(?:\.\d+)?(?:-\d+(?:\.\d+)?)?(?=[ /]|$)")
"""The counts of a span or frequency, not the parts of its date."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text claims, in its own language (`asserted`, `negated`, `names`) or common to both.

    `numbers` holds every number, those of doses and spans too, but none of dates and times; a range
    is `5-10`. `dosed` pairs a medication with the doses next to it. `frequencies` are `2/day`,
    `times` `16:30`, `spans` such as `3 month`, `last 1 month`, `since 2025-3-?`, whose date is in
    `dates` too. `sides` are `left`, `right`, `both`; `people` roles (`mother`); `pronouns` `he`,
    `she`, `they`, `i`, `you`, `we`; `changes` `up`, `down`, `start`, `stop`, `better`, `worse`;
    `medications` generic names.
    """

    asserted: frozenset[str] = frozenset()
    """Stems of the words that carry meaning and stand in the scope of no negation."""
    negated: frozenset[str] = frozenset()
    """Stems of those in the scope of one, or of an odd number."""
    numbers: frozenset[str] = frozenset()
    doses: frozenset[Dose] = frozenset()
    dosed: frozenset[tuple[str, Dose]] = frozenset()
    frequencies: frozenset[str] = frozenset()
    dates: frozenset[CalendarDate] = frozenset()
    times: frozenset[str] = frozenset()
    spans: frozenset[str] = frozenset()
    sides: frozenset[str] = frozenset()
    medications: frozenset[str] = frozenset()
    negated_medications: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    """Words with a capital that does not open a sentence, casefolded; none in Hebrew."""
    pronouns: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()


def find_medications(text: str) -> frozenset[str]:
    """Return the generic names of the medications that a text names, in either script."""
    return frozenset(_generics(read(text)))


def read_facts(text: str) -> Facts:
    """Return what a text of one or a few sentences claims."""
    mentions = read(text)
    words = [word for mention in mentions for word in mention.words]
    negated = negated_places(words)
    reached = _mentions_reached(mentions, negated)
    return Facts(
        asserted=_stems(word for n, word in enumerate(words) if n not in negated),
        negated=_stems(words[n] for n in sorted(negated)),
        numbers=_numbers(words, mentions),
        doses=frozenset(each.fact for each in mentions if isinstance(each.fact, Dose)),
        dosed=frozenset(_dosed(mentions)),
        frequencies=_facts(mentions, "frequency"),
        dates=frozenset(_dates(mentions)),
        times=_facts(mentions, "time"),
        spans=_facts(mentions, "span"),
        sides=_facts(mentions, "side"),
        medications=frozenset(_generics(mentions)),
        negated_medications=frozenset(_generics(reached)),
        people=frozenset(_role(str(each.fact)) for each in mentions if each.kind == "person"),
        names=frozenset(_names(mentions)),
        pronouns=frozenset(_pronouns(mentions)),
        changes=frozenset(_changes(mentions)),
    )


def _facts(mentions: Iterable[Mention], kind: str) -> frozenset[str]:
    return frozenset(str(each.fact) for each in mentions if each.kind == kind)


def _generics(mentions: Iterable[Mention]) -> Iterable[str]:
    """Yield the generic name of each medication: `methylphenidate` of Concerta."""
    return (str(each.fact).split()[0] for each in mentions if each.kind == "medication")


def _stems(words: Iterable[Word]) -> frozenset[str]:
    return stems_of(" ".join(word.written for word in words))


def _mentions_reached(mentions: Sequence[Mention], negated: frozenset[int]) -> list[Mention]:
    place, reached = 0, []
    for mention in mentions:
        if place in negated:
            reached.append(mention)
        place += len(mention.words)
    return reached


def _numbers(words: Sequence[Word], mentions: Sequence[Mention]) -> frozenset[str]:
    """Return the numbers of the mentions that are not of the calendar or the clock."""
    numbers = {each.fact.amount for each in mentions if isinstance(each.fact, Dose)}
    numbers |= _facts(mentions, "number")
    counted = (str(each.fact) for each in mentions if each.kind in {"span", "frequency"})
    numbers |= {part for text in counted for part in _COUNT.findall(text)}
    bare = {word.text for word in words if word.text[0].isdigit()}
    return frozenset(number for number in numbers if number != "1" or number in bare)


def _dates(mentions: Sequence[Mention]) -> Iterable[CalendarDate]:
    for mention in mentions:
        if isinstance(mention.fact, CalendarDate):
            yield mention.fact
        elif mention.kind == "span" and len(mention.words) > 1:
            read_off = read_date(mention.words, 1)
            if read_off is not None:
                yield read_off[0]


def _dosed(mentions: Sequence[Mention]) -> Iterable[tuple[str, Dose]]:
    """Yield each dose with its medication: `sertraline 50 mg`, `50 mg of sertraline`."""
    for at, mention in enumerate(mentions):
        if not isinstance(mention.fact, Dose):
            continue
        behind = [each for each in mentions[at + 1 : at + 3] if each.fact not in {"of", "של"}]
        if behind and behind[0].kind == "medication":
            yield from ((name, mention.fact) for name in _generics(behind[:1]))
            continue
        for each in reversed(mentions[max(0, at - _NEAR) : at]):
            if each.kind == "medication":
                yield from ((name, mention.fact) for name in _generics([each]))
                break


def _role(person: str) -> str:
    return person.removesuffix(" he").removesuffix(" she").removesuffix(" i").split(" m")[0]


def _names(mentions: Sequence[Mention]) -> Iterable[str]:
    for mention in mentions:
        word = mention.words[0]
        is_name = mention.kind == "word" and not word.opens and word.written[:1].isupper()
        if is_name and word.text not in _PRONOUNS:
            yield word.text


def _pronouns(mentions: Sequence[Mention]) -> Iterable[str]:
    for mention in mentions:
        if mention.kind == "person" and str(mention.fact).endswith((" he", " she", " i")):
            yield str(mention.fact).split()[-1]
        elif mention.fact != _OBJECT_MARK and mention.words[0].text in _PRONOUNS:
            yield _PRONOUNS[mention.words[0].text]


def _changes(mentions: Sequence[Mention]) -> Iterable[str]:
    # Of plain words alone: `בעלה` is her husband, not `ב` and a rise.
    words = [each.words[0] for each in mentions if each.kind == "word"]
    at = 0
    while at < len(words):
        found = lexicon("changes").find(words, at)
        if found is not None:
            yield found.meaning
        at += found.length if found else 1

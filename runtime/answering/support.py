"""Does what an answer says agree with the passages it cites? Rules alone: no model is called.

`checking.py` asks for each cited sentence. A claim is held against the part of a passage that
speaks of the same thing: of all facts of its kind there, the one in the most similar surroundings.
What is certainly contradicted is not shown; what only cannot be confirmed is, and is marked.
`docs/decisions/0011-support-check.md` argues the thresholds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from runtime.answering.denials import ABOUT, compare_negations
from runtime.answering.qualities import RELATIONS, are_alike
from runtime.answering.surroundings import Scene, likeness
from runtime.clinical.claims import Claim, Reading, Value, read_claims
from runtime.clinical.dates import CalendarDate
from runtime.clinical.quantities import Dose
from runtime.clinical.subject import CLIENT
from runtime.clinical.words import listed
from runtime.language.months import MONTHS
from runtime.language.sentences import sentences

if TYPE_CHECKING:
    from datetime import date

    from runtime.messages import Passage

Verdict: TypeAlias = Literal["supported", "doubtful", "contradicted"]

CERTAIN: Final = 0.25
"""How alike the surroundings of two different values must be, 0 to 1, for one to contradict the
other where the said one stands nowhere in the passage. Source: benchmarks/grounding.py."""
CLEARLY_NEARER: Final = 0.3
"""By how much, where the said value stands elsewhere in the passage."""
_COVERS: Final[Mapping[str, frozenset[str]]] = {
    "partner": frozenset(("husband", "wife", "boyfriend", "girlfriend", "ex husband", "ex wife")),
    "parents": frozenset(("mother", "father")),
    "children": frozenset(("son", "daughter", "child", "sons", "daughters")),
    "child": frozenset(("son", "daughter")),
    "siblings": frozenset(("brother", "sister", "brothers", "sisters")),
    "grandparents": frozenset(("grandmother", "grandfather")),
}
_SMALLER_UNITS: Final = {"week": (7, "day"), "year": (12, "month")}
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_COUNTED_SPAN: Final = re.compile(r"\d\S* \w+")
_NAME: Final = re.compile(r"[^\W\d_]+")
_FULL_NAME: Final = re.compile(r"\b(?=([A-Z][a-z]+) ([A-Z][a-z]+)\b)")
_CAPITALISED: Final = MONTHS.keys() | {
    *listed("mr mrs ms dr prof today yesterday when since on in at and but client patient"),
    *listed("sunday monday tuesday wednesday thursday friday saturday however then now also"),
}
_SENTENCES_APART: Final = 1000
_ENOUGH_SHARED: Final = 2
_COUNTED_KINDS: Final = frozenset(("number", "dose", "span", "frequency", "time", "date"))
_MAY_BE_NEW: Final = frozenset(
    ("change", "frequency", "per", "span", "person", "weekday", "daypart", "quality")
)
"""Kinds that a faithful sentence may add by rewording: without a counterpart they prove nothing."""
_MAY_BE_SWAPPED: Final = frozenset(("side", "dose", "change", "date", "time", "quality"))
"""Kinds of which a passage often has two, each of its own matter: `left hand, right leg`."""
_COMPARED: Final = frozenset(("dose", "number", "date", "time", "side", "medication", *_MAY_BE_NEW))


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one sentence, and the kinds of facts that it rests on (`dose`, `side`)."""

    verdict: Verdict
    kinds: tuple[str, ...] = ()


class Evidence:
    """What the passages of one answer say, each read once, when it is first cited."""

    def __init__(self, passages: Mapping[int, Passage]) -> None:
        self.passages = passages
        self._readings: dict[int, Reading] = {}

    def judge(self, sentence: str, markers: Iterable[int]) -> Finding:
        """Return whether the sentence, without its markers, agrees with these passages.

        Never raises; what is too long to be read whole is doubtful at best.
        """
        cited = [marker for marker in dict.fromkeys(markers) if marker in self.passages]
        if not cited or any(self._says_itself(marker, sentence) for marker in cited):
            return Finding("supported")
        said = read_claims(sentence, names=self._names(cited))
        known = Scene([claim for marker in cited for claim in self._read(marker)])
        heads = [self.passages[marker] for marker in cited]
        found = list(compare(Scene(said.claims), known, heads))
        found += self._find_other_clients(sentence, heads)
        found += [Finding("doubtful", ("length",))] if said.is_cut else []
        kinds = tuple(dict.fromkeys(kind for each in found for kind in each.kinds))
        verdicts = {each.verdict for each in found}
        if "contradicted" in verdicts:
            return Finding("contradicted", kinds)
        return Finding("doubtful" if "doubtful" in verdicts else "supported", kinds)

    def _says_itself(self, marker: int, sentence: str) -> bool:
        """Say whether the sentence is one of the passage; half of one may say the reverse."""
        text = self.passages[marker].text
        words = sentence.split()
        return sentence.strip() in text and any(
            text[start:end].split() == words for start, end in sentences(text)
        )

    def _read(self, marker: int) -> list[Claim]:
        """Return the claims of a passage; sentences are numbered apart from other passages'."""
        if marker not in self._readings:
            names = self._names([marker])
            self._readings[marker] = read_claims(self.passages[marker].text, names=names)
        offset = _SENTENCES_APART * marker
        return [replace(c, sentence=c.sentence + offset) for c in self._readings[marker].claims]

    def _names(self, markers: Iterable[int]) -> frozenset[str]:
        """Return the words of the names of the clients whom these passages are of."""
        names = " ".join(self.passages[marker].client_name for marker in markers)
        return frozenset(_NAME.findall(names.casefold()))

    def _find_other_clients(self, sentence: str, heads: Sequence[Passage]) -> Iterator[Finding]:
        """Find what is said of one client by name and rests on the records of another."""
        known = set(_NAME.findall(" ".join(f"{p.client_name} {p.text}" for p in heads).casefold()))
        folded = set(_NAME.findall(sentence.casefold()))
        for other in self.passages.values():
            names = set(_NAME.findall(other.client_name.casefold()))
            if names and names <= folded and not names <= known:
                yield Finding("contradicted", ("person",))
        owners = [_NAME.findall(p.client_name.casefold()) for p in heads]
        for first, last in _FULL_NAME.findall(sentence):
            named = (first.casefold(), last.casefold())
            new = [name for name in named if name not in known and name not in _CAPITALISED]
            if any(
                (named[0] == own[0] and named[1] in new)
                or (named[1] == own[-1] and named[0] in new)
                for own in owners
                if own
            ):
                yield Finding("contradicted", ("person",))


def compare(said: Scene, known: Scene, heads: Sequence[Passage]) -> Iterator[Finding]:
    """Yield what is amiss with what was said, given what is known."""
    dates = [p.session_date.date() for p in heads if p.session_date]
    for claim in said.claims:
        if claim.kind in _COMPARED and not _is_of_the_record(claim, dates):
            yield from _compare_value(claim, said, known)
            yield from _compare_places(claim, said, known)
    yield from _compare_subjects(said, known)
    for clause in dict.fromkeys((claim.sentence, claim.clause) for claim in said.claims):
        for verdict in compare_negations(clause, said, known):
            yield Finding(verdict, ("negation",))


def _compare_value(claim: Claim, said: Scene, known: Scene) -> Iterator[Finding]:
    """Hold one fact against those of its kind, by what surrounds them."""
    around = said.around(claim)
    same, other = 0.0, 0.0
    is_there = has_others = False
    for candidate in known.claims:
        fits = _fits(claim, candidate)
        if fits is None:
            continue
        alike = likeness(around, known.around(candidate))
        if claim.kind == "person" and not _share_topic(claim, candidate, said, known):
            alike = 0.0
        if fits:
            is_there, same = True, max(same, alike)
        else:
            has_others, other = True, max(other, alike)
    worst: Verdict = "doubtful" if claim.value in RELATIONS else "contradicted"
    if is_there:
        if claim.kind in _MAY_BE_SWAPPED and other - same >= CLEARLY_NEARER:
            yield Finding(worst, (claim.kind,))
    elif claim.kind in _MAY_BE_NEW:
        if has_others and other >= CERTAIN:
            yield Finding(worst, (claim.kind,))
    else:
        certain = has_others and other >= CERTAIN
        yield Finding(worst if certain else "doubtful", (claim.kind,))


def _compare_places(claim: Claim, said: Scene, known: Scene) -> Iterator[Finding]:
    """Find a value in the place of another: `from 50 to 100` of `from 100 to 50`; of `at night`."""
    same = [c for c in known.claims if c.kind == claim.kind and c.value == claim.value]
    ends = {other.end for other in same} - {""}
    if claim.end and ends and claim.end not in ends:
        yield Finding("contradicted", (claim.kind,))
    part = said.daypart(claim) if claim.kind == "dose" else None
    if part is None:
        return
    parts = {known.daypart(other) for other in same}
    others = (c for c in known.of_kind("dose") if c.value != claim.value)
    if part not in parts and None not in parts and part in map(known.daypart, others):
        yield Finding("contradicted", (claim.kind,))


def _share_topic(claim: Claim, other: Claim, said: Scene, known: Scene) -> bool:
    """Say whether both sentences speak of one thing: a number in both is none."""
    mine = {each.key for each in said.sentence_of(claim) if each.kind in ABOUT}
    return any(each.kind in ABOUT and each.key in mine for each in known.sentence_of(other))


def _fits(claim: Claim, other: Claim) -> bool | None:
    """Say whether the other fact can be this one; None where they are not of one kind."""
    mine, theirs = claim.value, other.value
    if claim.kind == "number" and other.kind in _COUNTED_KINDS - {"number"}:
        return _counts(mine) <= _counts(theirs) or None
    if claim.kind != other.kind:
        return None
    if claim.kind in {"change", "quality"}:
        return are_alike(claim, other)
    if isinstance(mine, CalendarDate) and isinstance(theirs, CalendarDate):
        return mine.may_be(theirs)
    if claim.kind == "person":
        return _may_be_one(str(mine), str(theirs))
    is_near = claim.kind == "frequency" and _is_within_a_day(str(mine), str(theirs))
    return is_near or _plain(claim) == _plain(other)


def _compare_subjects(said: Scene, known: Scene) -> Iterator[Finding]:
    """Find what is said of somebody that the passage says of somebody else."""
    topics = [c for c in said.claims if c.kind in ABOUT]
    shared: dict[tuple[int, str], set[str]] = {}
    for claim in topics:
        for other in known.claims:
            if other.kind in ABOUT and other.key == claim.key:
                shared.setdefault((other.sentence, other.subject), set()).add(claim.key)
    subjects = {claim.subject for claim in topics}
    if not shared or len(subjects) != 1:
        return
    (subject,) = subjects
    mine = max(
        (len(keys) for (_, who), keys in shared.items() if _may_be_one(subject, who)), default=0
    )
    best, keys = max(shared.items(), key=lambda each: len(each[1]))
    enough = len(keys) >= _ENOUGH_SHARED or len(keys) == len({c.key for c in topics})
    if not _may_be_one(subject, best[1]) and enough and len(keys) > mine:
        if subject != CLIENT or not _names(said, known, best[1]):
            yield Finding("contradicted", ("person",))
        elif said.of_kind("person"):
            yield Finding("doubtful", ("person",))
    elif subject == CLIENT != best[1] and not mine and not _names(said, known, best[1]):
        yield Finding("doubtful", ("person",))


def _names(said: Scene, known: Scene, person: str) -> bool:
    """Say whether the person is spoken of, by role, or first of all by the name behind it."""
    if any(_may_be_one(str(claim.value), person) for claim in said.of_kind("person")):
        return True
    called = {
        (claim.sentence, claim.place + 1)
        for claim in known.of_kind("person")
        if _may_be_one(str(claim.value), person)
    }
    names = {
        c.key for c in known.of_kind("topic") if c.is_capital and (c.sentence, c.place) in called
    }
    return any(claim.key in names and not claim.place for claim in said.of_kind("topic"))


def _is_of_the_record(claim: Claim, dates: Sequence[date]) -> bool:
    """Say whether a date is that of a cited session, or a number a part of it."""
    heads = [CalendarDate(day.year, day.month, day.day) for day in dates]
    if claim.kind == "number":
        return any(_counts(claim.value) <= _counts(head) for head in heads)
    return isinstance(claim.value, CalendarDate) and any(map(claim.value.may_be, heads))


def _may_be_one(mine: str, theirs: str) -> bool:
    """Say whether two words for a person can mean one: `partner` and `husband` can."""
    mine, theirs = _role(mine), _role(theirs)
    return mine == theirs or theirs in _COVERS.get(mine, ()) or mine in _COVERS.get(theirs, ())


def _role(person: str) -> str:
    return person.removesuffix(" m").removesuffix(" f")


def _plain(claim: Claim) -> Value:
    """Return `3 month` of `last 3 month` and of a quarter of a year, `14 day` of two weeks.

    How often by night is how often by day.
    """
    if claim.kind == "frequency":
        return str(claim.value).replace("night", "day")
    counted = _COUNTED_SPAN.search(str(claim.value)) if claim.kind == "span" else None
    if counted is None:
        return claim.value
    count, unit = counted[0].split()
    times, smaller = _SMALLER_UNITS.get(unit, (1, unit))
    return f"{float(count) * times:g} {smaller}" if _NUMBER.fullmatch(count) else counted[0]


def _is_within_a_day(mine: str, theirs: str) -> bool:
    """Say whether one is how often by day and the other when: `daily` and `every evening`."""
    counts, units = zip(*(each.partition("/")[::2] for each in (mine, theirs)), strict=True)
    return counts[0] == counts[1] and "day" in units and bool({"evening", "morning"} & set(units))


def _counts(value: Value) -> frozenset[float]:
    """Return the numbers that stand in a value: 3 and 0 of `3:00`."""
    text = value.amount if isinstance(value, Dose) else str(value)
    return frozenset(map(float, _NUMBER.findall(text)))

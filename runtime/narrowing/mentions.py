"""Which clients a question means, of those of whose names a word stands in it. Pure.

`narrow.py` asks. A client who is taken for meant hides all the others, so in doubt none is: a
whole name is certain, one word of it only where it can hardly be anything else.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from runtime.language.name_words import AskedWord, is_hebrew
from runtime.narrowing.asked_names import AskedNames
from runtime.narrowing.bearers import Bearer, Hit, find_hits
from runtime.narrowing.heard_names import is_person
from runtime.narrowing.ordinary_names import (
    CALENDAR,
    CUES,
    HONORIFICS,
    MOTIONS,
    OPENERS,
    ORDINARY,
    OTHER_PERSONS,
    PARTICLES,
    PLACE_CUES,
    PRONOUNS,
    SAYINGS,
    SURNAMES,
    THINGS,
    TIME_CUES,
    WHICH,
)
from runtime.narrowing.subjects import is_described, is_subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from runtime.messages import NamedClient

_SHORTEST_NAME: Final = 3
_WHO: Final = "מי"
"""Before a name that is a verb too: `מי שרה`, who sings."""
_OF: Final = "של"
"""Behind a word, it is a thing: `גל של חרדה`."""
_HEBREW_SURNAME: Final = re.compile("..(?:סונ|שטיינ|ברג|ביצ|סקי|צקי|שווילי|אשוילי)$")
"""Endings of families' names, in normalised letters."""


_Check: TypeAlias = "Callable[[Hit, Bearer, AskedNames], bool]"


def choose_meant(question: str, named: Sequence[NamedClient]) -> frozenset[UUID]:
    """Return the clients that the question means: all who bear the name where several do."""
    asked = AskedNames(question)
    bearers = [find_hits(client, asked.words) for client in named]
    whole = _find_whole_names(bearers, asked)
    used = {place for _, places in whole for place in places}
    meant = {bearer.client.id for bearer, _ in whole}
    for place in range(len(asked.words)):
        by_word = _choose_by_word(place, bearers, asked) if place not in used else set()
        if by_word:
            meant |= by_word
            used.add(place)
    for place in sorted(used):
        meant |= _choose_joined(place, bearers, asked)
    return frozenset(meant)


# --- Whole names --------------------------------------------------------------------------------


def _find_whole_names(
    bearers: Sequence[Bearer], asked: AskedNames
) -> list[tuple[Bearer, frozenset[int]]]:
    """Return who is named by two words or more, and where; at one place, by the most words."""
    runs = [(bearer, run) for bearer in bearers for run in _list_runs(bearer, asked)]
    return [
        (bearer, run)
        for bearer, run in runs
        if not any(len(other) > len(run) and other & run for _, other in runs)
    ]


def _list_runs(bearer: Bearer, asked: AskedNames) -> Iterator[frozenset[int]]:
    """Yield the places of each run of two or more different words of the name."""
    run: list[Hit] = []
    for hit in bearer.hits:
        follows = (
            run
            and not hit.prefixed
            and hit.word not in {other.word for other in run}
            and _is_near(run[-1].place, hit.place, asked)
        )
        if not follows:
            if _is_whole(run, asked):
                yield frozenset(other.place for other in run)
            run = []
        run.append(hit)
    if _is_whole(run, asked):
        yield frozenset(other.place for other in run)


def _is_near(first: int, second: int, asked: AskedNames) -> bool:
    """Say whether two words are one name's: adjacent, or with a middle name or initial between."""
    if second == first:
        return False
    gaps = [asked.between(place, place + 1) for place in range(first, second)]
    if any(gap.strip(" -־.,") or ("." in gap and len(gaps) == 1) for gap in gaps):
        return False
    if asked.words[first].possessive:
        return False
    if second == first + 1:
        return True
    middle = asked.words[first + 1].text
    is_name = middle[0].isupper() and asked.capitals_tell
    return second == first + 2 and "," not in "".join(gaps) and (len(middle) == 1 or is_name)


def _is_whole(run: Sequence[Hit], asked: AskedNames) -> bool:
    names = [hit for hit in run if hit.word not in PARTICLES | OTHER_PERSONS]
    if len(run) < 2 or not names:  # noqa: PLR2004 - two words make a name
        return False
    words = [asked.words[hit.place].text for hit in run]
    if is_hebrew(words[0]):
        said = [hit.heard for hit in run]
        return not all(word and _is_little(word) and word not in SURNAMES for word in said)
    if not all(hit.word in ORDINARY for hit in run):
        return True
    return all(asked.is_capital(hit.place) for hit in run)


def _is_little(word: str) -> bool:
    return len(word) < _SHORTEST_NAME or word in ORDINARY


# --- One word of a name -------------------------------------------------------------------------


def _choose_by_word(place: int, bearers: Sequence[Bearer], asked: AskedNames) -> set[UUID]:
    """Return who is meant by one word: all who bear it, or those that its initial leaves."""
    found: defaultdict[Hit, list[Bearer]] = defaultdict(list)
    for bearer in bearers:
        for hit in bearer.hits:
            if hit.place == place:
                found[hit].append(bearer)
    meant: set[UUID] = set()
    for hit in sorted(found, key=lambda hit: hit.prefixed):
        if hit.prefixed and meant:
            break
        here = found[hit]
        if hit.word in PARTICLES or _is_anothers_name(hit, here, bearers, asked):
            continue
        check = _choose_check(hit)
        chosen = [bearer for bearer in here if check(hit, bearer, asked)]
        meant |= {bearer.client.id for bearer in chosen if _fits_initial(hit, bearer, asked)}
    return meant


def _choose_joined(place: int, bearers: Sequence[Bearer], asked: AskedNames) -> set[UUID]:
    """Return who is asked of beside the one who is meant at a place: `Jack and Joy's session`.

    A first name there may be an ordinary word: that adds a client, and hides none.
    """
    joined = asked.joined_places(place)
    return {
        bearer.client.id
        for bearer in bearers
        for hit in bearer.hits
        if hit.place in joined and hit.word == bearer.words[0]
        if is_hebrew(asked.words[hit.place].text) or asked.is_capital(hit.place)
    }


def _is_anothers_name(
    hit: Hit, here: Collection[Bearer], bearers: Collection[Bearer], asked: AskedNames
) -> bool:
    """Say whether a neighbour makes it the name of someone who is no client of this name."""
    before = asked.word(hit.place - 1)
    after = asked.word(hit.place + 1)
    if before in OTHER_PERSONS | PARTICLES or after in THINGS:
        return True
    is_first = any(bearer.words[0] == hit.word for bearer in here)
    is_last = any(hit.word in bearer.words[1:] for bearer in here)
    is_followed = any(after in bearer.words[1:] for bearer in bearers)
    is_led = any(before == bearer.words[0] for bearer in bearers)
    has_surname = is_followed or after in PARTICLES or _is_hebrew_surname(after)
    return (is_first and has_surname and asked.is_joined(hit.place, hit.place + 1)) or (
        is_last and is_led and asked.is_joined(hit.place - 1, hit.place)
    )


def _is_hebrew_surname(word: str) -> bool:
    """Say whether a word after a first name is likely its surname, by lists and by its ending."""
    if not word or not is_hebrew(word):
        return False
    return word in SURNAMES | ORDINARY or _HEBREW_SURNAME.search(word) is not None


def _is_ordinary(hit: Hit, bearer: Bearer) -> bool:
    return _is_little(hit.word) or hit.word in bearer.client.usual_words


def _choose_check(hit: Hit) -> _Check:
    in_hebrew = is_hebrew(hit.heard or hit.word)
    if hit.heard:
        return _is_heard_in_hebrew if in_hebrew else _is_heard_in_latin
    return _is_hebrew_name if in_hebrew else _is_latin_name


def _is_hebrew_name(hit: Hit, bearer: Bearer, asked: AskedNames) -> bool:
    """A first name that is no other word; else what stands by a word said of people."""
    is_surname = hit.word != bearer.words[0]
    before = asked.word(hit.place - 1)
    is_ordinary = _is_ordinary(hit, bearer)
    if not is_surname and not is_ordinary and before != _WHO:
        return True
    if before in WHICH or (is_ordinary and asked.word(hit.place + 1) == _OF):
        return False
    if hit.prefixed or (is_surname and is_ordinary):
        return not hit.prefixed and before in HONORIFICS
    if not is_surname and _does_what_people_do(hit.place, asked):
        return True
    return _is_spoken_of(hit.place, asked)


def _does_what_people_do(place: int, asked: AskedNames) -> bool:
    """Say whether the Hebrew word is the subject of what is said of people."""
    before, is_object = asked.word(place - 1), asked.word(place - 2) in PRONOUNS
    said = asked.word(place + 1) in SAYINGS or (before in SAYINGS and not is_object)
    return said or is_subject(*asked.sentence(place))


def _is_spoken_of(place: int, asked: AskedNames) -> bool:
    """Say whether the Hebrew word before is one that stands before names: `אצל`, `גברת`."""
    before = asked.word(place - 1)
    return before in HONORIFICS or (before in CUES and not is_described(*asked.sentence(place)))


def _is_latin_name(hit: Hit, bearer: Bearer, asked: AskedNames) -> bool:
    """A word with a capital that nothing else explains, or one that is no other word."""
    place, before = hit.place, asked.word(hit.place - 1)
    word = asked.words[place]
    if before in HONORIFICS:
        return True
    is_place = before in PLACE_CUES or asked.word(place - 2) in MOTIONS
    if (is_place and not word.possessive) or _is_part_of_phrase(place, asked):
        return False
    if hit.word in CALENDAR and (before in TIME_CUES or _has_number_beside(word, asked.text)):
        return False
    if not _is_ordinary(hit, bearer):
        return True
    return asked.is_capital(place) and (word.possessive or not asked.begins_sentence(place))


def _is_heard_in_latin(hit: Hit, bearer: Bearer, asked: AskedNames) -> bool:
    """A first name with a capital where a person's stands, with no other name beside it."""
    place = hit.place
    if hit.word != bearer.words[0] or not asked.is_capital(place):
        return False
    if asked.begins_sentence(place) and not asked.words[place].possessive:
        return False
    if _is_part_of_phrase(place, asked):
        return False
    return is_person(*asked.sentence(place), possessive=asked.words[place].possessive)


def _is_heard_in_hebrew(hit: Hit, bearer: Bearer, asked: AskedNames) -> bool:
    """A first name where only a person's stands: Hebrew has no capitals to tell `Mila` by."""
    if hit.word != bearer.words[0] or hit.prefixed or len(hit.heard) < _SHORTEST_NAME:
        return False
    if _does_what_people_do(hit.place, asked):
        return True
    is_usual = hit.heard in ORDINARY or hit.heard in bearer.client.usual_words
    return not is_usual and _is_spoken_of(hit.place, asked)


def _is_part_of_phrase(place: int, asked: AskedNames) -> bool:
    """Say whether a neighbour with a capital makes it another name: of a test, of a place."""
    return any(
        asked.is_joined(min(place, other), max(place, other))
        and asked.is_capital(other)
        and not asked.words[other].text.isupper()
        and asked.word(other) not in CALENDAR
        and not (asked.begins_sentence(other) and asked.word(other) in OPENERS)
        for other in (place - 1, place + 1)
        if 0 <= other < len(asked.words) and not is_hebrew(asked.words[other].text)
    )


def _has_number_beside(word: AskedWord, text: str) -> bool:
    before, after = text[: word.start], text[word.end :]
    return bool(re.search(r"\d\s*$", before) or re.match(r",?\s*\d", after))


def _fits_initial(hit: Hit, bearer: Bearer, asked: AskedNames) -> bool:
    """Say whether an initial beside the word, if there is one, is of the same client."""
    for other in (hit.place - 1, hit.place + 1):
        if not 0 <= other < len(asked.words):
            continue
        initial = asked.words[other]
        behind = asked.text[initial.end : initial.end + 1]
        is_initial = len(initial.text) == 1 and initial.text not in "aI" and behind in ".'’׳"
        if not (is_initial and behind) and not (
            len(initial.text) == 1 and initial.text.isupper() and initial.text not in "AI"
        ):
            continue
        if not any(word[0] == initial.words[0] for word in bearer.words if word != hit.word):
            return False
    return True

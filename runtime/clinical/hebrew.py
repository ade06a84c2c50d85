"""A Hebrew question in one form for all the wordings that surely ask the same.

A word keeps its place and its inflection, and so its gender, unless a table says that another means
the same. What is written onto a known word becomes items of its own; `ה` does too, but
before whose it is: `המשפחה שלה` is `משפחתה`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.clinical.forms import Form, Item, keep_sign, move_adjunct
from runtime.clinical.lexicon import lexicon
from runtime.clinical.reading import read_mention
from runtime.clinical.words import Word, listed, words_of

_PRONOUNS: Final = {
    "הוא": "he", "היא": "she", "שלו": "he", "שלה": "she", "שלי": "i", "שלנו": "we", "שלהם": "they",
}  # fmt: skip
_GENDERS: Final = {"he": "m", "she": "f"}
_TELLING: Final = ("(say ", "(tell ", "(describe ", "(talk ", "(feel ", "(take ", "(decide ")
"""Verbs whose subject is a person, so that `מה` is never it."""
_OF_ONE_TIME: Final = tuple(
    f"({verb} " for verb in listed("start stop take feel improve worsen happen call suffer cry")
)
"""Verbs whose object has no time of its own, as what is denied or cancelled has."""
_OPENING: Final = frozenset(("when", "why", "where", "how", "how often"))
_LINKS: Final = frozenset(("כי", "אם", "אחרי", "לפני", "כאשר", "בגלל", "או", "מאז", "עד"))
_NO_LINKS: Final = frozenset(
    listed(
        """של שעות שעה שינה שתי שני שלוש שלושה שם שנה שנים שבוע שיחה שינוי שתה שתתה שותה שותים
        שכחה שמעה שמע שומעת שומע שמאל ששה שש שבע שבעה שמונה שונה"""
    )
)
_LOOSE: Final = frozenset(("word", "name", "medication", "prefix"))
_ASKING: Final = frozenset((("prefix", "ה"),)) | frozenset(
    ("word", fact)
    for fact in (*_OPENING, "what", "who", "how many", *listed("שעות את היה הייתה לא"))
)
"""Words that can be no further verb, nor what another verb does."""
_FIXED: Final = frozenset(
    ("word", fact)
    for fact in listed(
        "לא אין אינה אינו אינם אינן איננה איננו טרם בלי ללא רק גם אפילו כבר עוד עדיין שוב"
    )
)
"""Words whose place says what they belong to."""
_OWNED: Final = frozenset(
    ("word", thing)
    for thing in (
        "dose", "diagnosis", "goal", "goals", "medication", "medications", "treatment",
        "side effects", "symptoms", "mood", "sleep problems",
    )
)  # fmt: skip
"""Things, which nobody is: `האחות של דנה` is Dana's sister, `האחות דנה` is a nurse."""
_ALSO_NAMES: Final = frozenset(listed("אביה אחיה אמה אמי אימי"))
"""Her father, her brother, her mother, my mother; or a first name."""
_FLOATING: Final = ("previous ", "last ", "this ", "day ")


def read_hebrew(text: str) -> Form:
    """Return the form of a normalised question."""
    words = words_of(text)
    items: list[Item] = []
    at = 0
    while at < len(words):
        at += _read_at(words, at, items)
    items = _drop_owner(_drop_pronoun(items))
    links = _has_links(items)
    verbs = [item for item in items if _is_finite(item)]
    items = move_adjunct(items, tells=not _has_one_time(items), links=links)
    return Form("he", tuple(_bare_start(items if links else _verb_first(items, verbs))))


def _read_at(words: Sequence[Word], at: int, items: list[Item]) -> int:
    word = words[at]
    if word.is_sign:
        items += keep_sign(words, at, items)
        return 1
    if word.text == "האם" and (at == 0 or (items and all(i[0] == "adjunct" for i in items))):
        return _skip_whether(words, at)
    if word.text in _PRONOUNS:
        owns = word.text.startswith("של")
        items.append(("owner" if owns else "pronoun", _PRONOUNS[word.text]))
        return 1
    if word.text == "מה" and at + 2 < len(words):
        noun = words[at + 2].text
        if (
            words[at + 1].text in {"הוא", "היא"}
            and noun[:1] == "ה"
            and _is_known_noun(words, at + 2)
        ):
            items.append(("word", "what"))
            return 2
    phrase = lexicon("questions.he").find(words, at)
    if phrase is not None:
        _add_phrase(phrase.meaning, phrase.prefix, items)
        is_noun = items[-1:] == [("word", phrase.meaning)]
        if is_noun and phrase.prefix.endswith("ה") and not _is_owned(words, at):
            items.insert(-1, ("prefix", "ה"))
        return phrase.length
    return _read_mention(words, at, items)


def _skip_whether(words: Sequence[Word], at: int) -> int:
    phrase = lexicon("questions.he").find(words, at)
    return phrase.length if phrase is not None and phrase.meaning == "-" else 1


def _is_known_noun(words: Sequence[Word], at: int) -> bool:
    found = lexicon("questions.he").find(words, at)
    return found is not None and not found.meaning.startswith("(")


def _add_phrase(meaning: str, prefix: str, items: list[Item]) -> None:
    if meaning == "-":
        return
    if meaning.startswith("session ") and prefix in {"ב", "בה"}:
        items.append(("adjunct", meaning))
        return
    _add_prefix(prefix, items)
    first, *owners = meaning.split(" + ")
    if first in {"what is", "what are"}:
        first = "what"
    items.append(("verb" if first.startswith("(") else "word", first))
    items.extend(("owner", owner) for owner in owners)


def _add_prefix(prefix: str, items: list[Item]) -> None:
    items.extend(("prefix", letter) for letter in prefix if letter != "ה")


def _read_mention(words: Sequence[Word], at: int, items: list[Item]) -> int:
    mention = read_mention(words, at)
    fact = str(mention.fact)
    if mention.kind == "person" and mention.words[0].text[len(mention.prefix) :] in _ALSO_NAMES:
        items.append(("name", mention.words[0].text))
        return 1
    floats = mention.kind == "date" or fact.startswith(_FLOATING)
    if mention.kind in {"date", "span"} and floats:
        split = items[-1:] == [("word", "ב")]
        if split:
            items.pop()
        if split or mention.prefix == "ב" or fact.startswith("day "):
            items.append(("adjunct", fact))
            return len(mention.words)
    _add_prefix(mention.prefix, items)
    if mention.kind == "person" and mention.prefix.endswith("ה") and not _is_owned(words, at):
        items.append(("prefix", "ה"))
    if mention.kind == "person":
        role, _, owner = fact.rpartition(" ")
        if owner in {"he", "she", "i"}:
            items.extend([("person", role), ("owner", owner)])
            return len(mention.words)
    items.append((mention.kind, fact))
    return len(mention.words)


def _is_owned(words: Sequence[Word], at: int) -> bool:
    """Tell `הרופא שלה`, where `ה` says nothing, from `הרופא`, who need not be any other."""
    return any(word.text.startswith("של") for word in words[at + 1 : at + 3])


def _is_finite(item: Item) -> bool:
    return item[0] == "verb" and not item[1].endswith(" inf)")


def _bare_start(items: list[Item]) -> list[Item]:
    """Say `התחילה לקחת ציפרלקס` as `התחילה ציפרלקס`."""
    return [
        item
        for at, item in enumerate(items)
        if not (
            item == ("verb", "(take inf)")
            and any(
                verb[1].startswith(("(start ", "(stop ")) for verb in items[max(0, at - 2) : at]
            )
            and [after[0] for after in items[at + 1 : at + 2]] == ["medication"]
        )
    ]


def _drop_pronoun(items: list[Item]) -> list[Item]:
    """Leave `היא` out beside the one verb, if that says `היא` by its own form."""
    verbs = [at for at, item in enumerate(items) if _is_finite(item)]
    if len(verbs) != 1:
        return items
    verb = items[verbs[0]][1].rstrip(")")
    for at in (verbs[0] - 1, verbs[0] + 1):
        is_pronoun = 0 <= at < len(items) and items[at][0] == "pronoun"
        if is_pronoun and verb.endswith(f" {_GENDERS[items[at][1]]}"):
            return items[:at] + items[at + 1 :]
    return items


def _drop_owner(items: list[Item]) -> list[Item]:
    """Leave `של` out between a thing and whose it is: `מינון הסרטרלין`, `המינון של הסרטרלין`."""
    kept: list[Item] = []
    for item in items:
        is_link = item == ("word", "של") and kept and kept[-1] in _OWNED
        if not is_link:
            kept.append(item)
    return kept


def _has_links(items: Sequence[Item]) -> bool:
    return any(
        (kind == "word" and (fact in _LINKS or (fact[:1] == "ש" and fact not in _NO_LINKS)))
        or (kind == "prefix" and fact in {"ש", "ו", "כ"})
        for kind, fact in items
    )


def _has_one_time(items: Sequence[Item]) -> bool:
    """Tell `איך ישנה` from `ביקשה להפסיק`, where a time may be of either verb.

    A word that no table knows may be a verb.
    """
    verbs = [fact for kind, fact in items if kind == "verb"]
    others = [item for item in items if item[0] in _LOOSE and item not in _ASKING]
    if len(verbs) > 1 or len(others) > 1:
        return False
    return not verbs or verbs[0].startswith(_OF_ONE_TIME)


def _verb_first(items: list[Item], verbs: Sequence[Item]) -> list[Item]:
    """Put the one verb before its subject: `מתי דנה התחילה`, `מתי התחילה דנה`.

    Not after `מי`, nor after `מה` that may be the subject: there the order says who does what.
    """
    if len(verbs) != 1 or any(item in _FIXED for item in items):
        return items
    opening = items[0]
    asks_what = opening == ("word", "what") and verbs[0][1].startswith(_TELLING)
    is_open = opening[0] == "word" and opening[1] in _OPENING
    at = items.index(verbs[0])
    has_two_subjects = at > 1 and [after[0] for after in items[at + 1 : at + 2]] == ["person"]
    if (asks_what or is_open) and not has_two_subjects:
        rest = [item for item in items[1:] if item != verbs[0]]
        return [opening, verbs[0], *rest]
    return items

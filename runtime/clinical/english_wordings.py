"""Wordings of one English question: what only wraps it, and what is said in two ways.

`english.py` calls these; each leaves what it does not know as it stands. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.clinical.forms import Item
from runtime.clinical.words import Word, listed

HEADS: Final = frozenset(listed("dose name diagnosis age occupation address title history"))
"""What somebody or something has one of: whose it is may stand before it or behind."""
_OF: Final = ("word", "of")
_OWNS: Final = ("word", "'s")
_POSSESSIVES: Final = {
    "he": "his", "she": "her", "they": "their", "i": "my", "you": "your", "we": "our",
}  # fmt: skip
_WRAPPINGS: Final = tuple(
    tuple(text.split())
    for text in (
        "do you know", "do we know", "i 'd like to know", "i would like to know", "i want to know",
        "remind me", "please remind me", "let me know", "can you remind me", "could you remind me",
        "can you say", "could you say", "i wonder", "thanks", "thank you", "hi", "hello",
        "can you check", "could you check", "i need to know", "do the notes say",
    )
)  # fmt: skip
_ASKING: Final = frozenset(
    listed(
        """what which who whom whose when where why how if whether is are was were do does did has
        have had can will"""
    )
)


def measure_wrapping(words: Sequence[Word]) -> int:
    """Return the length of what only wraps a question that follows it."""
    for wrapping in _WRAPPINGS:
        length = len(wrapping)
        if tuple(word.text for word in words[:length]) == wrapping and len(words) > length:
            length += words[length].text == ","
            following = [word.text for word in words[length : length + 1]]
            if following and following[0] in _ASKING:
                return length + (following[0] in {"if", "whether"})
    return 0


def put_owner_first(items: list[Item]) -> list[Item]:
    """Say `the dose of lithium` as `the lithium dose`, `the name of her son` as `her son's name`.

    Only of heads that nobody does to anybody: `the fear of her son` is not `her son's fear`.
    """
    if items.count(_OF) != 1:
        return items
    at = items.index(_OF)
    heads = [item for item in items if item[1] in HEADS]
    if not at or heads != [items[at - 1]]:
        return items
    end = at + 2
    if items[at + 1 : end] and items[at + 1][0] == "pronoun":
        end += 1
    owner, rest = items[at + 1 : end], items[end:]
    is_person = bool(owner) and owner[-1][0] in {"person", "pronoun"}
    has_owner = at > 1 and items[at - 2][0] == "pronoun"
    is_sure = not (is_person and (has_owner or heads[0][1] == "history"))
    if not owner or not is_sure or (rest and rest[0][0] == "word"):
        return items
    return [*items[: at - 1], *_own(owner), items[at - 1], *rest]


def name_age(items: list[Item]) -> list[Item]:
    """Say `how old is she` as `what is her age`."""
    rest = items[1:]
    if items[:1] == [("word", "how old")] and all(i[0] in {"pronoun", "person"} for i in rest):
        return [("word", "what"), *_own(rest), ("word", "age")]
    return items


def _own(owner: Sequence[Item]) -> list[Item]:
    """Say whose: `her` of `she`, `son 's` of `son`; of a medication no more than its name."""
    owning = [
        (kind, _POSSESSIVES.get(fact, fact)) if kind == "pronoun" else (kind, fact)
        for kind, fact in owner
    ]
    return [*owning, _OWNS] if owning[-1:] and owning[-1][0] in {"person", "name"} else owning


def drop_taking(items: list[Item]) -> list[Item]:
    """Say `start taking sertraline` as `start sertraline`."""
    return [
        item
        for at, item in enumerate(items)
        if not (
            item in {("verb", "take+"), ("verb", "use+")}
            and items[at - 1 : at] in ([("verb", "start")], [("verb", "stop")])
            and [after[0] for after in items[at + 1 : at + 2]] == ["medication"]
        )
    ]

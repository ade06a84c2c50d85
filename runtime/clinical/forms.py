"""The form of a question: what two questions must share to be sure of one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from runtime.clinical.words import Word
from runtime.messages import Language

Item: TypeAlias = tuple[str, str]
"""The kind of a mention and its meaning; `adjunct` is one that says when, and may stand at either
end of a simple question."""


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked, in order, and the tenses in order. Equal forms ask the same."""

    language: Language
    items: tuple[Item, ...]
    tenses: tuple[str, ...] = ()


def keep_sign(words: Sequence[Word], at: int, items: Sequence[Item]) -> list[Item]:
    """Return a sign as an item, or none where it says nothing.

    That is a comma behind what says when at the front, and a dash that joins two words.
    """
    sign = words[at].text
    if sign == "," and (not items or all(kind == "adjunct" for kind, _ in items)):
        return []
    before, after = words[at - 1 : at], words[at + 1 : at + 2]
    joins = bool(before and after) and not (before[0].is_sign or after[0].is_sign)
    if sign == "-" and joins and (before[0].is_hebrew or not after[0].text[0].isdigit()):
        return []
    return [("sign", sign)]


def move_adjunct(items: Sequence[Item], *, tells: bool, links: bool) -> list[Item]:
    """Return the items with an adjunct from the front at the end, if it means the same there.

    Not where it could then belong to a clause (`links`), nor to what was said rather than to the
    saying (`tells`); a session is where things are said, so it may move then too.
    """
    moved = list(items)
    if moved[-2:-1] == [("sign", ",")] and moved[-1][0] == "adjunct":
        del moved[-2]
    is_session = bool(moved) and moved[0][1].startswith("session ")
    if moved and moved[0][0] == "adjunct" and not links and (is_session or not tells):
        moved.append(moved.pop(0))
    return moved

"""The form of a question: what two questions must share to be sure of one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

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


def move_adjunct(items: Sequence[Item], *, tells: bool, links: bool) -> list[Item]:
    """Return the items with an adjunct from the front at the end, if it means the same there.

    Not where it could then belong to a clause (`links`), nor to what was said rather than to the
    saying (`tells`); a session is where things are said, so it may move then too.
    """
    moved = list(items)
    is_session = bool(moved) and moved[0][1].startswith("session ")
    if moved and moved[0][0] == "adjunct" and not links and (is_session or not tells):
        moved.append(moved.pop(0))
    return moved

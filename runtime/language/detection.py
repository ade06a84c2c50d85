"""Which of the two languages a text is in. Called on the question, and on what a model wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.messages import Language

_HEBREW_WORD: Final = re.compile(r"[א-ת]+")
_OTHER_WORD: Final = re.compile(r"[^\W\d_א-ת]{2,}")


def detect(text: str) -> Language:
    """Return `he` where at least half of the words are Hebrew, else `en`; `en` where none are.

    Words, not letters: two Hebrew words about `escitalopram` have fewer letters than it. Half is
    enough, since Hebrew notes borrow Latin names far more often than English ones borrow Hebrew.
    """
    hebrew = len(_HEBREW_WORD.findall(text))
    other = len(_OTHER_WORD.findall(text))
    return "he" if hebrew and hebrew >= other else "en"

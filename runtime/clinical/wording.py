"""What about a question's wording can never change its answer: the exact key of the cache."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from runtime.clinical.words import fold, listed

_END: Final = re.compile(r"[\s?.!,;:]+$")
_START: Final = re.compile(r"^(?:[\s?!,;:]|\.(?!\d))+")
_WRAPPING: Final = re.compile(
    r"""
    please,?\s(?=(?:wh|how|tell|list|can|could|does|did|is|was|has)[a-z]*\s)
    |(?:(?:can|could|would)\s you\s)?(?:please\s)?tell\s me,?\s
    |בבקשה,?\s
    |(?:האם\s)?(?:תוכלי?|(?:אתה?\s)יכולה?|אפשר)\s(?:בבקשה\s)?(?:להגיד|לומר)\s לי,?\s
    |(?:תגידי?|תאמרי?|אמרי|אמור)\s לי,?\s(?:בבקשה,?\s)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_THANKING: Final = re.compile(r",\s(?:please|thanks|thank you|בבקשה|תודה|תודה רבה)$", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\"][^\W\d_]+)*")
_NOT_A_NAME: Final = frozenset(
    listed(
        """a about am an and any are at be by can could did do does for from had has have he her his
        how i if in is it my of on or our she since some that the their there they to was we were
        what when where which who whom whose why with you your whether tell please list"""
    )
)
_ALSO_A_NAME: Final = frozenset(
    listed(
        """us it who or in on as at is am may will mark pat rose hope joy faith grace art bill drew
        chase jack june april august march dawn summer sky frank guy rob sue penny mercy iris ivy
        lily daisy ruby amber crystal robin olive ginger angel carol gene grant dean earl norm wade
        miles max star victor christian eve hunter mason cooper baker cook young long brown white
        black green gray grey reed stone wood woods banks brook brooks cliff dale forest glen heath
        jean jay kit lance mike nick otto peg ray rich rusty skip sonny tiffany violet ward wren
        gay bob buck chip chuck dick don harry herb jimmy john laurel melody misty patience pearl
        randy river sandy spike stew teddy terry trinity van vic viola woody aids polish turkey
        china job lent mass reading nice bath cork"""
    )
)
"""Small, they are words; with a capital, they may be names (`Will`, `May`, `US`)."""


def normalize_question(text: str) -> str:
    """Return the question without what cannot change its answer. Idempotent.

    Folded are Unicode forms, niqqud, kinds of quotes and dashes, white space, what is polite at
    either end, punctuation there, and capitals but those that may tell a name from a word: of
    `Autumn` within a sentence, and of `Will` at its start.
    """
    text = " ".join(fold(text).split())
    while True:
        stripped = _START.sub("", _END.sub("", text))
        bare = _THANKING.sub("", stripped)
        wrapping = _WRAPPING.match(bare)
        if wrapping and bare[wrapping.end() :].strip():
            bare = bare[wrapping.end() :]
        if bare == text:
            break
        text = bare
    return unicodedata.normalize("NFC", _lower(text))


def _lower(text: str) -> str:
    def lower(match: re.Match[str]) -> str:
        word = match[0]
        small = word.casefold()
        opens = match.start() == 0
        if small in _ALSO_A_NAME and not (opens and (small in _NOT_A_NAME or word.islower())):
            return word
        may_be_name = word.istitle() and not opens and small not in _NOT_A_NAME
        return word if may_be_name else small

    return _WORD.sub(lower, text)

"""How many of a client's latest sessions a question asks about: "in the last session" is one.

`narrow.py` asks. Whose sessions they are, and of which days, the store knows.
"""

from __future__ import annotations

import re
from typing import Final

from runtime.narrowing.exclusions import counts_from_event, excludes_time
from runtime.narrowing.time_cues import compares
from runtime.narrowing.time_words import EN_NUMBER, HE_NUMBER, is_vague, plain, read_number

_MOST: Final = 20
_LATEST: Final = re.compile(
    r"(?P<before>\b\w+ (?:the |her |his |their |our |my |this )?)?(?:\b[A-Z]\w+'s? )?"
    rf"\b(?:(?:last|latest|most recent|previous|past) (?:(?P<number>{EN_NUMBER}) )?"
    r"|(?P<number_first>\d{1,2}) (?:last|latest|most recent) )"
    r"(?:\w+ )?(?:sessions?|visits?|appointments?|meetings?|consultations?|encounters?)\b"
    r"(?! (?:to|at|of|by|in)\b| with (?:the|a|an|her|his|their|dr|another)\b)",
    re.IGNORECASE,
)
_HE_LATEST: Final = re.compile(
    r"(?P<before>[א-ת]+ )?"
    rf"(?<![א-ת])(?P<prefix>ו?ש?[במלה]{{0,2}})-?(?:(?P<number>{HE_NUMBER}) )?ה?"
    r"(?P<noun>פגישות|פגישת[הוםן]|פגישה|מפגשים|מפגש|ביקורים|ביקור[הו]?|טיפולים|טיפול)"
    r"(?: (?:של|עם) [א-ת'\"-]+(?: [א-ת'\"-]+)?)?"
    r" ה?(?:אחרונ(?:ה|ות|ים)|אחרון|קודמת|קודם)(?![א-ת])"
    r"(?! (?:אצל|ב[א-ת]|עם ה|של ה|נגד))"
)
_OUTSIDE: Final = re.compile(
    r"\b(?:since|before|until|till|after|prior|than|unlike|between|from|following|to)\b|\b(?:she"
    r"|he|they|i|we|you) $"
    r"|^(?:מאז|לפני|עד|אחרי|לאחר|מאשר|לעומת|בין|כמו)\s",
    re.IGNORECASE,
)
"""Before it, other sessions are meant too, or those alone."""


def count_latest(question: str) -> int:
    """Return of how many sessions, counted back from the latest, it asks; 0 where it does not."""
    text = plain(question)
    match = _LATEST.search(text) or _HE_LATEST.search(text)
    if match is None or compares(text) or _OUTSIDE.search(match["before"] or ""):
        return 0
    before = text[: match.start()] + (match["before"] or "")
    if excludes_time(before) or counts_from_event(before):
        return 0
    parts = match.groupdict()
    if (parts.get("prefix") or "").endswith(("מה", "מ", "ל")):
        return 0
    number = (parts["number"] or parts.get("number_first") or "").casefold()
    if is_vague(number):
        return 0
    return min(read_number(number) if number else 1, _MOST)

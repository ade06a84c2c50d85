"""Where the sentences of a note begin and end, in Hebrew and English.

The splitter cuts fields here, the extractive model answers with these, and quotes are checked
against them. Rules only, no model: a wrong cut costs a clumsy quote, never a wrong one. Nothing
here knows about tokens or passages.
"""

from __future__ import annotations

import re
from typing import Final

_LINE_BREAK: Final = "\n\r\v\f\x85\u2028\u2029"
_END: Final = re.compile(
    rf"""(?P<stop>[.!?…]+)(?P<close>["'”’״׳»)\]}}]*)(?=\s|$)|[{_LINE_BREAK}]""",
)
_NEVER_ENDS: Final = re.compile(
    r"dr|mrs?|ms|prof|rev|st|vs|e\.g|i\.e|cf|approx|esp|incl|pts?|dept|viz|פרופ|עמ", re.IGNORECASE
)
_BEFORE_NUMBER: Final = re.compile(
    r"nos?|fig|vol|pp|ch|jan|feb|mar|apr|ju[nl]|aug|sept?|oct|nov|dec", re.IGNORECASE
)
_BEFORE_CAPITAL: Final = re.compile(
    r"etc|al|[js]r|tabs?|caps?|hrs?|mins?|wks?|yrs?|(?:[^\W\d_]\.)+[^\W\d_]", re.IGNORECASE
)
"""These, and dotted letters such as `b.i.d.`, may end a sentence, but not before a small letter."""
_LIST_MARKER: Final = re.compile(r"\(?(?:\d{1,3}|[^\W\d_])")
_LETTER: Final = re.compile(r"[^\W\d_]")
_OPENING: Final = " \t\"'“‘״׳«([{"
_REACH: Final = 24
"""Characters looked at on either side of a stop: longer than any abbreviation."""


def sentences(text: str) -> list[tuple[int, int]]:
    """Return the offsets of the sentences, in order, half-open, in code points.

    They do not overlap, carry no white space at their ends, and leave out nothing else. A line
    break always ends one, so each item of a list is its own.
    """
    found: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        if match["stop"] is None or _ends(text, start, match):
            _add_trimmed(found, text, start, match.end())
            start = match.end()
    _add_trimmed(found, text, start, len(text))
    return found


def _add_trimmed(found: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    body = piece.strip()
    if body:
        first = start + len(piece) - len(piece.lstrip())
        found.append((first, first + len(body)))


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    following = text[match.end() : match.end() + _REACH].lstrip(_OPENING)[:1]
    continues = following.islower()
    if match["stop"] != ".":
        # `so tired... but calm` and `"why me?" she asked` go on.
        pauses = match["close"] != "" or match["stop"][0] == "…" or match["stop"].startswith("..")
        return not (pauses and continues)
    if _LIST_MARKER.fullmatch(text[start : match.start()].strip()[: _REACH + 1]):
        return False
    words = text[max(start, match.start() - _REACH) : match.start()].split()
    word = words[-1].lstrip(_OPENING) if words else ""
    return _word_may_end(word, following)


def _word_may_end(word: str, following: str) -> bool:
    if _NEVER_ENDS.fullmatch(word):
        return False
    if _BEFORE_NUMBER.fullmatch(word):
        return not following.isdigit()
    if _BEFORE_CAPITAL.fullmatch(word):
        return not (following.islower() or following.isdigit())
    # An initial (`J. Levi`); but `so did I.` ends.
    return not (_LETTER.fullmatch(word) and not word.islower() and word != "I" and following)

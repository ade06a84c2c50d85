"""Whether a name in Latin letters stands for a client whose name is in Hebrew letters.

`mentions.py` asks of a word that sounds like the first name of one: `Does Noam drink?`, with a
client `נועם`. Towns, months and feasts sound like first names too, so that the place tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.narrowing.ordinary_names import CUES, ORDINARY, SAYINGS
from runtime.narrowing.subjects import is_subject

_BEFORE: Final = frozenset(
    """
    does do did is was has had can could will would should may might must about with of for
    """.split()  # noqa: SIM905 - a list to read
)
"""Before a name where a person's stands."""
_NO_PERSONS: Final = frozenset(
    """
    adar aliya aliyah arad ariel carmel eilat elul galil gilboa golan hadassah haifa hanukkah hermon
    israel jaffa jordan kinneret lod modiin nisan negev pesach purim sharon shalom shiva simcha
    sinai sivan tavor tishrei tamuz yarden yavne zion
    """.split()  # noqa: SIM905 - a list to read
)
"""Words that English has of Hebrew, which are also first names."""


def is_person(words: Sequence[str], place: int, *, possessive: bool) -> bool:
    """Say whether the word at a place of a sentence, which has a capital, is a person's name."""
    name, before = words[place], words[place - 1] if place else ""
    if name in _NO_PERSONS or name in ORDINARY:
        return False
    if possessive or before in _BEFORE or before in CUES:
        return True
    after = words[place + 1] if place + 1 < len(words) else ""
    return before in SAYINGS or after in SAYINGS or is_subject(words, place)

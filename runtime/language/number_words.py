"""Small numbers in words: English to nineteen, Hebrew to ten in each gender and bound form."""

from __future__ import annotations

from typing import Final

_ENGLISH: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
)
_HEBREW: Final = (
    "אפס", "אחד אחת", "שניים שתיים שני שתי", "שלוש שלושה שלושת", "ארבע ארבעה ארבעת",
    "חמש חמישה חמשת", "שש שישה ששה ששת", "שבע שבעה שבעת", "שמונה שמונת", "תשע תשעה תשעת",
    "עשר עשרה עשרת",
)  # fmt: skip
SMALL_NUMBERS: Final = {
    **{word: n for n, word in enumerate(_ENGLISH.split())},
    **{word: n for n, words in enumerate(_HEBREW) for word in words.split()},
}

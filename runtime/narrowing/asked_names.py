"""A question as the place where names stand. `mentions.py` asks what is beside each. Pure."""

from __future__ import annotations

from typing import Final

from runtime.language.name_words import list_asked_words, prepare
from runtime.narrowing.ordinary_names import HONORIFICS, JOINS, OTHER_PERSONS

_SENTENCE_ENDS: Final = frozenset('.?!:;\n•*"“”')
_SHORT: Final = 3
_MOSTLY: Final = 0.8
_TITLE_CASE_WORDS: Final = 4
"""Of so many longer words with so many capitals, a question is written as a title is."""


class AskedNames:
    """A question's words, and what is before, between and behind them."""

    def __init__(self, question: str) -> None:
        self.text = prepare(question)
        self.words = list_asked_words(question)
        long = [word.text for word in self.words if len(word.text) > _SHORT]
        upper = sum(text[0].isupper() for text in long)
        self.capitals_tell = not (len(long) >= _TITLE_CASE_WORDS and upper >= _MOSTLY * len(long))

    def word(self, place: int) -> str:
        """Return what a word is looked up as, '' beyond the ends."""
        return self.words[place].words[0] if 0 <= place < len(self.words) else ""

    def sentence(self, place: int) -> tuple[list[str], int]:
        """Return the words of the sentence that a word is in, and its place among them."""
        first = last = place
        while not self.begins_sentence(first):
            first -= 1
        while last + 1 < len(self.words) and not self.begins_sentence(last + 1):
            last += 1
        return [word.words[0] for word in self.words[first : last + 1]], place - first

    def between(self, first: int, second: int) -> str:
        """Return what stands between two neighbouring words."""
        return self.text[self.words[first].end : self.words[second].start]

    def begins_sentence(self, place: int) -> bool:
        """Say whether a capital there tells nothing."""
        if place == 0:
            return True
        between = self.between(place - 1, place).strip()
        return any(char in _SENTENCE_ENDS for char in between) and not self._is_abbreviated(place)

    def is_capital(self, place: int) -> bool:
        """Say whether the word is written as a name is."""
        return self.capitals_tell and self.words[place].text[0].isupper()

    def is_joined(self, first: int, second: int) -> bool:
        """Say whether two words are neighbours with nothing but a space or hyphen between."""
        if not 0 <= first < second < len(self.words):
            return False
        return not self.words[first].possessive and self.between(first, second) in (" ", "-", "־")

    def joined_places(self, place: int) -> set[int]:
        """Return where somebody stands who is joined to, or compared with, the one at a place."""
        joined = set()
        if self.word(place - 1) in JOINS:
            joined.add(place - 2)
        if self.word(place + 1) in JOINS:
            joined.add(place + 2)
        if self._begins(place, "ו") or (self._begins(place, "ל") and self.word(place - 2) == "בינ"):
            joined.add(place - 1)
        if self._begins(place + 1, "ו") or (
            self._begins(place + 1, "ל") and self.word(place - 1) == "בינ"
        ):
            joined.add(place + 1)
        return joined

    def _begins(self, place: int, letter: str) -> bool:
        return 0 <= place < len(self.words) and self.words[place].text.startswith(letter)

    def _is_abbreviated(self, place: int) -> bool:
        """Say whether the dot before belongs to "Mr." or to an initial."""
        before = self.words[place - 1]
        return self.between(place - 1, place).strip() == "." and (
            len(before.text) == 1 or before.words[0] in HONORIFICS | OTHER_PERSONS
        )

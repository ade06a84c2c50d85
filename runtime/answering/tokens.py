"""How many tokens a prompt may take at most, whichever model reads it, and what vendors count.

`context.py` fills a model's window by it. What a call is billed and limited by, an even guess, is
`splitting.py`'s: a window that is overrun is an answer lost, so here every doubt counts as tokens.

Source, of all figures: measured on 3,000 texts of clinical and general Hebrew and English and 2,160
of junk (base64, hex, digits, punctuation, white space, emoji, points, rare scripts) with the
vocabularies of GPT-4 (cl100k), GPT-4o and later (o200k), Claude 2, Command R+, Llama 2 and 3,
Gemma 3, Qwen 3 and DeepSeek 3: none makes more tokens of any but random words of a few letters.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from runtime.providers.prompt import messages_with_records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.messages import ChatRequest

_HEBREW_WORD: Final = 1
_LETTER: Final = 1
_RARE_LETTER: Final = 2
_RARE_LETTERS: Final = "גזטכךםןסףפץצק"
"""cl100k and Llama 3 have no token for these and spell them in two bytes; Llama 2 has one for each
letter and one for the space before a word. Four characters a token would be a fifth of it."""
_LATIN: Final = 0.4
_CAPITAL: Final = 0.75
"""A letter of a plain word, small or all in capitals, of which vocabularies know fewer."""
_LONGEST_PLAIN: Final = 24
_SPACES_A_TOKEN: Final = 8
_TEXT: Final = 1
"""Some vocabularies begin a text with a space of their own."""
MESSAGE_TOKENS: Final = 12
"""What marks where a message begins and ends, and whose it is.

Source: the chat templates of Llama 3 (5 tokens) and Command R+ (3)."""

_UNIT: Final = re.compile(
    r" ?([א-ת]+)| ?([A-Za-z][A-Za-z0-9]*)|([0-9][A-Za-z0-9]*)|(\s+)|([^\sא-תA-Za-z0-9]+)"
)
"""A space before a word is part of the word's first token."""
_PLAIN: Final = re.compile(rf"(?:[A-Za-z]?[a-z]{{0,{_LONGEST_PLAIN - 1}}}|([A-Z]{{2,10}}))")
_UNSPEAKABLE: Final = re.compile(r"[^aeiouyAEIOUY]{5}|^[^aeiouyAEIOUY]{2,}$")
_BEGINS_WORD: Final = re.compile("[א-תA-Za-z]")
_HIGHEST_FENCE: Final = "0" * 8
"""Of the fences that a prompt may get, random hexadecimal digits, the one of most tokens."""


def most_tokens(text: str) -> int:
    """Return a number of tokens that no model in wide use exceeds, in any script."""
    tokens = _count(text)
    if not unicodedata.is_normalized("NFKC", text):
        # Some models read the text normalised: U+FDFA is one character here and eighteen there.
        tokens = max(tokens, _count(unicodedata.normalize("NFKC", text)))
    return math.ceil(tokens) + _TEXT


def most_prompt_tokens(request: ChatRequest) -> int:
    """Return as much for a whole prompt, as the vendors' files lay it out."""
    sent = messages_with_records(request, _HIGHEST_FENCE)
    said = sum(most_tokens(message.content) + MESSAGE_TOKENS for message in sent)
    return _count_system(request.system) + MESSAGE_TOKENS + said


_count_system: Final = lru_cache(maxsize=16)(most_tokens)
"""A day's system prompts are few, and hold nothing of anybody."""


def _count(text: str) -> float:
    tokens = 0.0
    for unit in _UNIT.finditer(text):
        hebrew, word, number, space, other = unit.groups()
        if hebrew:
            rare = sum(map(hebrew.count, _RARE_LETTERS))
            tokens += _HEBREW_WORD + len(hebrew) * _LETTER + rare * (_RARE_LETTER - _LETTER)
        elif word:
            tokens += _count_word(word)
        elif number:
            tokens += len(number)
        elif space:
            tokens += _count_space(space, text[unit.end() : unit.end() + 1])
        else:
            # No vocabulary that spells in bytes makes more of a text than it has.
            tokens += len(other.encode(errors="surrogatepass"))
    return tokens


def _count_word(word: str) -> float:
    """Count what could be a word by its letters, and digits, codes and keys one by one."""
    plain = _PLAIN.fullmatch(word)
    if plain is None or _UNSPEAKABLE.search(word):
        return len(word)
    return max(1, len(word) * (_CAPITAL if plain[1] else _LATIN))


def _count_space(space: str, following: str) -> float:
    """Count white space but for the last space before a word."""
    if space.endswith(" ") and _BEGINS_WORD.match(following):
        space = space[:-1]
    if space.strip(" "):
        return len(space)
    return math.ceil(len(space) / _SPACES_A_TOKEN)


LEAST_FACTOR: Final = 0.7
"""Below this the estimate of one language would be corrected by what was learnt of the other.

Source: measured as above; of English prompts it is 1.6 times GPT-4o's count, of Hebrew ones 2.9
times, so that less than 1 / 1.6 would be too little for English."""
MOST_FACTOR: Final = 4.0
"""A vendor that counts more than this counts something else than the prompt."""
HEADROOM: Final = 1.05
"""The next prompt may have a little more to the character than the worst one so far."""
FALL: Final = 0.02
"""Of the way down to what was counted, with each call: some 35 calls make half of it."""
LEAST_LEARNT_TOKENS: Final = 256
"""In a shorter prompt, what a vendor adds to each of its own would pass for a rate."""


class TokenGauge:
    """What each model's vendor counts for a token of ours; learns from finished calls.

    It goes up at once, so that the same prompt is never underestimated twice, and down slowly. One
    for each replica: a new one begins with the estimate as it is, which is on the safe side.
    """

    def __init__(self, factors: Mapping[str, float] | None = None) -> None:
        self._factors = dict(factors or {})

    def correct(self, model: str, estimated_tokens: int) -> int:
        """Return what this model will count at most."""
        return math.ceil(estimated_tokens * self._factors.get(model, 1.0))

    def room(self, model: str, tokens: int) -> int:
        """Return how many of our tokens fit where this model may count so many."""
        return math.floor(tokens / self._factors.get(model, 1.0))

    def learn(self, model: str, *, estimated_tokens: int, counted_tokens: int) -> None:
        """Take note of what the vendor counted for a prompt; 0 is a vendor that counts nothing.

        `estimated_tokens` are ours, uncorrected; a count that is an estimate is not to be told.
        """
        if counted_tokens <= 0 or estimated_tokens < LEAST_LEARNT_TOKENS:
            return
        counted = counted_tokens / estimated_tokens * HEADROOM
        factor = self._factors.get(model, 1.0)
        if counted < factor:
            counted = factor + (counted - factor) * FALL
        self._factors[model] = min(max(counted, LEAST_FACTOR), MOST_FACTOR)

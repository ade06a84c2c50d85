"""Embeddings without a model: texts that share words, or parts of words, are similar.

Hashed words and character n-grams, summed with signs into the asked number of dimensions. The same
in every process and on every machine, since no hash here depends on Python's seed.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

COMMON_PART: Final = 0.2
"""The similarity of unrelated texts, as real models have one; a shared word adds to it. With it a
question is nearer than the product's default threshold of 0.3 to a note that shares its words."""
WORD_WEIGHT: Final = 3.0
SHORT_WORD_WEIGHT: Final = 0.5
"""Words of up to three letters are mostly grammar."""

_LONGEST_SHORT_WORD: Final = 3
_STEM_LETTERS: Final = 6
_GRAM_LENGTHS: Final = (3, 4)
_NOT_WORD: Final = re.compile(r"\W+")
_SPACE: Final = 32
_FACTORS: Final = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64
)


def embed(text: str, dimensions: int) -> bytes:
    """Return a vector of unit length as little-endian 32-bit floats."""
    spaced = f" {_NOT_WORD.sub(' ', text.casefold()).strip()} "
    hashes, weights = _words(spaced)
    grams = _grams(spaced)
    hashed = np.concatenate((hashes, grams))
    weighted = np.concatenate((weights, np.ones(len(grams))))
    signs = np.where(hashed & np.uint64(1), 1.0, -1.0)
    places = ((hashed >> np.uint64(1)) % np.uint64(dimensions)).astype(np.intp)
    vector = np.bincount(places, weighted * signs, minlength=dimensions)
    vector = np.sign(vector) * np.sqrt(np.abs(vector))  # a repeated word says little more
    length = float(np.linalg.norm(vector))
    share = 1.0 - COMMON_PART if length else 0.0
    own = vector * (np.sqrt(share) / length) if length else vector
    whole = own + np.sqrt((1.0 - share) / dimensions)
    unit: npt.NDArray[np.float32] = (whole / np.linalg.norm(whole)).astype("<f4")
    return unit.tobytes()


def _words(spaced: str) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float64]]:
    found = [_word(word) for word in spaced.split()]
    return (
        np.array([hashed for hashed, _ in found], np.uint64),
        np.array([weight for _, weight in found], np.float64),
    )


@lru_cache(maxsize=50_000)
def _word(word: str) -> tuple[int, float]:
    stem = word[:_STEM_LETTERS].encode()
    hashed = zlib.crc32(stem) << 32 | zlib.adler32(stem)
    weight = SHORT_WORD_WEIGHT if len(word) <= _LONGEST_SHORT_WORD else WORD_WEIGHT
    return hashed * 0x9E3779B97F4A7C15 % 2**64 >> 7, weight


def _grams(spaced: str) -> npt.NDArray[np.uint64]:
    """Return a hash of every n-gram that stands within a word, its edges included."""
    codes = np.frombuffer(spaced.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
    is_space = codes == _SPACE
    found = [np.zeros(0, np.uint64)]
    for length in _GRAM_LENGTHS:
        count = len(codes) - length + 1
        if count <= 0:
            continue
        hashed = np.zeros(count, np.uint64)
        inside = np.ones(count, bool)
        for at in range(length):
            hashed += codes[at : at + count] * _FACTORS[at]
            if 0 < at < length - 1:
                inside &= ~is_space[at : at + count]
        hashed ^= hashed >> np.uint64(31)
        hashed *= _FACTORS[0]
        found.append(hashed[inside] >> np.uint64(20))
    return np.concatenate(found)

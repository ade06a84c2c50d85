"""One ranking of what was found by meaning and what was found by words.

`retrieve.py` and the evaluation call `fuse` with both lists. Pure: how near a passage is to the
question in meaning is the calibration's affair, how well their words match the store's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from runtime.language.detection import detect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.messages import Language, Passage, RecordKey

WORDS_SHARE: Final = 0.5
"""How much of what meaning leaves in doubt is settled by words that all match."""
EXPECTED_WORDS: Final = 0.5
"""The words that a passage in the other language is taken to share, as a part of its nearness."""
UNKNOWN_NEARNESS: Final = 0.3
"""The nearness of a passage that only words found: `min_similarity`, unless the asker sets it.

It is either beyond the hundredth in meaning or not embedded yet; a note just written must be found.

Source of the three: measured on 1,169 labelled questions, by workspace and with all workspaces as
one (docs/benchmarks.md, Retrieval quality). Hit@10 of each pair of languages moves by less than .02
from 0.4 to 0.6, 0.4 to 0.6 and 0.25 to 0.35; weights chosen without a workspace serve it as well.
"""

_TELLING_CHARACTERS: Final = 200
"""The beginning of a passage tells its language; reading all would take half of the fusion's time.
"""

_Field: TypeAlias = "tuple[RecordKey, str]"


def fuse(
    by_meaning: Sequence[Passage], by_words: Sequence[Passage], *, language: Language
) -> list[Passage]:
    """Return one passage of each field that either side found, best first.

    `language` is the question's. Both sides come with their similarities, `by_words` as a share of
    the question's words; those returned are `meaning + (1 - meaning) * WORDS_SHARE * words`: words
    never lower what meaning found, and raise it by half of its doubt at most. A passage in
    the other language can share few words, which says nothing against it: besides those, it is
    given the share that one of its nearness may be expected to have. The text is the part that
    words point to, if they say more than that, else the nearest one.
    """
    nearest = _first_of_fields(by_meaning)
    worded = _first_of_fields(by_words)
    fused = [
        _join(nearest.get(field), worded.get(field), language) for field in {**nearest, **worded}
    ]
    return sorted(fused, key=_order)


def _first_of_fields(passages: Iterable[Passage]) -> dict[_Field, Passage]:
    """Return the most similar passage of each field, the first of equal ones."""
    best: dict[_Field, Passage] = {}
    for passage in passages:
        field = (passage.record, passage.field_name)
        if field not in best or passage.similarity > best[field].similarity:
            best[field] = passage
    return best


def _join(near: Passage | None, worded: Passage | None, language: Language) -> Passage:
    nearness = UNKNOWN_NEARNESS if near is None else near.similarity
    words = 0.0 if worded is None else worded.similarity
    expected = EXPECTED_WORDS * nearness
    words_tell = near is None or (worded is not None and words >= expected)
    passage = worded if words_tell else near
    assert passage is not None, "a field stands in one of the lists"
    if not _is_written_in(language, passage.text):
        words = min(1.0, words + expected)
    return replace(passage, similarity=nearness + (1 - nearness) * WORDS_SHARE * words)


def _is_written_in(language: Language, text: str) -> bool:
    # What is ASCII, as most English notes are, need not be read.
    return language == ("en" if text.isascii() else detect(text[:_TELLING_CHARACTERS]))


def _order(passage: Passage) -> tuple[float, str, str, str]:
    """Sort by similarity; the rest makes the order the same however equal passages came."""
    record = passage.record
    return (-passage.similarity, record.type, str(record.id), passage.field_name)

"""The search by words: what is stored of a text, what is asked for, and how well they match.

`records.py` stores the terms of what it writes, `passages.py` asks; `memory.py` matches as the
statement `search_terms` does. A term is a hash of a sound or a stem: of one size, however long the
word. What those are, `stems.py` and `sounds.py` say. Changing either leaves the stored terms of
every record unfindable: such a change needs a migration that has them written anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Final
from uuid import UUID

from runtime.language.stems import list_sounds
from runtime.messages import Passage, RecordKey, Span
from runtime.splitting import cut

K1: Final = 1.2
B: Final = 0.6
AVERAGE_TERMS: Final = 45.0
"""BM25: how soon a repeated word says nothing new, how much more often a long field must say it,
and what is neither long nor short.

Source: Robertson & Zaragoza 2009, The Probabilistic Relevance Framework: K1 from 1.2 to 2, B from
0.5 to 0.8. Measured on 1,169 labelled questions: hit@10 moves by less than 0.02 for K1 0.5 to 2 and
B 0.4 to 0.75. The average is that of five labelled practices (40 to 99), a constant, so that a
field's weight needs no other field.
"""
MOST_SIMILAR: Final = 0.95
"""Words alone never mean that two texts say the same, which is what 1 stands for."""
MOST_ASKED_TERMS: Final = 32
MOST_FIELDS_READ: Final = 20_000
"""Where a word stands in more fields, it finds none itself; only the rarest word asked for may.

Source: measured on 30,000 synthetic sessions (5.4 million rows): seven words of any frequency take
23 ms (p95 32 ms), the seven commonest 56 ms, the one commonest, in half of all fields, 70 ms.
"""
_MOST_FIELD_TERMS: Final = 10_000
"""Different terms kept of one field, about two hundred pages; a pasted dump stores no more."""
_MOST_COUNTED: Final = 32_767
"""PostgreSQL's smallint."""


@dataclass(frozen=True, slots=True)
class FieldTerms:
    """How often each term stands in a field, and how many there are with repetitions."""

    length: int
    occurrences: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class FoundField:
    """A field that shares words with a question, before it is cut."""

    record: RecordKey
    client_id: UUID
    client_name: str
    session_date: datetime | None
    field_name: str
    text: str
    similarity: float


def count_terms(text: str) -> FieldTerms:
    """Return the terms of a field."""
    terms = list_terms(text)
    counted: Mapping[int, int] = Counter(terms)
    if len(terms) > _MOST_FIELD_TERMS:
        kept = islice(counted.items(), _MOST_FIELD_TERMS)
        counted = {term: min(times, _MOST_COUNTED) for term, times in kept}
    return FieldTerms(min(len(terms), _MOST_COUNTED), counted)


def asked_terms(question: str) -> list[int]:
    """Return the different terms of a question, the first `MOST_ASKED_TERMS` of them."""
    return list(dict.fromkeys(list_terms(question)))[:MOST_ASKED_TERMS]


def list_terms(text: str) -> list[int]:
    """Return the term of each word that carries meaning, in order."""
    return [_hash(sound) for sound in list_sounds(text)]


def bm25_part(occurrences: int, length: int) -> float:
    """Return what a term counts in a field, as a multiple of its weight: 1 for once in 45 words."""
    return occurrences * (K1 + 1) / (occurrences + K1 * (1 - B + B * length / AVERAGE_TERMS))


def read_passages(found: Iterable[FoundField], terms: Sequence[int]) -> Iterator[Passage]:
    """Yield of each field the part that holds most of the terms, an early one where several do."""
    for field in found:
        span = _choose_part(field.text, frozenset(terms))
        yield Passage(
            record=field.record,
            client_id=field.client_id,
            client_name=field.client_name,
            session_date=field.session_date,
            field_name=field.field_name,
            part=span.part,
            start=span.start,
            end=span.end,
            text=field.text[span.start : span.end],
            similarity=min(field.similarity, MOST_SIMILAR),
        )


def _choose_part(text: str, terms: frozenset[int]) -> Span:
    def count_found(span: Span) -> int:
        return len(terms.intersection(list_terms(text[span.start : span.end])))

    return max(cut(text), key=count_found)


@lru_cache(maxsize=32_768)
def _hash(sound: str) -> int:
    """Return PostgreSQL's bigint of a sound or stem, the same in every process."""
    return int.from_bytes(blake2b(sound.encode(), digest_size=8).digest(), signed=True)

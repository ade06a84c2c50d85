"""What a text quotes, and whether it stands in a record; and which sentence of a passage fits best.

`checking.py` and `synthesize.py` call this. Wording alone is compared: nothing here understands.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from runtime.language.detection import detect
from runtime.language.sentences import sentences

_INNER_MARK: Final = re.compile('(?<![א-ת])([א-ת]+)["״“”](?=([א-ת]+))')
"""Begun at a word's first letter only: begun at each, a long word took time by its square."""
_PREFIX: Final = re.compile("[ושהכלבמ]{1,3}")
_QUOTED: Final = re.compile(
    '(?:(?<!\\d)["״“”„]|["״“”„](?=\\w))([^"״“”„\n]+)(?:["״“”]|$)|«([^»\n]+)(?:»|$)'
    "|(?<!\\w)['‘](?=\\S)([^\n]{1,300}?)(?<=\\S)['’](?!\\w)"
)
"""A quotation: not inches, not apostrophes.

One left open runs to the sentence's end: better to refuse it than to let it by unread. In single
marks it is at most 300 characters long: without a bound, many that never close took minutes.
"""
_ADDRESS: Final = re.compile(
    r"""(?:(?<![a-z\d_.+-])|(?<=[א-ת]-))  # Hebrew may join a letter to it
    (?:
        (?:[a-z][a-z\d+.-]*://|www\.)[^\s<>()\[\]]+
        |[a-z\d_][a-z\d_.+-]*@[a-z\d-]+(?:\.[a-z\d-]+)+
        |(?:[a-z\d-]+\.)+(?:com|org|net|io|info|app|dev|gov|edu|il|uk|eu)\b(?:/[^\s<>()\[\]]*)?
    )""",
    re.IGNORECASE | re.VERBOSE,
)
"""Of the web or of mail. A note that was tampered with, or a model, may send a reader anywhere."""
_SCHEME: Final = re.compile(r"^(?:[a-z][a-z\d+.-]*://)?(?:www\.)?")
_FOLDED: Final = str.maketrans(
    {
        **dict.fromkeys("“”„«»״", '"'),
        **dict.fromkeys("‘’׳`", "'"),
        **dict.fromkeys("\u2010\u2011\u2013—־", "-"),
        "[": "(",
        "]": ")",
    }
)
_WORD: Final = re.compile(r"\d+(?:[.,:/]\d+)*|[^\W\d_]+")
_HEBREW_PREFIX: Final = re.compile(r"^[ושהכלבמ]{1,2}(?=[א-ת]{3})")
_ENGLISH_SUFFIX: Final = re.compile(r"(?<=[a-z]{3})(?:ing|ed|es|s)$")
_TELLING_LETTERS: Final = 4
"""A word this long rarely stands in a sentence for grammar alone."""


def quotations(sentence: str) -> list[str]:
    """Return what the sentence puts in quotation marks, without stops at the ends."""
    masked = _mask_gershayim(sentence)
    found = []
    for match in _QUOTED.finditer(masked):
        start, end = match.span(match.lastindex or 0)
        found.append(sentence[start:end].strip(" .,;:!?…"))
    return [quotation for quotation in found if quotation]


def addresses(text: str) -> set[str]:
    """Return the web and mail addresses in a text, as they compare: no scheme, no stop behind."""
    found = (match[0].casefold() for match in _ADDRESS.finditer(text))
    return {_SCHEME.sub("", address).rstrip(".,;:!?…/\"'") for address in found}


def has_open_quotation(text: str) -> bool:
    """Say whether a quotation mark that opens is still to be closed."""
    masked = _mask_gershayim(text)
    return len(re.findall('["״“”„]', masked)) % 2 == 1 or masked.count("«") > masked.count("»")


def _mask_gershayim(text: str) -> str:
    """Blank the marks of abbreviations (ד"ר, מנכ"לית), which quote nothing; lengths stay."""

    def mask(match: re.Match[str]) -> str:
        opens = _PREFIX.fullmatch(match[1]) and len(match[2]) > 1  # as in ש"אני עייפה"
        return match[0] if opens else f"{match[1]}_"

    return _INNER_MARK.sub(mask, text)


def stands_in(quotation: str, text: str) -> bool:
    """Say whether the words stand in the text in whole words, but for case, space and quote style.

    A Hebrew quotation may leave out the prefix letters that its first word has in the text.
    """
    pattern = rf"(?<!\w)[ושהכלבמ]{{0,3}}{re.escape(_fold(quotation))}(?!\w)"
    return re.search(pattern, _fold(text)) is not None


def best_sentence(passage: str, text: str) -> str:
    """Return the passage's sentence that shares most words with the text, verbatim.

    Where none shares a word, as between two languages, the whole passage: nothing tells which of
    its sentences is meant.
    """
    wanted = words(text)
    best, best_overlap = passage.strip(), 0.0
    for start, end in sentences(passage):
        found = words(passage[start:end])
        overlap = len(found & wanted) / (len(found) + len(wanted) or 1)
        if overlap > best_overlap:
            best, best_overlap = passage[start:end], overlap
    return best


def is_backed(sentence: str, evidence: str) -> bool:
    """Say whether the wording allows that the sentence rests on the evidence.

    Within one language, at least one telling word must stand in both. Facts are `support.py`'s.
    """
    said, known = words(sentence), words(evidence)
    telling = {word for word in said if len(word) >= _TELLING_LETTERS or word[0].isdigit()}
    return not telling or bool(telling & known) or detect(sentence) != detect(evidence)


def words(text: str) -> set[str]:
    """Return the words for comparison: folded, Hebrew prefixes and English endings taken off."""
    return {_stem(word) for word in _WORD.findall(_fold(text))}


def _stem(word: str) -> str:
    return _ENGLISH_SUFFIX.sub("", _HEBREW_PREFIX.sub("", word))


def _fold(text: str) -> str:
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFC", visible).translate(_FOLDED).casefold().split())

"""Makes a question fit to be answered, and refuses what is addressed to the assistant instead.

`answer.py` calls `guard` first. These are literal patterns, not understanding: what gets past them
meets prompts that treat text as data, and answers that must cite. A pattern that a therapist could
type about a client ("did she act as a caregiver?") is anchored to where a command would stand.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from runtime.errors import InvalidQuery, PromptInjectionError
from runtime.telemetry import QuestionBlocked

if TYPE_CHECKING:
    from runtime.messages import Question, Turn
    from runtime.telemetry import Emit

GuardMode: TypeAlias = Literal["block", "monitor", "off"]

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs"})
"""Control, format (zero-width, direction and tag characters, soft hyphens) and lone surrogates.

Joiners go too: neither Hebrew nor English is spelled with them, and kept they would split a word
before the patterns see it. All they cost is an emoji shown as its parts.
"""

_LINE_BREAK: Final = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")

# In the patterns a space stands for any white space.
_START: Final = r"(?:^|[.!?:;,\n\"'“(\[<|#*>-]\s*)"
_COMMAND: Final = (
    rf"(?:{_START}(?:(?:please|now|then|and|but|instead|also) )*"
    r"|\byou (?:(?:to|will|must|should|can|shall|now|please) ){1,3}"
    r"|\b(?:can|could|will|would) you (?:please )?)"
)
"""Where an order to the assistant stands: first in a clause, or after "you must", "could you"."""
_COMMAND_HE: Final = rf"{_START}(?:(?:אנא|נא|בבקשה|עכשיו|כעת) )*"
_ALL: Final = r"(?:(?:all|any|every|of|the|your|my|these|this|given|chat) )*"
_EARLIER: Final = r"(?:previous|prior|earlier|above|preceding)"
_ORDERS: Final = r"(?:instructions?|directions?|directives?|prompts?|rules|guidelines)\b"
_IGNORE: Final = r"(?:ignore|disregard|forget)"
_IGNORE_HE: Final = r"(?:ה|ת|לה)תעל(?:ם|מי|מו) מ(?:כל )?"
_ORDERS_HE: Final = r"ה?(?:הוראות|הנחיות|כללים)"
_COLON: Final = r"\s?(?:[:.-]|$)"

_PATTERNS: Final[dict[str, tuple[str, ...]]] = {
    "instruction_override": (
        rf"\b{_IGNORE} (?:all|any) {_ALL}{_EARLIER} {_ORDERS}",
        rf"{_COMMAND}{_IGNORE} {_ALL}(?:{_EARLIER} )?{_ORDERS}",
        rf"{_COMMAND}{_IGNORE} (?:all|everything)\b",
        rf"{_COMMAND_HE}{_IGNORE_HE}{_ORDERS_HE}",
        rf"{_COMMAND_HE}ת?שכחי? (?:את )?(?:כל |מכל |מ)?{_ORDERS_HE}",
    ),
    "role_marker": (
        rf"{_START}(?:system|assistant|user)(?: (?:prompt|message))?\s?:",
        rf"{_START}(?:הודעת )?ה?(?:מערכת|עוזר|משתמש)\s?:",
    ),
    "role_switch": (
        r"\byou are now an?\b",
        rf"{_COMMAND}act as (?:an?|if you)\b",
        rf"{_COMMAND}pretend (?:to be|that you|you)\b",
        r"\b(?:מעכשיו|מעתה|מרגע זה) (?:והלאה )?(?:את|אתה)\b",
        rf"{_START}(?:אתה|את) (?:עכשיו|כעת) \w+\s?(?:$|[.,!])",
        rf"{_COMMAND_HE}(?:[הת]?תנהגי?|ת?פעלי?|ת?שחקי?) (?:כמו|כאילו|בתור|בתפקיד|את התפקיד|כ\w)",
        rf"{_COMMAND_HE}[הת]עמ(?:ד|יד|ידי) פנים",
    ),
    "instruction_injection": (
        rf"{_START}(?:(?:your|the|my|here are|follow these) )?new instructions{_COLON}",
        r"\b(?:your|follow (?:these|my|the)) new instructions\b",
        r"\boverride (?:all )?(?:of )?(?:(?:the|your) )?(?:system|safety|instructions|rules)\b",
        rf"{_COMMAND}(?:disable|turn off|bypass) {_ALL}(?:safety|security|content|guard)\b",
        rf"{_COMMAND_HE}ה?(?:הוראות|הנחיות) ה?חדשות{_COLON}",
        rf"{_COMMAND_HE}(?:ת?עקו?ף|ת?עקפי|ת?בטלי?) את (?:כל )?ה(?:מערכת|בטיחות|הגבלות|הגנות)",
    ),
    "context_manipulation": (
        rf"{_COMMAND}{_IGNORE} {_ALL}(?:{_EARLIER} )?(?:context|conversation|history)\b",
        rf"{_COMMAND}(?:clear|erase|reset|wipe) {_ALL}(?:history|context|memory)\b(?! of\b)",
        rf"{_COMMAND_HE}{_IGNORE_HE}ה(?:הקשר|שיחה|היסטוריה)",
        rf"{_COMMAND_HE}(?:ת?מחקי?|נקה|ת?נקי|ת?אפסי?) (?:את )?ה?(?:היסטורי|הקשר|זיכרון|שיחה)",
    ),
    "jailbreak": (
        r"\bDAN mode\b",
        r"\bdo anything now\b",
        r"\bdeveloper mode\b",
        r"\bמצב (?:DAN|מפתח)\b",
    ),
}
_COMPILED: Final = {
    kind: re.compile("|".join(patterns).replace(" ", r"\s+"), re.IGNORECASE)
    for kind, patterns in _PATTERNS.items()
}


def clean(text: str) -> str:
    """Return the text without invisible characters, in NFC, its white space normalised.

    A run of white space becomes one space, or one or two line breaks where it held them. NFC, not
    NFKC, leaves quotation marks, fractions and Hebrew as they were typed. Idempotent.
    """
    return normalize(text).strip()


def normalize(text: str) -> str:
    r"""Return the text as `clean` does, but with the white space at its ends.

    What was normalised may be continued and normalised again, except between `\r` and `\n`.
    """
    lines = _LINE_BREAK.sub("\n", text.replace("\t", " "))
    visible = "".join(
        character
        for character in lines
        if character == "\n" or unicodedata.category(character) not in _INVISIBLE
    )
    return re.sub(r"\s+", _shorten, unicodedata.normalize("NFC", visible))


def _shorten(white_space: re.Match[str]) -> str:
    return "\n" * min(2, white_space[0].count("\n")) or " "


def find_injection(text: str) -> str | None:
    """Return the kind of the first family that matches cleaned text, or None."""
    return next((kind for kind, pattern in _COMPILED.items() if pattern.search(text)), None)


def guard(question: Question, *, mode: GuardMode, emit: Emit) -> Question:
    """Return the question cleaned, its history too.

    An earlier turn that matches is left out rather than refused: it is not what is asked now, and
    a conversation that holds it, or an answer that quotes a note, would otherwise be stuck.

    Raises: InvalidQuery, PromptInjectionError (mode `block` alone).
    """
    text = clean(question.text)
    if not any(character.isalnum() for character in text):  # "?" alone fits every record alike
        raise InvalidQuery
    kind = None if mode == "off" else find_injection(text)
    if kind is not None:
        emit(QuestionBlocked(kind=kind, refused=mode == "block"))
        if mode == "block":
            raise PromptInjectionError(kind)
    return replace(question, text=text, history=_fit_turns(question.history, mode, emit))


def _fit_turns(history: tuple[Turn, ...], mode: GuardMode, emit: Emit) -> tuple[Turn, ...]:
    fit = []
    for turn in history:
        content = clean(turn.content)
        kind = None if mode == "off" else find_injection(content)
        if kind is not None:
            emit(QuestionBlocked(kind=kind, refused=False))
        if content and (kind is None or mode == "monitor"):
            fit.append(replace(turn, content=content))
    return tuple(fit)

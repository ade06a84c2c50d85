"""What a chat model is told and given: system prompt, passages as documents, earlier turns.

`synthesize.py` calls `write_request`. How a vendor's prompt shows the documents is the providers'.
"""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import dropwhile
from typing import TYPE_CHECKING, Final

from runtime.messages import ChatDocument, ChatMessage, ChatRequest
from runtime.phrases import FIELD_NAMES, NOT_IN_RECORDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from runtime.messages import Language, Passage, Question, Turn

PROMPT_VERSION: Final = 1
"""Goes up with any change of the system prompts: an answer written under another may differ."""

TEMPERATURE: Final = 0.1
"""Near 0: an answer restates notes, and a rewording of one is a chance to change it."""
MAX_TOKENS: Final = 1000
"""Some fifteen Hebrew sentences, more than is read between two sessions; longer answers ramble."""

_TEMPLATES: Final[dict[Language, str]] = {
    "en": (files("runtime.answering") / "system_prompt.en.md").read_text("utf-8"),
    "he": (files("runtime.answering") / "system_prompt.he.md").read_text("utf-8"),
}
_MARKER_LIKE: Final = re.compile(r"\[([\d\s,;-]+)\]")


def write_request(
    question: Question, passages: Sequence[Passage], *, language: Language, today: date
) -> ChatRequest:
    """Return the prompt, all of it; the passages' markers are their ranks from 1."""
    template = _TEMPLATES[language].replace("{today}", today.isoformat())
    return ChatRequest(
        system=template.replace("{not_in_records}", NOT_IN_RECORDS[language]).strip(),
        messages=(*_from_user(question.history), ChatMessage("user", question.text)),
        documents=tuple(
            ChatDocument(marker, _head(passage, language), _without_markers(passage.text))
            for marker, passage in enumerate(passages, start=1)
        ),
        language=language,
        temperature=TEMPERATURE,
        max_tokens=MAX_TOKENS,
    )


def _head(passage: Passage, language: Language) -> str:
    parts = [passage.client_name, FIELD_NAMES[language][passage.field_name]]
    if passage.session_date is not None:
        parts.insert(1, passage.session_date.date().isoformat())
    return _without_markers(", ".join(parts))


def _without_markers(text: str) -> str:
    """Write a note's own `[2]` as `(2)`, or a note could cite another in the model's answer."""
    return _MARKER_LIKE.sub(r"(\1)", text)


def _from_user(history: tuple[Turn, ...]) -> tuple[ChatMessage, ...]:
    """Return the turns, from a user's on: vendors refuse to begin with ours."""
    return tuple(
        ChatMessage(turn.role, turn.content)
        for turn in dropwhile(lambda turn: turn.role == "assistant", history)
    )

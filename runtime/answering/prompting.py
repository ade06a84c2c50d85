"""What a chat model is told and given: system prompt, passages as documents, earlier turns.

`synthesize.py` calls `write_request`. How a vendor's prompt shows the documents is the providers'.
"""

from __future__ import annotations

import re
from importlib.resources import files
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
HISTORY_CHARACTERS: Final = 8000
"""Earlier turns are sent newest first up to this, so that passages stay most of the prompt."""

_TEMPLATES: Final[dict[Language, str]] = {
    "en": (files("runtime.answering") / "system_prompt.en.md").read_text("utf-8"),
    "he": (files("runtime.answering") / "system_prompt.he.md").read_text("utf-8"),
}
_MARKER_LIKE: Final = re.compile(r"\[([\d\s,;-]+)\]")


def write_request(
    question: Question, passages: Sequence[Passage], *, language: Language, today: date
) -> ChatRequest:
    """Return the prompt; the passages' markers are their ranks from 1."""
    template = _TEMPLATES[language].replace("{today}", today.isoformat())
    return ChatRequest(
        system=template.replace("{not_in_records}", NOT_IN_RECORDS[language]).strip(),
        messages=(*_recent(question.history), ChatMessage("user", question.text)),
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


def _recent(history: tuple[Turn, ...]) -> tuple[ChatMessage, ...]:
    """Return the newest turns that fit, from a user's on: vendors refuse to begin with ours."""
    room = HISTORY_CHARACTERS
    kept: list[ChatMessage] = []
    for turn in reversed(history):
        room -= len(turn.content)
        if room < 0:
            break
        kept.append(ChatMessage(turn.role, turn.content))
    while kept and kept[-1].role == "assistant":
        kept.pop()
    return tuple(reversed(kept))

"""What a chat model is told and given: system prompt, passages as documents, earlier turns.

`synthesize.py` calls `write_request`. How a vendor's prompt shows the documents is the providers'.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime
from importlib.resources import files
from itertools import dropwhile
from typing import TYPE_CHECKING, Final
from uuid import UUID

from runtime.messages import (
    ChatDocument,
    ChatMessage,
    ChatRequest,
    Passage,
    Question,
    RecordKey,
)
from runtime.phrases import FIELD_NAMES, NOT_IN_RECORDS
from runtime.providers.prompt import messages_beside_records, messages_with_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.messages import Language, Turn

_REVISION: Final = 4
"""Goes up where the same prompt is made something else of: by the checks of what a model wrote."""

TEMPERATURE: Final = 0.1
"""Near 0: an answer restates notes, and a rewording of one is a chance to change it."""
MAX_TOKENS: Final = 1000
"""Some fifteen Hebrew sentences, more than is read between two sessions; longer answers ramble."""

_TEMPLATES: Final[dict[Language, str]] = {
    "en": (files("runtime.answering") / "system_prompt.en.md").read_text("utf-8"),
    "he": (files("runtime.answering") / "system_prompt.he.md").read_text("utf-8"),
}
_MARKER_LIKE: Final = re.compile(r"[\[【]([\d\s,;،\u2013-]+)[\]】]|\](\d{1,4})\[")
"""What `checking.py` would read as a marker."""


def write_request(
    question: Question,
    passages: Sequence[Passage],
    *,
    language: Language,
    today: date,
    standalone: str = "",
) -> ChatRequest:
    """Return the prompt, all of it; the passages' markers are their ranks from 1."""
    template = _TEMPLATES[language].replace("{today}", today.isoformat())
    return ChatRequest(
        system=template.replace("{not_in_records}", NOT_IN_RECORDS[language]).strip(),
        messages=(*_from_user(question.history), ChatMessage("user", question.text)),
        documents=tuple(
            _write_document(marker, passage, language)
            for marker, passage in enumerate(passages, start=1)
        ),
        language=language,
        temperature=TEMPERATURE,
        max_tokens=MAX_TOKENS,
        standalone=standalone,
    )


def _write_document(marker: int, passage: Passage, language: Language) -> ChatDocument:
    name = _without_markers(passage.client_name)
    day = "" if passage.session_date is None else passage.session_date.date().isoformat()
    parts = (name, day, FIELD_NAMES[language][passage.field_name])
    heading = ", ".join(part for part in parts if part)
    return ChatDocument(marker, heading, _without_markers(passage.text), name, day)


def _without_markers(text: str) -> str:
    """Write a note's own `[2]` as `(2)`, or a note could cite another in the model's answer."""
    return _MARKER_LIKE.sub(lambda found: f"({found[1] or found[2]})", text)


def _from_user(history: tuple[Turn, ...]) -> tuple[ChatMessage, ...]:
    """Return the turns, from a user's on: vendors refuse to begin with ours."""
    return tuple(
        ChatMessage(turn.role, turn.content)
        for turn in dropwhile(lambda turn: turn.role == "assistant", history)
    )


def prompt_version() -> str:
    """Return a digest of all that the wording of a prompt depends on, whichever file it is in.

    It is taken of the prompt files and of a prompt as each provider writes it, so that no change of
    a text can be forgotten here.
    """
    texts = [f"{_REVISION} {TEMPERATURE} {MAX_TOKENS}"]
    folder = files("runtime.answering")
    prompts = sorted(each.name for each in folder.iterdir() if each.name.endswith(".md"))
    texts += [name + (folder / name).read_text("utf-8") for name in prompts]
    for language in _TEMPLATES:
        request = write_request(_SAMPLE, [_PASSAGE], language=language, today=date.min)
        texts.append(request.system + repr(request.documents))
        for messages in (messages_with_records(request, "0"), messages_beside_records(request)):
            texts += [message.content for message in messages]
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=8).hexdigest()


_SAMPLE: Final = Question("?")
_PASSAGE: Final = Passage(
    record=RecordKey("session", UUID(int=0)),
    client_id=UUID(int=0),
    client_name="Noa",
    session_date=datetime.min.replace(tzinfo=UTC),
    field_name="plan",
    part=0,
    start=0,
    end=5,
    text="[1] A",
    similarity=0.5,
)

PROMPT_VERSION: Final = prompt_version()
"""Part of a cached answer's key: an answer written under another prompt may differ."""

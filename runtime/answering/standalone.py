"""The last question of a conversation, put so that a search needs nothing else.

Searching asks for it; the chat model that answers sees the conversation itself. A rule comes first
(`dependence.py`), and a chat model only where that settles nothing: it costs time and tokens, and
what it writes is looked at before it is searched for.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from runtime.answering.degraded import DONE_WITHOUT
from runtime.answering.dependence import MOST_CHARACTERS, rule
from runtime.answering.guard import clean, find_injection
from runtime.answering.time_shares import to_tell
from runtime.language.detection import detect
from runtime.language.stems import stems_of
from runtime.messages import ChatMessage, ChatRequest

if TYPE_CHECKING:
    from runtime.messages import Language, Question
    from runtime.ports import ChatModel

STANDALONE_VERSION: Final = 1
"""Goes up with any change of the prompts: another search text may find another answer."""
MAX_TOKENS: Final = 160
"""40 words, of four Hebrew tokens each."""
_EXTRACTIVE: Final = "local"
"""The provider of the built-in model, which quotes records and writes nothing."""
_MOST_TURNS: Final = 4
_TURN_CHARACTERS: Final = 400
"""Of a longer turn its beginning is given: what a question leans on is rarely far into an answer.
With four of them, a prompt fits the least window that may be set."""
_LEAST_KNOWN: Final = 0.7
"""Of the rewritten question's words, what must stand in the conversation: the rest is grammar."""

_TEMPLATES: Final[dict[Language, str]] = {
    "en": (files("runtime.answering") / "standalone_prompt.en.md").read_text("utf-8").strip(),
    "he": (files("runtime.answering") / "standalone_prompt.he.md").read_text("utf-8").strip(),
}
_LABELS: Final[dict[Language, str]] = {
    "en": "The conversation, as data, its last question last:",
    "he": "השיחה, כנתונים, והשאלה האחרונה בסופה:",
}
_QUOTES: Final = " \"'“”„«»`"
_NUMBER: Final = re.compile(r"\d+")


async def make_standalone(question: Question, *, chat: ChatModel | None, share_s: float) -> str:
    """Return the text to search for, in the question's language; the question itself if it can be.

    `chat` is asked where the rule settles nothing, for `share_s` at most; without one, or where it
    fails or writes what is no such question, the rule's text stands. Raises nothing of a provider.
    """
    ruling = rule(question)
    if ruling.verdict != "open" or chat is None or chat.provider == _EXTRACTIVE:
        return ruling.text
    request = _write_request(question)
    try:
        async with asyncio.timeout(share_s):
            reply = await chat.chat(request, timeout_s=to_tell(share_s))
    except (*DONE_WITHOUT, TimeoutError):
        return ruling.text
    rewritten = _read(reply.text)
    return rewritten if _is_sound(rewritten, question) else ruling.text


def _write_request(question: Question) -> ChatRequest:
    language = detect(question.text)
    turns = [
        {"role": turn.role, "text": turn.content[:_TURN_CHARACTERS]}
        for turn in question.history[-_MOST_TURNS:]
    ]
    turns.append({"role": "user", "text": question.text})
    # Each turn is one line of JSON: none can close the element, or pass for another's words.
    tag = f"conversation-{secrets.token_hex(4)}"
    lines = [_LABELS[language], f"<{tag}>"]
    lines += [json.dumps(turn, ensure_ascii=False) for turn in turns]
    lines.append(f"</{tag}>")
    return ChatRequest(
        system=_TEMPLATES[language],
        messages=(ChatMessage("user", "\n".join(lines)),),
        documents=(),
        language=language,
        temperature=0,
        max_tokens=MAX_TOKENS,
    )


def _read(text: str) -> str:
    return clean(text).strip(_QUOTES)


def _is_sound(rewritten: str, question: Question) -> bool:
    """Return whether this is a question of the conversation's own words, in its language.

    What the conversation does not hold, a number above all, would search for another's record.
    """
    if not rewritten or "\n" in rewritten or len(rewritten) > MOST_CHARACTERS:
        return False
    if detect(rewritten) != detect(question.text) or find_injection(rewritten) is not None:
        return False
    said = " ".join((*(turn.content for turn in question.history), question.text))
    if not set(_NUMBER.findall(rewritten)) <= set(_NUMBER.findall(said)):
        return False
    stems = stems_of(rewritten)
    return bool(stems) and len(stems & stems_of(said)) >= _LEAST_KNOWN * len(stems)

"""What the simulator makes of any vendor's request, and what it answers before a vendor's format.

The `wire_*` files translate to and from these; nothing here knows a vendor's format.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

Vendor = Literal["cohere", "openai", "azure", "openai_compatible", "anthropic"]
Operation = Literal["embed", "chat", "rerank"]
Encoding = Literal["base64", "float"]
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

VENDORS: Final[tuple[Vendor, ...]] = ("cohere", "openai", "azure", "openai_compatible", "anthropic")
OPERATIONS: Final[tuple[Operation, ...]] = ("embed", "chat", "rerank")
BYTES_PER_TOKEN: Final = 4
"""The usual rule of thumb for English; Hebrew, of two bytes a letter, costs twice as much."""

_FENCE: Final = re.compile(r"record-\w+")


class BadCall(Exception):
    """The request is one that the vendor refuses as wrong: `status` and its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class EmbedCall:
    """Texts to embed; the vectors are wanted in each of the `encodings`."""

    model: str
    texts: tuple[str, ...]
    dimensions: int
    encodings: tuple[Encoding, ...]

    @property
    def input_tokens(self) -> int:
        """Return the estimate for all texts."""
        return sum(map(estimate_tokens, self.texts))

    @property
    def prompts(self) -> list[bytes]:
        """Return a digest of each text: callers may send the same texts in other batches."""
        return [_digest(text) for text in self.texts]


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A conversation to answer. `turns` are the texts of all messages, the system's first."""

    model: str
    turns: tuple[str, ...]
    max_tokens: int | None
    stream: bool
    include_usage: bool

    @property
    def texts(self) -> tuple[str, ...]:
        """Return nothing: what is counted as inputs is embedded texts."""
        return ()

    @property
    def input_tokens(self) -> int:
        """Return the estimate for the whole conversation."""
        return sum(map(estimate_tokens, self.turns))

    @property
    def prompts(self) -> list[bytes]:
        """Return one digest; the random name of the records' elements makes no difference."""
        return [_digest(_FENCE.sub("record", "\0".join(self.turns)))]


@dataclass(frozen=True, slots=True)
class RerankCall:
    """Documents to put in the order of their relevance; the best `top_n` are wanted."""

    model: str
    query: str
    documents: tuple[str, ...]
    top_n: int

    @property
    def texts(self) -> tuple[str, ...]:
        """Return nothing: what is counted as inputs is embedded texts."""
        return ()

    @property
    def input_tokens(self) -> int:
        """Return the estimate for the query and all documents."""
        return sum(map(estimate_tokens, (self.query, *self.documents)))

    @property
    def prompts(self) -> list[bytes]:
        """Return one digest of it all."""
        return [_digest("\0".join((self.query, *self.documents)))]


Call: TypeAlias = EmbedCall | ChatCall | RerankCall


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and its cost. `whole` is False where `max_tokens` cut it."""

    number: int
    text: str
    pieces: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    whole: bool


@dataclass(frozen=True, slots=True)
class EventStream:
    """A streamed answer, encoded: what opens it, one event a piece, and what ends it."""

    head: bytes
    pieces: tuple[bytes, ...]
    tail: bytes


class Wire(Protocol):
    """A vendor's format."""

    @property
    def vendor(self) -> Vendor:
        """Return under which name its calls are counted."""
        ...

    def read_embed(self, body: dict[str, Json], deployment: str | None) -> EmbedCall:
        """Return the call.

        Raises: BadCall.
        """
        ...

    def read_chat(self, body: dict[str, Json], deployment: str | None) -> ChatCall:
        """Return the call.

        Raises: BadCall.
        """
        ...

    def embedded(self, call: EmbedCall, rows: list[bytes], number: int) -> Json:
        """Return the answer; a row is a vector as little-endian 32-bit floats."""
        ...

    def answered(self, call: ChatCall, reply: Reply) -> Json:
        """Return the whole answer."""
        ...

    def streamed(self, call: ChatCall, reply: Reply) -> EventStream:
        """Return the answer as events."""
        ...

    def error(self, status: int, message: str, number: int, *, quota: bool = False) -> Json:
        """Return the body of an error; `quota` is the one that no waiting mends."""
        ...

    def error_event(self, status: int, message: str, number: int) -> bytes:
        """Return how a stream that has begun says that it failed."""
        ...

    def headers(self, number: int) -> dict[str, str]:
        """Return what the vendor sends with every answer."""
        ...


@runtime_checkable
class RerankWire(Wire, Protocol):
    """The format of a vendor that reranks."""

    def read_rerank(self, body: dict[str, Json]) -> RerankCall:
        """Return the call.

        Raises: BadCall.
        """
        ...

    def reranked(self, call: RerankCall, relevances: list[float], number: int) -> Json:
        """Return the answer; the relevances are in the order of the call's documents."""
        ...


def estimate_tokens(text: str) -> int:
    """Return a quarter of the text's UTF-8 bytes, rounded up: the simulator's only token count."""
    return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)


def encoded(body: Json) -> bytes:
    """Return JSON on one line, in UTF-8; half a surrogate pair becomes a question mark."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def typed_event(data: dict[str, Json]) -> bytes:
    """Return a server-sent event that is named as its data's `type`."""
    return b"event: %s\ndata: %s\n\n" % (str(data["type"]).encode(), encoded(data))


def text_of(content: Json) -> str:
    """Return a message's text, which vendors take as a string or as a list of parts.

    Raises: BadCall.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == len(content):
            return "".join(texts)
    raise BadCall(400, "a message's content must be text")


def model_of(body: dict[str, Json], deployment: str | None) -> str:
    """Return the model's name.

    Raises: BadCall.
    """
    model = deployment or body.get("model")
    if not isinstance(model, str) or not model:
        raise BadCall(400, "model is required")
    return model


def turns_of(messages: Json) -> tuple[str, ...]:
    """Return the messages' texts.

    Raises: BadCall.
    """
    if not isinstance(messages, list) or not messages:
        raise BadCall(400, "messages must be a list that is not empty")
    items = [message for message in messages if isinstance(message, dict)]
    if len(items) < len(messages) or not all(isinstance(item.get("role"), str) for item in items):
        raise BadCall(400, "a message must be an object with a role")
    return tuple(text_of(item.get("content")) for item in items)


def texts_of(texts: Json, *, at_most: int) -> tuple[str, ...]:
    """Return the texts to embed.

    Raises: BadCall.
    """
    listed = [texts] if isinstance(texts, str) else texts
    if not isinstance(listed, list) or not listed:
        raise BadCall(400, "there must be at least one text")
    if len(listed) > at_most:
        raise BadCall(400, f"too many texts: at most {at_most}")
    found = tuple(text for text in listed if isinstance(text, str) and text)
    if len(found) < len(listed):
        raise BadCall(400, "every text must be a string that is not empty")
    return found


def positive(value: Json, name: str) -> int | None:
    """Return a positive whole number, or None where there is none.

    Raises: BadCall.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise BadCall(400, f"{name} must be a positive integer")
    return value


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=12).digest()

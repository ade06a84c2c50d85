"""Cohere's v2 format: `POST /v2/embed` and `POST /v2/chat`.

Source: docs.cohere.com/v2/reference/embed, …/chat, …/chat-stream, …/errors; the SDK 7.3.1.
"""

from __future__ import annotations

import base64
from typing import Final

import numpy as np

from benchmarks.simulator.calls import (
    BadCall,
    ChatCall,
    EmbedCall,
    Encoding,
    EventStream,
    Json,
    Reply,
    Vendor,
    model_of,
    positive,
    texts_of,
    turns_of,
    typed_event,
)

TEXTS_PER_CALL: Final = 96
DEFAULT_DIMENSIONS: Final = 1536
"""Of embed-v4.0. Source: docs.cohere.com/docs/cohere-embed."""
OWN_DIMENSIONS: Final = {
    "embed-english-v3.0": 1024,
    "embed-multilingual-v3.0": 1024,
    "embed-english-light-v3.0": 384,
    "embed-multilingual-light-v3.0": 384,
}

_ENCODINGS: Final[dict[str, Encoding]] = {"base64": "base64", "float": "float"}


class CohereWire:
    """Cohere's v2 format."""

    vendor: Final[Vendor] = "cohere"

    def read_embed(self, body: dict[str, Json], deployment: str | None) -> EmbedCall:
        """Return the call.

        Raises: BadCall.
        """
        model = model_of(body, deployment)
        if not isinstance(body.get("input_type"), str):
            raise BadCall(400, "input_type is required")
        asked = body.get("embedding_types") or ["float"]
        if not isinstance(asked, list):
            raise BadCall(400, "embedding_types must be a list")
        encodings = tuple(_ENCODINGS[name] for name in asked if name in ("base64", "float"))
        if len(encodings) < len(asked):
            raise BadCall(400, "the simulator knows the embedding types base64 and float")
        return EmbedCall(
            model,
            texts_of(body.get("texts"), at_most=TEXTS_PER_CALL),
            OWN_DIMENSIONS.get(model)
            or positive(body.get("output_dimension"), "output_dimension")
            or DEFAULT_DIMENSIONS,
            encodings,
        )

    def read_chat(self, body: dict[str, Json], deployment: str | None) -> ChatCall:
        """Return the call.

        Raises: BadCall.
        """
        return ChatCall(
            model_of(body, deployment),
            turns_of(body.get("messages")),
            positive(body.get("max_tokens"), "max_tokens"),
            stream=body.get("stream") is True,
            include_usage=True,
        )

    def embedded(self, call: EmbedCall, rows: list[bytes], number: int) -> Json:
        """Return the answer with a list for each of the asked types."""
        embeddings: dict[str, Json] = {}
        if "base64" in call.encodings:
            embeddings["base64"] = [base64.b64encode(row).decode() for row in rows]
        if "float" in call.encodings:
            embeddings["float"] = [np.frombuffer(row, "<f4").tolist() for row in rows]
        tokens: dict[str, Json] = {"input_tokens": call.input_tokens}
        return {
            "id": _id(number),
            "embeddings": embeddings,
            "texts": list(call.texts),
            "meta": {"api_version": {"version": "2"}, "billed_units": tokens},
            "response_type": "embeddings_by_type",
        }

    def answered(self, call: ChatCall, reply: Reply) -> Json:
        """Return the whole answer."""
        del call
        return {
            "id": _id(reply.number),
            "finish_reason": _finish(reply),
            "message": {"role": "assistant", "content": [{"type": "text", "text": reply.text}]},
            "usage": _usage(reply),
        }

    def streamed(self, call: ChatCall, reply: Reply) -> EventStream:
        """Return the answer as events."""
        del call
        opening: Json = {"message": {"content": {"type": "text", "text": ""}}}
        start: Json = {"message": {"role": "assistant", "content": [], "tool_plan": ""}}
        return EventStream(
            typed_event({"type": "message-start", "id": _id(reply.number), "delta": start})
            + typed_event({"type": "content-start", "index": 0, "delta": opening}),
            tuple(
                typed_event(
                    {
                        "type": "content-delta",
                        "index": 0,
                        "delta": {"message": {"content": {"text": piece}}},
                    }
                )
                for piece in reply.pieces
            ),
            typed_event({"type": "content-end", "index": 0})
            + typed_event(
                {
                    "type": "message-end",
                    "delta": {"finish_reason": _finish(reply), "usage": _usage(reply)},
                }
            )
            + b"data: [DONE]\n\n",
        )

    def error(
        self, status: int, message: str, number: int, *, quota: bool = False
    ) -> dict[str, Json]:
        """Return an id and the message, whatever the error."""
        del status
        text = "You have reached your billing limit." if quota else message
        return {"id": _id(number), "message": text}

    def error_event(self, status: int, message: str, number: int) -> bytes:
        """Return a `message-end` with the reason ERROR."""
        del status, number
        delta: Json = {"finish_reason": "ERROR", "error": message}
        return typed_event({"type": "message-end", "delta": delta}) + b"data: [DONE]\n\n"

    def headers(self, number: int) -> dict[str, str]:
        """Return a request's id."""
        return {"x-debug-trace-id": f"simulated-{number}"}


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def _finish(reply: Reply) -> str:
    return "COMPLETE" if reply.whole else "MAX_TOKENS"


def _usage(reply: Reply) -> Json:
    tokens: dict[str, Json] = {
        "input_tokens": reply.input_tokens,
        "output_tokens": reply.output_tokens,
    }
    return {"billed_units": tokens, "tokens": tokens}

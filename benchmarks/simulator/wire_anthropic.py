"""Anthropic's format: `POST /v1/messages`.

Source: docs.anthropic.com/en/api/messages, …/messages-streaming, …/errors; the SDK 2.12.0.
"""

from __future__ import annotations

from typing import Final

from benchmarks.simulator.calls import (
    BadCall,
    ChatCall,
    EmbedCall,
    EventStream,
    Json,
    Reply,
    Vendor,
    model_of,
    positive,
    text_of,
    turns_of,
    typed_event,
)

_KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicWire:
    """Anthropic's format. It has no embeddings."""

    vendor: Final[Vendor] = "anthropic"

    def read_embed(self, body: dict[str, Json], deployment: str | None) -> EmbedCall:
        """Refuse.

        Raises: BadCall.
        """
        del body, deployment
        raise BadCall(404, "not found")

    def read_chat(self, body: dict[str, Json], deployment: str | None) -> ChatCall:
        """Return the call.

        Raises: BadCall.
        """
        max_tokens = positive(body.get("max_tokens"), "max_tokens")
        if max_tokens is None:
            raise BadCall(400, "max_tokens: Field required")
        system = body.get("system")
        return ChatCall(
            model_of(body, deployment),
            (text_of(system or ""), *turns_of(body.get("messages"))),
            max_tokens,
            stream=body.get("stream") is True,
            include_usage=True,
        )

    def embedded(self, call: EmbedCall, rows: list[bytes], number: int) -> Json:
        """Refuse.

        Raises: BadCall.
        """
        del call, rows, number
        raise BadCall(404, "not found")

    def answered(self, call: ChatCall, reply: Reply) -> Json:
        """Return the whole answer."""
        content: Json = [{"type": "text", "text": reply.text, "citations": None}]
        return _message(call, reply) | {
            "content": content,
            "stop_reason": _stop(reply),
            "usage": {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens},
        }

    def streamed(self, call: ChatCall, reply: Reply) -> EventStream:
        """Return the answer as events; the input's tokens come first, the output's last."""
        usage: Json = {"input_tokens": reply.input_tokens, "output_tokens": 1}
        message = _message(call, reply) | {"content": [], "stop_reason": None, "usage": usage}
        block: Json = {"type": "text", "text": ""}
        delta: Json = {"stop_reason": _stop(reply), "stop_sequence": None}
        return EventStream(
            typed_event({"type": "message_start", "message": message})
            + typed_event({"type": "content_block_start", "index": 0, "content_block": block})
            + typed_event({"type": "ping"}),
            tuple(
                typed_event(
                    {
                        "type": "content_block_delta",
                        "index": 0,
                        "delta": {"type": "text_delta", "text": piece},
                    }
                )
                for piece in reply.pieces
            ),
            typed_event({"type": "content_block_stop", "index": 0})
            + typed_event(
                {
                    "type": "message_delta",
                    "delta": delta,
                    "usage": {"output_tokens": reply.output_tokens},
                }
            )
            + typed_event({"type": "message_stop"}),
        )

    def error(
        self, status: int, message: str, number: int, *, quota: bool = False
    ) -> dict[str, Json]:
        """Return the `error` object with its type."""
        kind = "billing_error" if quota else _KINDS.get(status, "api_error")
        return {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": f"req_simulated{number}",
        }

    def error_event(self, status: int, message: str, number: int) -> bytes:
        """Return an `error` event."""
        return typed_event(self.error(status, message, number))

    def headers(self, number: int) -> dict[str, str]:
        """Return a request's id."""
        return {"request-id": f"req_simulated{number}"}


def _message(call: ChatCall, reply: Reply) -> dict[str, Json]:
    return {
        "id": f"msg_simulated{reply.number}",
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "stop_sequence": None,
    }


def _stop(reply: Reply) -> str:
    return "end_turn" if reply.whole else "max_tokens"

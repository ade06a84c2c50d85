"""OpenAI's format: `/v1/embeddings` and `/v1/chat/completions`, and what Azure makes of it.

Source: platform.openai.com/docs/api-reference (embeddings, chat, chat streaming),
…/docs/guides/error-codes; learn.microsoft.com/azure/ai-services/openai/reference; the SDK 3.54.0.
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
    encoded,
    model_of,
    positive,
    texts_of,
    turns_of,
)

TEXTS_PER_CALL: Final = 2048
DEFAULT_DIMENSIONS: Final = 1536
"""Of text-embedding-3-small."""

_CREATED: Final = 1_767_225_600
"""When every simulated answer was made: an answer is the same on every day."""
_ENCODINGS: Final[dict[Json, Encoding]] = {None: "float", "base64": "base64", "float": "float"}
_KINDS: Final = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
_DONE: Final = b"data: [DONE]\n\n"


class OpenAIWire:
    """OpenAI's format, which many servers speak."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor: Final = vendor
        self._is_azure: Final = vendor == "azure"

    def read_embed(self, body: dict[str, Json], deployment: str | None) -> EmbedCall:
        """Return the call.

        Raises: BadCall.
        """
        encoding = body.get("encoding_format")
        if not (encoding is None or encoding in ("base64", "float")):
            raise BadCall(400, "encoding_format must be float or base64")
        return EmbedCall(
            model_of(body, deployment),
            texts_of(body.get("input"), at_most=TEXTS_PER_CALL),
            positive(body.get("dimensions"), "dimensions") or DEFAULT_DIMENSIONS,
            (_ENCODINGS[encoding],),
        )

    def read_chat(self, body: dict[str, Json], deployment: str | None) -> ChatCall:
        """Return the call.

        Raises: BadCall.
        """
        options = body.get("stream_options")
        return ChatCall(
            model_of(body, deployment),
            turns_of(body.get("messages")),
            positive(body.get("max_completion_tokens"), "max_completion_tokens")
            or positive(body.get("max_tokens"), "max_tokens"),
            stream=body.get("stream") is True,
            include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        )

    def embedded(self, call: EmbedCall, rows: list[bytes], number: int) -> Json:
        """Return the answer in the asked encoding."""
        del number
        tokens = call.input_tokens
        data: list[Json] = [
            {"object": "embedding", "index": at, "embedding": _encoded(row, call.encodings[0])}
            for at, row in enumerate(rows)
        ]
        usage: Json = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": call.model, "usage": usage}

    def answered(self, call: ChatCall, reply: Reply) -> Json:
        """Return the whole answer."""
        choice: Json = {
            "index": 0,
            "message": {"role": "assistant", "content": reply.text, "refusal": None},
            "logprobs": None,
            "finish_reason": _finish(reply),
        }
        return self._completion(call, reply, "chat.completion") | {
            "choices": [choice],
            "usage": _usage(reply),
        }

    def streamed(self, call: ChatCall, reply: Reply) -> EventStream:
        """Return the answer as chunks; the usage has its own, without choices, where asked."""

        def chunk(delta: dict[str, Json], finish: str | None = None) -> bytes:
            choice: Json = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            usage: dict[str, Json] = {"usage": None} if call.include_usage else {}
            return _event(frame | {"choices": [choice]} | usage)

        frame = self._completion(call, reply, "chat.completion.chunk")
        tail = chunk({}, _finish(reply))
        if call.include_usage:
            tail += _event(frame | {"choices": [], "usage": _usage(reply)})
        head = b""
        if self._is_azure:
            # Azure's first chunk has no choices, only what its filter made of the prompt.
            filtered: Json = [{"prompt_index": 0, "content_filter_results": {}}]
            head = _event(frame | {"choices": [], "prompt_filter_results": filtered})
        return EventStream(
            head + chunk({"role": "assistant", "content": "", "refusal": None}),
            tuple(chunk({"content": piece}) for piece in reply.pieces),
            tail + _DONE,
        )

    def error(self, status: int, message: str, number: int, *, quota: bool = False) -> Json:
        """Return the `error` object; Azure's codes are numbers in a string."""
        del number
        if self._is_azure and not quota:
            code = str(status) if status < 500 else "InternalServerError"  # noqa: PLR2004
            return {"error": {"code": code, "message": message}}
        kind, code_name = _KINDS.get(status, ("server_error", None))
        if quota:
            kind = code_name = "insufficient_quota"
        return {"error": {"message": message, "type": kind, "param": None, "code": code_name}}

    def error_event(self, status: int, message: str, number: int) -> bytes:
        """Return an event that holds the error; none follows it."""
        return _event(self.error(status, message, number))

    def headers(self, number: int) -> dict[str, str]:
        """Return a request's id."""
        name = "apim-request-id" if self._is_azure else "x-request-id"
        return {name: f"req_simulated{number}"}

    def _completion(self, call: ChatCall, reply: Reply, kind: str) -> dict[str, Json]:
        return {
            "id": f"chatcmpl-simulated{reply.number}",
            "object": kind,
            "created": _CREATED,
            "model": call.model,
        }


def _encoded(row: bytes, encoding: Encoding) -> Json:
    if encoding == "base64":
        return base64.b64encode(row).decode()
    values: list[Json] = np.frombuffer(row, "<f4").tolist()
    return values


def _finish(reply: Reply) -> str:
    return "stop" if reply.whole else "length"


def _usage(reply: Reply) -> Json:
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
    }


def _event(data: Json) -> bytes:
    return b"data: %s\n\n" % encoded(data)

"""Cohere's v2 format: `POST /v2/embed`, `/v2/chat` and `/v2/rerank`.

Source: docs.cohere.com/v2/reference/embed, …/chat, …/chat-stream, …/rerank, …/errors; SDK 7.3.1.
"""

from __future__ import annotations

import base64
import re
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
    RerankCall,
    Vendor,
    model_of,
    positive,
    texts_of,
    turns_of,
    typed_event,
)

TEXTS_PER_CALL: Final = 96
DOCUMENTS_PER_CALL: Final = 10_000
"""Source: docs.cohere.com/docs/reranking-best-practices."""
DEFAULT_DIMENSIONS: Final = 1536
"""Of embed-v4.0. Source: docs.cohere.com/docs/cohere-embed."""
OWN_DIMENSIONS: Final = {
    "embed-english-v3.0": 1024,
    "embed-multilingual-v3.0": 1024,
    "embed-english-light-v3.0": 384,
    "embed-multilingual-light-v3.0": 384,
}

_MARKER: Final = re.compile(r" ?\[(\d+)\]")
_ELEMENT: Final = "<record-document"
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
        *turns, question = turns_of(body.get("messages"))
        documents = _documents_of(body.get("documents"))
        return ChatCall(
            model_of(body, deployment),
            (*turns, documents + question),
            positive(body.get("max_tokens"), "max_tokens"),
            stream=body.get("stream") is True,
            include_usage=True,
        )

    def read_rerank(self, body: dict[str, Json]) -> RerankCall:
        """Return the call.

        Raises: BadCall.
        """
        query = body.get("query")
        if not isinstance(query, str) or not query.strip():
            raise BadCall(400, "query must be a string that is not empty")
        documents = texts_of(body.get("documents"), at_most=DOCUMENTS_PER_CALL)
        top_n = positive(body.get("top_n"), "top_n") or len(documents)
        return RerankCall(model_of(body, None), query, documents, min(top_n, len(documents)))

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
        """Return the whole answer; what it cites stands beside the text, as Cohere has it."""
        said = _Said(call)
        citations = [told for piece in reply.pieces for told in said.add(piece)[1]]
        content: Json = [{"type": "text", "text": said.text}]
        message: dict[str, Json] = {"role": "assistant", "content": content}
        return {
            "id": _id(reply.number),
            "finish_reason": _finish(reply),
            "message": {**message, "citations": citations} if citations else message,
            "usage": _usage(reply),
        }

    def reranked(self, call: RerankCall, relevances: list[float], number: int) -> Json:
        """Return the best, best first, by their places in the call."""
        best = sorted(range(len(relevances)), key=lambda at: -relevances[at])[: call.top_n]
        return {
            "id": _id(number),
            "results": [{"index": at, "relevance_score": relevances[at]} for at in best],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        }

    def streamed(self, call: ChatCall, reply: Reply) -> EventStream:
        """Return the answer as events; a citation is told once its sentence is."""
        said = _Said(call)
        opening: Json = {"message": {"content": {"type": "text", "text": ""}}}
        start: Json = {"message": {"role": "assistant", "content": [], "tool_plan": ""}}
        return EventStream(
            typed_event({"type": "message-start", "id": _id(reply.number), "delta": start})
            + typed_event({"type": "content-start", "index": 0, "delta": opening}),
            tuple(_events(*said.add(piece)) for piece in reply.pieces),
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


class _Said:
    """The text of an answer so far: the markers of documents leave it and become citations.

    Those of records that the caller wrote into the prompt are text, as any other.
    """

    def __init__(self, call: ChatCall) -> None:
        self.text = ""
        self._has_documents = call.turns[-1].startswith(_ELEMENT)
        self._cited_up_to = 0

    def add(self, piece: str) -> tuple[str, list[Json]]:
        """Return the piece without markers, and what the sentence that it ends cites."""
        markers = _MARKER.findall(piece) if self._has_documents else []
        plain = _MARKER.sub("", piece).rstrip() if markers else piece
        self.text += plain
        if not markers:
            return plain, []
        sources: list[Json] = [{"type": "document", "id": each} for each in markers]
        start, self._cited_up_to = self._cited_up_to, len(self.text)
        told: Json = {
            "start": start,
            "end": len(self.text),
            "text": self.text[start:],
            "sources": sources,
            "type": "TEXT_CONTENT",
        }
        return plain, [told]


def _events(text: str, citations: list[Json]) -> bytes:
    delta: Json = {"message": {"content": {"text": text}}}
    events = typed_event({"type": "content-delta", "index": 0, "delta": delta})
    for at, citation in enumerate(citations):
        told: Json = {"message": {"citations": citation}}
        events += typed_event({"type": "citation-start", "index": at, "delta": told})
        events += typed_event({"type": "citation-end", "index": at})
    return events


def _documents_of(value: Json) -> str:
    """Return the documents as the simulated model reads records, in elements of the prompt.

    Raises: BadCall.
    """
    elements = []
    for each in value if isinstance(value, list) else []:
        data = each.get("data") if isinstance(each, dict) else None
        if not isinstance(each, dict) or not isinstance(data, dict):
            raise BadCall(400, "the simulator takes documents with an id and data")
        text = " ".join(str(said) for name, said in data.items() if name != "title")
        elements.append(
            f'<record-document n="{each.get("id")}" about="">\n{text}\n</record-document>'
        )
    return "\n".join(elements)


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

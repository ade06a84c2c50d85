"""The command `ask`: a question over HTTP to a running server, its answer as plain text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from deployments.commands.failure import CommandFailed

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 630.0
"""Longer than the longest `AI_REQUEST_DEADLINE_SECONDS`, so that the server's word comes first."""

_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "[::1]")


_DONE_WITHOUT: Final = {
    "embedding_unavailable": "Searched by words alone, as the embedding provider does not answer.",
    "chat_unavailable": "These are the records' own sentences, as no chat provider answers.",
    "cache_unavailable": "The cache of answers could not be looked at.",
}


class _Citation(BaseModel):
    marker: int
    client_name: str
    session_date: str | None = None
    field_name: str
    quote: str
    spans: list[object]


_FROM_CACHE: Final = {
    "exact": "Given before to the same question; nothing written since could change it.",
    "semantic": "Given before to a question that asks the same; nothing written since could change "
    "it.",
    "stale": "Given before, kept beyond its time, as no chat provider answers.",
}


class _Metadata(BaseModel):
    cache: str = "off"
    degraded: list[str] = []


class _Answer(BaseModel):
    answer: str
    citations: list[_Citation]
    metadata: _Metadata = _Metadata()


class _Delta(BaseModel):
    text: str


class _Problem(BaseModel):
    status: int
    detail: str


def connect(url: str) -> httpx.Client:
    """Return a client for the server; one on this machine is not asked by way of a proxy."""
    return httpx.Client(base_url=url, mounts={f"all://{host}": None for host in _THIS_MACHINE})


def ask(client: httpx.Client, question: str, *, token: str, client_id: UUID | None) -> str:
    """Return the answer and, below it, its numbered citations.

    Raises: CommandFailed.
    """
    with _explained(client):
        response = client.send(_request(client, question, token=token, client_id=client_id))
        _require_success(response)
        answer = _Answer.model_validate_json(response.content)
    return _printable("\n".join([answer.answer, *_list_citations(answer), *_warn(answer)]))


def ask_streamed(
    client: httpx.Client,
    question: str,
    *,
    token: str,
    client_id: UUID | None,
    show: Callable[[str], None],
) -> None:
    """Show the answer's sentences as they come, then its numbered citations.

    Interrupted, it leaves, and the server stops the work.

    Raises: CommandFailed.
    """
    with _explained(client), ExitStack() as stack:
        request = _request(client, question, token=token, client_id=client_id, stream=True)
        response = client.send(request, stream=True)
        stack.callback(response.close)
        if not response.is_success:
            response.read()
        _require_success(response)
        for name, data in _read_events(response.iter_text()):
            match name:
                case "delta":
                    show(_printable(_Delta.model_validate_json(data).text))
                case "done":
                    answer = _Answer.model_validate_json(data)
                    show(_printable("\n".join(["", *_list_citations(answer), *_warn(answer), ""])))
                    return
                case "error":
                    problem = _Problem.model_validate_json(data)
                    show("\n")
                    raise CommandFailed(_printable(f"{problem.detail} ({problem.status})"))
                case _:  # comments, `meta`, and `citation`, which `done` repeats in full
                    pass
    raise CommandFailed("The answer broke off. Please ask again.")


def _request(
    client: httpx.Client,
    question: str,
    *,
    token: str,
    client_id: UUID | None,
    stream: bool = False,
) -> httpx.Request:
    body: dict[str, object] = {"query": question}
    if client_id is not None:
        body["client_id"] = str(client_id)
    if stream:
        body["stream"] = True
    return client.build_request(
        "POST",
        "/api/v1/ai/agent/chat",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
    )


@contextmanager
def _explained(client: httpx.Client) -> Iterator[None]:
    """Say in a sentence what went wrong on the way.

    Raises: CommandFailed.
    """
    try:
        yield
    except httpx.ConnectError:
        reason = f"No server answers at {client.base_url}. Start one with: pazpaz-agent up"
        raise CommandFailed(reason) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandFailed(f"The server did not answer ({type(error).__name__}).") from None
    except ValidationError:
        raise CommandFailed(f"What answers at {client.base_url} is not this application.") from None


def _read_events(pieces: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give the name and the data of each event; of a comment, empty ones."""
    unread = ""
    for piece in pieces:
        *events, unread = (unread + piece).split("\n\n")
        for event in events:
            lines = (line.partition(": ") for line in event.split("\n"))
            fields = {field: value for field, _, value in lines}
            yield fields.get("event", ""), fields.get("data", "")


def _require_success(response: httpx.Response) -> None:
    if not response.is_success:
        raise CommandFailed(_explain(response))


def _explain(response: httpx.Response) -> str:
    """Return the problem's own sentence, or the status where another program answered."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    detail = problem.get("detail") if isinstance(problem, dict) else None
    if not isinstance(detail, str):
        return f"The server answered with status {response.status_code}."
    return f"{_printable(detail)} ({response.status_code})"


def _list_citations(answer: _Answer) -> list[str]:
    """Return an empty line and a line for each citation; nothing where there is none."""
    # The others were only looked at: beside an answer about one person they read like a leak.
    cited = [citation for citation in answer.citations if citation.spans]
    lines = [""] if cited else []
    for citation in cited:
        date = [citation.session_date[:10]] if citation.session_date else []
        place = ", ".join([citation.client_name, *date, citation.field_name.replace("_", " ")])
        lines.append(f"[{citation.marker}] {place}: “{citation.quote}”")
    return lines


def _warn(answer: _Answer) -> list[str]:
    """Return an empty line and a sentence for an answer given before and what was done without."""
    metadata = answer.metadata
    said = [_FROM_CACHE[metadata.cache]] if metadata.cache in _FROM_CACHE else []
    said += [
        _DONE_WITHOUT.get(word, word)
        for word in metadata.degraded
        if word != "stale_answer"  # said by `cache`
    ]
    return ["", *said] if said else []


def _printable(text: str) -> str:
    """Drop control characters, by which a note could steer the terminal; keep all else."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")

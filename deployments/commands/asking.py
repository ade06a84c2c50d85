"""The command `ask`: one question over HTTP to a running server, its answer as plain text."""

from __future__ import annotations

import unicodedata
from typing import Final
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from deployments.commands.failure import CommandFailed

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 630.0
"""Longer than the longest `AI_REQUEST_DEADLINE_SECONDS`, so that the server's word comes first."""

_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "[::1]")


class _Citation(BaseModel):
    marker: int
    client_name: str
    session_date: str | None = None
    field_name: str
    quote: str
    spans: list[object]


class _Answer(BaseModel):
    answer: str
    citations: list[_Citation]


def connect(url: str) -> httpx.Client:
    """Return a client for the server; one on this machine is not asked by way of a proxy."""
    return httpx.Client(base_url=url, mounts={f"all://{host}": None for host in _THIS_MACHINE})


def ask(client: httpx.Client, question: str, *, token: str, client_id: UUID | None) -> str:
    """Return the answer and, below it, its numbered citations.

    Raises: CommandFailed.
    """
    body = {"query": question} | ({} if client_id is None else {"client_id": str(client_id)})
    try:
        response = client.post(
            "/api/v1/ai/agent/chat",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        )
    except httpx.ConnectError:
        reason = f"No server answers at {client.base_url}. Start one with: pazpaz-agent up"
        raise CommandFailed(reason) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandFailed(f"The server did not answer ({type(error).__name__}).") from None
    if not response.is_success:
        raise CommandFailed(_explain(response))
    try:
        return _render(_Answer.model_validate_json(response.content))
    except ValidationError:
        raise CommandFailed(f"What answers at {client.base_url} is not this application.") from None


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


def _render(answer: _Answer) -> str:
    lines = [answer.answer]
    # The others were only looked at: beside an answer about one person they read like a leak.
    cited = [citation for citation in answer.citations if citation.spans]
    if cited:
        lines.append("")
    for citation in cited:
        date = [citation.session_date[:10]] if citation.session_date else []
        place = ", ".join([citation.client_name, *date, citation.field_name.replace("_", " ")])
        lines.append(f"[{citation.marker}] {place}: “{citation.quote}”")
    return _printable("\n".join(lines))


def _printable(text: str) -> str:
    """Drop control characters, by which a note could steer the terminal; keep all else."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")

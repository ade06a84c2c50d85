"""The demo of `up --demo`: a small practice, loaded and asked a question.

A second run finds the practice there, embeds nothing again, and asks at once.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import typer

from deployments import backfill
from deployments.commands import asking, credentials, loading

if TYPE_CHECKING:
    from runtime.settings import Settings

PRACTICE: Final = Path(__file__).parents[1] / "examples" / "demo-practice.jsonl"
WORKSPACE: Final = "demo"
QUESTION: Final = "What happened after Maya stopped sertraline abruptly?"


def show(settings: Settings, url: str) -> None:
    """Load the practice, embed it, ask, and print the cited answer and how to ask the next.

    Raises: AIAgentError, CommandFailed.
    """
    done = asyncio.run(loading.import_into_database(settings, [PRACTICE]))
    typer.echo(f"Demo practice: {loading.summarize_import(done)}")
    workspace_id = credentials.parse_workspace(WORKSPACE)
    with loading.record_progress("Embedding") as progress:
        backfill.run(settings, workspace_id=workspace_id, on_progress=progress)
    typer.echo(f"\n> {QUESTION}\n")
    with httpx.Client(base_url=url) as server:
        token = credentials.token_for_asking(WORKSPACE)
        typer.echo(asking.ask(server, QUESTION, token=token, client_id=None))
    typer.echo('\nAsk the next one:  .venv/bin/pazpaz-agent ask "…"   (in Hebrew or English)\n')

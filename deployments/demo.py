"""The demo of `up --demo`: a small practice, loaded and asked a question.

It runs the very commands that anyone would run. A second time it finds the practice there, embeds
nothing again, and asks at once.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from deployments.commands import asking, credentials, loading
from deployments.commands.failure import CommandFailed
from runtime import assembly
from runtime.storage.jobs import EmbeddingJobs

if TYPE_CHECKING:
    from runtime.settings import Settings

PRACTICE: Final = Path(__file__).parents[1] / "examples" / "demo-practice.jsonl"
WORKSPACE: Final = credentials.DEMO_WORKSPACE
QUESTION: Final = "What happened after Maya stopped sertraline abruptly?"


def show(settings: Settings, url: str) -> None:
    """Load the practice, embed it, ask, and print the cited answer and how to ask the next.

    Raises: AIAgentError, CommandFailed.
    """
    done = asyncio.run(loading.import_into_database(settings, [PRACTICE]))
    typer.echo(f"Demo practice: {loading.summarize_import(done)}")
    if asyncio.run(_count_due(settings)):
        # A process of its own: a handle belongs to the event loop that first used it, and Serve
        # shuts all of a process's handles down at its end.
        command = [sys.executable, "-m", "deployments.cli", "backfill", "--workspace", WORKSPACE]
        if subprocess.run(command, check=False).returncode != 0:  # noqa: S603 - ours
            raise CommandFailed("The demo practice could not be embedded; see the lines above.")
    typer.echo(f"\n> {QUESTION}\n")
    with asking.connect(url) as server:
        token = credentials.token_for_asking(WORKSPACE)
        typer.echo(asking.ask(server, QUESTION, token=token, client_id=None))
    typer.echo('\nAsk the next one:  .venv/bin/pazpaz-agent ask "…"   (in Hebrew or English)\n')


async def _count_due(settings: Settings) -> int:
    async with assembly.open_storage(settings) as database:
        return await EmbeddingJobs(database).count_due(credentials.parse_workspace(WORKSPACE))

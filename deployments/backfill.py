"""The job behind `pazpaz-agent backfill`: embeds what has no current embedding.

It runs in the command's own process and asks the running application's `embedding` deployment.
Queue and claims are in the database, so it may be killed anywhere and run beside the worker.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import ray
from ray import serve
from ray.serve.exceptions import RayServeException

from deployments.app import APPLICATION
from deployments.commands.failure import CommandFailed
from deployments.local import address_file
from deployments.remote import open_remote_embedder
from runtime import assembly

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from runtime.backfill import EmbedRecords
    from runtime.settings import Settings
    from runtime.telemetry import Event

HELD_ELSEWHERE_PAUSE_S: Final = 0.5
"""How long to wait for the worker that holds all that is left, before looking again."""
CONNECT_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Done:
    """Records that this process embedded, and those that it could not.

    Those that `failed` are tried again later, by the application's worker too; but for the
    `refused`, counted over all runs: the provider never embeds a text of theirs as it is.
    """

    embedded: int
    failed: int
    refused: int = 0


def run(
    settings: Settings, *, workspace_id: UUID | None, on_progress: Callable[[int, int], None]
) -> Done:
    """Embed until nothing is due, and return what this process did.

    `on_progress` gets the records done, by whomever, and all that there were to do.

    Raises: CommandFailed (no application runs), DatabaseUnavailable, StatementTimeout.
    """
    _join_cluster(settings)
    return asyncio.run(_embed_all(settings, workspace_id, on_progress))


def _join_cluster(settings: Settings) -> None:
    """Raises: CommandFailed."""
    remedy = (
        "No application runs on this machine. Start one with pazpaz-agent up, "
        "and wait until it says that it serves."
    )
    address = os.environ.get("RAY_ADDRESS") or _read_address(settings) or "auto"
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        ray.init(
            address=address,
            namespace=APPLICATION,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
        serve.get_app_handle(APPLICATION)
    except (ConnectionError, RayServeException):
        raise CommandFailed(remedy) from None


def _read_address(settings: Settings) -> str | None:
    """Return the address that `up` noted, unless it was killed and nobody listens there."""
    try:
        address = address_file(settings).read_text("utf-8").strip()
        host, port = address.rsplit(":", 1)
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError):
        return None
    return address


async def _embed_all(
    settings: Settings, workspace_id: UUID | None, on_progress: Callable[[int, int], None]
) -> Done:
    def keep_quiet(_: Event) -> None:
        """The progress bar says it; the calls are counted by the deployment."""

    done = Done(embedded=0, failed=0)
    embedder = open_remote_embedder(settings)
    async with (
        assembly.open_embedding_queue(settings, keep_quiet, embedder) as queue,
        queue.notifications() as wake,
    ):
        wanted = [workspace_id] if workspace_id else await queue.list_workspaces()
        for one in wanted:
            await queue.enqueue_missing(one)
        total = left = await _count_due(queue, wanted)
        while left:
            before = done
            for one in wanted:
                step = await queue.step(one)
                done = Done(done.embedded + step.records - step.failed, done.failed + step.failed)
            if done == before:
                await wake.wait(HELD_ELSEWHERE_PAUSE_S)
            left = await _count_due(queue, wanted)
            on_progress(max(total - left, 0), total)
        refused = sum([await queue.count_failed(one) for one in wanted])
    return replace(done, refused=refused)


async def _count_due(queue: EmbedRecords, workspaces: list[UUID]) -> int:
    return sum([await queue.count_due(one) for one in workspaces])

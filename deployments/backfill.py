"""The job behind `pazpaz-agent backfill`: embeds what has no current embedding.

With a model, it brings that one in beside the old. It runs in the command's own process and asks
the running application's `embedding` deployment.
Queue and claims are in the database, so it may be killed anywhere and run beside the worker.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING, Final

import ray
from ray import serve
from ray.serve.exceptions import RayServeException

from deployments.app import APPLICATION
from deployments.commands.failure import CommandFailed
from deployments.local import address_file
from deployments.remote import list_served_models, open_remote_spaces
from runtime import assembly
from runtime.storage.workspace_models import WorkspaceModels

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from uuid import UUID

    from runtime.embedding.run import Done
    from runtime.settings import Settings

CONNECT_TIMEOUT_S: Final = 2.0


def run(
    settings: Settings,
    *,
    workspace_id: UUID | None,
    reembed: str | None = None,
    on_progress: Callable[[int, int], None],
) -> Done:
    """Embed until nothing is due, and return what this process did.

    With `reembed`, bring in that model, which must be the configured one. `on_progress` gets the
    records done, by whomever, and all that there were to do.

    Raises: CommandFailed (no application runs, or one with other models), ActorUnavailable,
        DatabaseUnavailable, StatementTimeout.
    """
    if reembed is not None:
        _require_configured(settings, reembed)
    _join_cluster(settings)
    return asyncio.run(
        _embed_all(settings, workspace_id, reembed=reembed is not None, on_progress=on_progress)
    )


def conclude(settings: Settings, done: Done, *, reembed: bool) -> str:
    """Return what a run has come to, in a sentence.

    Raises: CommandFailed, where something is left to be done.
    """
    wrong = []
    if done.failed:
        wrong.append(
            f"{done.failed} could not be embedded now; the application tries again. "
            "Its log names the reason; so does: pazpaz-agent doctor --deep"
        )
    if done.elsewhere:
        left = ", ".join(f"{workspace} ({key})" for workspace, key in done.elsewhere.items())
        remedy = (
            "Run this again when all their records can be embedded."
            if reembed
            else "Nothing embeds with that one: see AI_EMBEDDING_RETIRING, and backfill --reembed."
        )
        wrong.append(f"Still searched by another model: {left}. {remedy}")
    if wrong:
        raise CommandFailed(" ".join(wrong))
    told = f"Nothing is left to embed now; this command took {done.embedded} records of it."
    if reembed:
        return f"{told} All are searched by {settings.embedding_space.key}."
    return told


async def forget(settings: Settings, model_key: str, workspace_id: UUID | None) -> int:
    """Delete the vectors of a model wherever nothing is searched by them; return how many.

    Raises: CommandFailed (it is the configured model, or there is nothing to delete),
        DatabaseUnavailable, StatementTimeout.
    """
    if model_key in (settings.embedding_space.key, settings.embedding_retiring):
        raise CommandFailed(
            f"{model_key} is configured: new records would have its vectors again. "
            "Take it out of AI_EMBEDDING_PROVIDER and AI_EMBEDDING_RETIRING first."
        )
    async with assembly.open_storage(settings) as database:
        models = WorkspaceModels(database)
        wanted = [workspace_id] if workspace_id else await models.list_workspaces()
        deleted = sum([await models.forget(one, model_key) for one in wanted])
        if not deleted:
            there = {key for one in wanted for key in await models.list_embedded(one)}
            raise CommandFailed(explain_nothing_deleted(model_key, there))
        return deleted


def explain_nothing_deleted(model_key: str, there: Collection[str]) -> str:
    """Return why none of a model's vectors were deleted; `there` are the models that have any."""
    if model_key in there:
        return (
            f"No vectors of {model_key} were deleted: every practice that has any is searched by "
            "them. Move it to another model first, with backfill --reembed."
        )
    others = f" There are vectors of: {', '.join(sorted(there))}." if there else ""
    return f"There are no vectors of {model_key}.{others}"


def _require_configured(settings: Settings, model: str) -> None:
    space = settings.embedding_space
    if model in (space.key, space.name):
        return
    told = f"The configured embedding model is {space.key}, not {model}"
    if settings.embedding_retiring:
        raise CommandFailed(
            f"{told}; AI_EMBEDDING_RETIRING is {settings.embedding_retiring}. "
            f"To move from the latter to the former: --reembed {space.key}"
        )
    raise CommandFailed(
        f"{told}. To bring in another, configure it, set AI_EMBEDDING_RETIRING to the model that "
        "the practices are on (doctor names it), and start the application again."
    )


def require_same_models(served: list[str], configured: list[str]) -> None:
    """Return if the application embeds with the very models that this command is configured for.

    With more or with fewer, this command would take records off the queue that lack vectors still.

    Raises: CommandFailed.
    """
    if served != configured:
        raise CommandFailed(
            f"The running application embeds with {' and '.join(served)}; this command is "
            f"configured for {' and '.join(configured)}. Give both the same settings, and start "
            "the application again where its are the old ones."
        )


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
    settings: Settings,
    workspace_id: UUID | None,
    *,
    reembed: bool,
    on_progress: Callable[[int, int], None],
) -> Done:
    spaces = open_remote_spaces(settings)
    require_same_models(await list_served_models(), spaces.keys)
    async with assembly.open_embedding_run(
        settings, spaces, reembed=reembed, on_progress=on_progress
    ) as embedding_run:
        done = await embedding_run.run(workspace_id)
    await assembly.index_embedded_database(settings)
    return done

"""The commands `key create`, `key list` and `key revoke`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deployments.commands.credentials import parse_scopes, parse_workspace
from runtime import assembly
from runtime.settings import load
from runtime.storage.keys import PostgresKeyStore


async def create(workspace: str, scopes: str, *, name: str) -> str:
    """Return a new key's text, which is stored nowhere.

    Raises: ConfigurationError, DatabaseError, InvalidRecord, typer.BadParameter.
    """
    workspace_id, granted = parse_workspace(workspace), parse_scopes(scopes)
    async with _opened_keys() as keys:
        _, text = await keys.create_key(workspace_id, name, scopes=granted)
    return text


async def show(workspace: str) -> None:
    """Print a table of the keys, oldest first.

    Raises: ConfigurationError, DatabaseError, typer.BadParameter.
    """
    workspace_id = parse_workspace(workspace)
    async with _opened_keys() as keys:
        found = await keys.list_keys(workspace_id)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("id", no_wrap=True)  # to be copied whole into `key revoke`
    for title in ("name", "scopes", "made", "revoked"):
        table.add_column(title)
    for key in found:
        revoked = "" if key.revoked_at is None else f"{key.revoked_at:%Y-%m-%d %H:%M}"
        made = f"{key.created_at:%Y-%m-%d %H:%M}"
        table.add_row(str(key.id), Text(key.name), " ".join(key.scopes), made, revoked)
    Console().print(table)


async def revoke(workspace: str, key_id: UUID) -> None:
    """Revoke one key.

    Raises: ConfigurationError, DatabaseError, RecordNotFound, typer.BadParameter.
    """
    workspace_id = parse_workspace(workspace)
    async with _opened_keys() as keys:
        await keys.revoke_key(workspace_id, key_id)


@asynccontextmanager
async def _opened_keys() -> AsyncIterator[PostgresKeyStore]:
    settings, _ = load()
    async with assembly.open_storage(settings) as database:
        yield PostgresKeyStore(database)

"""What a workspace has set for itself. Called by the settings routes; questions read it themselves.

`recall_answer` brings the settings along in the round trip that looks for an earlier answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final
from uuid import UUID

from runtime.messages import WorkspaceSettings
from runtime.storage.pool import Database
from runtime.storage.queries import QUERIES

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "cache_enabled": (bool,),
    "cache_similarity": (int, float),
}
"""Of JSON values, by field; those not named are whole numbers."""


class PostgresWorkspaceSettings:
    """`WorkspaceSettingsStore` in PostgreSQL: a field of the workspace's row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, workspace_id: UUID) -> WorkspaceSettings:
        """Return what the workspace has set; nothing where it has no row.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            written = await connection.fetch_value(QUERIES["read_settings"])
        return read_settings(written)

    async def change(
        self, workspace_id: UUID, changes: Mapping[str, bool | int | float | None]
    ) -> WorkspaceSettings:
        """Set these fields of `WorkspaceSettings`, None back to the default; return all.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        require_known(changes)
        given = {name: value for name, value in changes.items() if value is not None}
        unset = [name for name, value in changes.items() if value is None]
        async with self._database.workspace(workspace_id) as connection:
            written = await connection.fetch_value(
                QUERIES["change_settings"], json.dumps(given), unset
            )
        return read_settings(written)


def require_known(changes: Mapping[str, object]) -> None:
    """Return if every name is a field of `WorkspaceSettings`."""
    unknown = changes.keys() - {field.name for field in fields(WorkspaceSettings)}
    if unknown:
        raise ValueError(f"No settings of a workspace: {', '.join(sorted(unknown))}")


def read_settings(written: str | None) -> WorkspaceSettings:
    """Return the settings that this JSON holds; what is of another kind counts as not set."""
    held = {} if written is None else json.loads(written)
    if not isinstance(held, dict):
        return WorkspaceSettings()
    known = [field.name for field in fields(WorkspaceSettings)]
    return WorkspaceSettings(
        **{name: held[name] for name in known if name in held and _is_kind(name, held[name])}
    )


def _is_kind(name: str, value: Any) -> bool:  # noqa: ANN401 - any JSON
    kinds = _KINDS.get(name, (int,))
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))

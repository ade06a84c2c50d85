"""Which model each workspace is searched by, and how it comes to be another.

`embedding/run.py` calls it for the command `backfill`. A workspace's first model it gets from its
first vectors (`jobs.py`).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from runtime.messages import EmbeddingModel
from runtime.storage.pool import Connection, Database
from runtime.storage.queries import QUERIES

TIMEOUT_S: Final = 900
"""It reads a whole practice, or deletes as much: the pool's limit is meant for searches."""


class WorkspaceModels:
    """The models' keys, over all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_workspaces(self) -> list[UUID]:
        """Return every workspace's id, in order.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(QUERIES["list_workspaces"])
        return [row["id"] for row in rows]

    async def read(self, workspace_id: UUID) -> str | None:
        """Return the key of the model that it is searched by; None before its first vectors.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            key: str | None = await connection.fetch_value(QUERIES["read_model"])
        return key

    async def switch(self, workspace_id: UUID, model: EmbeddingModel) -> bool:
        """Have it searched by this model if all its records have their vectors; return if it is.

        One without any vectors gets its model with its first: there is nothing to switch.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            await _take_time(connection)
            await connection.fetch_value(QUERIES["hold_model"], timeout_s=TIMEOUT_S)
            await connection.fetch_value(QUERIES["switch_model"], model.key, timeout_s=TIMEOUT_S)
            return await connection.fetch_value(QUERIES["read_model"]) in (None, model.key)

    async def forget(self, workspace_id: UUID, model_key: str) -> int:
        """Delete its vectors of a model, unless it is searched by them; return how many.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            await _take_time(connection)
            if await connection.fetch_value(QUERIES["keep_model"]) == model_key:
                return 0
            return int(
                await connection.fetch_value(
                    QUERIES["forget_vectors"], model_key, timeout_s=TIMEOUT_S
                )
            )

    async def list_embedded(self, workspace_id: UUID) -> list[str]:
        """Return the keys of the models that it has vectors of, in order.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            await _take_time(connection)
            keys: list[str] = await connection.fetch_value(
                QUERIES["list_embedded_models"], timeout_s=TIMEOUT_S
            )
        return keys

    async def count(self) -> dict[str, int]:
        """Return how many workspaces are searched by each model, by the models' keys.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(QUERIES["count_models"])
        return {row["model"]: row["workspaces"] for row in rows}


async def _take_time(connection: Connection) -> None:
    await connection.execute(f"SET LOCAL statement_timeout = '{TIMEOUT_S}s'")

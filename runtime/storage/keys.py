"""API keys of a workspace: made and revoked by the command line, looked up by the HTTP layer.

What a key looks like is `api_keys.py`'s business, what its scopes allow `credentials.py`'s.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from runtime.access.api_keys import digest_key, make_key
from runtime.errors import RecordNotFound
from runtime.messages import Caller
from runtime.storage.pool import Database
from runtime.storage.queries import QUERIES
from runtime.storage.records import require_storable


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What may be shown of a key at any time."""

    id: UUID
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


class PostgresKeyStore:
    """`KeyStore` in PostgreSQL, and what the `key` commands need. Keys are stored hashed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_key(
        self, workspace_id: UUID, name: str, *, scopes: Collection[str]
    ) -> tuple[ApiKey, str]:
        """Return the new key and, this once, its text.

        Raises: InvalidRecord (its name), DatabaseUnavailable, StatementTimeout.
        """
        require_storable("name", name)
        text = make_key(workspace_id)
        granted = sorted(scopes)
        async with self._database.workspace(workspace_id) as connection:
            row = await connection.fetch_row(QUERIES["create_key"], name, digest_key(text), granted)
        assert row is not None
        return ApiKey(row["id"], name, tuple(granted), row["created_at"], None), text

    async def list_keys(self, workspace_id: UUID) -> list[ApiKey]:
        """Return the workspace's keys, oldest first, revoked ones included.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            rows = await connection.fetch(QUERIES["list_keys"])
        return [
            ApiKey(
                row["id"], row["name"], tuple(row["scopes"]), row["created_at"], row["revoked_at"]
            )
            for row in rows
        ]

    async def revoke_key(self, workspace_id: UUID, key_id: UUID) -> None:
        """Revoke the key at once and for good; doing so twice is no error.

        Raises: RecordNotFound, DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            revoked = await connection.fetch_value(QUERIES["revoke_key"], key_id)
        if revoked is None:
            raise RecordNotFound("key")

    async def find_key(self, workspace_id: UUID, digest: bytes) -> Caller | None:
        """Return whose key has this SHA-256 digest, or None when there is none or it is revoked.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        async with self._database.workspace(workspace_id) as connection:
            row = await connection.fetch_row(QUERIES["find_key"], digest)
        if row is None:
            return None
        return Caller(f"key:{row['id']}", workspace_id, frozenset(row["scopes"]))

"""API keys of a workspace: made and revoked by the command line, looked up by the HTTP layer.

Reading a key's workspace out of its text, and what its scopes allow, is `access.py`'s business.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from runtime.errors import RecordNotFound
from runtime.messages import Caller
from runtime.storage.pool import Database
from runtime.storage.queries import QUERIES
from runtime.storage.records import require_storable

PREFIX: Final = "pzk_"
_RANDOM_BYTES: Final = 32


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


def make_key(workspace_id: UUID) -> str:
    """Return a new key: its prefix, the workspace, and 43 random URL-safe characters."""
    return f"{PREFIX}{workspace_id.hex}_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def digest_key(text: str) -> bytes:
    """Return what is stored of a key. A plain hash will do: it has 256 random bits to guess."""
    return hashlib.sha256(text.encode()).digest()

"""Brings the schema up to date, as its owner. `find_pending` is for readiness and `doctor`.

Migrations are `NNNN_pre_name.sql` (the code of before still works with it: apply it before the new
code) and `NNNN_post_name.sql` (only the new code does: release it after). They only go forward: one
that was applied must not be edited. What is done on every run beside them: the runtime role's
grants and the indexes of large workspaces' vectors.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from runtime.errors import MigrationError
from runtime.storage.faults import translated
from runtime.storage.pool import CONNECT_TIMEOUT_S, Connection, Database
from runtime.storage.queries import QUERIES
from runtime.storage.vector_index import keep_indexes

DIRECTORY: Final = Path(__file__).parents[2] / "migrations"
POSTGRESQL_VERSION: Final = 15
PGVECTOR_VERSION: Final = (0, 8)
LOCK: Final = 7_077_072_001
"""An advisory lock's key: any number, so long as it never changes."""
INDEXES_LOCK: Final = LOCK + 1

_FILE_NAME: Final = re.compile(r"(\d{4})_(pre|post)_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `checksum` is the SHA-256 of its bytes."""

    version: int
    name: str
    sql: str
    checksum: bytes


def read_migrations(directory: Path = DIRECTORY) -> list[Migration]:
    """Return the migrations in order.

    Raises: MigrationError (a name that is none, a number that is missing or there twice).
    """
    found: list[Migration] = []
    for path in sorted(directory.glob("[0-9]*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is no name of a migration; see migrate.py.")
        content = path.read_bytes()
        checksum = hashlib.sha256(content).digest()
        found.append(Migration(int(match[1]), path.stem, content.decode(), checksum))
    for expected, migration in enumerate(found, start=1):
        if migration.version != expected:
            raise MigrationError(
                f"Migration {expected:04} is missing or there twice: {migration.name} stands in "
                "its place. Install the package again."
            )
    return found


async def find_pending(database: Database, directory: Path = DIRECTORY) -> list[str]:
    """Return the names of the migrations that `migrate` would apply.

    A database that is ahead by `pre` migrations alone has none: they come before the new code, and
    what serves meanwhile must stay ready.

    Raises: MigrationError, DatabaseUnavailable, StatementTimeout.
    """
    async with database.connection() as connection:
        pending, ahead = await _compare(connection, directory)
    _refuse_ahead([name for name in ahead if name.split("_")[1] == "post"])
    return [migration.name for migration in pending]


async def migrate(owner_url: str, *, runtime_role: str, directory: Path = DIRECTORY) -> list[str]:
    """Apply what is pending and return its names; safe to run again, and from two places at once.

    Raises: MigrationError, DatabaseUnavailable.
    """
    async with _connect(owner_url) as raw:
        connection = Connection(raw)
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await _require_versions(connection)
        await _require_role(connection, runtime_role)
        await connection.execute(QUERIES["create_schema_migrations"])
        applied = []
        pending, ahead = await _compare(connection, directory)
        _refuse_ahead(ahead)
        for migration in pending:
            with translated():
                await _apply(raw, migration)
            applied.append(migration.name)
        grants = (directory / "grants.sql").read_text("utf-8")
        with translated():
            async with raw.transaction():
                await connection.execute(grants.replace("{role}", _quote(runtime_role)))
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)
        await _index_vectors(connection)
        return applied


async def _index_vectors(connection: Connection) -> None:
    """Make the indexes that are missing, unless another `migrate` is at it.

    None is waited for: an index made while others write waits for every statement that is running,
    one that waits for a lock among them.
    """
    if await connection.fetch_value("SELECT pg_try_advisory_lock($1)", INDEXES_LOCK):
        await keep_indexes(connection)


async def index_vectors(owner_url: str) -> None:
    """Bring the indexes of large workspaces' vectors up to date, as `migrate` does at its end.

    Raises: DatabaseUnavailable.
    """
    async with _connect(owner_url) as raw:
        await _index_vectors(Connection(raw))


@asynccontextmanager
async def _connect(owner_url: str) -> AsyncIterator[Any]:
    with translated():
        raw = await asyncpg.connect(owner_url, timeout=CONNECT_TIMEOUT_S)
    try:
        yield raw
    finally:
        raw.terminate()


async def _compare(
    connection: Connection, directory: Path
) -> tuple[Sequence[Migration], Sequence[str]]:
    """Return what is still to be applied, and the names of what was applied and is not here."""
    migrations = read_migrations(directory)
    if await connection.fetch_value("SELECT to_regclass('schema_migrations')") is None:
        return migrations, []
    applied = await connection.fetch(QUERIES["list_applied"])
    for row, migration in zip(applied, migrations, strict=False):
        if (row["version"], row["checksum"]) != (migration.version, migration.checksum):
            raise MigrationError(
                f"Migration {migration.name} is not the one that was applied to this database. "
                "Restore its file as it was, and put the change into a new migration."
            )
    return migrations[len(applied) :], [row["name"] for row in applied[len(migrations) :]]


def _refuse_ahead(names: Sequence[str]) -> None:
    if names:
        raise MigrationError(
            f"The database is ahead of this program: it has migration {names[-1]}. "
            "Install the version of the program that it was migrated with, or a later one."
        )


async def _apply(raw: Any, migration: Migration) -> None:  # noqa: ANN401 - asyncpg is untyped
    try:
        async with raw.transaction():
            await raw.execute(migration.sql)
            await raw.execute(
                QUERIES["record_migration"],
                migration.version,
                migration.name,
                migration.checksum,
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"Migration {migration.name} failed and was undone: {type(error).__name__} "
            f"(SQLSTATE {error.sqlstate}). Nothing after it was applied."
        ) from None


async def _require_versions(connection: Connection) -> None:
    server = await connection.fetch_value(QUERIES["find_server_version"])
    if server < POSTGRESQL_VERSION * 10_000:
        raise MigrationError(
            f"PostgreSQL {server // 10_000} is too old: {POSTGRESQL_VERSION} or later is needed."
        )
    version = await connection.fetch_value(QUERIES["find_vector_version"])
    if version is None:
        await _create_extension(connection)
        version = await connection.fetch_value(QUERIES["find_vector_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < PGVECTOR_VERSION:
        raise MigrationError(
            f"pgvector {version} is too old: 0.8 or later is needed. Upgrade the package on the "
            "server, then run as a superuser, in this database: ALTER EXTENSION vector UPDATE;"
        )


async def _create_extension(connection: Connection) -> None:
    if await connection.fetch_value(QUERIES["find_vector_package"]) is None:
        raise MigrationError(
            "pgvector is not installed on the database server. Install its package there (0.8 or "
            "later), then run `migrate` again."
        )
    if not await connection.fetch_value(QUERIES["may_create_vector"]):
        raise MigrationError(
            "The extension vector is not there, and this role may not create it. Run as a "
            "superuser, in this database: CREATE EXTENSION vector; then run `migrate` again."
        )
    await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")


async def _require_role(connection: Connection, role: str) -> None:
    if not await connection.fetch_value("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        raise MigrationError(
            f"The runtime role {role} does not exist. Run as a role that may, with a password of "
            f"your own: CREATE ROLE {_quote(role)} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '…'; "
            "then run `migrate` again."
        )


def _quote(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'

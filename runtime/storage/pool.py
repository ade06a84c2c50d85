"""The one way to PostgreSQL: opens the pool, checks the role, hands out transactions.

Every store of this folder works through `Database`; their statements live in `queries.sql`. Nothing
of asyncpg leaves this file: its types stop at `Connection`, its exceptions at `faults.py`.

All work is done in transactions that first set what they need for themselves alone, in the same
round trip as BEGIN: the workspace, the time limit, no JIT. Hence:

- nothing is left on a connection, so asyncpg's reset query (a round trip a use) is not needed;
- PgBouncer may stand between, in transaction mode, with no start-up parameter to be refused. It
  must track named prepared statements, which it does from 1.21 on with `max_prepared_statements`
  above 0: we keep asyncpg's statement cache, because without it each statement is two round trips.
  Source: www.pgbouncer.org/changelog.html, 1.21.0.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any, Final, Protocol, Self
from uuid import UUID

import asyncpg
from pgvector import Vector as PgVector

from runtime.errors import DatabaseUnavailable, MigrationError, UnsafeRole
from runtime.messages import Matrix, Vector
from runtime.storage.faults import FAULTS, translated
from runtime.storage.queries import QUERIES

CONNECT_TIMEOUT_S: Final = 5.0
"""To reach the server, and to wait for a free connection of a pool that is used up."""
CHECK_TIMEOUT_S: Final = 2.0
CLOSE_TIMEOUT_S: Final = 5.0
_GRACE_S: Final = 5.0
"""How long after `statement_timeout` a silent server is given up as lost."""


class Row(Protocol):
    """One row of a result, by column name."""

    def __getitem__(self, column: str) -> Any:  # noqa: ANN401 - any type PostgreSQL has
        """Return the column's value."""
        ...


class Connection:
    """A connection inside a transaction. Every method is one round trip."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401 - asyncpg is untyped
        self._raw = raw

    async def fetch(self, query: str, *arguments: object) -> list[Row]:
        """Return every row."""
        with translated():
            rows: list[Row] = await self._raw.fetch(query, *arguments)
        return rows

    async def fetch_row(self, query: str, *arguments: object) -> Row | None:
        """Return the first row, if any."""
        with translated():
            row: Row | None = await self._raw.fetchrow(query, *arguments)
        return row

    async def fetch_value(
        self, query: str, *arguments: object, timeout_s: float | None = None
    ) -> Any:  # noqa: ANN401 - as Row
        """Return the first column of the first row, or None.

        `timeout_s` is how long a silent server is waited for, where that is not the pool's limit.
        """
        with translated():
            return await self._raw.fetchval(query, *arguments, timeout=timeout_s)

    async def execute(self, query: str, *arguments: object) -> None:
        """Run a statement whose result is of no interest."""
        with translated():
            await self._raw.execute(query, *arguments)


class Wake:
    """Tells of notifications since the last wait, if any; how many makes no difference."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._lost = False

    def ring(self) -> None:
        """Tell of a notification."""
        self._rung.set()

    def lose(self) -> None:
        """Tell that the connection is gone, and no notification can come any more."""
        self._lost = True
        self._rung.set()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next notification, or when the time is over.

        Raises: DatabaseUnavailable (the connection was lost).
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        if self._lost:
            raise DatabaseUnavailable("The database connection that listens for work was lost.")
        self._rung.clear()


class Database:
    """A pool of connections as the runtime role. Open it once a process, with `open_database`."""

    def __init__(self, pool: Any, *, statement_timeout_s: float) -> None:  # noqa: ANN401 - as above
        self._pool = pool
        self._statement_timeout_s = statement_timeout_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; those in use are waited for a while, then cut."""
        with translated(), suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()

    @asynccontextmanager
    async def workspace(
        self, workspace_id: UUID, settings: Mapping[str, str] = MappingProxyType({})
    ) -> AsyncIterator[Connection]:
        """Open one transaction that sees this workspace alone; commit unless the body raises.

        `settings` are PostgreSQL's, for this transaction: names and values of the program's own.

        Raises: DatabaseUnavailable, StatementTimeout, DatabaseError.
        """
        async with self._transaction(str(UUID(bytes=workspace_id.bytes)), settings) as connection:
            yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Open one transaction without a workspace: it sees no row of any tenant table.

        Raises: DatabaseUnavailable, StatementTimeout, DatabaseError.
        """
        async with self._transaction("") as connection:
            yield connection

    async def check(self) -> None:
        """Return when the database answers, within `CHECK_TIMEOUT_S`.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        with translated():
            async with asyncio.timeout(CHECK_TIMEOUT_S), self._pool.acquire() as raw:
                await raw.execute("SELECT 1")

    @asynccontextmanager
    async def notifications(self, channel: str) -> AsyncIterator[Wake]:
        """Listen on the channel; takes one connection out of the pool for as long.

        Raises: DatabaseUnavailable.
        """
        wake = Wake()
        with translated():
            raw = await self._pool.acquire(timeout=CONNECT_TIMEOUT_S)
        try:
            with translated():
                await raw.add_listener(channel, lambda *_: wake.ring())
            raw.add_termination_listener(lambda *_: wake.lose())
            yield wake
        finally:
            # It listens still, in PostgreSQL's eyes: of no further use to the pool.
            await self._discard(raw)

    @asynccontextmanager
    async def _transaction(
        self, workspace: str, settings: Mapping[str, str] = MappingProxyType({})
    ) -> AsyncIterator[Connection]:
        begin = (
            f"BEGIN; SELECT set_config('app.workspace_id', '{workspace}', true), "
            f"set_config('statement_timeout', '{self._statement_timeout_s * 1000:.0f}', true), "
            "set_config('jit', 'off', true)"
        ) + "".join(f", set_config('{name}', '{value}', true)" for name, value in settings.items())
        with translated():
            raw = await self._pool.acquire(timeout=CONNECT_TIMEOUT_S)
        try:
            with translated():
                await raw.execute(begin)
            yield Connection(raw)
            with translated():
                await raw.execute("COMMIT")
        except BaseException:
            # One that was lost, or cannot roll back, is of no further use: the pool replaces it.
            try:
                await raw.execute("ROLLBACK")
            except FAULTS:
                await self._discard(raw)
            raise
        finally:
            with translated():
                await self._pool.release(raw)

    async def _discard(self, raw: Any) -> None:  # noqa: ANN401 - asyncpg is untyped
        """Give the connection's place in the pool to a new one; the pool may have done so."""
        with suppress(*FAULTS):
            raw.terminate()
            await self._pool.release(raw)


async def open_database(
    url: str, *, pool_size: int, statement_timeout_s: float, must_answer: bool = True
) -> Database:
    """Return an open pool, none of whose connections can see past row-level security.

    With `must_answer` False, a server that is down now is no error: a replica can start before its
    database, and each use of the pool tries again.

    Raises: DatabaseUnavailable, UnsafeRole, MigrationError (the schema is not there).
    """
    with translated():
        pool = await asyncpg.create_pool(
            url,
            min_size=0,  # no reconnecting in the background, with asyncpg's own log lines
            max_size=pool_size,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=statement_timeout_s + _GRACE_S,
            init=_prepare_connection,
            reset=_reset_nothing,
        )
    database = Database(pool, statement_timeout_s=statement_timeout_s)
    try:
        async with database.connection():
            pass
    except DatabaseUnavailable:
        if must_answer:
            pool.terminate()
            raise
    except BaseException:
        pool.terminate()
        raise
    return database


async def refuse_unsafe_role(connection: Connection) -> None:
    """Return if this role cannot see past row-level security, on every tenant table.

    Raises: UnsafeRole, MigrationError.
    """
    role = await connection.fetch_row(QUERIES["describe_role"])
    assert role is not None
    remedy = "Connect as a role that owns nothing, such as pazpaz_runtime; see `migrate`."
    for attribute, meaning in (
        ("rolsuper", "is a superuser"),
        ("rolbypassrls", "bypasses row-level security"),
    ):
        if role[attribute]:
            raise UnsafeRole(f"The database role {meaning}. {remedy}")
    tables = await connection.fetch(QUERIES["describe_tenant_tables"])
    if not tables:
        raise MigrationError("The schema is not there yet. Run `pazpaz-agent migrate`.")
    for table in tables:
        if table["owned"]:
            raise UnsafeRole(f"The database role owns the table {table['name']}. {remedy}")
        if not (table["forced"] and table["policed"]):
            raise UnsafeRole(
                f"The table {table['name']} lacks forced row-level security or its policy. "
                "Restore it, or restore the schema from `migrations/`."
            )


async def _prepare_connection(raw: Any) -> None:  # noqa: ANN401 - as above
    """Make a new connection fit for use, or refuse it: roles and policies may change any time."""
    schema = await raw.fetchval(QUERIES["find_vector_schema"])
    if schema is None:
        raise MigrationError("pgvector is not there yet. Run `pazpaz-agent migrate`.")
    await raw.set_type_codec(
        "vector",
        schema=schema,
        format="binary",
        encoder=lambda given: _as_pgvector(given).to_binary(),
        decoder=lambda data: PgVector.from_binary(data).to_numpy(),
    )
    # asyncpg's own UUID class would travel across processes with our values; make it plain.
    await raw.set_type_codec(
        "uuid",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: value.bytes,
        decoder=lambda data: UUID(bytes=bytes(data)),
    )
    await refuse_unsafe_role(Connection(raw))


def as_vectors(matrix: Matrix) -> list[object]:
    """Return the rows as an argument for a `vector[]`: asyncpg would look into bare arrays."""
    return [PgVector(row) for row in matrix]


def _as_pgvector(given: Vector | PgVector) -> PgVector:
    return given if isinstance(given, PgVector) else PgVector(given)


async def _reset_nothing(_: Any) -> None:  # noqa: ANN401 - as above
    """Take the place of asyncpg's reset query; an open transaction it still rolls back itself."""

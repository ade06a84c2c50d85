"""What the pool promises: nothing leaks, limits hold, and an outage ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from pathlib import Path
from uuid import uuid4

import asyncpg
import numpy as np
import pytest

from runtime.errors import (
    AIAgentError,
    DatabaseError,
    DatabaseUnavailable,
    MigrationError,
    StatementTimeout,
    UnsafeRole,
)
from runtime.storage import embedded
from runtime.storage.faults import translate, translated
from runtime.storage.migrate import migrate
from runtime.storage.pool import Database, Wake, open_database
from tests.integration.conftest import FAST, Site, stop_server

STATE = """SELECT current_setting('app.workspace_id', true) AS workspace,
    current_setting('statement_timeout') AS timeout, current_setting('jit') AS jit"""
SLEEP = "SELECT pg_sleep(60)"


async def test_a_transaction_has_its_workspace_its_time_limit_and_no_jit(
    database: Database,
) -> None:
    workspace_id = uuid4()

    async with database.workspace(workspace_id) as connection:
        row = await connection.fetch_row(STATE)

    assert row is not None
    assert (row["workspace"], row["timeout"], row["jit"]) == (str(workspace_id), "10s", "off")


async def test_nothing_of_a_transaction_is_left_for_the_next(site: Site) -> None:
    async with await open_database(
        site.runtime_url, pool_size=1, statement_timeout_s=10
    ) as database:
        async with database.workspace(uuid4()) as connection:
            first = await connection.fetch_value("SELECT pg_backend_pid()")
        raw: asyncpg.Connection = await database._pool.acquire()
        assert await raw.fetchval("SELECT pg_backend_pid()") == first, "one connection, used again"
        assert await raw.fetchval("SELECT current_setting('app.workspace_id', true)") == ""
        assert await raw.fetchval("SELECT current_setting('statement_timeout')") == "0"
        await database._pool.release(raw)


async def test_what_a_session_was_made_to_remember_is_not_a_workspace(site: Site) -> None:
    async with await open_database(
        site.runtime_url, pool_size=1, statement_timeout_s=10
    ) as database:
        async with database.connection() as connection:
            await connection.execute(f"SELECT set_config('app.workspace_id', '{uuid4()}', false)")
        async with database.connection() as connection:
            value = await connection.fetch_value("SELECT current_setting('app.workspace_id')")
    assert value == ""


async def test_a_failed_transaction_is_undone_and_its_connection_used_again(
    database: Database, superuser: asyncpg.Connection
) -> None:
    async def fail_half_way() -> None:
        async with database.workspace(uuid4()) as connection:
            await connection.execute(
                "INSERT INTO workspaces (id, name) VALUES (current_workspace(), 'x')"
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_half_way()

    assert await superuser.fetchval("SELECT count(*) FROM workspaces") == 0
    await database.check()


async def test_a_cancelled_statement_frees_its_connection(
    site: Site, superuser: asyncpg.Connection
) -> None:
    async with await open_database(
        site.runtime_url, pool_size=1, statement_timeout_s=30
    ) as database:

        async def sleep() -> None:
            async with database.workspace(uuid4()) as connection:
                await connection.execute(SLEEP)

        task = asyncio.create_task(sleep())
        while not await superuser.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active'", SLEEP
        ):
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await database.check()
        async with database.connection() as connection:
            row = await connection.fetch_row(STATE)
        assert row is not None
        assert row["workspace"] == ""


async def test_a_statement_is_ended_at_its_limit(site: Site) -> None:
    async with await open_database(
        site.runtime_url, pool_size=1, statement_timeout_s=0.05
    ) as database:
        with pytest.raises(StatementTimeout):
            async with database.connection() as connection:
                await connection.execute(SLEEP)
        await database.check()


async def test_an_error_names_its_class_and_nothing_of_the_statement(database: Database) -> None:
    with pytest.raises(DatabaseError) as caught:
        async with database.connection() as connection:
            await connection.fetch("SELECT 'secret note'::integer")

    assert "secret" not in str(caught.value)
    assert "22P02" in str(caught.value)
    assert caught.value.__cause__ is None


async def test_vectors_go_in_and_come_out_as_float32_arrays(database: Database) -> None:
    given = np.array([0.1, -2.5, 3e-9], dtype=np.float32)
    async with database.connection() as connection:
        received = await connection.fetch_value("SELECT $1::vector", given)

    assert received.dtype == np.float32
    assert np.array_equal(received, given)


async def test_a_used_up_pool_is_an_error_and_not_an_endless_wait(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await open_database(
        site.runtime_url, pool_size=1, statement_timeout_s=10
    ) as database:
        # Not before: a busy machine may take longer to open the one connection.
        monkeypatch.setattr("runtime.storage.pool.CONNECT_TIMEOUT_S", 0.05)
        async with database.connection():
            with pytest.raises(DatabaseUnavailable):
                async with database.connection():
                    pytest.fail("there is only one")
        await database.check()


async def test_closing_does_not_wait_for_ever_for_a_connection_in_use(
    site: Site, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.storage.pool.CLOSE_TIMEOUT_S", 0.05)
    database = await open_database(site.runtime_url, pool_size=1, statement_timeout_s=10)
    raw = await database._pool.acquire()
    pid = await raw.fetchval("SELECT pg_backend_pid()")

    await database.close()

    while await superuser.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
        pass


async def test_a_database_without_a_schema_says_to_migrate(empty_site: Site) -> None:
    with pytest.raises(MigrationError, match="pazpaz-agent migrate"):
        await open_database(empty_site.runtime_url, pool_size=1, statement_timeout_s=5)

    raw: asyncpg.Connection = await asyncpg.connect(empty_site.superuser_url)
    await raw.execute("CREATE EXTENSION vector")
    await raw.close()
    with pytest.raises(MigrationError, match="pazpaz-agent migrate"):
        await open_database(empty_site.runtime_url, pool_size=1, statement_timeout_s=5)


async def test_a_database_that_is_down_at_start_is_unavailable(tmp_path: Path) -> None:
    url = f"postgresql://nobody@/none?host={tmp_path}"
    with pytest.raises(DatabaseUnavailable, match="DATABASE_URL"):
        await open_database(url, pool_size=1, statement_timeout_s=5)


async def test_a_process_may_start_before_its_database_and_serves_once_it_is_there(
    data_dir: Path,
) -> None:
    server = await asyncio.to_thread(embedded.start, data_dir, configuration=FAST)
    await migrate(server.owner_url, runtime_role=embedded.RUNTIME_ROLE)
    await asyncio.to_thread(stop_server, data_dir)

    database = await open_database(
        server.runtime_url, pool_size=1, statement_timeout_s=5, must_answer=False
    )
    async with database:
        with pytest.raises(DatabaseUnavailable):
            await database.check()
        await asyncio.to_thread(embedded.start, data_dir, configuration=FAST)
        await database.check()


async def test_a_role_that_turns_unsafe_is_refused_on_its_next_connection(
    site: Site, database: Database, superuser: asyncpg.Connection
) -> None:
    await database.check()
    await superuser.execute("ALTER TABLE clients DISABLE ROW LEVEL SECURITY")
    await superuser.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = $1 AND usename = 'pazpaz_runtime'",
        site.name,
    )

    with pytest.raises(DatabaseError):
        await database.check()
    with pytest.raises(UnsafeRole):
        await database.check()


async def test_a_database_of_another_name_is_unavailable(site: Site) -> None:
    url = site.server.url_for(embedded.RUNTIME_ROLE, "none")
    with pytest.raises(DatabaseUnavailable, match="InvalidCatalogName"):
        await open_database(url, pool_size=1, statement_timeout_s=5)


async def test_an_outage_is_told_and_ends_by_itself(data_dir: Path) -> None:
    server = await asyncio.to_thread(embedded.start, data_dir, configuration=FAST)
    await migrate(server.owner_url, runtime_role=embedded.RUNTIME_ROLE)
    database = await open_database(server.runtime_url, pool_size=2, statement_timeout_s=5)

    async def lose_the_server_half_way() -> None:
        async with database.connection() as connection:
            await asyncio.to_thread(stop_server, data_dir)
            await connection.fetch("SELECT 1")

    async with database, contextlib.AsyncExitStack() as stack:
        wake = await stack.enter_async_context(database.notifications("embedding_jobs"))
        with pytest.raises(DatabaseUnavailable):
            await lose_the_server_half_way()
        with pytest.raises(DatabaseUnavailable):
            await wake.wait(10)
        with pytest.raises(DatabaseUnavailable):
            await database.check()
        with pytest.raises(DatabaseUnavailable):
            async with database.workspace(uuid4()):
                pytest.fail("there is no server")

        await asyncio.to_thread(embedded.start, data_dir, configuration=FAST)

        await database.check()
        async with database.workspace(uuid4()) as connection:
            assert await connection.fetch_value("SELECT 1") == 1


async def test_a_notification_wakes_and_its_absence_does_not(
    database: Database, superuser: asyncpg.Connection
) -> None:
    async with database.notifications("embedding_jobs") as wake:
        await wake.wait(0)
        await superuser.execute("NOTIFY embedding_jobs")
        await asyncio.wait_for(wake.wait(60), 10)
        await wake.wait(0)


async def test_notifications_between_two_waits_are_not_lost() -> None:
    wake = Wake()
    wake.ring()
    wake.ring()

    await asyncio.wait_for(wake.wait(60), 10)


def asyncpg_exceptions() -> list[type[BaseException]]:
    classes = [value for value in vars(asyncpg.exceptions).values() if inspect.isclass(value)]
    return [
        kind for kind in classes if issubclass(kind, Exception) and not issubclass(kind, Warning)
    ]


@pytest.mark.parametrize("kind", asyncpg_exceptions(), ids=lambda kind: kind.__name__)
def test_every_exception_of_asyncpg_becomes_one_of_ours(kind: type[BaseException]) -> None:
    error = kind("secret note")
    with pytest.raises(AIAgentError) as caught, translated():
        raise error
    assert "secret" not in str(caught.value)
    assert kind.__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (asyncpg.QueryCanceledError(""), StatementTimeout),
        (asyncpg.IdleInTransactionSessionTimeoutError(""), StatementTimeout),
        (asyncpg.AdminShutdownError(""), DatabaseUnavailable),
        (asyncpg.TooManyConnectionsError(""), DatabaseUnavailable),
        (asyncpg.InvalidPasswordError(""), DatabaseUnavailable),
        (asyncpg.ConnectionDoesNotExistError(""), DatabaseUnavailable),
        (asyncpg.InterfaceError(""), DatabaseUnavailable),
        (ConnectionRefusedError(), DatabaseUnavailable),
        (TimeoutError(), DatabaseUnavailable),
        (asyncpg.DeadlockDetectedError(""), DatabaseError),
        (asyncpg.UniqueViolationError(""), DatabaseError),
    ],
)
def test_the_most_specific_of_our_errors_is_chosen(
    error: Exception, ours: type[DatabaseError]
) -> None:
    assert type(translate(error)) is ours

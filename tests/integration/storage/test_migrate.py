"""Migrations on a real server: applied once, in order, under one lock, or not at all."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest

from runtime.errors import DatabaseUnavailable, MigrationError
from runtime.storage import embedded
from runtime.storage.migrate import (
    DIRECTORY,
    LOCK,
    find_pending,
    migrate,
    read_migrations,
)
from runtime.storage.pool import Database
from tests.integration.conftest import Site

ROLE = embedded.RUNTIME_ROLE
SHIPPED = [migration.name for migration in read_migrations()]


@pytest.fixture
async def vector_site(empty_site: Site) -> Site:
    """A database that has pgvector and nothing else."""
    raw = await asyncpg.connect(empty_site.superuser_url)
    await raw.execute("CREATE EXTENSION vector")
    await raw.close()
    return empty_site


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The migrations, to be meddled with."""
    return shutil.copytree(DIRECTORY, tmp_path / "migrations")


def add(directory: Path, name: str, sql: str) -> str:
    number = len(list(directory.glob("0*.sql"))) + 1
    (directory / f"{number:04}_{name}.sql").write_text(sql)
    return f"{number:04}_{name}"


def leave_only(directory: Path, first: int) -> None:
    """Remove the migrations after the `first` so many."""
    for path in sorted(directory.glob("0*.sql"))[first:]:
        path.unlink()


async def test_each_migration_is_applied_once_and_recorded(vector_site: Site) -> None:
    first = await migrate(vector_site.owner_url, runtime_role=ROLE)
    second = await migrate(vector_site.owner_url, runtime_role=ROLE)

    raw = await asyncpg.connect(vector_site.owner_url)
    recorded = await raw.fetch("SELECT name, checksum FROM schema_migrations ORDER BY version")
    await raw.close()
    assert (first, second) == (SHIPPED, [])
    assert [tuple(row) for row in recorded] == [
        (migration.name, migration.checksum) for migration in read_migrations()
    ]


async def test_two_at_once_apply_everything_once(vector_site: Site) -> None:
    results = await asyncio.gather(
        *(migrate(vector_site.owner_url, runtime_role=ROLE) for _ in range(2))
    )
    assert sorted(results) == [[], SHIPPED]


async def test_a_second_migrate_waits_for_the_lock(
    site: Site, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(f"SELECT pg_advisory_lock({LOCK})")
    task = asyncio.create_task(migrate(site.owner_url, runtime_role=ROLE))
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not await superuser.fetchval(waiting):
        assert not task.done()

    await superuser.execute(f"SELECT pg_advisory_unlock({LOCK})")

    assert await task == []


async def test_pending_migrations_are_named_before_and_after(
    database: Database, site: Site, directory: Path
) -> None:
    name = add(directory, "pre_add_letters", "CREATE TABLE letters (text text)")

    assert await find_pending(database, directory) == [name]
    assert await migrate(site.owner_url, runtime_role=ROLE, directory=directory) == [name]
    assert await find_pending(database, directory) == []


async def test_a_workspace_that_is_there_gets_the_model_that_most_of_its_vectors_are_of(
    vector_site: Site, directory: Path
) -> None:
    leave_only(directory, 4)
    await migrate(vector_site.owner_url, runtime_role=ROLE, directory=directory)
    raw = await asyncpg.connect(vector_site.superuser_url)
    await raw.execute(
        """INSERT INTO workspaces (id, name)
        SELECT w.id::uuid, w.id FROM unnest($1::text[]) AS w (id)""",
        [f"{n:032x}" for n in (1, 2, 3)],
    )
    await raw.execute(
        """INSERT INTO clients (workspace_id, id, name) SELECT id, id, 'n' FROM workspaces"""
    )
    for workspace, model, part in [(1, "old", 0), (1, "old", 1), (1, "new", 0), (2, "new", 0)]:
        await raw.execute(
            """INSERT INTO client_vectors (workspace_id, client_id, field_name, part, part_start,
            part_end, embedding, embedding_model, content_hash)
            VALUES ($1::text::uuid, $1::text::uuid, 'notes', $3, 0, 1, '[1]', $2, '')""",
            f"{workspace:032x}",
            model,
            part,
        )

    await migrate(vector_site.owner_url, runtime_role=ROLE)

    models = await raw.fetch("SELECT embedding_model FROM workspaces ORDER BY id")
    await raw.close()
    assert [row["embedding_model"] for row in models] == ["old", "new", None]


async def test_an_empty_database_has_everything_pending(vector_site: Site) -> None:
    raw = await asyncpg.create_pool(vector_site.runtime_url, min_size=0)
    async with Database(raw, statement_timeout_s=5) as database:
        assert await find_pending(database) == SHIPPED


async def test_a_changed_file_is_refused(site: Site, directory: Path) -> None:
    path = directory / f"{SHIPPED[0]}.sql"
    path.write_text(path.read_text() + "\n")

    with pytest.raises(MigrationError, match=f"{SHIPPED[0]} is not the one"):
        await migrate(site.owner_url, runtime_role=ROLE, directory=directory)


async def test_a_database_ahead_by_what_comes_before_the_new_code_keeps_the_old_code_ready(
    database: Database, site: Site, directory: Path
) -> None:
    name = add(directory, "pre_add_letters", "CREATE TABLE letters (text text)")
    await migrate(site.owner_url, runtime_role=ROLE, directory=directory)

    assert await find_pending(database) == []
    with pytest.raises(MigrationError, match=f"ahead.*{name}"):
        await migrate(site.owner_url, runtime_role=ROLE)


async def test_a_database_ahead_by_what_only_the_new_code_works_with_is_refused(
    database: Database, site: Site, directory: Path
) -> None:
    name = add(directory, "post_drop_notes", "ALTER TABLE clients DROP COLUMN notes")
    add(directory, "pre_add_letters", "CREATE TABLE letters (text text)")
    await migrate(site.owner_url, runtime_role=ROLE, directory=directory)

    with pytest.raises(MigrationError, match=f"ahead.*{name}"):
        await find_pending(database)


async def test_a_failing_migration_is_undone_and_what_came_before_it_stays(
    database: Database, site: Site, directory: Path, superuser: asyncpg.Connection
) -> None:
    add(directory, "pre_good", "CREATE TABLE good (x integer)")
    bad = add(directory, "post_bad", "CREATE TABLE half (x integer); SELECT 'secret'::integer")

    with pytest.raises(MigrationError, match=f"{bad} failed and was undone") as caught:
        await migrate(site.owner_url, runtime_role=ROLE, directory=directory)

    assert "secret" not in str(caught.value)
    assert await superuser.fetchval("SELECT to_regclass('good')") == "good"
    assert await superuser.fetchval("SELECT to_regclass('half')") is None
    assert await find_pending(database, directory) == [bad]


@pytest.mark.parametrize(
    "names", [["0002_pre_b"], ["0001_pre_a", "0001_pre_b"], ["0001_pre_a", "0003_pre_c"]]
)
def test_a_gap_or_a_double_number_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / f"{name}.sql").write_text("SELECT 1")

    with pytest.raises(MigrationError, match="missing or there twice"):
        read_migrations(tmp_path)


def test_a_name_that_does_not_say_when_to_apply_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_tables.sql").write_text("SELECT 1")

    with pytest.raises(MigrationError, match=r"0001_tables\.sql"):
        read_migrations(tmp_path)


async def test_a_missing_runtime_role_comes_with_the_statement_that_makes_it(site: Site) -> None:
    with pytest.raises(MigrationError, match='CREATE ROLE "my app" LOGIN NOSUPERUSER NOBYPASSRLS'):
        await migrate(site.owner_url, runtime_role="my app")


async def test_a_role_that_may_not_create_pgvector_is_told_who_must(empty_site: Site) -> None:
    with pytest.raises(
        MigrationError, match="superuser, in this database: CREATE EXTENSION vector"
    ):
        await migrate(empty_site.owner_url, runtime_role=ROLE)


async def test_a_superuser_creates_pgvector_by_itself(empty_site: Site) -> None:
    assert await migrate(empty_site.superuser_url, runtime_role=ROLE) == SHIPPED


@pytest.mark.parametrize(
    ("query", "found", "reason"),
    [
        ("find_vector_version", "SELECT '0.7.4'", "pgvector 0.7.4 is too old"),
        ("find_vector_version", "SELECT NULL::text", "may not create it"),
        ("find_server_version", "SELECT 140011", "PostgreSQL 14 is too old"),
    ],
)
async def test_what_the_server_lacks_is_said(
    site: Site, monkeypatch: pytest.MonkeyPatch, query: str, found: str, reason: str
) -> None:
    monkeypatch.setitem(migrate.__globals__["QUERIES"], query, found)

    with pytest.raises(MigrationError, match=reason):
        await migrate(site.owner_url, runtime_role=ROLE)


async def test_a_server_without_pgvectors_package_is_told(
    empty_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(migrate.__globals__["QUERIES"], "find_vector_package", "SELECT NULL::text")
    with pytest.raises(MigrationError, match="not installed on the database server"):
        await migrate(empty_site.owner_url, runtime_role=ROLE)


async def test_a_database_that_is_down_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        await migrate(f"postgresql://x@/y?host={tmp_path}", runtime_role=ROLE)

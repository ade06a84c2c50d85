"""A real PostgreSQL for the session, and a migrated database of its own for every test."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from runtime.messages import EmbeddingModel
from runtime.storage import embedded
from runtime.storage.embedded import EmbeddedDatabase
from runtime.storage.migrate import migrate
from runtime.storage.pool import Database, open_database

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
MODEL = EmbeddingModel("fake", "trigrams", 256)
_numbers = count(1)


@dataclass(frozen=True)
class Site:
    """One database of a server, and how to reach it as whom."""

    server: EmbeddedDatabase
    name: str

    @property
    def owner_url(self) -> str:
        return self.server.url_for(embedded.OWNER_ROLE, self.name)

    @property
    def runtime_url(self) -> str:
        return self.server.url_for(embedded.RUNTIME_ROLE, self.name)

    @property
    def superuser_url(self) -> str:
        return self.server.url_for("postgres", self.name)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedDatabase]:
    with _data_dir() as data_dir:
        yield embedded.start(data_dir, configuration=FAST)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """For a server of the test's own."""
    with _data_dir() as data_dir:
        yield data_dir


@contextmanager
def _data_dir() -> Iterator[Path]:
    """Not pytest's own folder, which every new session closes again to the server's user."""
    data_dir = Path(tempfile.mkdtemp(prefix="pazpaz-test-"))
    yield data_dir
    stop_server(data_dir)
    shutil.rmtree(data_dir)


def stop_server(data_dir: Path) -> None:
    """Stop the server, if there is one, as an operator would: behind the backs of its users."""
    account = pwd.getpwnam("pgserver") if os.geteuid() == 0 else None
    subprocess.run(
        [embedded.BINARIES / "pg_ctl", "stop", "--pgdata", data_dir / "server" / "data"],
        user=account and account.pw_uid,
        group=account and account.pw_gid,
        cwd="/",
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="session")
def template(server: EmbeddedDatabase) -> Site:
    """The database that `embedded` made, migrated: never connected to, only copied."""
    with asyncio.Runner() as runner:
        runner.run(migrate(server.owner_url, runtime_role=embedded.RUNTIME_ROLE))
    return Site(server, embedded.DATABASE_NAME)


async def _execute(url: str, statement: str) -> None:
    raw = await asyncpg.connect(url)
    await raw.execute(statement)
    await raw.close()


async def _clone(server: EmbeddedDatabase, source: str) -> AsyncIterator[Site]:
    administrator = server.url_for("postgres", "postgres")
    name = f"test_{next(_numbers)}"
    await _execute(
        administrator,
        f"CREATE DATABASE {name} OWNER {embedded.OWNER_ROLE} TEMPLATE {source} STRATEGY file_copy",
    )
    yield Site(server, name)
    await _execute(administrator, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def site(template: Site) -> AsyncIterator[Site]:
    """A migrated database of this test's own."""
    async for site in _clone(template.server, template.name):
        yield site


@pytest.fixture
async def empty_site(server: EmbeddedDatabase) -> AsyncIterator[Site]:
    """A database without a schema, and without pgvector."""
    async for site in _clone(server, "template0"):
        yield site


@pytest.fixture
async def database(site: Site) -> AsyncIterator[Database]:
    async with await open_database(
        site.runtime_url, pool_size=4, statement_timeout_s=10
    ) as database:
        yield database


@pytest.fixture
async def superuser(site: Site) -> AsyncIterator[asyncpg.Connection]:
    """A bare connection that sees past everything, to look and to meddle."""
    raw = await asyncpg.connect(site.superuser_url)
    yield raw
    await raw.close()

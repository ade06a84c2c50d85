"""No row of a workspace is seen, changed or made by another; the suite fails without any policy."""

from __future__ import annotations

from uuid import UUID, uuid4

import asyncpg
import pytest

from runtime.errors import UnsafeRole
from runtime.storage import embedded
from runtime.storage.migrate import migrate
from runtime.storage.pool import open_database
from tests.integration.belongings import TENANT_TABLES
from tests.integration.conftest import Site

OURS, THEIRS = UUID(int=1), UUID(int=2)
CLIENT, SESSION = UUID(int=3), UUID(int=4)

SEEDS = {
    "workspaces": "INSERT INTO workspaces (id, name) VALUES ($1, $2::uuid::text)",
    "clients": "INSERT INTO clients (workspace_id, id, name, notes) VALUES ($1, $2, 'A', 'n')",
    "sessions": """INSERT INTO sessions (workspace_id, id, client_id, session_date)
        VALUES ($1, $2, '00000000-0000-0000-0000-000000000003', now())""",
    "client_vectors": """INSERT INTO client_vectors (workspace_id, client_id, field_name, part,
        part_start, part_end, embedding, embedding_model, content_hash)
        VALUES ($1, '00000000-0000-0000-0000-000000000003', 'notes', 0, 0, 1, '[1]',
            $2::uuid::text, '')""",
    "session_vectors": """INSERT INTO session_vectors (workspace_id, session_id, field_name, part,
        part_start, part_end, embedding, embedding_model, content_hash)
        VALUES ($1, '00000000-0000-0000-0000-000000000004', 'plan', 0, 0, 1, '[1]',
            $2::uuid::text, '')""",
    "record_terms": """INSERT INTO record_terms (workspace_id, term, record_id, field_name,
        occurrences, field_terms) VALUES ($1, 1, $2, 'plan', 1, 1)""",
    "indexed_records": """INSERT INTO indexed_records (workspace_id, record_type, record_id, terms)
        VALUES ($1, 'session', $2, '{1}')""",
    "client_names": """INSERT INTO client_names (workspace_id, word, client_id)
        VALUES ($1, $2::uuid::text, '00000000-0000-0000-0000-000000000003')""",
    "embedding_failures": """INSERT INTO embedding_failures (workspace_id, embedding_model,
        record_id, field_name, content_hash, reason) VALUES ($1, 'm', $2, 'plan', '', 'r')""",
    "embedding_jobs": """INSERT INTO embedding_jobs (workspace_id, record_type, record_id)
        VALUES ($1, 'client', $2)""",
    "ai_query_cache": """INSERT INTO ai_query_cache (id, workspace_id, query_text, response,
        expires_at, exact_key, partition_key, by_name, embedding_model, as_of, server_run)
        VALUES ($2, $1, 'q', '{}', now(), '', '', false, 'm', '10:10:', '')""",
    "record_changes": """INSERT INTO record_changes (workspace_id, client_id)
        VALUES ($1, $2)""",
    "audit_events": """INSERT INTO audit_events (workspace_id, subject, request_id, action)
        VALUES ($1, 's', $2::uuid::text, 'ask')""",
    "api_keys": """INSERT INTO api_keys (workspace_id, name, digest, scopes)
        VALUES ($1, 'k', uuid_send($2), '{}')""",
}
"""One row of each table, of workspace $1, made different from others by $2."""

POLICIES = sorted(SEEDS)


async def seed(superuser: asyncpg.Connection) -> None:
    ids = {"clients": CLIENT, "sessions": SESSION}
    for workspace_id in (OURS, THEIRS):
        for table, statement in SEEDS.items():
            await superuser.execute(statement, workspace_id, ids.get(table) or uuid4())


async def find_leaks(site: Site, superuser: asyncpg.Connection) -> set[str]:
    """Try everything that must not work, on every table that the catalog knows; return what did."""
    keys = dict(await superuser.fetch(TENANT_TABLES))
    assert keys.keys() == SEEDS.keys(), "a tenant table has no row here: add it to SEEDS"
    raw = await asyncpg.connect(site.runtime_url)
    leaks: set[str] = set()
    for table, key in keys.items():
        if await raw.fetchval(f"SELECT count(*) FROM {table}"):
            leaks.add(f"{table}: seen without a workspace")
        transaction = raw.transaction()
        await transaction.start()
        await raw.execute(f"SELECT set_config('app.workspace_id', '{OURS}', true)")
        if {row[0] for row in await raw.fetch(f"SELECT {key} FROM {table}")} != {OURS}:
            leaks.add(f"{table}: another's rows are seen")
        for doing, statement in {
            "updated": f"UPDATE {table} SET {key} = {key} WHERE {key} = '{THEIRS}'",
            "given away": f"UPDATE {table} SET {key} = '{UUID(int=9)}' WHERE {key} = '{OURS}'",
            "deleted": f"DELETE FROM {table} WHERE {key} = '{THEIRS}'",
        }.items():
            if await succeeds(raw, statement):
                leaks.add(f"{table}: {doing}")
        foreign = UUID(int=8) if table == "workspaces" else THEIRS
        if await succeeds(raw, SEEDS[table], foreign, uuid4()):
            leaks.add(f"{table}: made for another")
        await transaction.rollback()
    await raw.close()
    return leaks


async def succeeds(raw: asyncpg.Connection, statement: str, *arguments: object) -> bool:
    """Whether the statement touches a row; it is undone."""
    savepoint = raw.transaction()
    await savepoint.start()
    try:
        return not (await raw.execute(statement, *arguments)).endswith(" 0")
    except asyncpg.InsufficientPrivilegeError:
        return False
    except asyncpg.IntegrityConstraintViolationError:
        return True  # past the policy, and refused only for what the seeds hold
    finally:
        await savepoint.rollback()


async def test_no_table_shows_or_takes_rows_of_another_workspace(
    site: Site, superuser: asyncpg.Connection
) -> None:
    await seed(superuser)

    assert await find_leaks(site, superuser) == set()


@pytest.mark.parametrize("table", POLICIES)
async def test_this_suite_fails_without_the_policy(
    site: Site, superuser: asyncpg.Connection, table: str
) -> None:
    await seed(superuser)
    await superuser.execute(f"DROP POLICY own_workspace ON {table}")
    await superuser.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")

    leaks = await find_leaks(site, superuser)

    assert {leak.split(":")[0] for leak in leaks} == {table}
    assert f"{table}: another's rows are seen" in leaks
    # Of these, a trigger's own row is refused still: it notes the write in another table.
    if table not in ("clients", "sessions", "client_vectors"):
        assert f"{table}: made for another" in leaks


async def test_records_of_two_workspaces_may_have_the_same_ids(
    superuser: asyncpg.Connection,
) -> None:
    await seed(superuser)

    rows = await superuser.fetch("SELECT workspace_id FROM sessions WHERE id = $1", SESSION)
    assert {row[0] for row in rows} == {OURS, THEIRS}


@pytest.mark.parametrize(
    "statement",
    [
        "DROP POLICY own_workspace ON {table}",
        "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
        "CREATE POLICY second ON {table} USING (true)",
        "ALTER POLICY own_workspace ON {table} USING (true)",
        "ALTER POLICY own_workspace ON {table} WITH CHECK (true)",
        "ALTER TABLE {table} OWNER TO pazpaz_runtime",
    ],
)
@pytest.mark.parametrize("table", ["workspaces", "session_vectors"])
async def test_the_pool_refuses_a_table_that_is_not_isolated(
    site: Site, superuser: asyncpg.Connection, table: str, statement: str
) -> None:
    await superuser.execute(statement.format(table=table))

    with pytest.raises(UnsafeRole, match=table):
        await open_database(site.runtime_url, pool_size=1, statement_timeout_s=5)


async def test_the_pool_refuses_a_table_made_without_a_policy(
    site: Site, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("CREATE TABLE letters (workspace_id uuid, text text)")

    with pytest.raises(UnsafeRole, match="letters"):
        await open_database(site.runtime_url, pool_size=1, statement_timeout_s=5)


async def test_the_pool_refuses_to_serve_as_the_owner(site: Site) -> None:
    with pytest.raises(UnsafeRole, match="owns the table"):
        await open_database(site.owner_url, pool_size=1, statement_timeout_s=5)


async def test_the_pool_refuses_to_serve_as_a_superuser(site: Site) -> None:
    with pytest.raises(UnsafeRole, match="is a superuser"):
        await open_database(site.superuser_url, pool_size=1, statement_timeout_s=5)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [("BYPASSRLS", "bypasses"), ("IN ROLE pazpaz_owner", "owns the table")],
)
async def test_the_pool_refuses_a_role_with_a_way_past_the_policies(
    site: Site, superuser: asyncpg.Connection, attributes: str, reason: str
) -> None:
    await superuser.execute(f"CREATE ROLE sly LOGIN {attributes}")
    try:
        with pytest.raises(UnsafeRole, match=reason):
            await open_database(
                site.server.url_for("sly", site.name), pool_size=1, statement_timeout_s=5
            )
    finally:
        await superuser.execute("DROP ROLE sly")


async def test_the_runtime_role_may_do_no_more_than_it_needs(superuser: asyncpg.Connection) -> None:
    rows = await superuser.fetch(
        """SELECT table_name, string_agg(privilege_type, ' ' ORDER BY privilege_type)
        FROM information_schema.role_table_grants WHERE grantee = 'pazpaz_runtime'
        AND table_schema = 'public' GROUP BY table_name"""
    )
    read_and_write = "DELETE INSERT SELECT UPDATE"
    assert dict(rows) == {
        "schema_migrations": "SELECT",
        "workspace_ids": "SELECT",
        "workspaces": "INSERT SELECT UPDATE",
        "clients": read_and_write,
        "sessions": read_and_write,
        "client_vectors": read_and_write,
        "session_vectors": read_and_write,
        "record_terms": "DELETE INSERT SELECT",
        "indexed_records": "DELETE INSERT SELECT",
        "client_names": "DELETE INSERT SELECT",
        "embedding_failures": read_and_write,
        "embedding_jobs": read_and_write,
        "ai_query_cache": read_and_write,
        "record_changes": "DELETE INSERT SELECT",
        "audit_events": "INSERT SELECT",
        "api_keys": "INSERT SELECT",
    }


async def test_the_owners_one_function_cannot_be_made_to_run_anything_else(
    site: Site, superuser: asyncpg.Connection
) -> None:
    """A temporary table of the list's name, with a trigger on it, was found before the list."""
    # A copied database has none of the template's own grants: those of `migrate` come anew.
    await migrate(site.owner_url, runtime_role=embedded.RUNTIME_ROLE)
    intruder = await asyncpg.connect(site.runtime_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await intruder.execute("CREATE TEMPORARY TABLE workspace_ids (id uuid PRIMARY KEY)")
        await superuser.execute(f"GRANT TEMPORARY ON DATABASE {site.name} TO PUBLIC")
        await intruder.execute(
            """
            CREATE TEMPORARY TABLE workspace_ids (id uuid PRIMARY KEY);
            GRANT ALL ON pg_temp.workspace_ids TO PUBLIC;
            CREATE FUNCTION pg_temp.take_over() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN EXECUTE 'DROP POLICY own_workspace ON public.sessions'; RETURN NEW; END $$;
            CREATE TRIGGER take_over BEFORE INSERT ON pg_temp.workspace_ids
                FOR EACH ROW EXECUTE FUNCTION pg_temp.take_over();
            """
        )
        workspace_id = uuid4()
        async with intruder.transaction():
            await intruder.execute(
                "SELECT set_config('app.workspace_id', $1, true)", str(workspace_id)
            )
            await intruder.execute(
                "INSERT INTO public.workspaces (id, name) VALUES ($1, 'x')", workspace_id
            )
    finally:
        await intruder.close()
    policies = "SELECT count(*) FROM pg_policies WHERE tablename = 'sessions'"
    assert await superuser.fetchval(policies) == 1
    listed = "SELECT count(*) FROM workspace_ids WHERE id = $1"
    assert await superuser.fetchval(listed, workspace_id) == 1

-- What the cache of answers needs so as to serve none that a write could have changed. Why it is
-- made like this stands in docs/decisions/0012-answer-cache.md.

-- Which clients' records each transaction touched; the nil UUID stands for the list of their names.
-- One row a client and transaction, only ever added, so that no write waits for another's. No
-- foreign key, which would be checked once a row.
CREATE TABLE record_changes (
    workspace_id uuid NOT NULL,
    client_id uuid NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, client_id, xid)
);
CREATE INDEX record_changes_by_xid ON record_changes (workspace_id, xid);
ALTER TABLE record_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE record_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY own_workspace ON record_changes
    USING (workspace_id = current_workspace()) WITH CHECK (workspace_id = current_workspace());

-- `clients` are those whose records an answer may rest on, NULL for all; with `by_name` it rests on
-- the list of names too. `as_of` is the snapshot that its question began with, and `server_run` in
-- which run of the server: elsewhere, and after a restore, its numbers mean nothing.
TRUNCATE ai_query_cache;
ALTER TABLE ai_query_cache
    ADD COLUMN exact_key bytea NOT NULL,
    ADD COLUMN partition_key bytea NOT NULL,
    ADD COLUMN clients uuid[],
    ADD COLUMN by_name boolean NOT NULL,
    ADD COLUMN embedding_model text NOT NULL,
    ADD COLUMN as_of pg_snapshot NOT NULL,
    ADD COLUMN server_run text NOT NULL;
CREATE UNIQUE INDEX ai_query_cache_by_exact_key ON ai_query_cache (workspace_id, exact_key);
CREATE INDEX ai_query_cache_by_partition ON ai_query_cache (workspace_id, partition_key);
DROP INDEX ai_query_cache_by_workspace;

-- This run of the server: from its start, or from its last recovery of a crash, which resets the
-- statistics and may give out again the number of a transaction that was lost.
CREATE FUNCTION server_run() RETURNS text LANGUAGE sql STABLE
    RETURN concat(extract(epoch FROM pg_postmaster_start_time()), ' ',
        extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()));

-- Whether no write has been committed to what an answer may rest on that its snapshot did not see:
-- by a transaction that began later than it, or was under way. Asked of the workspace's own rows and
-- in the calling statement's own snapshot. Only comparisons that row-level security lets an index
-- serve, and no other plan, however small the table was when a connection first made it.
CREATE FUNCTION is_unchanged(as_of pg_snapshot, clients uuid[], by_name boolean) RETURNS boolean
    LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    nil CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    later xid8 := pg_snapshot_xmax(as_of);
    under_way xid8[] := ARRAY(SELECT pg_snapshot_xip(as_of));
    watched uuid[] := CASE WHEN by_name THEN clients || nil ELSE clients END;
BEGIN
    IF clients IS NULL THEN
        RETURN NOT EXISTS (SELECT FROM record_changes c WHERE c.xid >= later)
            AND NOT EXISTS (SELECT FROM record_changes c WHERE c.xid = ANY (under_way));
    END IF;
    RETURN NOT EXISTS (
        SELECT FROM record_changes c WHERE c.client_id = ANY (watched) AND c.xid >= later
    ) AND NOT EXISTS (
        SELECT FROM record_changes c WHERE c.client_id = ANY (watched) AND c.xid = ANY (under_way)
    );
END
$$;

-- --- What writes ------------------------------------------------------------------------------
-- Once a statement, over all the rows it changed. The workspace is taken from the rows and named in
-- every condition: whoever is not held by the policies may write those of several.

-- Note whose records a statement changed, and forget what no cached answer can be older than: one
-- transaction at a time, so that nobody waits. Of records that are being deleted, delete the answers
-- that may rest on them. Those in other hands are skipped: a delete never waits for one and none can
-- deadlock; they serve no more, and the next answer that is kept sweeps them out.
-- A cascade runs as the schema's owner, whom the policies hold, in whatever session began it.
CREATE FUNCTION note_changes(workspace uuid, touched uuid[], are_deleted boolean) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    nowhere CONSTANT boolean := current_workspace() IS NULL;
BEGIN
    IF nowhere THEN
        PERFORM set_config('app.workspace_id', workspace::text, true);
    END IF;
    INSERT INTO record_changes (workspace_id, client_id)
    SELECT workspace, t.id FROM unnest(touched) AS t (id) ON CONFLICT DO NOTHING;
    IF (SELECT c.at < now() - interval '8 days' FROM record_changes c
            WHERE c.workspace_id = workspace ORDER BY c.xid LIMIT 1)
        AND pg_try_advisory_xact_lock(hashtextextended(concat('record_changes ', workspace), 0))
    THEN
        DELETE FROM record_changes c USING (
            SELECT o.client_id, o.xid, o.at FROM record_changes o
            WHERE o.workspace_id = workspace ORDER BY o.xid LIMIT 1000
        ) AS oldest
        WHERE c.workspace_id = workspace AND c.client_id = oldest.client_id
            AND c.xid = oldest.xid AND oldest.at < now() - interval '8 days';
    END IF;
    IF are_deleted THEN
        DELETE FROM ai_query_cache a USING (
            SELECT q.id FROM ai_query_cache q
            WHERE q.workspace_id = workspace AND (q.clients IS NULL OR q.clients && touched)
            FOR UPDATE SKIP LOCKED
        ) AS held
        WHERE a.workspace_id = workspace AND a.id = held.id;
    END IF;
    IF nowhere THEN
        PERFORM set_config('app.workspace_id', '', true);
    END IF;
END
$$;

-- A client that is new, gone or renamed changes the list of names as well.
CREATE FUNCTION note_clients() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    nil CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    noted record;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        FOR noted IN
            SELECT r.workspace_id, array_agg(r.id) AS touched,
                count(*) FILTER (WHERE r.kept) < count(*) AS named
            FROM (
                SELECT workspace_id, id, count(*) = 2 AND min(name) = max(name) AS kept
                FROM (TABLE before UNION ALL TABLE changed) AS b GROUP BY workspace_id, id
            ) AS r GROUP BY r.workspace_id
        LOOP
            PERFORM note_changes(noted.workspace_id,
                CASE WHEN noted.named THEN noted.touched || nil ELSE noted.touched END, false);
        END LOOP;
        RETURN NULL;
    END IF;
    FOR noted IN
        SELECT workspace_id, array_agg(id) AS touched FROM changed GROUP BY workspace_id
    LOOP
        PERFORM note_changes(noted.workspace_id, noted.touched || nil, TG_OP = 'DELETE');
    END LOOP;
    RETURN NULL;
END
$$;

-- A session that moves touches the client it leaves and the one it comes to.
CREATE FUNCTION note_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted record;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        FOR noted IN
            SELECT workspace_id, array_agg(DISTINCT client_id) AS touched
            FROM (TABLE before UNION ALL TABLE changed) AS b GROUP BY workspace_id
        LOOP
            PERFORM note_changes(noted.workspace_id, noted.touched, false);
        END LOOP;
        RETURN NULL;
    END IF;
    FOR noted IN
        SELECT workspace_id, array_agg(DISTINCT client_id) AS touched
        FROM changed GROUP BY workspace_id
    LOOP
        PERFORM note_changes(noted.workspace_id, noted.touched, TG_OP = 'DELETE');
    END LOOP;
    RETURN NULL;
END
$$;

CREATE FUNCTION note_client_vectors() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted record;
BEGIN
    FOR noted IN
        SELECT workspace_id, array_agg(DISTINCT client_id) AS touched
        FROM changed GROUP BY workspace_id
    LOOP
        PERFORM note_changes(noted.workspace_id, noted.touched, false);
    END LOOP;
    RETURN NULL;
END
$$;

CREATE FUNCTION note_session_vectors() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted record;
BEGIN
    FOR noted IN
        SELECT s.workspace_id, array_agg(DISTINCT s.client_id) AS touched
        FROM changed v JOIN sessions s ON s.workspace_id = v.workspace_id AND s.id = v.session_id
        GROUP BY s.workspace_id
    LOOP
        PERFORM note_changes(noted.workspace_id, noted.touched, false);
    END LOOP;
    RETURN NULL;
END
$$;

-- Vectors that a cascade deletes are those of a delete that was noted: without the condition, it
-- would be noted once more for each session of a client.
DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['clients', 'sessions', 'client_vectors', 'session_vectors']
    LOOP
        EXECUTE format('CREATE TRIGGER note_insert AFTER INSERT ON %1$I REFERENCING'
            ' NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_%1$s()', tenant_table);
        EXECUTE format('CREATE TRIGGER note_update AFTER UPDATE ON %1$I REFERENCING'
            ' OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT'
            ' EXECUTE FUNCTION note_%1$s()', tenant_table);
        EXECUTE format('CREATE TRIGGER note_delete AFTER DELETE ON %1$I REFERENCING'
            ' OLD TABLE AS changed FOR EACH STATEMENT %2$s EXECUTE FUNCTION note_%1$s()',
            tenant_table,
            CASE WHEN tenant_table LIKE '%\_vectors' THEN 'WHEN (pg_trigger_depth() = 0)' END);
    END LOOP;
END
$$;

-- The tables of a practice. Keys are (workspace_id, id): ids come from the practices' own
-- applications, so two workspaces may use the same one without learning of each other.
-- `migrate` has seen to it that pgvector's extension is there.

CREATE TABLE workspaces (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    content_version bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Ids alone, so that a worker without a workspace can walk them. No content, no row security.
CREATE TABLE workspace_ids (
    id uuid PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE
);

-- Every new workspace is listed in its own transaction, by whatever statement it was made. The
-- function runs as the schema's owner, so the runtime role needs no right to write the list: it can
-- add no id but its own workspace's, whose row its policy has just let through. Its names resolve
-- in the schema of this migration, and in pg_temp last: unnamed, that comes first, and a temporary
-- table of the same name with a trigger on it would run anything as the owner.
CREATE FUNCTION list_workspace() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO workspace_ids (id) VALUES (NEW.id);
    RETURN NULL;
END
$$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION list_workspace() SET search_path = pg_catalog, %I, pg_temp',
        current_schema());
END
$$;
REVOKE EXECUTE ON FUNCTION list_workspace() FROM PUBLIC;
CREATE TRIGGER list_workspace AFTER INSERT ON workspaces
    FOR EACH ROW EXECUTE FUNCTION list_workspace();

CREATE TABLE clients (
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    medical_history text NOT NULL DEFAULT '',
    notes text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE sessions (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    session_date timestamptz NOT NULL,
    subjective text NOT NULL DEFAULT '',
    objective text NOT NULL DEFAULT '',
    assessment text NOT NULL DEFAULT '',
    plan text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, client_id) REFERENCES clients (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_by_client ON sessions (workspace_id, client_id, session_date DESC);

-- One row a passage. `embedding` has no fixed dimensions: each model has its own, and its own
-- partial expression index. `content_hash` is the SHA-256 of the whole field the passage was cut
-- from. `part_start` and `part_end` are code points, half-open. An empty field has no row.
CREATE TABLE client_vectors (
    workspace_id uuid NOT NULL,
    client_id uuid NOT NULL,
    field_name text NOT NULL CHECK (field_name IN ('medical_history', 'notes')),
    part integer NOT NULL,
    part_start integer NOT NULL,
    part_end integer NOT NULL CHECK (part_end > part_start),
    embedding vector NOT NULL,
    embedding_model text NOT NULL,
    content_hash bytea NOT NULL,
    PRIMARY KEY (workspace_id, embedding_model, client_id, field_name, part),
    FOREIGN KEY (workspace_id, client_id) REFERENCES clients (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX client_vectors_by_client ON client_vectors (workspace_id, client_id);

CREATE TABLE session_vectors (
    workspace_id uuid NOT NULL,
    session_id uuid NOT NULL,
    field_name text NOT NULL CHECK (field_name IN ('subjective', 'objective', 'assessment', 'plan')),
    part integer NOT NULL,
    part_start integer NOT NULL,
    part_end integer NOT NULL CHECK (part_end > part_start),
    embedding vector NOT NULL,
    embedding_model text NOT NULL,
    content_hash bytea NOT NULL,
    PRIMARY KEY (workspace_id, embedding_model, session_id, field_name, part),
    FOREIGN KEY (workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX session_vectors_by_session ON session_vectors (workspace_id, session_id);

-- Which words stand in which field, for the search by words: written with the record, in the same
-- transaction. A term is the hash of a stem (`runtime/storage/terms.py`), found by `=`, which
-- row-level security lets an index serve; the operators of PostgreSQL's own text search are not
-- leakproof, so that under it they read the whole workspace. No foreign key, which would be checked
-- once a row: what deletes a record deletes its rows by trigger.
CREATE TYPE record_field AS ENUM
    ('medical_history', 'notes', 'subjective', 'objective', 'assessment', 'plan');
CREATE TABLE record_terms (
    workspace_id uuid NOT NULL,
    term bigint NOT NULL,
    record_id uuid NOT NULL,
    field_name record_field NOT NULL,
    occurrences smallint NOT NULL,          -- of the term in the field
    field_terms smallint NOT NULL           -- how many terms the field has, each time counted
);
CREATE INDEX record_terms_by_term ON record_terms (workspace_id, term, record_id)
    INCLUDE (field_name, occurrences, field_terms);

-- The terms of each record, by which its rows above are found again when it changes: a second index
-- on them would make an import half as slow again.
CREATE TABLE indexed_records (
    workspace_id uuid NOT NULL,
    record_type text NOT NULL CHECK (record_type IN ('client', 'session')),
    record_id uuid NOT NULL,
    terms bigint[] NOT NULL,                -- repeated for each field that has it
    PRIMARY KEY (workspace_id, record_type, record_id)
);

-- Texts that a model will never embed, and the class of the error. They are tried again when they
-- change, or by another model. `content_hash` is as in the vectors' tables.
CREATE TABLE embedding_failures (
    workspace_id uuid NOT NULL,
    embedding_model text NOT NULL,
    record_id uuid NOT NULL,
    field_name record_field NOT NULL,
    content_hash bytea NOT NULL,
    reason text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, record_id, field_name, embedding_model)
);

-- In a trigger, because it sees what was committed while the delete waited for the record's row.
CREATE FUNCTION forget_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (
        DELETE FROM indexed_records i WHERE i.workspace_id = OLD.workspace_id
            AND i.record_type = TG_ARGV[0] AND i.record_id = OLD.id RETURNING i.terms
    )
    DELETE FROM record_terms t USING (SELECT unnest(terms) AS term FROM gone) g
    WHERE t.workspace_id = OLD.workspace_id AND t.term = g.term AND t.record_id = OLD.id
        AND t.field_name::text = ANY (TG_ARGV);
    DELETE FROM embedding_failures f WHERE f.workspace_id = OLD.workspace_id
        AND f.record_id = OLD.id AND f.field_name::text = ANY (TG_ARGV);
    RETURN NULL;
END
$$;
CREATE TRIGGER forget_record AFTER DELETE ON clients
    FOR EACH ROW EXECUTE FUNCTION forget_record('client', 'medical_history', 'notes');
CREATE TRIGGER forget_record AFTER DELETE ON sessions FOR EACH ROW
    EXECUTE FUNCTION forget_record('session', 'subjective', 'objective', 'assessment', 'plan');

-- A queue that only grows by INSERT: a write never waits for a worker that holds an older job of
-- the same record. A claim is a row lock, so a dead worker's claim ends with its connection.
CREATE TABLE embedding_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    record_type text NOT NULL CHECK (record_type IN ('client', 'session')),
    record_id uuid NOT NULL,
    priority smallint NOT NULL DEFAULT 0,   -- 0: a write of the application; 1: bulk work
    attempts integer NOT NULL DEFAULT 0,
    run_after timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX embedding_jobs_due ON embedding_jobs (workspace_id, priority, id);
CREATE INDEX embedding_jobs_by_record ON embedding_jobs (workspace_id, record_id);

CREATE TABLE ai_query_cache (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    query_embedding vector,
    query_text text NOT NULL,
    response jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    hit_count integer NOT NULL DEFAULT 0,
    last_hit_at timestamptz
);
CREATE INDEX ai_query_cache_by_workspace ON ai_query_cache (workspace_id);

CREATE TABLE audit_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT now(),
    subject text NOT NULL,
    request_id text NOT NULL,
    action text NOT NULL,
    records jsonb NOT NULL DEFAULT '[]'     -- the ids that were read or written, no text
);
CREATE INDEX audit_events_by_workspace ON audit_events (workspace_id, id DESC);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    digest bytea NOT NULL UNIQUE,           -- SHA-256 of the whole key, which has 256 random bits
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id);

-- --- Row-level security ------------------------------------------------------------------------
-- The workspace is set for one transaction by set_config('app.workspace_id', …, true). Afterwards
-- the setting reads '' rather than NULL, hence nullif. Without a workspace no row is seen.

CREATE FUNCTION current_workspace() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.workspace_id', true), '')::uuid;

ALTER TABLE workspaces ENABLE ROW LEVEL SECURITY;
ALTER TABLE workspaces FORCE ROW LEVEL SECURITY;
CREATE POLICY own_workspace ON workspaces
    USING (id = current_workspace()) WITH CHECK (id = current_workspace());

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'clients', 'sessions', 'client_vectors', 'session_vectors', 'record_terms',
        'indexed_records', 'embedding_failures', 'embedding_jobs', 'ai_query_cache',
        'audit_events', 'api_keys'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format(
            'CREATE POLICY own_workspace ON %I'
            ' USING (workspace_id = current_workspace())'
            ' WITH CHECK (workspace_id = current_workspace())', tenant_table);
    END LOOP;
END
$$;

-- --- Walks over all workspaces -------------------------------------------------------------------
-- A worker has no workspace. These set each id in turn, for their own transaction alone, and so see
-- through the same policies as everyone; one round trip, however many workspaces there are.

-- Up to `most` workspaces with a job that is due, from the first id after `start` on and round.
CREATE FUNCTION pending_workspaces(most integer, start uuid) RETURNS SETOF uuid
    LANGUAGE plpgsql AS $$
DECLARE
    before text := current_setting('app.workspace_id', true);
    workspace uuid;
    found_count integer := 0;
BEGIN
    FOR workspace IN SELECT id FROM workspace_ids ORDER BY id < start, id LOOP
        EXIT WHEN found_count >= most;
        PERFORM set_config('app.workspace_id', workspace::text, true);
        IF EXISTS (
            SELECT FROM embedding_jobs WHERE run_after <= now()
        ) THEN
            found_count := found_count + 1;
            RETURN NEXT workspace;
        END IF;
    END LOOP;
    PERFORM set_config('app.workspace_id', coalesce(before, ''), true);
END
$$;

-- How many records have a job that is still to run.
CREATE FUNCTION embedding_backlog() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before text := current_setting('app.workspace_id', true);
    workspace uuid;
    waiting bigint;
    total bigint := 0;
BEGIN
    FOR workspace IN SELECT id FROM workspace_ids LOOP
        PERFORM set_config('app.workspace_id', workspace::text, true);
        SELECT count(DISTINCT (record_type, record_id)) INTO waiting
        FROM embedding_jobs;
        total := total + waiting;
    END LOOP;
    PERFORM set_config('app.workspace_id', coalesce(before, ''), true);
    RETURN total;
END
$$;

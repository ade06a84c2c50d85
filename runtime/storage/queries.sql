-- Every statement has a name and a sentence. Those that name no workspace in a condition rely on
-- row-level security: the transaction sees the rows of its own workspace alone.

-- --- The connection ---------------------------------------------------------------------------

-- describe_role --
-- Whether this role would see past row-level security.
SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user;

-- describe_tenant_tables --
-- Each table that holds a workspace's rows, whether this role owns it (or may become its owner),
-- whether its row-level security is forced, and whether our policy, and no other, stands on it.
SELECT c.relname AS name,
    pg_has_role(c.relowner, 'MEMBER') AS owned,
    c.relrowsecurity AND c.relforcerowsecurity AS forced,
    coalesce(
        (SELECT count(*) = 1 AND bool_and(
            p.polcmd = '*' AND p.polroles = '{0}'
            AND pg_get_expr(p.polqual, c.oid) = format('(%s = current_workspace())', k.attname)
            AND pg_get_expr(p.polwithcheck, c.oid) = format('(%s = current_workspace())', k.attname))
        FROM pg_policy p WHERE p.polrelid = c.oid),
        false) AS policed
FROM pg_class c
JOIN pg_attribute k ON k.attrelid = c.oid AND NOT k.attisdropped
    AND (k.attname = 'workspace_id' OR (c.relname = 'workspaces' AND k.attname = 'id'))
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
ORDER BY c.relname;

-- find_vector_schema --
-- Where pgvector's types live.
SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'vector';

-- --- Migrations -------------------------------------------------------------------------------

-- create_schema_migrations --
-- What was applied, and when.
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- list_applied --
-- The applied migrations, in order.
SELECT version, name, checksum FROM schema_migrations ORDER BY version;

-- record_migration --
-- Note that a migration was applied, in the transaction that applied it.
INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3);

-- find_server_version --
-- PostgreSQL's version, such as 180004.
SELECT current_setting('server_version_num')::integer;

-- find_vector_version --
-- The version of pgvector in this database.
SELECT extversion FROM pg_extension WHERE extname = 'vector';

-- find_vector_package --
-- The version of pgvector that the server could create.
SELECT default_version FROM pg_available_extensions WHERE name = 'vector';

-- may_create_vector --
-- Whether this role may create it: as a superuser, or because the server's package is trusted.
SELECT v.trusted AND has_database_privilege(current_database(), 'CREATE') OR r.rolsuper
FROM pg_available_extension_versions v, pg_roles r, pg_available_extensions a
WHERE a.name = 'vector' AND v.name = a.name AND v.version = a.default_version
    AND r.rolname = current_user;

-- --- Records ----------------------------------------------------------------------------------

-- ensure_workspace --
-- Make the workspace's row, or give it this name.
INSERT INTO workspaces (id, name) VALUES (current_workspace(), $1)
ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE workspaces.name <> excluded.name;

-- put_clients --
-- Upsert clients; for those that changed, forget the vectors of the texts that changed, queue one
-- job each (priority $5) and wake a worker. Unchanged ones are not touched. The workspace's row is
-- made with its first client. The ids of those written are returned: their terms are next.
WITH workspace AS (
    INSERT INTO workspaces (id, name)
    VALUES (current_workspace(), current_workspace()::text) ON CONFLICT (id) DO NOTHING
), written AS (
    INSERT INTO clients AS c (workspace_id, id, name, medical_history, notes)
    SELECT current_workspace(), g.id, g.name, g.medical_history, g.notes
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
        AS g (id, name, medical_history, notes)
    ORDER BY g.id
    ON CONFLICT (workspace_id, id) DO UPDATE SET name = excluded.name,
        medical_history = excluded.medical_history, notes = excluded.notes, updated_at = now()
    WHERE (c.name, c.medical_history, c.notes)
        IS DISTINCT FROM (excluded.name, excluded.medical_history, excluded.notes)
    RETURNING id, medical_history, notes
), forgotten AS (
    DELETE FROM client_vectors v USING written w
    WHERE v.client_id = w.id AND v.content_hash <> sha256(convert_to(
        CASE v.field_name WHEN 'medical_history' THEN w.medical_history ELSE w.notes END, 'UTF8'))
), queued AS (
    INSERT INTO embedding_jobs (workspace_id, record_type, record_id, priority)
    SELECT current_workspace(), 'client', w.id, $5::smallint FROM written w
    RETURNING record_id
), counted AS (
    SELECT array_agg(record_id) AS stored FROM queued
)
SELECT coalesce(stored, '{}') AS stored, '{}'::uuid[] AS orphans,
    CASE WHEN stored IS NOT NULL THEN pg_notify('embedding_jobs', current_workspace()::text) END
FROM counted;

-- put_sessions --
-- Upsert sessions as put_clients does (priority $8); return the ids of those whose client is not
-- there, which are left out. The clients' rows are locked against being deleted meanwhile.
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[],
        $6::text[], $7::text[])
        AS g (id, client_id, session_date, subjective, objective, assessment, plan)
), known AS (
    SELECT c.id FROM clients c
    WHERE c.id IN (SELECT client_id FROM given) ORDER BY c.id FOR KEY SHARE
), written AS (
    INSERT INTO sessions AS s (workspace_id, id, client_id, session_date,
        subjective, objective, assessment, plan)
    SELECT current_workspace(), g.id, g.client_id, g.session_date,
        g.subjective, g.objective, g.assessment, g.plan
    FROM given g WHERE g.client_id IN (SELECT id FROM known)
    ORDER BY g.id
    ON CONFLICT (workspace_id, id) DO UPDATE SET client_id = excluded.client_id,
        session_date = excluded.session_date, subjective = excluded.subjective,
        objective = excluded.objective, assessment = excluded.assessment, plan = excluded.plan,
        updated_at = now()
    WHERE (s.client_id, s.session_date, s.subjective, s.objective, s.assessment, s.plan)
        IS DISTINCT FROM (excluded.client_id, excluded.session_date, excluded.subjective,
            excluded.objective, excluded.assessment, excluded.plan)
    RETURNING id, subjective, objective, assessment, plan
), forgotten AS (
    DELETE FROM session_vectors v USING written w
    WHERE v.session_id = w.id AND v.content_hash <> sha256(convert_to(
        CASE v.field_name WHEN 'subjective' THEN w.subjective WHEN 'objective' THEN w.objective
            WHEN 'assessment' THEN w.assessment ELSE w.plan END, 'UTF8'))
), queued AS (
    INSERT INTO embedding_jobs (workspace_id, record_type, record_id, priority)
    SELECT current_workspace(), 'session', w.id, $8::smallint FROM written w
    RETURNING record_id
), counted AS (
    SELECT array_agg(record_id) AS stored FROM queued
)
SELECT coalesce(stored, '{}') AS stored,
    ARRAY(SELECT g.id FROM given g WHERE g.client_id NOT IN (SELECT id FROM known)) AS orphans,
    CASE WHEN stored IS NOT NULL THEN pg_notify('embedding_jobs', current_workspace()::text) END
FROM counted;

-- forget_terms --
-- Forget the terms of these records ($2), of one type ($1) and its fields ($3). A statement after the
-- one that wrote the records: it sees the terms of whoever wrote them last, for whose commit that
-- one has waited.
WITH known AS (
    DELETE FROM indexed_records WHERE record_type = $1 AND record_id = ANY ($2::uuid[])
    RETURNING record_id, terms
)
DELETE FROM record_terms t USING (SELECT record_id, unnest(terms) AS term FROM known) k
WHERE t.term = k.term AND t.record_id = k.record_id
    AND t.field_name = ANY ($3::text[]::record_field[]);

-- store_terms --
-- Store the terms of fields of one type ($1): each field's record, name and length ($2 to $4), and
-- each term's field, counted from 1, hash and occurrences ($5 to $7). Sorted, so that the rows of
-- one term lie together.
WITH fields AS (
    SELECT * FROM unnest($2::uuid[], $3::text[], $4::smallint[])
        WITH ORDINALITY AS f (record_id, field_name, field_terms, field)
), given AS MATERIALIZED (
    SELECT f.record_id, f.field_name::record_field, f.field_terms, g.term, g.occurrences
    FROM unnest($5::integer[], $6::bigint[], $7::smallint[]) AS g (field, term, occurrences)
    JOIN fields f USING (field)
), listed AS (
    INSERT INTO indexed_records (workspace_id, record_type, record_id, terms)
    SELECT current_workspace(), $1, record_id, array_agg(term) FROM given GROUP BY record_id
)
INSERT INTO record_terms
    (workspace_id, term, record_id, field_name, occurrences, field_terms)
SELECT current_workspace(), term, record_id, field_name, occurrences, field_terms
FROM given ORDER BY term;

-- delete_client --
-- Delete a client; its sessions and all their vectors and terms go with it. Jobs stay: a worker that
-- finds no record drops them, and a delete never waits for a worker's claim.
DELETE FROM clients WHERE id = $1 RETURNING id;

-- delete_session --
-- Delete a session, its vectors and its terms.
DELETE FROM sessions WHERE id = $1 RETURNING id;

-- --- Clients' names ---------------------------------------------------------------------------

-- store_name_words --
-- Give these clients ($1) the words of their names, each word ($3) with its client ($2), and no
-- others. A statement after the one that wrote the clients, whose rows it holds.
WITH given AS (
    SELECT * FROM unnest($2::uuid[], $3::text[]) AS g (client_id, word)
), gone AS (
    DELETE FROM client_names n WHERE n.client_id = ANY ($1::uuid[])
        AND NOT EXISTS (SELECT FROM given g WHERE g.client_id = n.client_id AND g.word = n.word)
)
INSERT INTO client_names (workspace_id, word, client_id)
SELECT current_workspace(), word, client_id FROM given
ON CONFLICT (workspace_id, word, client_id) DO NOTHING;

-- find_named_clients --
-- The clients whose names have one of these words ($1), and which of those are usual: they stand in
-- the notes of $4 clients or more who do not bear them, as terms ($2; a word without one is always
-- usual). No more than $3 fields are looked at for that.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::bigint[]) AS g (word, term)
), borne AS MATERIALIZED (
    SELECT a.word, a.term, n.client_id FROM asked a CROSS JOIN LATERAL (
        SELECT c.client_id FROM client_names c WHERE c.word = a.word OFFSET 0
    ) AS n
), noted AS MATERIALIZED (
    SELECT w.word, (
        SELECT count(DISTINCT f.client_id) FROM (
            SELECT coalesce(s.client_id, t.record_id) AS client_id FROM (
                SELECT r.record_id FROM record_terms r WHERE r.term = w.term LIMIT $3::integer
            ) AS t LEFT JOIN sessions s ON s.id = t.record_id
        ) AS f WHERE f.client_id <> ALL (w.bearers)
    ) AS others
    FROM (SELECT word, term, array_agg(client_id) AS bearers FROM borne GROUP BY word, term) AS w
)
SELECT c.id, c.name,
    coalesce(array_agg(b.word) FILTER (WHERE b.term IS NULL OR n.others >= $4::integer), '{}')
        AS usual_words
FROM borne b JOIN noted n USING (word) JOIN clients c ON c.id = b.client_id
GROUP BY c.id, c.name ORDER BY c.id;

-- find_session_dates --
-- When the first session of these clients ($1; null for all) was, and the earliest of each one's
-- latest $4 within a span ($2 to $3).
SELECT min(f.session_date) AS first, min(l.session_date) AS latest
FROM (SELECT c.id FROM clients c WHERE $1::uuid[] IS NULL OR c.id = ANY ($1)) AS m
CROSS JOIN LATERAL (
    SELECT s.session_date FROM sessions s WHERE s.client_id = m.id
    ORDER BY s.session_date LIMIT 1
) AS f
LEFT JOIN LATERAL (
    SELECT s.session_date FROM sessions s WHERE s.client_id = m.id
        AND ($2::timestamptz IS NULL OR s.session_date >= $2)
        AND ($3::timestamptz IS NULL OR s.session_date < $3)
    ORDER BY s.session_date DESC LIMIT $4::integer
) AS l ON true;

-- --- Passages ---------------------------------------------------------------------------------

-- count_vectors --
-- How many vectors this workspace has of each model in each table, and how many bits are in one.
-- It names the workspace, because a superuser may own the tables.
SELECT 'session_vectors' AS vector_table, embedding_model, count(*) AS rows,
    max(length(quantized)) AS bits
FROM session_vectors WHERE workspace_id = current_workspace() GROUP BY embedding_model
UNION ALL
SELECT 'client_vectors', embedding_model, count(*), max(length(quantized))
FROM client_vectors WHERE workspace_id = current_workspace() GROUP BY embedding_model;

-- list_vector_indexes --
-- The indexes of large workspaces' vectors, and whether each is complete.
SELECT c.relname AS name, i.indisvalid AS valid
FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
WHERE i.indrelid IN (to_regclass('session_vectors'), to_regclass('client_vectors'))
    AND c.relname LIKE '%\_vectors\_near\_%';

-- search_passages --
-- The nearest passages of one model ($2) to a vector ($1), of some clients ($3) or of all, of a span
-- of time ($4 to $5) or of any, with the text they were cut from. First the $7 whose bits differ
-- least from the vector's, then the nearest of those by the vectors themselves. As it stands it
-- reads the bits of the whole workspace; `vector_search.py` makes of it what walks an index of
-- sessions' vectors where $8 is the workspace, and of clients' where $9 is.
-- `place` is a passage's rank by bits, among the `compared`.
-- A vector whose field has changed since is left out (twice the rows are looked at to make up).
-- It wants a plan of its own for every call: what is NULL then falls away, `sessions` with it.
WITH candidates AS MATERIALIZED (
    (SELECT 'session' AS record_type, sv.session_id AS record_id, sv.field_name, sv.part,
        sv.quantized <~> (SELECT quantize($1)) AS differing
    FROM session_vectors sv
    LEFT JOIN sessions s ON s.workspace_id = sv.workspace_id AND s.id = sv.session_id
    WHERE sv.embedding_model = $2
        AND ($3::uuid[] IS NULL OR s.client_id = ANY ($3))
        AND ($4::timestamptz IS NULL OR s.session_date >= $4)
        AND ($5::timestamptz IS NULL OR s.session_date < $5)
        AND ($8::uuid IS NULL OR sv.workspace_id = $8)
    ORDER BY sv.quantized <~> (SELECT quantize($1)) LIMIT $7::integer)
    UNION ALL
    (SELECT 'client', cv.client_id, cv.field_name, cv.part,
        cv.quantized <~> (SELECT quantize($1))
    FROM client_vectors cv
    WHERE cv.embedding_model = $2 AND ($3 IS NULL OR cv.client_id = ANY ($3))
        AND $4 IS NULL AND $5 IS NULL
        AND ($9::uuid IS NULL OR cv.workspace_id = $9)
    ORDER BY cv.quantized <~> (SELECT quantize($1)) LIMIT $7)
), compared AS MATERIALIZED (
    SELECT record_type, record_id, field_name, part, row_number() OVER () AS place
    FROM (SELECT * FROM candidates ORDER BY differing LIMIT $7) AS c
), nearest AS MATERIALIZED (
    SELECT n.*, v.* FROM compared n CROSS JOIN LATERAL (
        SELECT sv.part_start, sv.part_end, sv.content_hash, sv.embedding <=> $1 AS distance
        FROM session_vectors sv
        WHERE n.record_type = 'session' AND sv.embedding_model = $2 AND sv.session_id = n.record_id
            AND sv.field_name = n.field_name AND sv.part = n.part
        UNION ALL
        SELECT cv.part_start, cv.part_end, cv.content_hash, cv.embedding <=> $1
        FROM client_vectors cv
        WHERE n.record_type = 'client' AND cv.embedding_model = $2 AND cv.client_id = n.record_id
            AND cv.field_name = n.field_name AND cv.part = n.part
    ) AS v
    ORDER BY distance, record_type, record_id, field_name, part LIMIT 2 * $6::integer
), fields AS (
    SELECT n.*, f.* FROM nearest n CROSS JOIN LATERAL (
        (SELECT c.id AS client_id, c.name, s.session_date,
            CASE n.field_name WHEN 'subjective' THEN s.subjective WHEN 'objective' THEN s.objective
                WHEN 'assessment' THEN s.assessment ELSE s.plan END AS field
        FROM sessions s JOIN clients c ON c.id = s.client_id
        WHERE n.record_type = 'session' AND s.id = n.record_id OFFSET 0)
        UNION ALL
        (SELECT c.id, c.name, NULL,
            CASE n.field_name WHEN 'medical_history' THEN c.medical_history ELSE c.notes END
        FROM clients c WHERE n.record_type = 'client' AND c.id = n.record_id OFFSET 0)
    ) AS f
)
SELECT record_type, record_id, client_id, name AS client_name, session_date, field_name, part,
    part_start, part_end, distance, place, (SELECT count(*) FROM compared) AS compared,
    substring(field FROM part_start + 1 FOR part_end - part_start) AS text
FROM fields
WHERE content_hash = sha256(convert_to(field, 'UTF8'))
ORDER BY distance, record_type, record_id, field_name, part LIMIT $6;

-- search_terms --
-- The fields that best match terms ($1), of some clients ($2) and a span of time ($3 to $4)
-- or of all, with their texts, by BM25
-- (k1 $6, b $7, average length $8). Terms are admitted from the rarest on until they stand in
-- $9 fields together: what is in every second field says little and costs most. How often one
-- stands is counted no further than that either. `similarity` is BM25 as a share of what a field of
-- average length reaches that holds every word of the question once, those nobody wrote included.
WITH asked AS MATERIALIZED (
    SELECT g.term, counted.fields FROM unnest($1::bigint[]) AS g (term)
    CROSS JOIN LATERAL (
        SELECT count(*) AS fields FROM (
            SELECT FROM record_terms t WHERE t.term = g.term LIMIT $9::integer) AS capped
    ) AS counted
), workspace AS MATERIALIZED (
    SELECT 4 * (SELECT count(*) FROM sessions) + 2 * (SELECT count(*) FROM clients) AS fields
), weighed AS MATERIALIZED (
    SELECT a.term, a.fields, ln(1 + greatest(w.fields - a.fields + 0.5, 0.5)::float8
            / (a.fields + 0.5)) AS weight,
        sum(a.fields) OVER (ORDER BY a.fields, a.term) AS reading
    FROM asked a, workspace w
), admitted AS MATERIALIZED (
    SELECT term, weight FROM weighed WHERE fields > 0 AND (reading <= $9 OR reading = fields)
), best AS MATERIALIZED (
    SELECT t.record_id, t.field_name,
        sum(a.weight * t.occurrences * ($6::float8 + 1) / (t.occurrences
            + $6 * (1 - $7::float8 + $7 * t.field_terms / $8::float8))) AS bm25
    FROM admitted a CROSS JOIN LATERAL (
        SELECT r.record_id, r.field_name, r.occurrences, r.field_terms FROM record_terms r
        WHERE r.term = a.term OFFSET 0
    ) AS t
    WHERE $2::uuid[] IS NULL AND $3::timestamptz IS NULL AND $4::timestamptz IS NULL
        OR t.record_id IN (SELECT s.id FROM sessions s
            WHERE ($2 IS NULL OR s.client_id = ANY ($2))
                AND ($3 IS NULL OR s.session_date >= $3) AND ($4 IS NULL OR s.session_date < $4))
        OR t.record_id = ANY ($2) AND $3 IS NULL AND $4 IS NULL
    GROUP BY t.record_id, t.field_name
    ORDER BY bm25 DESC, t.record_id, t.field_name LIMIT $5::integer
)
SELECT CASE WHEN s.id IS NULL THEN 'client' ELSE 'session' END AS record_type,
    b.record_id, b.field_name::text AS field_name, s.session_date, c.id AS client_id,
    c.name AS client_name, b.bm25 / (SELECT sum(weight) FROM weighed) AS similarity,
    CASE b.field_name WHEN 'subjective' THEN s.subjective WHEN 'objective' THEN s.objective
        WHEN 'assessment' THEN s.assessment WHEN 'plan' THEN s.plan
        WHEN 'medical_history' THEN c.medical_history ELSE c.notes END AS text
FROM best b
LEFT JOIN sessions s ON s.id = b.record_id
    AND b.field_name IN ('subjective', 'objective', 'assessment', 'plan')
JOIN clients c ON c.id = coalesce(s.client_id, b.record_id)
WHERE $2 IS NULL OR c.id = ANY ($2)
ORDER BY b.bm25 DESC, b.record_id, b.field_name;

-- --- The queue --------------------------------------------------------------------------------

-- list_workspaces --
-- Every workspace's id.
SELECT id FROM workspace_ids ORDER BY id;

-- pending_workspaces --
-- Up to $1 workspaces with a job that is due, walking their ids from $2 on and round.
SELECT id FROM pending_workspaces($1, $2) AS id;

-- count_backlog --
-- How many records of all workspaces wait for their embedding.
SELECT embedding_backlog();

-- count_due --
-- How many records of this workspace could be embedded now; some may be in other hands already.
SELECT count(DISTINCT (record_type, record_id)) FROM embedding_jobs
WHERE run_after <= now();

-- claim_jobs --
-- Take up to $1 due jobs of this workspace for as long as the transaction lives. The row locks keep
-- two workers off one job, the advisory locks off two jobs of one record. With each comes the model
-- that the workspace is searched by.
WITH due AS MATERIALIZED (
    SELECT id, record_type, record_id, attempts, priority FROM embedding_jobs
    WHERE run_after <= now()
    ORDER BY priority, id LIMIT $1 FOR UPDATE SKIP LOCKED
)
SELECT id, record_type, record_id, attempts, (SELECT embedding_model FROM workspaces) AS model
FROM due
WHERE pg_try_advisory_xact_lock(
    hashtextextended(concat(current_workspace(), record_type, record_id), 0))
ORDER BY priority, id;

-- read_clients --
-- The texts of these clients, and which of them are settled for the model: they have current
-- vectors, or are known never to get any.
SELECT c.id, c.medical_history, c.notes, ARRAY(
    SELECT f.name FROM (VALUES ('medical_history', c.medical_history), ('notes', c.notes))
        AS f (name, text)
    WHERE EXISTS (
        SELECT FROM client_vectors v
        WHERE v.client_id = c.id AND v.embedding_model = $2 AND v.field_name = f.name
            AND v.part = 0 AND v.content_hash = sha256(convert_to(f.text, 'UTF8')))
    OR EXISTS (
        SELECT FROM embedding_failures e
        WHERE e.record_id = c.id AND e.embedding_model = $2
            AND e.field_name = f.name::record_field
            AND e.content_hash = sha256(convert_to(f.text, 'UTF8')))) AS settled
FROM clients c WHERE c.id = ANY ($1::uuid[]);

-- read_sessions --
-- As read_clients.
SELECT s.id, s.subjective, s.objective, s.assessment, s.plan, ARRAY(
    SELECT f.name FROM (VALUES ('subjective', s.subjective), ('objective', s.objective),
        ('assessment', s.assessment), ('plan', s.plan)) AS f (name, text)
    WHERE EXISTS (
        SELECT FROM session_vectors v
        WHERE v.session_id = s.id AND v.embedding_model = $2 AND v.field_name = f.name
            AND v.part = 0 AND v.content_hash = sha256(convert_to(f.text, 'UTF8')))
    OR EXISTS (
        SELECT FROM embedding_failures e
        WHERE e.record_id = s.id AND e.embedding_model = $2
            AND e.field_name = f.name::record_field
            AND e.content_hash = sha256(convert_to(f.text, 'UTF8')))) AS settled
FROM sessions s WHERE s.id = ANY ($1::uuid[]);

-- hold_clients --
-- Keep these clients from being deleted until the vectors are stored. One that is being deleted is
-- skipped rather than waited for, so none can deadlock.
SELECT id FROM clients WHERE id = ANY ($1::uuid[]) FOR KEY SHARE SKIP LOCKED;

-- hold_sessions --
-- As hold_clients.
SELECT id FROM sessions WHERE id = ANY ($1::uuid[]) FOR KEY SHARE SKIP LOCKED;

-- forget_stale_client_vectors --
-- Delete the vectors, of any model, that were made from a text these clients no longer have.
DELETE FROM client_vectors v USING clients c
WHERE c.id = ANY ($1::uuid[]) AND v.client_id = c.id AND v.content_hash <> sha256(convert_to(
    CASE v.field_name WHEN 'medical_history' THEN c.medical_history ELSE c.notes END, 'UTF8'));

-- forget_stale_session_vectors --
-- As forget_stale_client_vectors.
DELETE FROM session_vectors v USING sessions s
WHERE s.id = ANY ($1::uuid[]) AND v.session_id = s.id AND v.content_hash <> sha256(convert_to(
    CASE v.field_name WHEN 'subjective' THEN s.subjective WHEN 'objective' THEN s.objective
        WHEN 'assessment' THEN s.assessment ELSE s.plan END, 'UTF8'));

-- store_client_vectors --
-- Store one row a passage, all of one model ($1).
INSERT INTO client_vectors (workspace_id, embedding_model, client_id, field_name, content_hash,
    part, part_start, part_end, embedding)
SELECT current_workspace(), $1, g.* FROM unnest($2::uuid[], $3::text[], $4::bytea[], $5::integer[],
    $6::integer[], $7::integer[], $8::vector[]) AS g
ON CONFLICT (workspace_id, embedding_model, client_id, field_name, part) DO UPDATE SET
    content_hash = excluded.content_hash, part_start = excluded.part_start,
    part_end = excluded.part_end, embedding = excluded.embedding;

-- store_session_vectors --
-- As store_client_vectors.
INSERT INTO session_vectors (workspace_id, embedding_model, session_id, field_name, content_hash,
    part, part_start, part_end, embedding)
SELECT current_workspace(), $1, g.* FROM unnest($2::uuid[], $3::text[], $4::bytea[], $5::integer[],
    $6::integer[], $7::integer[], $8::vector[]) AS g
ON CONFLICT (workspace_id, embedding_model, session_id, field_name, part) DO UPDATE SET
    content_hash = excluded.content_hash, part_start = excluded.part_start,
    part_end = excluded.part_end, embedding = excluded.embedding;

-- forget_stale_client_failures --
-- Delete the failures, of any model, of a text that these clients no longer have.
DELETE FROM embedding_failures e USING clients c
WHERE c.id = ANY ($1::uuid[]) AND e.record_id = c.id AND CASE e.field_name
    WHEN 'medical_history' THEN e.content_hash <> sha256(convert_to(c.medical_history, 'UTF8'))
    WHEN 'notes' THEN e.content_hash <> sha256(convert_to(c.notes, 'UTF8')) ELSE false END;

-- forget_stale_session_failures --
-- As forget_stale_client_failures.
DELETE FROM embedding_failures e USING sessions s
WHERE s.id = ANY ($1::uuid[]) AND e.record_id = s.id AND CASE e.field_name
    WHEN 'subjective' THEN e.content_hash <> sha256(convert_to(s.subjective, 'UTF8'))
    WHEN 'objective' THEN e.content_hash <> sha256(convert_to(s.objective, 'UTF8'))
    WHEN 'assessment' THEN e.content_hash <> sha256(convert_to(s.assessment, 'UTF8'))
    WHEN 'plan' THEN e.content_hash <> sha256(convert_to(s.plan, 'UTF8')) ELSE false END;

-- store_failures --
-- Note that the model ($1) will never embed these fields as they are, with the class of the error.
INSERT INTO embedding_failures
    (workspace_id, embedding_model, record_id, field_name, content_hash, reason)
SELECT current_workspace(), $1, g.record_id, g.field_name::record_field, g.content_hash, g.reason
FROM unnest($2::uuid[], $3::text[], $4::bytea[], $5::text[])
    AS g (record_id, field_name, content_hash, reason)
ON CONFLICT (workspace_id, record_id, field_name, embedding_model) DO UPDATE SET
    content_hash = excluded.content_hash, reason = excluded.reason, failed_at = now();

-- count_failed --
-- How many records have a text that the model ($1) will never embed.
SELECT count(DISTINCT (record_id, field_name IN ('medical_history', 'notes')))
FROM embedding_failures WHERE embedding_model = $1;

-- finish_jobs --
-- Remove jobs that are done.
DELETE FROM embedding_jobs WHERE id = ANY ($1::bigint[]);

-- postpone_jobs --
-- Try these again later: after $2 seconds, doubling with each attempt, up to $3.
UPDATE embedding_jobs SET attempts = attempts + 1,
    run_after = now() + least($2::float8 * 2 ^ least(attempts, 30), $3) * interval '1 second'
WHERE id = ANY ($1::bigint[]);

-- enqueue_missing --
-- Queue, as bulk work, each record that has a text without current vectors of the model, one not
-- known to have failed, and no job. Two of these at once may queue a record twice: the second job
-- finds its vectors there.
WITH queued AS (
    INSERT INTO embedding_jobs (workspace_id, record_type, record_id, priority)
    SELECT current_workspace(), m.record_type, m.record_id, 1 FROM records_without_vectors($1) m
    WHERE NOT EXISTS (
        SELECT FROM embedding_jobs j
        WHERE j.record_type = m.record_type AND j.record_id = m.record_id)
    RETURNING 1
)
SELECT count(*) FROM queued;

-- --- Which model a workspace is searched by ---------------------------------------------------

-- read_model --
-- The model that the workspace is searched by; NULL before its first vectors.
SELECT embedding_model FROM workspaces;

-- adopt_model --
-- Have a workspace without a model searched by this one, whose vectors are its first.
UPDATE workspaces SET embedding_model = $1 WHERE embedding_model IS NULL;

-- confirm_model --
-- The model as it now is, and stays until this transaction ends. No row while it is being changed:
-- to wait for that would hold up a claim.
SELECT embedding_model FROM workspaces FOR SHARE SKIP LOCKED;

-- hold_model --
-- Wait for the claims that are just ending, and let none end before this transaction does.
SELECT embedding_model FROM workspaces FOR NO KEY UPDATE;

-- switch_model --
-- Have the workspace searched by this model if none of its records lacks current vectors of it. A
-- statement after hold_model: it sees what the claims have stored that that one waited for.
UPDATE workspaces SET embedding_model = $1
WHERE embedding_model <> $1 AND NOT EXISTS (SELECT FROM records_without_vectors($1));

-- keep_model --
-- The model as it is, and stays until this transaction ends.
SELECT embedding_model FROM workspaces FOR SHARE;

-- forget_vectors --
-- Delete what is known by this model, failures included; the number of vectors is returned.
WITH failures AS (
    DELETE FROM embedding_failures WHERE embedding_model = $1
), of_sessions AS (
    DELETE FROM session_vectors WHERE embedding_model = $1 RETURNING 1
), of_clients AS (
    DELETE FROM client_vectors WHERE embedding_model = $1 RETURNING 1
)
SELECT (SELECT count(*) FROM of_sessions) + (SELECT count(*) FROM of_clients);

-- list_embedded_models --
-- The models that there are vectors of.
SELECT array(
    SELECT embedding_model FROM session_vectors
    UNION SELECT embedding_model FROM client_vectors ORDER BY embedding_model
);

-- count_models --
-- How many workspaces are searched by each model.
SELECT model, count(*) AS workspaces FROM workspace_models() AS model GROUP BY model ORDER BY model;

-- --- API keys ---------------------------------------------------------------------------------

-- create_key --
-- Store a new key by its digest; the workspace's row is made when it is not there.
WITH workspace AS (
    INSERT INTO workspaces (id, name)
    VALUES (current_workspace(), current_workspace()::text) ON CONFLICT (id) DO NOTHING
)
INSERT INTO api_keys (workspace_id, name, digest, scopes)
VALUES (current_workspace(), $1, $2, $3) RETURNING id, created_at;

-- list_keys --
-- The workspace's keys, oldest first, revoked ones included.
SELECT id, name, scopes, created_at, revoked_at FROM api_keys ORDER BY created_at, id;

-- revoke_key --
-- Revoke a key; one that was revoked before keeps its date.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING id;

-- find_key --
-- The key with this digest, unless it is revoked.
SELECT id, scopes FROM api_keys WHERE digest = $1 AND revoked_at IS NULL;

-- --- A workspace's settings -------------------------------------------------------------------

-- read_settings --
-- What the workspace has set.
SELECT settings FROM workspaces;

-- change_settings --
-- Set fields of the settings ($1) and forget others ($2); the workspace's row is made when it is not
-- there. All are returned.
INSERT INTO workspaces (id, name, settings)
VALUES (current_workspace(), current_workspace()::text, $1)
ON CONFLICT (id) DO UPDATE SET settings = (workspaces.settings - $2::text[]) || excluded.settings
RETURNING settings;

-- --- Answers given before ---------------------------------------------------------------------
-- One serves for seven days at the most, a day less than what would overtake it is remembered, and
-- only while the workspace is searched by the model that it was found with.

-- recall_answer --
-- What is known as a question begins, in one snapshot, and the answer to the same one ($1), if any
-- that nothing was written against since.
SELECT pg_current_snapshot()::text AS as_of, server_run() AS server_run,
    w.settings, w.embedding_model,
    a.id, a.query_text, a.response, a.expires_at <= now() AS expired
FROM (SELECT) AS asked
LEFT JOIN workspaces w ON true
LEFT JOIN ai_query_cache a ON a.exact_key = $1 AND a.server_run = server_run()
    AND a.created_at > now() - interval '7 days'
    AND a.embedding_model = coalesce(w.embedding_model, a.embedding_model)
    AND is_unchanged(a.as_of, a.clients, a.by_name);

-- recall_similar_answers --
-- The answers to questions within a distance ($4) of a vector ($2) of one model ($3), in one
-- partition ($1), the nearest first, under the conditions of recall_answer. All of them are looked
-- at: they are few.
WITH near AS MATERIALIZED (
    SELECT c.id, c.distance FROM (
        SELECT a.id, a.query_embedding <=> $2 AS distance FROM ai_query_cache a
        WHERE a.partition_key = $1 AND a.embedding_model = $3 AND a.query_embedding IS NOT NULL
        OFFSET 0
    ) AS c WHERE c.distance <= $4
)
SELECT a.id, a.query_text, a.response, a.expires_at <= now() AS expired, n.distance
FROM near n JOIN ai_query_cache a USING (id) JOIN workspaces w ON true
WHERE a.server_run = server_run() AND a.created_at > now() - interval '7 days'
    AND a.embedding_model = coalesce(w.embedding_model, a.embedding_model)
    AND is_unchanged(a.as_of, a.clients, a.by_name)
ORDER BY n.distance, a.id LIMIT $5;

-- count_answer_hit --
-- Note that an answer served again.
UPDATE ai_query_cache SET hit_count = hit_count + 1, last_hit_at = now() WHERE id = $1;

-- lock_answers --
-- Wait for whoever else is changing this workspace's answers, so that no bound is exceeded.
SELECT pg_advisory_xact_lock(
    hashtextextended(concat('ai_query_cache ', current_workspace()), 0));

-- forget_outdated_answers --
-- Delete the answers that can serve no more; those in other hands are left to the next time. Changes
-- whose numbers are still to come were made on another server, before the database was moved here.
WITH foreign_changes AS (
    DELETE FROM record_changes WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
), outdated AS (
    SELECT a.id FROM ai_query_cache a CROSS JOIN workspaces w
    WHERE a.server_run <> server_run() OR a.created_at <= now() - interval '7 days'
        OR a.embedding_model <> w.embedding_model
        OR NOT is_unchanged(a.as_of, a.clients, a.by_name)
    FOR UPDATE OF a SKIP LOCKED
)
DELETE FROM ai_query_cache WHERE id IN (SELECT id FROM outdated);

-- keep_answer --
-- Remember an answer, in place of an earlier one to the same question ($1), unless something was
-- written that its snapshot ($8, of the server's run $9) did not see. A workspace without a row has
-- no records, and keeps nothing.
INSERT INTO ai_query_cache (workspace_id, exact_key, partition_key, query_text, response,
    expires_at, clients, by_name, as_of, server_run, embedding_model, query_embedding)
SELECT w.id, $1, $2, $3, $4, now() + $5::float8 * interval '1 second',
    $6, $7, $8::text::pg_snapshot, $9, $10, $11
FROM workspaces w
WHERE $9::text = server_run() AND $10::text = coalesce(w.embedding_model, $10)
    AND is_unchanged($8::text::pg_snapshot, $6, $7)
ON CONFLICT (workspace_id, exact_key) DO UPDATE SET
    partition_key = excluded.partition_key, query_text = excluded.query_text,
    response = excluded.response, expires_at = excluded.expires_at, clients = excluded.clients,
    by_name = excluded.by_name, as_of = excluded.as_of, server_run = excluded.server_run,
    embedding_model = excluded.embedding_model, query_embedding = excluded.query_embedding,
    created_at = now(), hit_count = 0, last_hit_at = NULL;

-- evict_answers --
-- Delete the answers beyond the first $1, counted from the one that served last; those in other
-- hands are just serving. Their number is returned.
WITH surplus AS MATERIALIZED (
    SELECT id FROM ai_query_cache
    ORDER BY coalesce(last_hit_at, created_at) DESC, id OFFSET $1::integer
), held AS (
    SELECT a.id FROM ai_query_cache a WHERE a.id IN (SELECT id FROM surplus)
    FOR UPDATE SKIP LOCKED
), evicted AS (
    DELETE FROM ai_query_cache WHERE id IN (SELECT id FROM held) RETURNING 1
)
SELECT count(*) FROM evicted;

-- note_flush --
-- Keep the answers under way from being kept (migrations/0006).
SELECT note_changes(id, ARRAY['ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid], false) FROM workspaces;

-- forget_answers --
-- Delete every answer; their number is returned.
WITH forgotten AS (DELETE FROM ai_query_cache RETURNING 1) SELECT count(*) FROM forgotten;

-- Which model's vectors a workspace is searched by. Why the change from one to the next is made like
-- this stands in docs/decisions/0013-changing-the-embedding-model.md.

-- `EmbeddingModel.key`; NULL until the first vectors are stored.
ALTER TABLE workspaces ADD COLUMN embedding_model text;

-- The workspaces that are there: the model that most of their vectors are of.
DO $$
DECLARE
    before text := current_setting('app.workspace_id', true);
    workspace uuid;
BEGIN
    FOR workspace IN SELECT id FROM workspace_ids LOOP
        PERFORM set_config('app.workspace_id', workspace::text, true);
        UPDATE workspaces SET embedding_model = (
            SELECT v.embedding_model FROM (
                SELECT embedding_model FROM session_vectors WHERE workspace_id = workspace
                UNION ALL
                SELECT embedding_model FROM client_vectors WHERE workspace_id = workspace
            ) AS v
            GROUP BY v.embedding_model ORDER BY count(*) DESC, v.embedding_model LIMIT 1
        ) WHERE id = workspace;
    END LOOP;
    PERFORM set_config('app.workspace_id', coalesce(before, ''), true);
END
$$;

-- The workspace's records that have a text without current vectors of the model, one not known to
-- have failed under it.
CREATE FUNCTION records_without_vectors(model text)
    RETURNS TABLE (record_type text, record_id uuid) LANGUAGE sql STABLE AS $$
    SELECT 'client', c.id FROM clients c
    WHERE EXISTS (
        SELECT FROM (VALUES ('medical_history', c.medical_history), ('notes', c.notes))
            AS f (name, text)
        WHERE f.text ~ '\S' AND NOT EXISTS (
            SELECT FROM client_vectors v
            WHERE v.client_id = c.id AND v.embedding_model = model AND v.field_name = f.name
                AND v.part = 0 AND v.content_hash = sha256(convert_to(f.text, 'UTF8')))
        AND NOT EXISTS (
            SELECT FROM embedding_failures e
            WHERE e.record_id = c.id AND e.embedding_model = model
                AND e.field_name = f.name::record_field
                AND e.content_hash = sha256(convert_to(f.text, 'UTF8'))))
    UNION ALL
    SELECT 'session', s.id FROM sessions s
    WHERE EXISTS (
        SELECT FROM (VALUES ('subjective', s.subjective), ('objective', s.objective),
            ('assessment', s.assessment), ('plan', s.plan)) AS f (name, text)
        WHERE f.text ~ '\S' AND NOT EXISTS (
            SELECT FROM session_vectors v
            WHERE v.session_id = s.id AND v.embedding_model = model AND v.field_name = f.name
                AND v.part = 0 AND v.content_hash = sha256(convert_to(f.text, 'UTF8')))
        AND NOT EXISTS (
            SELECT FROM embedding_failures e
            WHERE e.record_id = s.id AND e.embedding_model = model
                AND e.field_name = f.name::record_field
                AND e.content_hash = sha256(convert_to(f.text, 'UTF8'))))
$$;

-- The model of each workspace that has one: a walk as those of 0001.
CREATE FUNCTION workspace_models() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    before text := current_setting('app.workspace_id', true);
    workspace uuid;
BEGIN
    FOR workspace IN SELECT id FROM workspace_ids LOOP
        PERFORM set_config('app.workspace_id', workspace::text, true);
        RETURN QUERY SELECT w.embedding_model FROM workspaces w
            WHERE w.id = workspace AND w.embedding_model IS NOT NULL;
    END LOOP;
    PERFORM set_config('app.workspace_id', coalesce(before, ''), true);
END
$$;

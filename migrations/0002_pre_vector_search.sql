-- A vector as bits, a tenth of its size: whether two vectors are near can be told from how many of
-- their bits differ. The search reads the bits of a whole workspace, or walks an index of them, and
-- compares only the few hundred nearest vectors themselves.

CREATE FUNCTION bits_above(vector, real) RETURNS bit varying
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN binary_quantize(
        $1 - array_fill(($2 / sqrt(vector_dims($1)))::real, ARRAY[vector_dims($1)])::vector
    )::bit varying;

-- A number is a bit for each of several values that it may be above, in units of the usual number's
-- size: the fewer numbers, the more bits of each. Beyond 4,096 dimensions more than the sign would
-- not fit an index's row.
CREATE FUNCTION quantize(vector) RETURNS bit varying
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE
        WHEN vector_dims($1) > 4096 THEN binary_quantize($1)::bit varying
        WHEN vector_dims($1) >= 1024 THEN binary_quantize($1)::bit varying
            || bits_above(l2_normalize($1), 0.6) || bits_above(l2_normalize($1), -0.6)
        ELSE binary_quantize($1)::bit varying
            || bits_above(l2_normalize($1), 0.45) || bits_above(l2_normalize($1), -0.45)
            || bits_above(l2_normalize($1), 1) || bits_above(l2_normalize($1), -1)
    END;

-- The indexes of before, which no search ever used.
DO $$
DECLARE
    unused text;
BEGIN
    FOR unused IN SELECT c.relname FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
        WHERE i.indrelid IN ('client_vectors'::regclass, 'session_vectors'::regclass)
            AND c.relname LIKE '%\_vectors\_hnsw\_%'
    LOOP
        EXECUTE format('DROP INDEX %I', unused);
    END LOOP;
END
$$;

-- The bits are in the primary key's index as well, where those of a workspace and model lie side
-- by side: in the table, they lie among other workspaces' rows and the rest of their own.
ALTER TABLE client_vectors DROP CONSTRAINT client_vectors_pkey;
ALTER TABLE client_vectors
    ADD COLUMN quantized bit varying NOT NULL GENERATED ALWAYS AS (quantize(embedding)) STORED,
    ADD PRIMARY KEY (workspace_id, embedding_model, client_id, field_name, part)
        INCLUDE (quantized);
ALTER TABLE session_vectors DROP CONSTRAINT session_vectors_pkey;
ALTER TABLE session_vectors
    ADD COLUMN quantized bit varying NOT NULL GENERATED ALWAYS AS (quantize(embedding)) STORED,
    ADD PRIMARY KEY (workspace_id, embedding_model, session_id, field_name, part)
        INCLUDE (quantized);

-- For a search in a span of time.
CREATE INDEX sessions_by_date ON sessions (workspace_id, session_date) INCLUDE (id, client_id);

-- What is compared is looked up by its whole key. With the session alone, the smaller index was
-- taken for as good, and all of a session's vectors were read for the one.
DROP INDEX client_vectors_by_client;
CREATE INDEX client_vectors_by_client
    ON client_vectors (workspace_id, client_id, embedding_model, field_name, part);
DROP INDEX session_vectors_by_session;
CREATE INDEX session_vectors_by_session
    ON session_vectors (workspace_id, session_id, embedding_model, field_name, part);

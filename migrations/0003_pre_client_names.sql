-- The words of the clients' names, by which those that a question names are found: written with the
-- client, in the same transaction. Found by `=`, which row-level security lets an index serve. What
-- a word is, `runtime/name_words.py` says.
CREATE TABLE client_names (
    workspace_id uuid NOT NULL,
    word text COLLATE "C" NOT NULL,
    client_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, word, client_id),
    FOREIGN KEY (workspace_id, client_id) REFERENCES clients (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX client_names_by_client ON client_names (workspace_id, client_id);

ALTER TABLE client_names ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_names FORCE ROW LEVEL SECURITY;
CREATE POLICY own_workspace ON client_names
    USING (workspace_id = current_workspace()) WITH CHECK (workspace_id = current_workspace());

-- The clients that are there. The same words as the code's, but that PostgreSQL's `lower` may know
-- no capitals beyond the Latin ones; a name of such has its words once its client is written again.
DO $$
DECLARE
    before text := current_setting('app.workspace_id', true);
    workspace uuid;
BEGIN
    FOR workspace IN SELECT id FROM workspace_ids LOOP
        PERFORM set_config('app.workspace_id', workspace::text, true);
        INSERT INTO client_names (workspace_id, word, client_id)
        SELECT DISTINCT workspace, left(w.word, 64), c.id
        FROM clients c CROSS JOIN LATERAL regexp_split_to_table(
            translate(lower(regexp_replace(normalize(c.name, NFKD),
                '[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7''’‘׳"״”`´]',
                '', 'g')), 'ךםןףץ', 'כמנפצ'),
            '[][\s\d_.,;:(){}/\\+*&#@!?|<>=~%$^־–—-]+') AS w (word)
        WHERE w.word <> '' AND w.word <> ALL ('{mr,mrs,ms,miss,mx,dr,prof,jr,sr,דר,מר,גב,גברת,פרופ}');
    END LOOP;
    PERFORM set_config('app.workspace_id', coalesce(before, ''), true);
END
$$;

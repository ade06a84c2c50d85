-- What the runtime role may do, and no more. Applied by `migrate` after every run, so that a table
-- made by a new migration is granted here or not at all. {role} is the role, quoted.

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};
GRANT USAGE ON SCHEMA public TO {role};

GRANT SELECT ON schema_migrations, workspace_ids TO {role};
GRANT SELECT, INSERT, UPDATE ON workspaces TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE
    ON clients, sessions, client_vectors, session_vectors, embedding_failures, embedding_jobs,
    ai_query_cache TO {role};
GRANT SELECT, INSERT, DELETE ON record_terms, indexed_records, client_names TO {role};
GRANT SELECT, INSERT ON audit_events TO {role};
GRANT SELECT, INSERT, DELETE ON record_changes TO {role};
GRANT SELECT, INSERT, UPDATE (revoked_at) ON api_keys TO {role};

-- The runtime makes no temporary tables; whoever has its password should not be able to, either.
DO $$
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;

-- Flushing the cache ends the answers under way as well: they began before it, and would be kept after
-- it. It is noted like a write, under the UUID of all ones, which every answer watches beside its
-- clients. See docs/decisions/0012-answer-cache.md.
CREATE OR REPLACE FUNCTION is_unchanged(as_of pg_snapshot, clients uuid[], by_name boolean)
    RETURNS boolean
    LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    nil CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    flush CONSTANT uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    later xid8 := pg_snapshot_xmax(as_of);
    under_way xid8[] := ARRAY(SELECT pg_snapshot_xip(as_of));
    watched uuid[] := clients || flush || CASE WHEN by_name THEN nil END;
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

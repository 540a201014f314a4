-- The servers that this database was on. A replica that takes over, or a backup that is restored, may
-- lack the last moments of the server before it: a write that was armed then is not known any more,
-- so on a server that is new nothing is sent until the quiet period is over.
SET lock_timeout = '5s';

-- The server's own identity and its timeline: a promotion begins another timeline at once.
CREATE FUNCTION mirror.this_server() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT (pg_control_system()).system_identifier
        || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
$$;

CREATE TABLE mirror.servers (
    server text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);
INSERT INTO mirror.servers VALUES (mirror.this_server(), '-infinity');

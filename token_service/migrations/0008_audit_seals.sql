-- Lines of the audit are sealed a while after they are written, a range of them by each row here. A
-- seal takes in the one before it, and its code is made with a key that is not in this database:
-- whoever owns the tables can change a line, and can not make the seals say that it was always so.
SET lock_timeout = '5s';

CREATE TABLE authority.audit_seals (
    number bigint PRIMARY KEY,              -- from 1, without a gap
    up_to bigint NOT NULL,                  -- audit.id of its last line; its first is behind the last seal's
    lines bigint NOT NULL CHECK (lines >= 0),
    chain bytea NOT NULL,                   -- SHA-256 over the chain before it and its lines
    key_id text NOT NULL,                   -- of TOKEN_ENCRYPTION_KEYS
    code bytea NOT NULL,                    -- HMAC-SHA256 over all of the above
    sealed_at timestamptz NOT NULL DEFAULT now()
);

CREATE OR REPLACE FUNCTION authority.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is written once: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP;
END $$;
CREATE TRIGGER audit_seals_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON authority.audit_seals FOR EACH STATEMENT EXECUTE FUNCTION authority.refuse_change();

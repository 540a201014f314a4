-- The one home of people's authority: grants, who is signed in, which projects are connected.
-- Only the token service's role can read this schema. Every token here is sealed, every id that
-- opens something (session, OAuth state, launch token) is kept as its SHA-256 only.
SET lock_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS authority;

-- Numbers that never come again, also not after a person has disconnected and come back: an answer
-- that is late by a whole life of the row must not fit it.
CREATE SEQUENCE authority.grant_versions;
CREATE SEQUENCE authority.refresh_numbers;

-- One row a person who authorized. `version` changes when, and only when, the stored token pair
-- does, so "the token that failed is still the stored one" is `version = v`. Expiry is by the
-- database's clock alone.
CREATE TABLE authority.grants (
    user_id text PRIMARY KEY,               -- Part3's
    procore_user_id text NOT NULL,
    procore_login text NOT NULL,
    procore_name text NOT NULL,
    state text NOT NULL CHECK (state IN ('authorized', 'needs_reauthorization')),
    reason text,                            -- why it needs a new authorization
    issuer text NOT NULL,                   -- the login host that gave it: grants never cross environments
    version bigint NOT NULL DEFAULT nextval('authority.grant_versions'),
    sealed_access bytea NOT NULL,
    sealed_refresh bytea NOT NULL,
    key_id text NOT NULL,                   -- which key sealed both
    access_fingerprint text NOT NULL,       -- SHA-256, hex
    refresh_fingerprint text NOT NULL,
    expires_in_s double precision NOT NULL CHECK (expires_in_s > 0),
    expires_at timestamptz NOT NULL,
    lease_owner text,                       -- who refreshes now
    lease_until timestamptz,
    attempt bigint NOT NULL DEFAULT 0,      -- the last refresh that was begun
    refresh_unknown_at timestamptz,         -- a refresh of this version was sent and never answered
    last_try_at timestamptz,                -- when its refresh token was sent that one time more
    refresh_not_before timestamptz,         -- Procore was away or asked to wait: no refresh before this
    authorized_at timestamptz NOT NULL DEFAULT now(),
    refreshed_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'authorized') = (reason IS NULL)),
    CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
);
CREATE INDEX grants_by_age ON authority.grants (refreshed_at) WHERE state = 'authorized';

-- The journal: a row is committed before a refresh token leaves the house, so a crash in between
-- can be told from a refresh that never began.
CREATE TABLE authority.refresh_attempts (
    user_id text NOT NULL,
    attempt bigint NOT NULL,
    version bigint NOT NULL,
    owner text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    outcome text CHECK (outcome IN
        ('renewed', 'not_sent', 'refused', 'invalid_grant', 'unknown', 'superseded')),
    PRIMARY KEY (user_id, attempt)
);

-- A person who authorized before came back with another Procore account: both pairs are kept
-- until they say which one it shall be, or the time is up.
CREATE TABLE authority.pending_grants (
    user_id text PRIMARY KEY,
    choice_key bytea NOT NULL,              -- of the visit that may choose
    procore_user_id text NOT NULL,
    procore_login text NOT NULL,
    procore_name text NOT NULL,
    sealed_access bytea NOT NULL,
    sealed_refresh bytea NOT NULL,
    key_id text NOT NULL,
    expires_in_s double precision NOT NULL,
    token_expires_at timestamptz NOT NULL,
    return_to text NOT NULL,
    ends_at timestamptz NOT NULL
);

CREATE TABLE authority.sessions (
    session_hash bytea PRIMARY KEY,
    user_id text NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL
);
CREATE INDEX sessions_by_end ON authority.sessions (ends_at);

CREATE TABLE authority.used_launches (
    jti_hash bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

-- `state` of the OAuth authorization code flow. `outcome` stays for a while, so that the second of
-- two tabs, or a reload, shows the finished result and the code is never sent twice.
CREATE TABLE authority.oauth_states (
    state_hash bytea PRIMARY KEY,
    session_hash bytea NOT NULL,
    user_id text NOT NULL,
    issuer text NOT NULL,
    return_to text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL,
    used_at timestamptz,
    outcome text
);
CREATE INDEX oauth_states_by_end ON authority.oauth_states (ends_at);

-- A Part3 project tied to a Procore project. The row stays after a disconnect, and a new connection
-- takes it over with the next generation, so an old hook's secret is never valid again.
CREATE TABLE authority.connections (
    project_id text PRIMARY KEY,            -- Part3's
    project_name text NOT NULL,
    procore_company_id text NOT NULL,
    procore_company_name text NOT NULL,
    procore_project_id text NOT NULL,
    procore_project_name text NOT NULL,
    owner_user_id text NOT NULL,
    owner_name text NOT NULL,
    -- creating: claimed while its hook is being made; nobody is told of it
    state text NOT NULL CHECK (state IN ('creating', 'active', 'paused', 'disconnected')),
    generation integer NOT NULL DEFAULT 1 CHECK (generation > 0),
    once text NOT NULL,                     -- the form that created it: pressing twice is once
    hook_id text,
    hook_state text NOT NULL DEFAULT 'unknown' CHECK (hook_state IN ('unknown', 'ok', 'failed')),
    hook_message text,                      -- plain words while hook_state is failed
    hook_key_id text,                       -- which webhook key its secret was derived with
    hook_checked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    activated_at timestamptz,               -- null: its hook was never made, nobody has heard of it
    disconnected_at timestamptz,
    updated_at timestamptz NOT NULL,
    changed_seq bigint NOT NULL UNIQUE
);
-- a Procore project feeds one Part3 project at most
CREATE UNIQUE INDEX connections_by_procore_project ON authority.connections (procore_project_id)
    WHERE state <> 'disconnected';
CREATE INDEX connections_by_change ON authority.connections (updated_at);
CREATE INDEX connections_by_owner ON authority.connections (owner_user_id);

-- Numbers changes of connections in the order they are committed: the row lock is held until the
-- writer commits, so whoever has seen number n can never be overtaken by a smaller one. A sequence
-- alone would not give that. `changed_at` never repeats and never goes back either.
CREATE TABLE authority.connection_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    changed_seq bigint NOT NULL,
    changed_at timestamptz NOT NULL
);
INSERT INTO authority.connection_clock (changed_seq, changed_at) VALUES (0, now());

CREATE FUNCTION authority.number_connection_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE authority.connection_clock SET
        changed_seq = changed_seq + 1,
        changed_at = greatest(clock_timestamp(), changed_at + interval '1 microsecond')
    RETURNING changed_seq, changed_at INTO NEW.changed_seq, NEW.updated_at;
    RETURN NEW;
END $$;

CREATE TRIGGER connection_created BEFORE INSERT ON authority.connections
    FOR EACH ROW EXECUTE FUNCTION authority.number_connection_change();
-- what the workers are told; the state of the hook is nobody else's business
CREATE TRIGGER connection_changed BEFORE UPDATE ON authority.connections
    FOR EACH ROW WHEN (
        (OLD.state, OLD.procore_company_id, OLD.procore_project_id, OLD.owner_user_id,
         OLD.generation)
        IS DISTINCT FROM
        (NEW.state, NEW.procore_company_id, NEW.procore_project_id, NEW.owner_user_id,
         NEW.generation)
    ) EXECUTE FUNCTION authority.number_connection_change();

-- Hooks of ended connections that are still to be deleted in Procore. The generation in a hook's
-- address is never used twice, so a late removal cannot hit its successor.
CREATE TABLE authority.hook_removals (
    project_id text NOT NULL,
    generation integer NOT NULL,
    procore_company_id text NOT NULL,
    procore_project_id text NOT NULL,
    user_ids text[] NOT NULL,               -- under whose grant, tried in this order
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, generation)
);
CREATE INDEX hook_removals_by_due ON authority.hook_removals (due_at);

-- Who got which token when, who consented, connected, disconnected. Written once, never changed.
CREATE TABLE authority.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event text NOT NULL,                    -- e.g. token.handed_out, grant.authorized
    actor text NOT NULL,                    -- sync_worker, operator, user:<id>, token_service
    user_id text,                           -- whose grant
    project_id text,
    detail jsonb NOT NULL DEFAULT '{}'      -- never a token
);
CREATE INDEX audit_by_user ON authority.audit (user_id, id);
CREATE INDEX audit_by_project ON authority.audit (project_id, id);

CREATE FUNCTION authority.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'authority.audit is written once: % is refused', TG_OP;
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON authority.audit
    FOR EACH STATEMENT EXECUTE FUNCTION authority.refuse_change();

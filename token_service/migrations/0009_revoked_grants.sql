-- Grants that operators revoked in an incident. A row is moved here in one commit, so from then on
-- nobody is handed its tokens; they stay, sealed as they were, only until Procore has been told. The
-- row then tells its person why they are asked to authorize again. A program of the release before
-- this neither tells Procore nor says why, and loses nothing.
SET lock_timeout = '5s';

CREATE TABLE authority.revoked_grants (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text NOT NULL,
    procore_user_id text NOT NULL,
    place text NOT NULL CHECK (place IN ('grants', 'pending_grants')),  -- the seal is bound to it
    sealed_access bytea,                    -- null once Procore has been told
    sealed_refresh bytea,
    key_id text NOT NULL,
    revoked_by text NOT NULL,               -- which operator, as they name themselves
    reason text NOT NULL,                   -- its person reads it
    revoked_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz DEFAULT now(),       -- when Procore is told, or told again; null: over
    attempts integer NOT NULL DEFAULT 0,
    procore_told boolean,                   -- false: the seal did not open any more
    authorized_again boolean NOT NULL DEFAULT false,
    CHECK ((sealed_access IS NULL) = (sealed_refresh IS NULL)),
    CHECK ((due_at IS NULL) = (procore_told IS NOT NULL))
);
CREATE INDEX revoked_grants_due ON authority.revoked_grants (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX revoked_grants_of_person ON authority.revoked_grants (user_id, id);

-- The worker's memory. Everything it must not forget between two of its lives is here; nothing is
-- correct only because of a Kafka offset.
SET lock_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS mirror;

-- A project that is, or was, connected. The token service owns connections; this is what the
-- workers last heard, and where their own project-wide duties stand.
CREATE TABLE mirror.projects (
    project_id text PRIMARY KEY,
    procore_company_id text NOT NULL,
    procore_project_id text NOT NULL,
    owner_user_id text NOT NULL,
    reader_user_id text NOT NULL,          -- whose grant reads now: the owner, or who stands in
    state text NOT NULL CHECK (state IN ('active', 'paused', 'disconnected')),
    connection_updated_at timestamptz NOT NULL,
    attention_reason text,                 -- not null: nothing is read until this is mended
    attention_message text,
    attention_mended_by jsonb,
    attention_since timestamptz,
    probe_after timestamptz,               -- while attention stands: no call before this
    hook_due_at timestamptz NOT NULL DEFAULT now(),
    returns_due_at timestamptz NOT NULL DEFAULT now(),  -- when Part3 is next asked for missed returns
    readiness_due_at timestamptz NOT NULL DEFAULT now(), -- when team and authorizations are next seen
    team_known text,                       -- as they were then: who returns, and as whom
    connected_at timestamptz NOT NULL DEFAULT now()
);

-- One row a record. `record` is what was last put into Part3; the lease makes one writer at a
-- time, and `fence` only grows, so that a worker that slept through its lease cannot write.
CREATE TABLE mirror.records (
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    procore_id text NOT NULL,
    number text NOT NULL DEFAULT '',
    title text NOT NULL DEFAULT '',
    status text,
    record jsonb,                          -- null: seen, not yet put
    content_version text,
    part3_version text,
    procore_updated_at timestamptz,        -- never decreases: an older read was a stale replica
    files_pending integer NOT NULL DEFAULT 0,
    not_mirrored_because text,
    looked_at timestamptz,
    mirrored_at timestamptz,
    removed_at timestamptz,
    lease_owner text,
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, kind, procore_id)
);
CREATE INDEX records_by_lease ON mirror.records (lease_owner) WHERE lease_owner IS NOT NULL;

-- Looks to be taken, and with `attempts` the retries of those that failed for now. A notice while
-- a look is under way raises `asked`, so the finished look does not delete the newer wish.
CREATE TABLE mirror.looks (
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    procore_id text NOT NULL,
    due_at timestamptz NOT NULL,
    priority smallint NOT NULL,            -- 1 notice, 2 sweep, 3 backfill: smaller goes first
    claimed_by text,                       -- while a look is under way; `due_at` is then its limit
    asked bigint NOT NULL DEFAULT 1,
    first_asked_at timestamptz NOT NULL DEFAULT now(),
    last_asked_at timestamptz NOT NULL DEFAULT now(),
    notice_id text,                        -- of the newest notice, to follow one through the logs
    traceparent text,
    attempts integer NOT NULL DEFAULT 0,
    reason text,
    message text,
    PRIMARY KEY (project_id, kind, procore_id)
);
CREATE INDEX looks_due ON mirror.looks (priority, due_at);

-- A Procore attachment never changes under its id, so its bytes are copied once.
CREATE TABLE mirror.files (
    project_id text NOT NULL,
    attachment_id text NOT NULL,
    sha256 text NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    size bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, attachment_id)
);

-- Listing what changed. The first sweep of a kind is the backfill and has `backfilled_at` null.
CREATE TABLE mirror.sweeps (
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    due_at timestamptz NOT NULL DEFAULT now(),
    settle_at timestamptz,                 -- one more listing, as reads lag behind notices
    backfilled_at timestamptz,
    settled_until timestamptz,             -- every change before this has been listed
    window_from timestamptz,               -- of the sweep under way; null: from the beginning
    window_to timestamptz,
    next_page integer,                     -- resumes here; null: no sweep under way
    full_sweep boolean NOT NULL DEFAULT true,  -- false: a settling one, before its due time
    found integer NOT NULL DEFAULT 0,      -- records, of the sweep under way or the last one
    done integer NOT NULL DEFAULT 0,
    files_found integer NOT NULL DEFAULT 0,
    files_done integer NOT NULL DEFAULT 0,
    started_at timestamptz,
    finished_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    reason text,
    message text,
    lease_owner text,
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, kind)
);

-- A return on its way to Procore, one row for ever.
CREATE TABLE mirror.deliveries (
    return_id text PRIMARY KEY,
    project_id text NOT NULL,
    kind text CHECK (kind IN ('rfi', 'submittal')),
    procore_id text,
    author_user_id text,
    author_name text,
    state text NOT NULL CHECK (state IN ('new', 'sending', 'waiting', 'held', 'delivered', 'failed')),
    reason text,
    message text,
    mended_by jsonb,
    receipt jsonb,
    remote_id text,                        -- of the reply or approver row it became in Procore
    due_at timestamptz,                    -- null once it is delivered or failed
    asked bigint NOT NULL DEFAULT 1,
    attempts integer NOT NULL DEFAULT 0,
    reported jsonb,                        -- the last report that Part3 acknowledged
    reported_asked bigint NOT NULL DEFAULT 0,  -- what `asked` was then
    returned_at timestamptz,               -- null until the return has been read
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    traceparent text,
    lease_owner text,
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0
);
CREATE INDEX deliveries_due ON mirror.deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_of_record ON mirror.deliveries (project_id, kind, procore_id);
CREATE INDEX deliveries_by_remote ON mirror.deliveries (project_id, remote_id);
CREATE INDEX deliveries_of_author ON mirror.deliveries (author_user_id);
-- No two returns of one record are worked on at once, whatever the workers believe.
CREATE UNIQUE INDEX deliveries_under_way ON mirror.deliveries (project_id, kind, procore_id)
    WHERE lease_owner IS NOT NULL;

-- Writes to Procore that are not idempotent: committed here before the first byte leaves.
CREATE TABLE mirror.write_intents (
    op_key text PRIMARY KEY,
    marker text NOT NULL UNIQUE,
    return_id text NOT NULL REFERENCES mirror.deliveries,
    operation text NOT NULL,               -- rfi_reply, submittal_response
    state text NOT NULL CHECK (state IN
        ('planned', 'sending', 'unknown', 'confirmed', 'needs_human', 'abandoned')),
    sends integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    not_before timestamptz,                -- no second send, and no verdict of absence, before this
    fence bigint NOT NULL DEFAULT 0,
    request_hash text,
    remote_id text,
    response jsonb,                        -- the submittal response chosen, for the read-back
    last_error text,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- The key of the markers: made once, never changed, and part of every backup, as a write whose
-- outcome is unknown is found again by it alone.
CREATE TABLE mirror.install (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    install_key bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

-- What each content version put into Part3 said to whoever answers it: a return names the version
-- its author saw, and is held only when the question, description, files or revision differ.
CREATE TABLE mirror.seen_versions (
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    procore_id text NOT NULL,
    content_version text NOT NULL,
    answerable jsonb NOT NULL,             -- part -> hash
    answered jsonb NOT NULL,               -- ids of the replies, or answered approver rows, then
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, kind, procore_id, content_version)
);

-- Who could return a record now, as Part3 was told. From what is known already, so that it costs
-- Procore no call.
CREATE TABLE mirror.readiness (
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    procore_id text NOT NULL,
    turns jsonb,                           -- whose turn it is, of the last state that was put
    pushed jsonb,                          -- what Part3 acknowledged last
    asked bigint NOT NULL DEFAULT 1,
    due_at timestamptz DEFAULT now(),      -- null: nothing to tell
    PRIMARY KEY (project_id, kind, procore_id)
);
CREATE INDEX readiness_due ON mirror.readiness (due_at) WHERE due_at IS NOT NULL;

-- Files uploaded under the author's own grant. An orphan is harmless: Procore purges it in a week.
CREATE TABLE mirror.uploads (
    return_id text NOT NULL REFERENCES mirror.deliveries,
    sha256 text NOT NULL,
    name text NOT NULL,
    upload_uuid text NOT NULL,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (return_id, sha256, name)
);

-- What happened, for people: the activity page reads this. Only ever appended to.
CREATE TABLE mirror.activity (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    project_id text NOT NULL,
    event text NOT NULL,                   -- record.mirrored, return.held, backfill.finished, ...
    kind text,
    procore_id text,
    return_id text,
    number text,
    title text,
    words text NOT NULL,                   -- one plain sentence
    reason text,
    person jsonb,                          -- who did it, or who can mend it
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX activity_newest ON mirror.activity (project_id, id DESC);

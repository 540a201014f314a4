-- What arrived in Procore, sealed when it was read back: its words, code and files under one hash.
-- Looks compare the record with it ever after; what is no longer as it arrived is written down and
-- shown, never written back.
SET lock_timeout = '5s';

CREATE TABLE mirror.sealed_answers (
    return_id text PRIMARY KEY REFERENCES mirror.deliveries,
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    procore_id text NOT NULL,
    remote_id text NOT NULL,               -- of the reply, or of the approver row
    author_user_id text NOT NULL,
    seal jsonb NOT NULL,                   -- with its hash; see sync_worker/outbound/seals.py
    sealed_at timestamptz NOT NULL DEFAULT now(),
    beside jsonb,                          -- ids of all its attachments when a look first saw it whole
    changes jsonb NOT NULL DEFAULT '[]',   -- sentences: what is not as it arrived; empty: it is
    changed_at timestamptz,                -- when a look first saw that
    changed_by text                        -- a name, as far as Procore's notice told
);
CREATE INDEX sealed_answers_of_record ON mirror.sealed_answers (project_id, kind, procore_id);

-- An approver of the team whose response was given in Procore and not through Part3.
CREATE TABLE mirror.answers_elsewhere (
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    procore_id text NOT NULL,
    remote_id text NOT NULL,
    words text NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, kind, procore_id, remote_id)
);

-- Whom the newest notice of a record names: the Procore user whose change it tells of.
ALTER TABLE mirror.looks ADD COLUMN changed_by text;

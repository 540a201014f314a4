-- A record that goes to and fro between states that had been put before rests for a while; and a
-- file that came empty again and again for a day is one that has no bytes in Procore.
SET lock_timeout = '5s';

ALTER TABLE mirror.records
    ADD COLUMN flips timestamptz[] NOT NULL DEFAULT '{}',  -- when a former state came back, lately
    ADD COLUMN parked_until timestamptz;   -- not put again before this, as it flipped too often

CREATE TABLE mirror.empty_files (
    project_id text NOT NULL,
    attachment_id text NOT NULL,
    tries integer NOT NULL DEFAULT 1,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, attachment_id)
);

-- How Procore's hook for a project was found when it was last compared; people see it.
ALTER TABLE mirror.projects
    ADD COLUMN hook_checked_at timestamptz,
    ADD COLUMN hook_state text,            -- ok, created, repaired, missed; unchecked: it failed
    ADD COLUMN hook_message text;          -- why it could not be compared

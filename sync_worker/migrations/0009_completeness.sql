-- Is everything there? What Procore listed in full, what came of comparing it with what is remembered
-- and with what Part3 holds, and what is gone but not marked as removed, as too much went at once.
SET lock_timeout = '5s';

-- Records found in Procore's recycle bin while the brake is on. `marked` ones were confirmed by a
-- person; they do not count towards the next burst.
CREATE TABLE mirror.removals (
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    procore_id text NOT NULL,
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'marked')),
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, kind, procore_id)
);
ALTER TABLE mirror.projects
    ADD COLUMN removals_confirmed jsonb;   -- who confirmed, when, and up to which time found

-- The last full listing of each kind, row by row as its pages came.
CREATE TABLE mirror.listed (
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    procore_id text NOT NULL,
    state text NOT NULL CHECK (state IN
        ('same', 'changed', 'draft', 'unreadable')), -- changed: not what had been put
    listed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, kind, procore_id)
);

CREATE TABLE mirror.comparisons (
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    listed_at timestamptz NOT NULL,        -- when the listing that it compares had ended
    due_at timestamptz,                    -- null: it is done until the next listing
    pass integer NOT NULL DEFAULT 0,       -- what was repaired is compared again
    compared_at timestamptz,               -- the figures below are of this time; null: none yet
    compared integer NOT NULL DEFAULT 0,
    equal integer NOT NULL DEFAULT 0,
    files integer NOT NULL DEFAULT 0,
    markers integer NOT NULL DEFAULT 0,    -- of our own writes of the last week
    markers_wrong integer NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, kind)
);
CREATE INDEX comparisons_due ON mirror.comparisons (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE mirror.differences (
    project_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rfi', 'submittal')),
    procore_id text NOT NULL,
    reason text NOT NULL,
    words text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    repaired_at timestamptz,               -- null: it stands
    PRIMARY KEY (project_id, kind, procore_id)
);

-- What the operators paused: one project, a company's or everything, each direction by itself. The
-- rows here are what was ordered; each project's own two columns say what comes of it, so that a
-- claim reads no second table. Paused work waits in its rows as it is. A worker of the release before
-- this does not know of pauses: upgrade all of them before the first.
SET lock_timeout = '5s';

CREATE TABLE mirror.pauses (
    scope text NOT NULL CHECK (scope IN ('project', 'company', 'everything')),
    scope_id text NOT NULL,                -- Part3's project, Procore's company; empty: everything
    direction text NOT NULL CHECK (direction IN ('part3', 'procore')),
    paused_by text NOT NULL,
    reason text NOT NULL,
    paused_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, scope_id, direction),
    CHECK ((scope = 'everything') = (scope_id = ''))
);

ALTER TABLE mirror.projects
    ADD COLUMN to_part3_paused jsonb,      -- by, reason, at; null: looks, sweeps and backfill go on
    ADD COLUMN to_procore_paused jsonb,    -- the same of deliveries
    ADD COLUMN to_part3_resumed_at timestamptz;  -- ages count from here, as nothing was late before

-- The oldest pause that covers a project, or null. Each of its statements sees what was committed
-- when it got its lock of mirror.pauses, so a project that is connected during a pause cannot miss it.
CREATE FUNCTION mirror.pause_of(of_project text, of_company text, towards text) RETURNS jsonb
LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_build_object('by', b.paused_by, 'reason', b.reason, 'at', b.paused_at)
    FROM mirror.pauses b
    WHERE b.direction = towards AND (b.scope, b.scope_id) IN
        (('project', of_project), ('company', of_company), ('everything', ''))
    ORDER BY b.paused_at LIMIT 1
$$;

-- A listing that settles is wanted only where a look may have read a stale state, so a look
-- remembers of what moments its notices speak, and a record up to which moment it is known to be
-- fresh. The worker before this leaves the new columns empty, and then everything counts as unknown.
SET lock_timeout = '5s';

ALTER TABLE mirror.looks
    ADD COLUMN first_moment timestamptz,   -- by Procore's clock: oldest change its notices speak of
    ADD COLUMN last_moment timestamptz,    -- and the newest
    ADD COLUMN gone boolean NOT NULL DEFAULT false;  -- one of them says that it was deleted

ALTER TABLE mirror.records
    ADD COLUMN fresh_until timestamptz;    -- a notice of a change up to here says nothing new

ALTER TABLE mirror.sweeps
    ADD COLUMN settle_by timestamptz;      -- what asks for a settling meanwhile puts it off no further

-- A reply's notice names no RFI. It waits here for a look that shows the reply; if none does, the
-- RFIs that changed are listed, once soon and once after reads have settled.
CREATE TABLE mirror.awaited_replies (
    project_id text NOT NULL,
    reply_id text NOT NULL,
    reason text NOT NULL,                  -- create, update, delete, ... as Procore says
    occurred_at timestamptz,               -- by Procore's clock
    list_at timestamptz NOT NULL,
    listings integer NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, reply_id)
);

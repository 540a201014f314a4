-- Each of the ways in which a sweep falls due has an index, so that finding one does not walk
-- through the sweeps of all connected projects: at 10,000 of them that was 20,000 rows, several
-- times a second.
SET lock_timeout = '5s';

CREATE INDEX sweeps_due ON mirror.sweeps (due_at);
CREATE INDEX sweeps_under_way ON mirror.sweeps (project_id, kind) WHERE next_page IS NOT NULL;
CREATE INDEX sweeps_settling ON mirror.sweeps (settle_at) WHERE settle_at IS NOT NULL;
CREATE INDEX sweeps_wanted ON mirror.sweeps (wanted_at) WHERE wanted_at IS NOT NULL;
CREATE INDEX sweeps_of_backfills ON mirror.sweeps (project_id, kind) WHERE backfilled_at IS NULL;

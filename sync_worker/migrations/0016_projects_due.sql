-- What falls due for each project now and then is found by an index: of 10,000 connected projects
-- some hundreds are taken a second, each of which walked through and sorted all that were due.
SET lock_timeout = '5s';

CREATE INDEX projects_hook_due ON mirror.projects (hook_due_at) WHERE state = 'active';
CREATE INDEX projects_returns_due ON mirror.projects (returns_due_at) WHERE state = 'active';
CREATE INDEX projects_readiness_due ON mirror.projects (readiness_due_at) WHERE state = 'active';
CREATE INDEX projects_checks_due ON mirror.projects (checks_due_at) WHERE state = 'active';

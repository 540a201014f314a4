-- A sweep that failed rests until `retry_at` whatever else makes it due; one that a reply asks for
-- is `wanted_at` and leaves the schedule of the full ones alone. Readers other than the owner are
-- minded by `reader_due_at`. Looks are claimed project by project, so that tens of thousands of one
-- project are not walked through to find one of another.
SET lock_timeout = '5s';

ALTER TABLE mirror.sweeps
    ADD COLUMN wanted_at timestamptz,      -- a reply's notice: list what changed since, then or later
    ADD COLUMN retry_at timestamptz,       -- after a failure: nothing before
    ADD COLUMN audited_at timestamptz;     -- when everything was last listed, not only what changed

ALTER TABLE mirror.projects
    ADD COLUMN reader_due_at timestamptz NOT NULL DEFAULT now();  -- when a lost owner is asked again

CREATE INDEX looks_of_project ON mirror.looks (project_id, kind, priority, due_at);
DROP INDEX mirror.looks_due;
CREATE INDEX looks_by_claim ON mirror.looks (claimed_by) WHERE claimed_by IS NOT NULL;
CREATE INDEX records_removed ON mirror.records (project_id, kind) WHERE removed_at IS NOT NULL;
CREATE INDEX records_without_files ON mirror.records (project_id, kind) WHERE files_pending > 0;

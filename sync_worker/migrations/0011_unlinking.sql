-- A project that was tied to the wrong one in Procore: what came from there is still to be marked as
-- removed in Part3, record by record.
SET lock_timeout = '5s';

ALTER TABLE mirror.projects ADD COLUMN unlinking boolean NOT NULL DEFAULT false;

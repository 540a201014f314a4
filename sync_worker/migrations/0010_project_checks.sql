-- What is checked for a whole project now and then, so that readiness can say it of every record
-- without a call a record: who may answer with which tool, and which dispositions have no response.
SET lock_timeout = '5s';

ALTER TABLE mirror.projects
    ADD COLUMN checked jsonb,
    ADD COLUMN checks_due_at timestamptz NOT NULL DEFAULT now();

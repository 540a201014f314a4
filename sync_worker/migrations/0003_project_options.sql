-- What a project's general contractor chose, as the workers last heard it from the token service.
SET lock_timeout = '5s';

ALTER TABLE mirror.projects ADD COLUMN options jsonb NOT NULL DEFAULT '{}';

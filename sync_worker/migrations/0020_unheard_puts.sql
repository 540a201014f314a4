-- When another state of a record than the one kept here was put into Part3 and nobody heard whether it
-- arrived: until it is heard, what is kept is not taken for what Part3 shows.
SET lock_timeout = '5s';

ALTER TABLE mirror.records ADD COLUMN unheard_put_at timestamptz;

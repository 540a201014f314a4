-- Who took how long of a record's or return's minutes. A row of work says since when it waits for
-- whom; a project, when it was last kept from being read, so that looks which waited through that are
-- not counted as our queue's. An earlier worker leaves the columns empty: all of it is then ours.
SET lock_timeout = '5s';

ALTER TABLE mirror.looks
    ADD COLUMN arrived_at timestamptz,     -- when the first notice that asked for it was in Kafka
    ADD COLUMN minutes jsonb;              -- see services/waits.py; null: nothing is charged yet

ALTER TABLE mirror.deliveries
    ADD COLUMN arrived_at timestamptz,
    ADD COLUMN minutes jsonb;

ALTER TABLE mirror.projects
    ADD COLUMN kept_back_because text,     -- an attention_reason that was mended, or `paused`
    ADD COLUMN kept_back_since timestamptz,
    ADD COLUMN kept_back_until timestamptz;

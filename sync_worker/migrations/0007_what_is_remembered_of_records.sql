-- What Procore does not say and people ask for: the rounds of an RFI, which records are revisions of
-- one another, and which RFI stands for one that Procore itself copies about. All of it fills up by
-- itself at the next looks; an earlier worker leaves it alone.
SET lock_timeout = '5s';

ALTER TABLE mirror.records
    ADD COLUMN chain text,                 -- shared by all revisions of a record
    ADD COLUMN rounds jsonb;               -- null: there is but the first
CREATE INDEX records_of_chain ON mirror.records (project_id, kind, chain) WHERE chain IS NOT NULL;

CREATE TABLE mirror.origins (
    project_id text NOT NULL,
    origin text NOT NULL,                  -- provider and number there, as connect_export_origin says
    procore_id text NOT NULL,              -- the one RFI that is mirrored
    PRIMARY KEY (project_id, origin)
);

-- A file that Procore tells no size of and that turned out to be larger than FILE_MAX_BYTES is left out
-- like one that is empty; whoever raises the limit has it copied at the record's next look.
SET lock_timeout = '5s';

ALTER TABLE mirror.empty_files
    ADD COLUMN larger_than bigint;         -- the limit in bytes that it was beyond; null: it came empty

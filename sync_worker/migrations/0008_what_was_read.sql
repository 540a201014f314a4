-- A held return shows what changed since its author read it, so the words of a version are kept
-- beside their hashes; a correction names the answer that it supersedes, the same at every attempt.
SET lock_timeout = '5s';

ALTER TABLE mirror.seen_versions ADD COLUMN said jsonb;   -- part -> words, or file ids -> names
ALTER TABLE mirror.write_intents ADD COLUMN supersedes text;

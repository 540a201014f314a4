-- What the Part3 stand-in keeps. Times are microseconds since 1970 (UTC): they sort, and no two
-- changes share one, so "changed after" and cursors need no tie-breaker.

CREATE TABLE IF NOT EXISTS projects (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  number TEXT,
  archived INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  password TEXT,             -- scrypt; NULL until the person has made an account
  created_at INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS companies (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('prime_consultant', 'consultant', 'general_contractor',
                                     'subcontractor', 'owner', 'viewer')),
  created_at INTEGER NOT NULL,
  UNIQUE (project_id, name)
);

CREATE TABLE IF NOT EXISTS members (
  project_id TEXT NOT NULL REFERENCES projects (id),
  user_id TEXT NOT NULL REFERENCES users (id),
  company_id TEXT NOT NULL REFERENCES companies (id),
  invited_at INTEGER,        -- when the last invitation was mailed
  joined_at INTEGER,         -- when the person first came in
  created_at INTEGER NOT NULL,
  PRIMARY KEY (project_id, user_id)
);

CREATE TABLE IF NOT EXISTS invitations (
  token_sha256 TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  user_id TEXT NOT NULL REFERENCES users (id),
  expires_at INTEGER NOT NULL,
  used_at INTEGER
);

CREATE TABLE IF NOT EXISTS sessions (
  token_sha256 TEXT PRIMARY KEY,
  user_id TEXT REFERENCES users (id),
  csrf TEXT NOT NULL,
  flash TEXT,
  expires_at INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS records (
  project_id TEXT NOT NULL REFERENCES projects (id),
  kind TEXT NOT NULL CHECK (kind IN ('rfi', 'submittal')),
  procore_id TEXT NOT NULL,
  id TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL UNIQUE,
  body BLOB NOT NULL,        -- the record as JSON in the contract's shape
  PRIMARY KEY (project_id, kind, procore_id)
);
CREATE INDEX IF NOT EXISTS records_by_change ON records (project_id, updated_at);

-- What was asked, each time its words, title or files changed; earlier ones are kept.
CREATE TABLE IF NOT EXISTS question_versions (
  project_id TEXT NOT NULL REFERENCES projects (id),
  kind TEXT NOT NULL,
  procore_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  since INTEGER NOT NULL,
  body BLOB NOT NULL,        -- title, text and files as JSON
  complete INTEGER NOT NULL, -- 0 while files of it are on their way
  PRIMARY KEY (project_id, kind, procore_id, number)
);

-- Which version of the question a content version had: a return names the latter.
CREATE TABLE IF NOT EXISTS versions_seen (
  project_id TEXT NOT NULL REFERENCES projects (id),
  kind TEXT NOT NULL,
  procore_id TEXT NOT NULL,
  content_version TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (project_id, kind, procore_id, content_version)
);

-- Private, or private until lately: what was written meanwhile is shown to all by somebody's word.
CREATE TABLE IF NOT EXISTS veils (
  project_id TEXT NOT NULL REFERENCES projects (id),
  kind TEXT NOT NULL,
  procore_id TEXT NOT NULL,
  lifted_by TEXT,            -- NULL: hidden from all but the participants
  PRIMARY KEY (project_id, kind, procore_id)
);

CREATE TABLE IF NOT EXISTS readiness (
  project_id TEXT NOT NULL REFERENCES projects (id),
  kind TEXT NOT NULL,
  procore_id TEXT NOT NULL,
  as_of INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (project_id, kind, procore_id)
);

CREATE TABLE IF NOT EXISTS files (
  project_id TEXT NOT NULL REFERENCES projects (id),
  sha256 TEXT NOT NULL,
  name TEXT NOT NULL,
  size INTEGER NOT NULL,     -- bytes
  created_at INTEGER NOT NULL,
  PRIMARY KEY (project_id, sha256)
);

CREATE TABLE IF NOT EXISTS returns (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  kind TEXT NOT NULL,
  procore_id TEXT NOT NULL,
  author_id TEXT NOT NULL REFERENCES users (id),
  returned_at INTEGER NOT NULL UNIQUE,
  updated_at INTEGER NOT NULL,
  body BLOB NOT NULL,        -- what the author finished; never changes
  state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'held', 'failed', 'withdrawn')),
  confirmed_despite TEXT NOT NULL DEFAULT '[]',
  withdrawn_at INTEGER,
  delivery BLOB,             -- the last report
  delivery_as_of INTEGER
);
CREATE INDEX IF NOT EXISTS returns_by_time ON returns (project_id, returned_at);
CREATE INDEX IF NOT EXISTS returns_by_record ON returns (project_id, kind, procore_id);

-- For the design team's eyes: a table of its own, which nothing that answers the API reads.
CREATE TABLE IF NOT EXISTS team_notes (
  id INTEGER PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  kind TEXT NOT NULL,
  procore_id TEXT NOT NULL,
  author_id TEXT NOT NULL REFERENCES users (id),
  text TEXT NOT NULL,
  created_at INTEGER NOT NULL
);

-- Notes that were taken along to a later revision: the same words, shown on both.
CREATE TABLE IF NOT EXISTS carried_notes (
  project_id TEXT NOT NULL REFERENCES projects (id),
  kind TEXT NOT NULL,
  procore_id TEXT NOT NULL,  -- the later revision
  note_id INTEGER NOT NULL REFERENCES team_notes (id),
  carried_by TEXT NOT NULL REFERENCES users (id),
  carried_at INTEGER NOT NULL,
  PRIMARY KEY (project_id, kind, procore_id, note_id)
);

-- Outbox of change events: written with the change, sent afterwards, kept until taken.
CREATE TABLE IF NOT EXISTS events (
  id TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL UNIQUE,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_attempt_at INTEGER,   -- NULL: taken, dropped or given up
  outcome TEXT NOT NULL DEFAULT 'waiting'
    CHECK (outcome IN ('waiting', 'taken', 'dropped', 'given_up')),
  last_answer TEXT
);
CREATE INDEX IF NOT EXISTS events_due ON events (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS ledger (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  entry TEXT NOT NULL CHECK (entry IN ('call', 'effect', 'event')),
  what TEXT NOT NULL,
  project_id TEXT,
  detail TEXT NOT NULL
);

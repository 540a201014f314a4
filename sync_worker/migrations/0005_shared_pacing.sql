-- What the workers know together of a grant's windows at Procore, so that two of them neither spend
-- the same calls nor call while one was told to wait. Unlogged: it is right for seconds only, and
-- writes to it wait for no disk. After a crash it is empty, and the next answer fills it.
SET lock_timeout = '5s';

CREATE UNLOGGED TABLE mirror.pacing (
    user_id text PRIMARY KEY,              -- Part3's, of the grant
    under_way integer NOT NULL DEFAULT 0,  -- calls begun and not answered
    last_begun_at timestamptz NOT NULL,
    closed_until timestamptz,              -- after a 429: nobody calls before
    spike_left double precision,           -- calls left in the short window, those under way subtracted
    spike_limit double precision,
    spike_reset_at timestamptz,
    long_left double precision,            -- and in the long one: headers name one of them at a time
    long_limit double precision,
    long_reset_at timestamptz
);

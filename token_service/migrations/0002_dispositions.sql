-- Which response of a Procore project stands for a disposition, where a project's two parties have
-- to say so. A row is one proposal about one response as it was then; it gains confirmations and
-- an end, and is never changed otherwise, so what people agreed to stays readable.
SET lock_timeout = '5s';

CREATE TABLE authority.dispositions (
    proposal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id text NOT NULL,               -- Part3's
    -- ids of responses mean nothing in another project, also after a new connection
    procore_project_id text NOT NULL,
    disposition text NOT NULL CHECK (disposition IN ('proceed', 'proceed_as_noted',
        'proceed_as_noted_record_copy', 'revise_resubmit', 'rejected', 'record_only',
        'not_reviewed')),
    response_id text NOT NULL,
    response_name text NOT NULL,
    response_considered text NOT NULL,      -- Procore's class, at the proposal
    looser boolean NOT NULL,                -- may let work go on that the disposition does not
    state text NOT NULL CHECK (state IN ('proposed', 'in_force', 'replaced', 'withdrawn')),
    proposed_by text NOT NULL,
    proposed_by_name text NOT NULL,
    proposed_at timestamptz NOT NULL DEFAULT now(),
    contractor_user_id text,
    contractor_name text,
    contractor_at timestamptz,
    contractor_despite_looser boolean NOT NULL DEFAULT false,
    prime_user_id text,
    prime_name text,
    prime_at timestamptz,
    prime_despite_looser boolean NOT NULL DEFAULT false,
    ended_at timestamptz,
    CHECK ((contractor_user_id IS NULL) = (contractor_at IS NULL)),
    CHECK ((prime_user_id IS NULL) = (prime_at IS NULL)),
    -- nobody speaks for both parties
    CHECK (contractor_user_id <> prime_user_id),
    CHECK (state <> 'in_force' OR (contractor_at IS NOT NULL AND prime_at IS NOT NULL)),
    -- a stricter code never becomes a looser one unless both said so, warned
    CHECK (state <> 'in_force' OR NOT looser
        OR (contractor_despite_looser AND prime_despite_looser)),
    CHECK ((ended_at IS NULL) = (state IN ('proposed', 'in_force')))
);
CREATE UNIQUE INDEX dispositions_in_force
    ON authority.dispositions (project_id, procore_project_id, disposition)
    WHERE state = 'in_force';
CREATE UNIQUE INDEX dispositions_proposed
    ON authority.dispositions (project_id, procore_project_id, disposition)
    WHERE state = 'proposed';

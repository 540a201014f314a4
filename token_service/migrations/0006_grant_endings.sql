-- Authorizations that their owner had ended together with the last project that used them. Procore
-- is told once the project's hook is gone, as deleting it needs the authorization.
CREATE TABLE authority.grant_endings (
    user_id text PRIMARY KEY,
    project_id text NOT NULL,
    ordered_at timestamptz NOT NULL DEFAULT now(),  -- one given later is another one, and stays
    due_at timestamptz NOT NULL DEFAULT now()
);

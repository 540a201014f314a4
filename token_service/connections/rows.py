"""The statements on connections and on hooks that are still to be deleted."""

CONNECTION_COLUMNS = """
project_id, project_name, procore_company_id, procore_company_name, procore_project_id,
procore_project_name, owner_user_id, owner_name, state, generation, once, hook_id, hook_state,
activated_at, created_at, updated_at, changed_seq, options, removals_confirmed, unlinked_at
"""
# what anybody but the one who creates it may see
KNOWN = "state <> 'creating' AND activated_at IS NOT NULL"

READ_ANY = f"SELECT {CONNECTION_COLUMNS} FROM authority.connections WHERE project_id = $1"  # noqa: S608 - constants
READ_KNOWN = f"{READ_ANY} AND {KNOWN}"
LIST_OWNED = f"""
SELECT {CONNECTION_COLUMNS} FROM authority.connections
WHERE owner_user_id = $1 AND state IN ('active', 'paused') ORDER BY project_name, project_id
"""  # noqa: S608 - constants
LIST_CHANGED = f"""
SELECT {CONNECTION_COLUMNS} FROM authority.connections
WHERE {KNOWN} AND changed_seq > $1 AND ($2::timestamptz IS NULL OR updated_at > $2)
ORDER BY changed_seq LIMIT $3
"""  # noqa: S608 - constants
# A claim keeps the project, and the Procore project, to one creator while the hook is made. A claim
# whose creator died is taken over. The same form again finds no row to take: it has been used.
CLAIM = """
INSERT INTO authority.connections AS c (project_id, project_name, procore_company_id,
  procore_company_name, procore_project_id, procore_project_name, owner_user_id, owner_name, once,
  state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'creating')
ON CONFLICT (project_id) DO UPDATE SET project_name = excluded.project_name,
  procore_company_id = excluded.procore_company_id,
  procore_company_name = excluded.procore_company_name,
  procore_project_id = excluded.procore_project_id,
  procore_project_name = excluded.procore_project_name,
  owner_user_id = excluded.owner_user_id, owner_name = excluded.owner_name, once = excluded.once,
  state = 'creating', generation = c.generation + 1, hook_id = NULL, hook_state = 'unknown',
  hook_message = NULL, hook_key_id = NULL, hook_checked_at = NULL, created_at = now(),
  disconnected_at = NULL, unlinked_at = NULL
WHERE (c.state = 'disconnected' AND c.once <> excluded.once)
  OR (c.state = 'creating' AND c.created_at < now() - make_interval(secs => $10))
RETURNING generation
"""
ACTIVATE = """
UPDATE authority.connections SET state = 'active', activated_at = now(), hook_id = $4,
  hook_state = 'ok', hook_key_id = $5, hook_checked_at = now()
WHERE project_id = $1 AND generation = $2 AND state = 'creating' AND once = $3
RETURNING project_id
"""
# the form may be sent again: nothing came of it
UNDO = """
UPDATE authority.connections SET state = 'disconnected', once = once || '/undone'
WHERE project_id = $1 AND generation = $2 AND state = 'creating'
"""
END = f"""
UPDATE authority.connections SET state = 'disconnected', disconnected_at = now()
WHERE project_id = $1 AND state IN ('active', 'paused') RETURNING {CONNECTION_COLUMNS}
"""  # noqa: S608 - constants
# also where somebody disconnected it first, and then saw that it was the wrong one
UNLINK = """
UPDATE authority.connections SET unlinked_at = now()
WHERE project_id = $1 AND state = 'disconnected' AND unlinked_at IS NULL
  AND activated_at IS NOT NULL RETURNING project_id
"""
TAKE_OVER = f"""
UPDATE authority.connections SET owner_user_id = $2, owner_name = $3
WHERE project_id = $1 AND state IN ('active', 'paused') AND procore_project_id = $4
RETURNING {CONNECTION_COLUMNS}
"""  # noqa: S608 - constants
SET_OPTIONS = f"""
UPDATE authority.connections SET options = options || $2
WHERE project_id = $1 AND state IN ('active', 'paused') RETURNING {CONNECTION_COLUMNS}
"""  # noqa: S608 - constants
CONFIRM_REMOVALS = f"""
UPDATE authority.connections SET removals_confirmed = jsonb_build_object(
  'until', $2::timestamptz, 'at', now(), 'user_id', $3::text, 'name', $4::text)
WHERE project_id = $1 AND state IN ('active', 'paused') RETURNING {CONNECTION_COLUMNS}
"""  # noqa: S608 - constants
LIST_STALE_CLAIMS = f"""
SELECT {CONNECTION_COLUMNS} FROM authority.connections
WHERE state = 'creating' AND created_at < now() - make_interval(secs => $1) LIMIT 50
"""  # noqa: S608 - constants
CHANGED_SINCE = """
SELECT EXISTS (SELECT FROM mirror.records WHERE project_id = $1 AND procore_updated_at > $2)
"""
NOTE_HOOK = """
UPDATE authority.connections SET hook_id = coalesce($3, hook_id), hook_state = $4,
  hook_message = $5, hook_key_id = coalesce($6, hook_key_id), hook_checked_at = now()
WHERE project_id = $1 AND generation = $2 AND state IN ('active', 'paused') RETURNING project_id
"""
ORDER_REMOVAL = """
INSERT INTO authority.hook_removals (project_id, generation, procore_company_id,
  procore_project_id, user_ids) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (project_id, generation) DO NOTHING
"""
# taken for a minute, so that two replicas do not ask Procore the same at once
TAKE_REMOVALS = """
UPDATE authority.hook_removals SET due_at = now() + interval '1 minute', attempts = attempts + 1
WHERE (project_id, generation) IN (
  SELECT project_id, generation FROM authority.hook_removals
  WHERE due_at <= now() AND ($1::text IS NULL OR project_id = $1)
  ORDER BY due_at LIMIT 20 FOR UPDATE SKIP LOCKED)
RETURNING project_id, generation, procore_company_id, procore_project_id, user_ids, attempts
"""
DELAY_REMOVAL = """
UPDATE authority.hook_removals SET due_at = now() + make_interval(secs => $3)
WHERE project_id = $1 AND generation = $2
"""
FORGET_REMOVAL = "DELETE FROM authority.hook_removals WHERE project_id = $1 AND generation = $2"

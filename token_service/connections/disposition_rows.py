"""The statements on dispositions, and what their rows say."""

from schemas.dispositions import Confirmation, Party, Proposal, SeenResponse
from services.postgres import Row
from token_service.public.ports import Decision

COLUMNS = """
proposal_id, disposition, response_id, response_name, response_considered, state, proposed_by_name,
proposed_at, contractor_user_id, contractor_name, contractor_at, contractor_despite_looser,
prime_user_id, prime_name, prime_at, prime_despite_looser
"""
# a decision about a project that is being disconnected would be about nothing
HOLD_CONNECTION = """
SELECT procore_project_id FROM authority.connections
WHERE project_id = $1 AND procore_project_id = $2 AND state IN ('active', 'paused')
FOR NO KEY UPDATE
"""
# What is agreed on is another one now: the workers hear of it as of a change of the connection.
AGREED = """
UPDATE authority.connections SET agreed_at = clock_timestamp()
WHERE project_id = $1 AND procore_project_id = $2
"""
READ_LIVE = f"""
SELECT {COLUMNS} FROM authority.dispositions
WHERE project_id = $1 AND procore_project_id = $2 AND state IN ('proposed', 'in_force')
ORDER BY proposal_id
"""  # noqa: S608 - constants
READ_MAP = """
SELECT procore_project_id FROM authority.connections
WHERE project_id = $1 AND state IN ('active', 'paused')
"""
READ_ONE = f"""
SELECT {COLUMNS} FROM authority.dispositions
WHERE project_id = $1 AND procore_project_id = $2 AND proposal_id = $3
  AND state IN ('proposed', 'in_force')
"""  # noqa: S608 - constants
DROP_PROPOSED = """
UPDATE authority.dispositions SET state = 'withdrawn', ended_at = now()
WHERE project_id = $1 AND procore_project_id = $2 AND disposition = $3 AND state = 'proposed'
"""
PROPOSE = f"""
INSERT INTO authority.dispositions (project_id, procore_project_id, disposition, response_id,
  response_name, response_considered, looser, state, proposed_by, proposed_by_name)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'proposed', $8, $9) RETURNING {COLUMNS}
"""  # noqa: S608 - constants
CONFIRM_AS: dict[Party, str] = {
    "general_contractor": f"""
UPDATE authority.dispositions SET contractor_user_id = $2, contractor_name = $3,
  contractor_at = now(), contractor_despite_looser = $4
WHERE proposal_id = $1 AND state = 'proposed' RETURNING {COLUMNS}
""",  # noqa: S608 - constants
    "prime_consultant": f"""
UPDATE authority.dispositions SET prime_user_id = $2, prime_name = $3, prime_at = now(),
  prime_despite_looser = $4
WHERE proposal_id = $1 AND state = 'proposed' RETURNING {COLUMNS}
""",  # noqa: S608 - constants
}
REPLACE = """
UPDATE authority.dispositions SET state = 'replaced', ended_at = now()
WHERE project_id = $1 AND procore_project_id = $2 AND disposition = $3 AND state = 'in_force'
"""
BRING_INTO_FORCE = """
UPDATE authority.dispositions SET state = 'in_force' WHERE proposal_id = $1 AND state = 'proposed'
"""
WITHDRAW = f"""
UPDATE authority.dispositions SET state = 'withdrawn', ended_at = now()
WHERE project_id = $1 AND procore_project_id = $2 AND proposal_id = $3
  AND state IN ('proposed', 'in_force') RETURNING {COLUMNS}
"""  # noqa: S608 - constants
READ_LOG = """
SELECT at, event, detail FROM authority.audit
WHERE project_id = $1 AND event LIKE 'disposition.%' AND detail->>'procore_project_id' = $2
ORDER BY id DESC LIMIT $3
"""


def proposal_of(row: Row) -> Proposal:
    """Return a proposal with what was confirmed."""
    return Proposal(
        id=str(row["proposal_id"]),
        disposition=row["disposition"],
        response=SeenResponse(
            id=row["response_id"], name=row["response_name"], considered=row["response_considered"]
        ),
        proposed_by=row["proposed_by_name"],
        proposed_at=row["proposed_at"],
        general_contractor=_confirmation_of(row, "contractor"),
        prime_consultant=_confirmation_of(row, "prime"),
    )


def _confirmation_of(row: Row, party: str) -> Confirmation | None:
    if row[f"{party}_at"] is None:
        return None
    return Confirmation(
        user_id=row[f"{party}_user_id"],
        name=row[f"{party}_name"],
        at=row[f"{party}_at"],
        despite_looser=row[f"{party}_despite_looser"],
    )


def decision_of(row: Row) -> Decision:
    """Return a line of the log."""
    detail = row["detail"]
    return Decision(
        at=row["at"],
        what=row["event"].removeprefix("disposition."),
        name=detail["name"],
        party=detail["party"],
        disposition=detail["disposition"],
        response_name=detail["response_name"],
        in_force=detail["in_force"],
    )

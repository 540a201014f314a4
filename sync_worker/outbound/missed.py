"""Asking Part3, now and then, for returns whose event never came."""

from typing import Protocol

import structlog

from schemas.returns import Return
from services.errors import ConnectorError
from services.postgres import Postgres
from sync_worker.outbound.delivery_store import ask_delivery

log = structlog.get_logger()

TAKE_DUE = """
UPDATE mirror.projects SET returns_due_at = now() + make_interval(secs => $1)
WHERE project_id = (
    SELECT project_id FROM mirror.projects
    WHERE state = 'active' AND returns_due_at <= now()
    ORDER BY returns_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING project_id
"""
UNDER_WAY = """
SELECT return_id FROM mirror.deliveries
WHERE project_id = $1 AND state IN ('new', 'sending', 'waiting')
"""


class PendingReturns(Protocol):
    """The returns that Part3 waits with."""

    async def pending_returns(self, project_id: str) -> tuple[Return, ...]:
        """List what is pending, oldest first."""


async def ask_for_missed_returns(
    postgres: Postgres, part3: PendingReturns, *, every_s: float
) -> int:
    """Take up pending returns of every project that is due; return how many were taken up.

    A held return that Part3 lists as pending has been confirmed since, so it is asked for again.
    What is under way here already is left alone. A project whose question fails waits its turn.
    """
    taken_up = 0
    while (project_id := await postgres.fetchval(TAKE_DUE, every_s)) is not None:
        try:
            taken_up += await _ask_project(postgres, part3, project_id)
        except ConnectorError as error:
            log.info("returns.not_listed", project_id=project_id, why=str(error))
    return taken_up


async def _ask_project(postgres: Postgres, part3: PendingReturns, project_id: str) -> int:
    pending = await part3.pending_returns(project_id)
    under_way = {row["return_id"] for row in await postgres.fetch(UNDER_WAY, project_id)}
    missed = [answer for answer in pending if answer.id not in under_way]
    for answer in missed:
        await ask_delivery(
            postgres,
            project_id=project_id,
            return_id=answer.id,
            kind=answer.kind,
            procore_id=answer.procore_id,
            author_user_id=answer.author.user_id,
        )
    return len(missed)

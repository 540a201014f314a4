"""Ends a person's authorization with the last project that used it, if they said so.

Nothing is ended that another project still uses: that is asked when the page shows the choice, and
again just before Procore is told.
"""

from collections.abc import Sequence
from typing import Protocol

import structlog

from services.errors import TryLater
from services.postgres import Postgres, Queries, Row
from token_service.public.ports import GrantView

ORDER_ENDING = """
INSERT INTO authority.grant_endings (user_id, project_id) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET project_id = excluded.project_id, ordered_at = now(),
  due_at = now()
"""
# Deleting the hook needs the grant: that comes first. Taken for a minute, by one replica.
TAKE_ENDINGS = """
UPDATE authority.grant_endings SET due_at = now() + interval '1 minute'
WHERE user_id IN (
  SELECT e.user_id FROM authority.grant_endings e
  WHERE e.due_at <= now() AND ($1::text IS NULL OR e.user_id = $1)
    AND NOT EXISTS (SELECT 1 FROM authority.hook_removals h WHERE e.user_id = ANY(h.user_ids))
  LIMIT 20 FOR UPDATE OF e SKIP LOCKED)
RETURNING user_id, project_id, ordered_at
"""
FORGET_ENDING = """
DELETE FROM authority.grant_endings WHERE user_id = $1 AND ordered_at = $2
"""
LIST_OTHERS = """
SELECT project_id, project_name, owner_user_id FROM authority.connections
WHERE project_id <> $1 AND state IN ('creating', 'active', 'paused')
ORDER BY project_name, project_id
"""
# As the workers know it: who reads in the owner's place, who has returned, who may return.
USED = """
SELECT EXISTS (SELECT 1 FROM mirror.projects p WHERE p.project_id = $1 AND (
    p.reader_user_id = $2 OR p.team_known::jsonb
      @> jsonb_build_array(jsonb_build_object('member', jsonb_build_object('user_id', $2::text)))))
  OR EXISTS (SELECT 1 FROM mirror.deliveries d WHERE d.project_id = $1 AND d.author_user_id = $2)
"""

log = structlog.get_logger()


class OwnGrants(Protocol):
    """People's grants, as far as this ends them."""

    async def view(self, user_id: str) -> GrantView | None:
        """Return a person's grant, or None."""

    async def revoke(self, user_id: str) -> None:
        """Tell Procore and forget; once more is harmless. Raises TryLater."""


class Endings:
    """Which projects use an authorization, and the end of one that none uses."""

    def __init__(self, database: Postgres, grants: OwnGrants) -> None:
        self._database = database
        self._grants = grants

    async def uses_of(self, user_id: str, *, but_not: str) -> Sequence[str]:
        """Name the connected projects, but for one, that use a person's authorization.

        They own the connection, read in its owner's place, have returned something there, or are
        on its team with a role that returns. Raises TryLater.
        """
        others = await self._database.fetch(LIST_OTHERS, but_not)
        return [row["project_name"] for row in others if await self._uses(row, user_id)]

    async def _uses(self, connection: Row, user_id: str) -> bool:
        if connection["owner_user_id"] == user_id:
            return True
        project_id = connection["project_id"]
        async with self._database.of_project(project_id) as database:
            return bool(await database.fetchval(USED, project_id, user_id))

    async def carry_out(self, user_id: str | None = None) -> None:
        """End what is due to end, of one person or of all; what fails is due again soon."""
        for row in await self._database.fetch(TAKE_ENDINGS, user_id):
            try:
                await self._end(row["user_id"], row)
            except TryLater as error:
                log.warning("grant.not_ended_yet", user_id=row["user_id"], reason=error.reason)
                continue
            await self._database.execute(FORGET_ENDING, row["user_id"], row["ordered_at"])

    async def _end(self, user_id: str, ordered: Row) -> None:
        grant = await self._grants.view(user_id)
        if grant is None or grant.authorized_at > ordered["ordered_at"]:
            return
        if await self.uses_of(user_id, but_not=ordered["project_id"]):
            log.info("grant.used_again", user_id=user_id)
            return
        await self._grants.revoke(user_id)


async def order_ending(database: Queries, user_id: str, project_id: str) -> None:
    """Write down that an authorization ends with a project, in that project's transaction."""
    await database.execute(ORDER_ENDING, user_id, project_id)

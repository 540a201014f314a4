"""Undoes a wrongly chosen project: what came from it is marked as removed in Part3, and kept.

The project is disconnected by then, so Procore is asked nothing. A project of which nothing had
come over yet is forgotten, its activity included: as if it had never been tied.
"""

from dataclasses import dataclass

import structlog

from services.postgres import Postgres
from sync_worker.inbound.mirror import Mirror
from sync_worker.keeping import renewed
from sync_worker.leases import RENEW_EVERY_S, Key, Leases

log = structlog.get_logger()

AT_ONCE = 20
LABEL = "Unlinked: it came from the wrong Procore project"
WHY = "It came from a Procore project that was unlinked."

# Taken by one worker at a time: the row is put off while its turn lasts.
TAKE = """
UPDATE mirror.projects SET returns_due_at = now() + interval '60 seconds'
WHERE project_id = (SELECT project_id FROM mirror.projects
  WHERE unlinking AND state = 'disconnected' AND returns_due_at <= now()
  LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING project_id
"""
LEFT = """
SELECT kind, procore_id FROM mirror.records
WHERE project_id = $1 AND record IS NOT NULL AND removed_at IS NULL
ORDER BY kind, procore_id LIMIT $2
"""
GO_ON = "UPDATE mirror.projects SET returns_due_at = now() WHERE project_id = $1"
# A look that was under way when the project was disconnected may still put its record.
END = """
UPDATE mirror.projects SET unlinking = false WHERE project_id = $1
  AND NOT EXISTS (SELECT 1 FROM mirror.records WHERE project_id = $1
    AND (lease_until > now() AND lease_owner IS NOT NULL
      OR record IS NOT NULL AND removed_at IS NULL))
RETURNING 1
"""
FORGET = """
DELETE FROM mirror.activity WHERE project_id = $1
  AND NOT EXISTS (SELECT 1 FROM mirror.records WHERE project_id = $1 AND record IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM mirror.deliveries WHERE project_id = $1)
"""
FORGET_LOOKS = "DELETE FROM mirror.looks WHERE project_id = $1 AND claimed_by IS NULL"


@dataclass(frozen=True, slots=True)
class Unlinking:
    """Marks the records of unlinked projects, some at a time."""

    postgres: Postgres
    leases: Leases
    mirror: Mirror

    async def go_on(self) -> bool:
        """Mark some records of one project; return whether there was one to see to.

        Raises:
            TryLater: Part3 or Postgres is away; what is left is taken up again.
        """
        project_id = await self.postgres.fetchval(TAKE)
        if project_id is None:
            return False
        await self.postgres.execute(FORGET_LOOKS, project_id)
        rows = await self.postgres.fetch(LEFT, project_id, AT_ONCE)
        try:
            for row in rows:
                await self._bury(Key(project_id, row["kind"], row["procore_id"]))
            if not rows and await self.postgres.fetchval(END, project_id):
                await self.postgres.execute(FORGET, project_id)
                log.info("project.unlinked", project_id=project_id)
        finally:
            await self.postgres.execute(GO_ON, project_id)
        return bool(rows)

    async def _bury(self, key: Key) -> None:
        """Mark one record; one that a look is still at comes at the next turn."""
        fences = await self.leases.take_free(key.project_id, key.kind, [key.procore_id])
        if key.procore_id not in fences:
            return
        fence = fences[key.procore_id]

        async def renew() -> None:
            await self.leases.renew(key.project_id, key.kind, fences)

        try:
            async with renewed(renew, every_s=RENEW_EVERY_S):
                before = await self.mirror.records.read(key)
                await self.mirror.bury(key, fence, LABEL)
                await self.mirror.records.looked(key, fence, before.procore_updated_at, WHY)
        finally:
            await self.leases.give_back(key, fence)

"""`mirror.looks`: which records are to be looked at, by whom, and when again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.records import Kind
from services.errors import TryLater
from services.postgres import Postgres
from sync_worker.backoff import backoff_s

LEASE_S = 180.0
MOST_SUBMITTALS = 25
"""One list call reads so many; beyond, its address would grow too long for some proxies."""

FREE_OWN = """
UPDATE mirror.looks SET claimed_by = NULL, due_at = now() WHERE claimed_by = $1
"""
# The most urgent due record, from projects that have room; several submittals of its project with
# it, as one list call reads them all. Whatever is claimed falls due again if this worker dies.
CLAIM = """
WITH first AS (
  SELECT l.project_id, l.kind FROM mirror.looks l JOIN mirror.projects p USING (project_id)
  WHERE l.due_at <= now() AND p.state = 'active' AND p.attention_reason IS NULL
    AND NOT l.project_id = ANY($2)
  ORDER BY l.priority, l.due_at LIMIT 1
), batch AS (
  SELECT l.project_id, l.kind, l.procore_id
  FROM mirror.looks l JOIN first USING (project_id, kind)
  WHERE l.due_at <= now()
  ORDER BY l.priority, l.due_at
  LIMIT (SELECT CASE kind WHEN 'submittal' THEN $4::int ELSE 1 END FROM first)
  FOR UPDATE OF l SKIP LOCKED
)
UPDATE mirror.looks l SET claimed_by = $1, due_at = now() + make_interval(secs => $3)
FROM batch WHERE (l.project_id, l.kind, l.procore_id)
  = (batch.project_id, batch.kind, batch.procore_id)
RETURNING l.project_id, l.kind, l.procore_id, l.asked, l.attempts, l.priority, l.notice_id,
  l.first_asked_at, l.traceparent
"""
DONE = """
DELETE FROM mirror.looks
WHERE (project_id, kind, procore_id, asked, claimed_by) = ($1, $2, $3, $4, $5)
RETURNING 1
"""
ASKED_MEANWHILE = """
UPDATE mirror.looks SET claimed_by = NULL, attempts = 0, reason = NULL, message = NULL,
  due_at = LEAST(due_at, now() + make_interval(secs => 1))
WHERE (project_id, kind, procore_id, claimed_by) = ($1, $2, $3, $4)
"""
TRY_AGAIN = """
UPDATE mirror.looks SET claimed_by = NULL, due_at = GREATEST(now() + make_interval(secs => $5), $6),
  attempts = attempts + $7, reason = $8, message = $9
WHERE (project_id, kind, procore_id, claimed_by) = ($1, $2, $3, $4)
"""
WANT = """
INSERT INTO mirror.looks AS l (project_id, kind, procore_id, due_at, priority)
VALUES ($1, $2, $3, now(), $4)
ON CONFLICT (project_id, kind, procore_id) DO UPDATE SET
  priority = LEAST(l.priority, EXCLUDED.priority), asked = l.asked + 1, last_asked_at = now()
"""
COUNT_DONE = """
UPDATE mirror.sweeps s SET done = GREATEST(0, s.found - (
  SELECT count(*) FROM mirror.looks l
  WHERE (l.project_id, l.kind, l.priority) = (s.project_id, s.kind, 3)))
WHERE (s.project_id, s.kind) = ($1, $2) AND s.backfilled_at IS NULL
"""
COUNT_FILES = """
UPDATE mirror.sweeps SET files_found = files_found + $3, files_done = files_done + $4
WHERE (project_id, kind) = ($1, $2) AND backfilled_at IS NULL
"""
NEXT_DUE = "SELECT extract(epoch FROM min(due_at) - now())::float8 FROM mirror.looks"

NO_FAULT = ("stale", "busy")
"""Reasons that say nothing bad of the record: tried again soon, and not counted."""

SOON_S = 1.5


@dataclass(frozen=True, slots=True)
class Look:
    """One record to look at, claimed by this worker."""

    project_id: str
    kind: Kind
    procore_id: str
    asked: int
    attempts: int
    priority: int
    notice_id: str | None
    first_asked_at: datetime
    traceparent: str | None


class Looks:
    """The looks of all projects, in Postgres."""

    def __init__(self, postgres: Postgres, worker_id: str, *, retry_max_s: float) -> None:
        self._postgres = postgres
        self._worker_id = worker_id
        self._retry_max_s = retry_max_s

    async def free_own(self) -> None:
        """Make due again what an earlier life of this worker had claimed."""
        await self._postgres.execute(FREE_OWN, self._worker_id)

    async def claim(self, full_projects: list[str]) -> list[Look]:
        """Claim one due RFI, or several submittals of one project; empty when nothing is due."""
        rows = await self._postgres.fetch(
            CLAIM, self._worker_id, full_projects, LEASE_S, MOST_SUBMITTALS
        )
        return [Look(**dict(row)) for row in rows]

    async def done(self, look: Look) -> None:
        """Forget a look, unless it was asked for again while it was under way."""
        key = (look.project_id, look.kind, look.procore_id)
        if not await self._postgres.fetchval(DONE, *key, look.asked, self._worker_id):
            await self._postgres.execute(ASKED_MEANWHILE, *key, self._worker_id)
        await self._postgres.execute(COUNT_DONE, look.project_id, look.kind)

    async def try_again(self, look: Look, error: TryLater) -> None:
        """Give a look back with a due time."""
        counted = error.reason not in NO_FAULT
        wait_s = backoff_s(look.attempts, self._retry_max_s) if counted else SOON_S
        await self._postgres.execute(
            TRY_AGAIN,
            look.project_id,
            look.kind,
            look.procore_id,
            self._worker_id,
            wait_s,
            error.not_before,
            int(counted),
            error.reason,
            str(error),
        )

    async def want(
        self, project_id: str, kind: Kind, procore_ids: list[str], priority: int
    ) -> None:
        """Have records looked at, as soon as their turn comes."""
        rows: list[tuple[Any, ...]] = [(project_id, kind, one, priority) for one in procore_ids]
        await self._postgres.executemany(WANT, rows)

    async def count_files(self, project_id: str, kind: Kind, found: int, done: int) -> None:
        """Count files of a backfill under way."""
        await self._postgres.execute(COUNT_FILES, project_id, kind, found, done)

    async def seconds_to_next(self) -> float | None:
        """Return how long until the next look is due, or None when there is none."""
        seconds: float | None = await self._postgres.fetchval(NEXT_DUE)
        return seconds

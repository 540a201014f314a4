"""`mirror.looks`: which records are to be looked at, by whom, and when again."""

from collections.abc import Sequence
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

BACKFILL = 3
"""The priority of a backfill's looks; 1 is a notice, 2 a sweep."""

FREE_OWN = """
UPDATE mirror.looks SET claimed_by = NULL, due_at = now() WHERE claimed_by = $1
"""
# The most urgent due record, from projects that have room: one step into the index a project,
# kind and priority, however many looks wait there. $1 projects without room; $2 those without room
# for their backfill; $3 whether backfills have room at all.
MOST_URGENT = """
  FROM mirror.projects p CROSS JOIN (VALUES (1), (2), (3)) AS v (priority)
  CROSS JOIN (VALUES ('rfi'), ('submittal')) AS k (kind)
  CROSS JOIN LATERAL (
    SELECT l.project_id, l.kind, l.procore_id, l.reason, l.due_at FROM mirror.looks l
    WHERE (l.project_id, l.kind, l.priority) = (p.project_id, k.kind, v.priority)
    ORDER BY l.due_at LIMIT 1
  ) l
  WHERE p.state = 'active' AND p.attention_reason IS NULL AND NOT p.project_id = ANY($1)
    AND (v.priority < 3 OR ($3 AND NOT p.project_id = ANY($2)))
"""
# Several submittals of its project go with it, as one list call reads them all; but what was at
# fault itself goes alone, so that it fails alone. Whatever is claimed falls due again if this
# worker dies.
CLAIM = f"""
WITH first AS MATERIALIZED (
  SELECT l.project_id, l.kind, l.procore_id, coalesce(l.reason = ANY($7), false) AS alone,
    CASE WHEN l.kind = 'submittal' AND NOT coalesce(l.reason = ANY($7), false)
      THEN $6::int ELSE 1 END AS most
  {MOST_URGENT} AND l.due_at <= now() ORDER BY v.priority, l.due_at LIMIT 1
), batch AS MATERIALIZED (
  SELECT one.place FROM first
  CROSS JOIN (VALUES (1), (2), (3)) AS v (priority)
  CROSS JOIN LATERAL (
    SELECT l.ctid AS place, l.due_at FROM mirror.looks l
    WHERE (l.project_id, l.kind, l.priority) = (first.project_id, first.kind, v.priority)
      AND l.due_at <= now()
      AND (l.procore_id = first.procore_id
        OR NOT (first.alone OR coalesce(l.reason = ANY($7), false)))
    ORDER BY l.due_at LIMIT first.most FOR UPDATE OF l SKIP LOCKED
  ) one
  ORDER BY v.priority, one.due_at LIMIT (SELECT most FROM first)
)
UPDATE mirror.looks l SET claimed_by = $4, due_at = now() + make_interval(secs => $5)
WHERE l.ctid = ANY(ARRAY(SELECT place FROM batch))
RETURNING l.project_id, l.kind, l.procore_id, l.asked, l.attempts, l.priority, l.notice_id,
  l.first_asked_at, l.traceparent
"""  # noqa: S608 - constants
NEXT_DUE = f"""
SELECT extract(epoch FROM min(l.due_at) - now())::float8 {MOST_URGENT}
"""  # noqa: S608 - constants
RENEW = """
UPDATE mirror.looks SET due_at = now() + make_interval(secs => $5)
WHERE (project_id, kind, claimed_by) = ($1, $2, $4) AND procore_id = ANY($3)
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
COUNT_FILES = """
UPDATE mirror.sweeps SET files_done = files_done + $3
WHERE (project_id, kind) = ($1, $2) AND backfilled_at IS NULL
"""

OWN_FAULTS = (
    "fault",
    "procore_refused",
    "part3_refused",
    "file_unavailable",
    "file_origin_refused",
    "stale",
)
"""Reasons that lie in the record itself, not in a side that is away: others go on without it."""

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


@dataclass(frozen=True, slots=True)
class Room:
    """Which work is not to be claimed now.

    Args:
        full: projects that have no room.
        full_for_backfill: projects that have none for looks of their backfill.
        backfills: whether backfills have room at all.
    """

    full: Sequence[str] = ()
    full_for_backfill: Sequence[str] = ()
    backfills: bool = True

    @property
    def args(self) -> tuple[list[str], list[str], bool]:
        """As the statements take it."""
        return list(self.full), list(self.full_for_backfill), self.backfills


class Looks:
    """The looks of all projects, in Postgres."""

    def __init__(self, postgres: Postgres, worker_id: str, *, retry_max_s: float) -> None:
        self._postgres = postgres
        self._worker_id = worker_id
        self._retry_max_s = retry_max_s

    async def free_own(self) -> None:
        """Make due again what an earlier life of this worker had claimed."""
        await self._postgres.execute(FREE_OWN, self._worker_id)

    async def claim(self, room: Room) -> list[Look]:
        """Claim one due RFI, or several submittals of one project; empty when nothing is due."""
        how = (self._worker_id, LEASE_S, MOST_SUBMITTALS, list(OWN_FAULTS))
        rows = await self._postgres.fetch(CLAIM, *room.args, *how)
        looks = [Look(**dict(row)) for row in rows]
        return sorted(looks, key=lambda look: (look.priority, look.first_asked_at))

    async def renew(self, batch: Sequence[Look]) -> None:
        """Let claims of ours last anew; what is done or given back by now stays so."""
        ids = [look.procore_id for look in batch]
        named = (batch[0].project_id, batch[0].kind, ids)
        await self._postgres.execute(RENEW, *named, self._worker_id, LEASE_S)

    async def done(self, look: Look) -> None:
        """Forget a look, unless it was asked for again while it was under way."""
        key = (look.project_id, look.kind, look.procore_id)
        if not await self._postgres.fetchval(DONE, *key, look.asked, self._worker_id):
            await self._postgres.execute(ASKED_MEANWHILE, *key, self._worker_id)

    async def try_again(self, look: Look, error: TryLater) -> None:
        """Give a look back with a due time. That another worker is at the record says no ill."""
        counted = error.reason != "busy"
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

    async def count_files(self, project_id: str, kind: Kind, done: int) -> None:
        """Count files that a backfill under way has brought."""
        await self._postgres.execute(COUNT_FILES, project_id, kind, done)

    async def seconds_to_next(self, room: Room) -> float | None:
        """Return how long until the next look is due for which there is room, or None."""
        seconds: float | None = await self._postgres.fetchval(NEXT_DUE, *room.args)
        return seconds

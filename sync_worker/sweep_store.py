"""`mirror.sweeps`: how far each kind of each project has been listed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.records import Kind
from services.errors import TryLater
from services.postgres import Postgres
from sync_worker.activity import note
from sync_worker.backoff import backoff_s

LEASE_S = 90.0
UPPER_BOUND_S = 2.0
"""How far in the past a window ends: what changes at this moment belongs to the next one."""

OVERLAP_S = 90.0
"""How far windows overlap: reads lag, and offset paging over a moving list skips rows."""

FREE_OWN = """
UPDATE mirror.sweeps SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1
"""
CLAIM = """
UPDATE mirror.sweeps s SET lease_owner = $1, lease_until = now() + make_interval(secs => $2),
  fence = s.fence + 1,
  started_at = CASE WHEN s.next_page IS NULL THEN now() ELSE s.started_at END,
  window_from = CASE WHEN s.next_page IS NULL
    THEN s.settled_until - make_interval(secs => $4) ELSE s.window_from END,
  window_to = CASE WHEN s.next_page IS NULL
    THEN now() - make_interval(secs => $3) ELSE s.window_to END,
  found = CASE WHEN s.next_page IS NULL THEN 0 ELSE s.found END,
  done = CASE WHEN s.next_page IS NULL THEN 0 ELSE s.done END,
  files_found = CASE WHEN s.next_page IS NULL AND s.backfilled_at IS NULL THEN 0
    ELSE s.files_found END,
  files_done = CASE WHEN s.next_page IS NULL AND s.backfilled_at IS NULL THEN 0
    ELSE s.files_done END,
  full_sweep = CASE WHEN s.next_page IS NULL THEN s.due_at <= now() ELSE s.full_sweep END,
  settle_at = CASE WHEN s.next_page IS NULL THEN NULL ELSE s.settle_at END,
  next_page = coalesce(s.next_page, 1)
WHERE (s.project_id, s.kind) = (
  SELECT w.project_id, w.kind FROM mirror.sweeps w JOIN mirror.projects p USING (project_id)
  WHERE p.state = 'active' AND p.attention_reason IS NULL
    AND (w.lease_owner IS NULL OR w.lease_until < now())
    AND (w.due_at <= now() OR (w.settle_at <= now() AND w.backfilled_at IS NOT NULL))
    AND NOT (w.backfilled_at IS NULL AND w.settled_until IS NOT NULL)
  ORDER BY w.backfilled_at IS NULL DESC, w.due_at LIMIT 1
  FOR UPDATE OF w SKIP LOCKED)
RETURNING s.project_id, s.kind, s.fence, s.next_page, s.window_from, s.window_to, s.full_sweep,
  s.attempts, s.backfilled_at IS NULL AS backfill
"""
PAGE_DONE = """
UPDATE mirror.sweeps SET next_page = $4, found = found + $5, attempts = 0, reason = NULL,
  message = NULL, lease_until = now() + make_interval(secs => $6)
WHERE (project_id, kind, fence) = ($1, $2, $3) RETURNING 1
"""
LISTED = """
UPDATE mirror.sweeps SET next_page = NULL, settled_until = window_to, lease_owner = NULL,
  lease_until = NULL, attempts = 0, reason = NULL, message = NULL,
  due_at = CASE WHEN full_sweep THEN now() + make_interval(secs => $4) ELSE due_at END,
  finished_at = CASE WHEN backfilled_at IS NULL THEN finished_at ELSE now() END,
  done = CASE WHEN backfilled_at IS NULL THEN done ELSE found END
WHERE (project_id, kind, fence) = ($1, $2, $3) RETURNING 1
"""
TRY_AGAIN = """
UPDATE mirror.sweeps SET lease_owner = NULL, lease_until = NULL, attempts = attempts + 1,
  reason = $4, message = $5, due_at = GREATEST(now() + make_interval(secs => $6), $7)
WHERE (project_id, kind, fence) = ($1, $2, $3)
"""
FINISH_BACKFILLS = """
UPDATE mirror.sweeps s SET backfilled_at = now(), finished_at = now(), done = s.found,
  due_at = now() + make_interval(secs => $1)
WHERE s.backfilled_at IS NULL AND s.settled_until IS NOT NULL AND s.next_page IS NULL
  AND NOT EXISTS (SELECT 1 FROM mirror.looks l
    WHERE (l.project_id, l.kind, l.priority) = (s.project_id, s.kind, 3))
RETURNING s.project_id, s.kind, s.found, s.files_done, s.started_at, now() AS now
"""
KNOWN = """
SELECT procore_id, procore_updated_at, record, content_version, files_pending, removed_at
FROM mirror.records WHERE (project_id, kind) = ($1, $2) AND procore_id = ANY($3)
"""
MIRRORED_OF = """
SELECT procore_id FROM mirror.records
WHERE (project_id, kind) = ($1, $2) AND procore_id = ANY($3) AND record IS NOT NULL
  AND removed_at IS NULL
"""
REMOVED_OF = """
SELECT procore_id FROM mirror.records
WHERE (project_id, kind) = ($1, $2) AND removed_at IS NOT NULL
"""
KIND_WORDS = {"rfi": "RFIs", "submittal": "submittals"}


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep under our lease, at its next page. `window_from` is None for everything."""

    project_id: str
    kind: Kind
    fence: int
    next_page: int
    window_from: datetime | None
    window_to: datetime
    full_sweep: bool
    attempts: int
    backfill: bool


class LeaseLost(TryLater):
    """Another worker sweeps this now."""

    def __init__(self, sweep: Sweep) -> None:
        super().__init__(f"the sweep of {sweep.kind}s was taken over", reason="busy")


class Sweeps:
    """The sweeps of all projects, in Postgres."""

    def __init__(
        self, postgres: Postgres, worker_id: str, *, sweep_s: float, retry_max_s: float
    ) -> None:
        self._postgres = postgres
        self._worker_id = worker_id
        self._sweep_s = sweep_s
        self._retry_max_s = retry_max_s

    async def free_own(self) -> None:
        """Free what an earlier life of this worker still held."""
        await self._postgres.execute(FREE_OWN, self._worker_id)

    async def claim(self) -> Sweep | None:
        """Lease the next due sweep, at the page where it stopped; None when there is none."""
        row = await self._postgres.fetchrow(
            CLAIM, self._worker_id, LEASE_S, UPPER_BOUND_S, OVERLAP_S
        )
        return Sweep(**dict(row)) if row else None

    async def page_done(self, sweep: Sweep, next_page: int, found: int) -> None:
        """Keep how far a sweep is. Raises LeaseLost."""
        named = (sweep.project_id, sweep.kind, sweep.fence)
        if not await self._postgres.fetchval(PAGE_DONE, *named, next_page, found, LEASE_S):
            raise LeaseLost(sweep)

    async def listed(self, sweep: Sweep) -> None:
        """Note that every page of a window was listed."""
        named = (sweep.project_id, sweep.kind, sweep.fence)
        if not await self._postgres.fetchval(LISTED, *named, self._sweep_s):
            raise LeaseLost(sweep)

    async def try_again(self, sweep: Sweep, error: TryLater) -> None:
        """Give a sweep back with a due time; it goes on at the page where it stopped."""
        await self._postgres.execute(
            TRY_AGAIN,
            sweep.project_id,
            sweep.kind,
            sweep.fence,
            error.reason,
            str(error),
            backoff_s(sweep.attempts, self._retry_max_s),
            error.not_before,
        )

    async def finish_backfills(self) -> None:
        """Close the backfills of which nothing is left to look at, and tell of them."""
        for row in await self._postgres.fetch(FINISH_BACKFILLS, self._sweep_s):
            took_s = (row["now"] - row["started_at"]).total_seconds()
            words = (
                f"The backfill of {KIND_WORDS[row['kind']]} is complete: {row['found']} records "
                f"and {row['files_done']} files in {took_s:.0f} s."
            )
            detail = {"kind": row["kind"], "found": row["found"], "files": row["files_done"]}
            await note(self._postgres, row["project_id"], "backfill.finished", words, detail=detail)

    async def known(self, sweep: Sweep, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Return what is known of some records of a sweep, by id."""
        rows = await self._postgres.fetch(KNOWN, sweep.project_id, sweep.kind, ids)
        return {row["procore_id"]: dict(row) for row in rows}

    async def to_bury(self, sweep: Sweep, recycled: frozenset[str]) -> list[str]:
        """Return what is in the recycle bin and not marked so, and what came back out of it."""
        rows = await self._postgres.fetch(
            MIRRORED_OF, sweep.project_id, sweep.kind, sorted(recycled)
        )
        gone = [row["procore_id"] for row in rows]
        removed = await self._postgres.fetch(REMOVED_OF, sweep.project_id, sweep.kind)
        back = [row["procore_id"] for row in removed if row["procore_id"] not in recycled]
        return gone + back

"""`mirror.sweeps`: how far each kind of each project has been listed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.records import Kind
from services.errors import TryLater
from services.postgres import Postgres, Row
from sync_worker.activity import note
from sync_worker.backoff import backoff_s
from sync_worker.inbound.look_store import OWN_FAULTS, PUT_OFF

LEASE_S = 90.0
RENEW_EVERY_S = 25.0
FAILURES_BEFORE_LEFT_OUT = 4
"""So often a record of a backfill may fail by itself before the backfill ends without it."""

UPPER_BOUND_S = 2.0
"""How far in the past a window ends: what changes at this moment belongs to the next one."""

OVERLAP_S = 90.0
"""How far windows overlap: reads lag, and offset paging over a moving list skips rows."""

FREE_OWN = """
UPDATE mirror.sweeps SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1
"""
# A claim that was committed although its answer was lost belongs to nobody: $2 and $3 are all that
# this worker knows of.
FREE_LOST = """
UPDATE mirror.sweeps SET lease_owner = NULL, lease_until = NULL
WHERE lease_owner = $1 AND (project_id, kind) NOT IN (
  SELECT * FROM unnest($2::text[], $3::text[]))
"""
# The counts are the backfill's, also after it. A new window begins where the last one was settled,
# less the overlap; after AUDIT_S it has no beginning, and everything is compared. `full_sweep` is
# one of the schedule: it minds the recycle bin too. $6 tells backfills from the others, as they are
# taken apart. A settling that was put off as far as it may be, is followed by one for those who
# asked last, which may be put off in turn; where nobody does, it is the last.
CLAIM = """
UPDATE mirror.sweeps s SET lease_owner = $1, lease_until = now() + make_interval(secs => $2),
  fence = s.fence + 1,
  started_at = CASE WHEN s.next_page IS NULL THEN now() ELSE s.started_at END,
  window_from = CASE WHEN s.next_page IS NOT NULL THEN s.window_from
    WHEN s.due_at <= now() AND s.audited_at < now() - make_interval(secs => $5) THEN NULL
    ELSE s.settled_until - make_interval(secs => $4) END,
  window_to = CASE WHEN s.next_page IS NULL
    THEN now() - make_interval(secs => $3) ELSE s.window_to END,
  found = CASE WHEN s.next_page IS NULL AND s.backfilled_at IS NULL THEN 0 ELSE s.found END,
  done = CASE WHEN s.next_page IS NULL AND s.backfilled_at IS NULL THEN 0 ELSE s.done END,
  files_found = CASE WHEN s.next_page IS NULL AND s.backfilled_at IS NULL THEN 0
    ELSE s.files_found END,
  files_done = CASE WHEN s.next_page IS NULL AND s.backfilled_at IS NULL THEN 0
    ELSE s.files_done END,
  full_sweep = CASE WHEN s.next_page IS NULL THEN s.due_at <= now() ELSE s.full_sweep END,
  settle_at = CASE WHEN s.next_page IS NOT NULL OR s.settle_at > now() THEN s.settle_at
    WHEN s.settle_at >= s.settle_by THEN now() + make_interval(secs => $7) END,
  settle_by = CASE WHEN s.next_page IS NOT NULL OR s.settle_at > now() THEN s.settle_by
    WHEN s.settle_at >= s.settle_by THEN now() + make_interval(secs => $8) END,
  wanted_at = CASE WHEN s.next_page IS NULL THEN NULL ELSE s.wanted_at END,
  next_page = coalesce(s.next_page, 1)
WHERE (s.project_id, s.kind) = (
  SELECT w.project_id, w.kind FROM mirror.sweeps w JOIN mirror.projects p USING (project_id)
  WHERE p.state = 'active' AND p.attention_reason IS NULL AND p.to_part3_paused IS NULL
    AND (w.backfilled_at IS NULL) = $6
    AND (w.lease_owner IS NULL OR w.lease_until < now())
    AND (w.retry_at IS NULL OR w.retry_at <= now())
    AND (w.due_at <= now() OR w.next_page IS NOT NULL
      OR (w.backfilled_at IS NOT NULL AND (w.settle_at <= now() OR w.wanted_at <= now())))
    AND NOT (w.backfilled_at IS NULL AND w.settled_until IS NOT NULL)
  ORDER BY LEAST(w.due_at, w.settle_at, w.wanted_at) LIMIT 1
  FOR UPDATE OF w SKIP LOCKED)
RETURNING s.project_id, s.kind, s.fence, s.next_page, s.window_from, s.window_to, s.full_sweep,
  s.attempts, s.backfilled_at IS NULL AS backfill
"""
# What Procore's own clock said when the first page was read bounds what counts as settled: ours may
# be ahead of it by minutes.
PAGE_DONE = """
UPDATE mirror.sweeps SET next_page = $4, attempts = 0, reason = NULL, message = NULL,
  found = found + CASE WHEN backfilled_at IS NULL THEN $5 ELSE 0 END, retry_at = NULL,
  lease_until = now() + make_interval(secs => $6),
  window_to = LEAST(window_to, $7::timestamptz - make_interval(secs => $8))
WHERE (project_id, kind, fence) = ($1, $2, $3) RETURNING (
  SELECT p.to_part3_paused IS NULL FROM mirror.projects p WHERE p.project_id = $1)
"""
# Replies whose RFI no look has shown are listed for twice: now, and when reads have settled.
LISTED_REPLIES = """
WITH over AS (
  DELETE FROM mirror.awaited_replies WHERE project_id = $1 AND list_at <= now() AND listings > 0
), next AS (
  UPDATE mirror.awaited_replies SET listings = 1, list_at = now() + make_interval(secs => $2)
  WHERE project_id = $1 AND list_at <= now() AND listings = 0
)
UPDATE mirror.sweeps SET wanted_at = LEAST(wanted_at, (
  SELECT min(CASE WHEN list_at > now() THEN list_at ELSE now() + make_interval(secs => $2) END)
  FROM mirror.awaited_replies WHERE project_id = $1 AND (list_at > now() OR listings = 0)))
WHERE (project_id, kind) = ($1, 'rfi')
"""
RENEW = """
UPDATE mirror.sweeps SET lease_until = now() + make_interval(secs => $4)
WHERE (project_id, kind, fence) = ($1, $2, $3) AND lease_owner IS NOT NULL
"""
LISTED = """
UPDATE mirror.sweeps SET next_page = NULL, settled_until = window_to, lease_owner = NULL,
  lease_until = NULL, attempts = 0, reason = NULL, message = NULL, retry_at = NULL,
  due_at = CASE WHEN full_sweep THEN now() + make_interval(secs => $4) ELSE due_at END,
  audited_at = CASE WHEN window_from IS NULL THEN now() ELSE audited_at END,
  finished_at = CASE WHEN backfilled_at IS NULL THEN finished_at ELSE now() END
WHERE (project_id, kind, fence) = ($1, $2, $3) RETURNING 1
"""
TRY_AGAIN = """
UPDATE mirror.sweeps SET lease_owner = NULL, lease_until = NULL, attempts = attempts + 1,
  reason = $4, message = $5, retry_at = GREATEST(now() + make_interval(secs => $6), $7)
WHERE (project_id, kind, fence) = ($1, $2, $3)
"""
HAND_OVER = """
UPDATE mirror.sweeps SET lease_owner = NULL, lease_until = NULL
WHERE (project_id, kind, fence) = ($1, $2, $3)
"""
# Counted now and then instead of at each look: it is exact then, whatever was asked for twice. What
# a record fails by itself holds nothing up: it is tried on, and the page tells of it.
COUNT_BACKFILLS = """
WITH left_over AS (
  SELECT s.project_id, s.kind,
    (SELECT count(*) FROM mirror.looks l
      WHERE (l.project_id, l.kind, l.priority) = (s.project_id, s.kind, 3)) AS looks,
    (SELECT coalesce(sum(r.files_pending), 0) FROM mirror.records r
      WHERE (r.project_id, r.kind) = (s.project_id, s.kind) AND r.files_pending > 0) AS files
  FROM mirror.sweeps s JOIN mirror.projects p USING (project_id)
  WHERE s.backfilled_at IS NULL AND s.started_at IS NOT NULL AND p.state = 'active'
)
UPDATE mirror.sweeps s SET done = GREATEST(0, s.found - o.looks),
  files_found = s.files_done + o.files
FROM left_over o WHERE (s.project_id, s.kind) = (o.project_id, o.kind)
  AND (s.done, s.files_found) IS DISTINCT FROM (GREATEST(0, s.found - o.looks),
    s.files_done + o.files)
"""
FINISH_BACKFILLS = """
UPDATE mirror.sweeps s SET backfilled_at = now(), finished_at = now(), done = s.found,
  due_at = now()
WHERE s.backfilled_at IS NULL AND s.settled_until IS NOT NULL AND s.next_page IS NULL
  AND NOT EXISTS (SELECT 1 FROM mirror.looks l
    WHERE (l.project_id, l.kind, l.priority) = (s.project_id, s.kind, 3)
      AND NOT (l.attempts >= $1 AND l.reason = ANY($2)))
RETURNING s.project_id, s.kind, s.found, s.files_done, s.started_at, now() AS now,
  (SELECT count(*) FROM mirror.looks l
    WHERE (l.project_id, l.kind, l.priority) = (s.project_id, s.kind, 3)) AS left_over
"""
KNOWN = """
SELECT procore_id, procore_updated_at, record, content_version, files_pending, removed_at,
  looked_at
FROM mirror.records WHERE (project_id, kind) = ($1, $2) AND procore_id = ANY($3)
"""
MIRRORED_OF = """
SELECT procore_id FROM mirror.records
WHERE (project_id, kind) = ($1, $2) AND procore_id = ANY($3) AND record IS NOT NULL
  AND removed_at IS NULL AND NOT EXISTS (SELECT 1 FROM mirror.removals m
    WHERE (m.project_id, m.kind, m.procore_id, m.state)
      = (records.project_id, records.kind, records.procore_id, 'held'))
"""
# one that is neither shown nor in the bin any more was purged, and is not asked for for ever
REMOVED_OF = """
SELECT procore_id FROM mirror.records
WHERE (project_id, kind) = ($1, $2) AND removed_at IS NOT NULL AND not_mirrored_because IS NULL
UNION SELECT procore_id FROM mirror.removals WHERE (project_id, kind, state) = ($1, $2, 'held')
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
        self,
        postgres: Postgres,
        worker_id: str,
        *,
        sweep_s: float,
        audit_s: float,
        retry_max_s: float,
        settle_s: float = 60.0,
    ) -> None:
        self._postgres = postgres
        self._worker_id = worker_id
        self._sweep_s = sweep_s
        self._audit_s = audit_s
        self._settle_s = settle_s
        self._retry_max_s = retry_max_s

    async def free_own(self) -> None:
        """Free what an earlier life of this worker still held."""
        await self._postgres.execute(FREE_OWN, self._worker_id)

    async def free_lost(self, under_way: Collection[tuple[str, Kind]]) -> None:
        """Free what is leased to this worker and not among what it works on."""
        columns = zip(*under_way, strict=True) if under_way else ((), ())
        await self._postgres.execute(FREE_LOST, self._worker_id, *map(list, columns))

    async def claim(self, *, backfill: bool) -> Sweep | None:
        """Lease the next due sweep, at the page where it stopped; None when there is none."""
        overlap_s = max(OVERLAP_S, 2 * self._settle_s)
        settling = (self._settle_s, self._settle_s * PUT_OFF)
        how = (LEASE_S, UPPER_BOUND_S, overlap_s, self._audit_s, backfill, *settling)
        row = await self._postgres.fetchrow(CLAIM, self._worker_id, *how)
        if row is None:
            return None
        sweep = Sweep(**dict(row))
        if sweep.kind == "rfi" and sweep.next_page == 1 and not backfill:
            await self._postgres.execute(LISTED_REPLIES, sweep.project_id, self._settle_s)
        return sweep

    async def renew(self, sweep: Sweep) -> None:
        """Let our lease last anew."""
        await self._postgres.execute(RENEW, sweep.project_id, sweep.kind, sweep.fence, LEASE_S)

    async def page_done(
        self, sweep: Sweep, next_page: int, found: int, answered_at: datetime | None
    ) -> bool:
        """Keep how far a sweep is; False when its project was paused. Raises LeaseLost.

        Args:
            sweep: ours.
            next_page: to go on with.
            found: how many records the page had.
            answered_at: what Procore's clock said, if it did.
        """
        named = (sweep.project_id, sweep.kind, sweep.fence)
        how_far = (next_page, found, LEASE_S, answered_at, UPPER_BOUND_S)
        goes_on: bool | None = await self._postgres.fetchval(PAGE_DONE, *named, *how_far)
        if goes_on is None:
            raise LeaseLost(sweep)
        return goes_on

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

    async def hand_over(self, sweep: Sweep) -> None:
        """Give a sweep back as it is: another worker goes on at its page at once."""
        await self._postgres.execute(HAND_OVER, sweep.project_id, sweep.kind, sweep.fence)

    async def count_backfills(self) -> None:
        """Bring up to date what people read of the backfills under way."""
        await self._postgres.execute(COUNT_BACKFILLS)

    async def finish_backfills(self) -> bool:
        """Close the backfills of which nothing is left to look at, and tell of them."""
        async with self._postgres.transaction() as transaction:
            rows = await transaction.fetch(
                FINISH_BACKFILLS, FAILURES_BEFORE_LEFT_OUT, list(OWN_FAULTS)
            )
            for row in rows:
                event = "backfill.finished"
                detail = {
                    "kind": row["kind"],
                    "found": row["found"],
                    "files": row["files_done"],
                    "left_over": row["left_over"],
                }
                words = _words_of_the_end(row)
                await note(transaction, row["project_id"], event, words, detail=detail)
        return bool(rows)

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


def _words_of_the_end(row: Row) -> str:
    took_s = (row["now"] - row["started_at"]).total_seconds()
    words = (
        f"The backfill of {KIND_WORDS[row['kind']]} is complete: {row['found']} records "
        f"and {row['files_done']} files in {took_s:.0f} s."
    )
    if row["left_over"]:
        words += f" {row['left_over']} could not be brought in full yet and are tried again."
    return words

"""`mirror.comparisons` and `mirror.differences`: what is to be compared, and what came of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.records import Kind
from services.postgres import Postgres
from sync_worker.activity import note
from sync_worker.completeness.judging import Difference, Remembered
from sync_worker.completeness.listings import ListedState
from sync_worker.completeness.markers import Written

LEASE_S = 900.0
MOST_WAIT_S = 900.0
"""So long after a listing the looks it asked for are awaited; a busy project is never idle."""

AGAIN_S = 900.0
"""How soon what may still be mended by itself is compared again."""

KEPT_DAYS = 7

# Of a project that is being read, once nothing that is simply on its way would be told as missing.
TAKE = """
UPDATE mirror.comparisons c SET due_at = now() + make_interval(secs => $1)
WHERE (c.project_id, c.kind) = (
  SELECT d.project_id, d.kind FROM mirror.comparisons d
  JOIN mirror.projects p USING (project_id) JOIN mirror.sweeps s USING (project_id, kind)
  WHERE d.due_at <= now() AND p.state = 'active' AND p.attention_reason IS NULL
    AND p.to_part3_paused IS NULL
    AND s.backfilled_at IS NOT NULL
    AND (d.listed_at < now() - make_interval(secs => $2) OR NOT EXISTS (
      SELECT 1 FROM mirror.looks l WHERE (l.project_id, l.kind) = (d.project_id, d.kind)
        AND l.attempts = 0))
  ORDER BY d.due_at LIMIT 1 FOR UPDATE OF d SKIP LOCKED)
RETURNING c.project_id, c.kind, c.listed_at, c.pass
"""
REMEMBERED = """
SELECT r.procore_id, r.record, r.looked_at, r.removed_at, r.files_pending, r.not_mirrored_because,
  m.state IS NOT DISTINCT FROM 'held' AS removal_held, l.message AS look_message
FROM mirror.records r
LEFT JOIN mirror.removals m USING (project_id, kind, procore_id)
LEFT JOIN mirror.looks l USING (project_id, kind, procore_id)
WHERE (r.project_id, r.kind) = ($1, $2) AND r.procore_id = ANY($3)
"""
LISTED_OF = """
SELECT procore_id, state, listed_at FROM mirror.listed
WHERE (project_id, kind) = ($1, $2) AND procore_id = ANY($3)
"""
ALL_KNOWN = """
SELECT procore_id FROM mirror.records WHERE (project_id, kind) = ($1, $2)
UNION SELECT procore_id FROM mirror.listed WHERE (project_id, kind) = ($1, $2)
"""
# The next look puts whatever it finds, as nothing is taken as put; lost bytes are copied anew.
FORGET_PUT = """
UPDATE mirror.records SET content_version = NULL, part3_version = NULL
WHERE (project_id, kind) = ($1, $2) AND procore_id = ANY($3)
"""
FORGET_FILES = "DELETE FROM mirror.files WHERE project_id = $1 AND sha256 = ANY($2)"
NOTE_DIFFERENCE = """
INSERT INTO mirror.differences AS d (project_id, kind, procore_id, reason, words)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (project_id, kind, procore_id) DO UPDATE SET reason = EXCLUDED.reason,
  words = EXCLUDED.words, repaired_at = NULL,
  found_at = CASE WHEN d.repaired_at IS NULL THEN d.found_at ELSE now() END
WHERE d.repaired_at IS NOT NULL OR (d.reason, d.words) <> (EXCLUDED.reason, EXCLUDED.words)
"""
NOTE_REPAIRED = """
UPDATE mirror.differences SET repaired_at = now()
WHERE (project_id, kind) = ($1, $2) AND repaired_at IS NULL AND NOT procore_id = ANY($3)
"""
FORGET_REPAIRED = """
DELETE FROM mirror.differences WHERE (project_id, kind) = ($1, $2)
  AND repaired_at < now() - make_interval(days => $3)
"""
AGAIN = """
UPDATE mirror.comparisons SET pass = pass + 1, due_at = now() + make_interval(secs => $4)
WHERE (project_id, kind, listed_at) = ($1, $2, $3)
"""
LATER = """
UPDATE mirror.comparisons SET due_at = now() + make_interval(secs => $4)
WHERE (project_id, kind, listed_at) = ($1, $2, $3)
"""
FINISH = """
UPDATE mirror.comparisons SET compared_at = now(), compared = $4, equal = $5, files = $6,
  markers = $7, markers_wrong = $8, pass = pass + 1,
  due_at = CASE WHEN $9 THEN now() + make_interval(secs => $10) END
WHERE (project_id, kind, listed_at) = ($1, $2, $3) RETURNING 1
"""
WRITTEN = """
SELECT w.marker, w.return_id, d.procore_id, r.record, r.looked_at, r.removed_at,
  w.changed_at AS written_at
FROM mirror.write_intents w JOIN mirror.deliveries d USING (return_id)
LEFT JOIN mirror.records r USING (project_id, kind, procore_id)
WHERE (d.project_id, d.kind) = ($1, $2) AND w.state = 'confirmed'
  AND w.changed_at > now() - make_interval(days => $3)
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison under our lease. `pass_number` counts from 0: what was mended is seen again."""

    project_id: str
    kind: Kind
    listed_at: datetime
    pass_number: int


@dataclass(frozen=True, slots=True)
class Listed:
    """How Procore listed a record, and when."""

    state: ListedState
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a comparison."""

    compared: int
    equal: int
    files: int
    markers: int
    markers_wrong: int
    open: bool  # something may still be mended by itself


class Comparisons:
    """The comparisons of all projects, in Postgres."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def take(self) -> Comparison | None:
        """Lease the next due comparison, or None."""
        row = await self._postgres.fetchrow(TAKE, LEASE_S, MOST_WAIT_S)
        return Comparison(*row.values()) if row else None

    async def remembered(self, one: Comparison, ids: Sequence[str]) -> dict[str, Remembered]:
        """Return what is known of some records, by id."""
        rows = await self._postgres.fetch(REMEMBERED, one.project_id, one.kind, ids)
        return {row["procore_id"]: Remembered(**dict(row)) for row in rows}

    async def listed(self, one: Comparison, ids: Sequence[str]) -> dict[str, Listed]:
        """Return how Procore listed some records, by id."""
        rows = await self._postgres.fetch(LISTED_OF, one.project_id, one.kind, ids)
        return {row["procore_id"]: Listed(row["state"], row["listed_at"]) for row in rows}

    async def all_known(self, one: Comparison) -> set[str]:
        """Return every record that Procore listed or that is remembered."""
        rows = await self._postgres.fetch(ALL_KNOWN, one.project_id, one.kind)
        return {row["procore_id"] for row in rows}

    async def written(self, one: Comparison) -> list[Written]:
        """Return our own writes of the last week."""
        rows = await self._postgres.fetch(WRITTEN, one.project_id, one.kind, KEPT_DAYS)
        return [Written(**dict(row)) for row in rows]

    async def keep(self, one: Comparison, differences: Sequence[Difference]) -> None:
        """Keep what differs, and what of earlier does so no more; forget what is to be put anew."""
        named = (one.project_id, one.kind)
        mended = [two.procore_id for two in differences if two.mended_by_a_look]
        lost = sorted({sha256 for two in differences for sha256 in two.lost_files})
        async with self._postgres.transaction() as queries:
            for two in differences:
                await queries.execute(
                    NOTE_DIFFERENCE, *named, two.procore_id, two.reason, two.words
                )
            ids = [two.procore_id for two in differences]
            await queries.execute(NOTE_REPAIRED, *named, ids)
            await queries.execute(FORGET_REPAIRED, *named, KEPT_DAYS)
            await queries.execute(FORGET_PUT, *named, mended)
            await queries.execute(FORGET_FILES, one.project_id, lost)

    async def again(self, one: Comparison, in_s: float) -> None:
        """Compare once more, after what differs has been looked at."""
        await self._postgres.execute(AGAIN, one.project_id, one.kind, one.listed_at, in_s)

    async def later(self, one: Comparison, in_s: float) -> None:
        """Do this pass later: a side is away."""
        await self._postgres.execute(LATER, one.project_id, one.kind, one.listed_at, in_s)

    async def finish(self, one: Comparison, result: Result) -> bool:
        """Keep what came of it; False when a newer listing waits already."""
        figures = (result.compared, result.equal, result.files)
        markers = (result.markers, result.markers_wrong)
        named = (one.project_id, one.kind, one.listed_at)
        again = (result.open, AGAIN_S)
        return bool(await self._postgres.fetchval(FINISH, *named, *figures, *markers, *again))

    async def tell(
        self, one: Comparison, event: str, words: str, *, reason: str | None = None, **more: Any
    ) -> None:
        """Add a line to the project's activity."""
        await note(self._postgres, one.project_id, event, words, reason=reason, **more)


def portions_of(ids: Collection[str], size: int) -> list[list[str]]:
    """Return ids in portions of a size, sorted."""
    ordered = sorted(ids)
    return [ordered[first : first + size] for first in range(0, len(ordered), size)]

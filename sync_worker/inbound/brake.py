"""The brake on bursts of removals: much that is gone at once is marked only if a person says so.

A project administrator who empties a log by mistake, or a fault of Procore's, must not turn a whole
register into tombstones before anybody has looked. Source: domain notes, 4.7 rule 10.
"""

from dataclasses import dataclass
from typing import Any

import structlog

from schemas.connections import RemovalsConfirmed
from schemas.records import Person
from services.postgres import Postgres, Queries
from sync_worker.activity import note
from sync_worker.leases import Key

WINDOW_S = 3_600.0
"""Removals this near to each other are one burst."""

FEW = 5
SHARE = 0.1

LOCK_PROJECT = "SELECT 1 FROM mirror.projects WHERE project_id = $1 FOR UPDATE"
# `held_elsewhere`: of the other kind. What a person has confirmed is no part of a burst.
COUNTS = """
SELECT count(*) FILTER (WHERE r.removed_at IS NULL OR r.removed_at > $4) AS live,
  count(*) FILTER (WHERE r.removed_at IS NULL AND r.kind = $2 AND r.procore_id = ANY($3)) AS gone,
  count(*) FILTER (WHERE r.removed_at > $4 AND m.state IS DISTINCT FROM 'marked') AS recent,
  count(*) FILTER (WHERE r.removed_at IS NULL AND r.kind <> $2 AND m.state = 'held')
    AS held_elsewhere
FROM mirror.records r LEFT JOIN mirror.removals m USING (project_id, kind, procore_id)
WHERE r.project_id = $1 AND r.record IS NOT NULL
"""
WINDOW_FROM = "SELECT now() - make_interval(secs => $1)"
STANDING = """
SELECT m.found_at <= (p.removals_confirmed->>'until')::timestamptz AS confirmed
FROM mirror.removals m JOIN mirror.projects p USING (project_id)
WHERE (m.project_id, m.kind, m.procore_id) = ($1, $2, $3) AND m.state = 'held'
"""
ANY_HELD = "SELECT EXISTS (SELECT 1 FROM mirror.removals WHERE project_id = $1 AND state = 'held')"
HOLD = """
INSERT INTO mirror.removals (project_id, kind, procore_id)
SELECT r.project_id, r.kind, r.procore_id FROM mirror.records r
WHERE (r.project_id, r.kind) = ($1, $2) AND r.procore_id = ANY($3)
  AND r.record IS NOT NULL AND r.removed_at IS NULL
ON CONFLICT (project_id, kind, procore_id) DO UPDATE SET state = 'held', found_at = now()
WHERE removals.state = 'marked'
"""
MARK = """
UPDATE mirror.removals SET state = 'marked'
WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
FORGET = """
DELETE FROM mirror.removals WHERE (project_id, kind, procore_id) = ($1, $2, $3) RETURNING state
"""
LOOK_AT_CONFIRMED = """
INSERT INTO mirror.looks AS l (project_id, kind, procore_id, due_at, priority)
SELECT project_id, kind, procore_id, now(), 1 FROM mirror.removals
WHERE project_id = $1 AND state = 'held' AND found_at <= $2
ON CONFLICT (project_id, kind, procore_id) DO UPDATE SET priority = 1, asked = l.asked + 1,
  due_at = LEAST(l.due_at, now()), last_asked_at = now()
RETURNING 1
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Burst:
    """How much of a project is gone.

    Args:
        gone: records of ours that lie in the bin now, of one kind.
        recent: those marked within the window, by the machine alone.
        held_elsewhere: those of the other kind that wait already.
        live: all of the project's records, those gone within the window included.
    """

    gone: int
    recent: int
    held_elsewhere: int
    live: int

    @property
    def at_once(self) -> int:
        """How many records went."""
        return self.gone + self.recent + self.held_elsewhere


def is_too_much(burst: Burst) -> bool:
    """Tell whether a person has to say that it is meant."""
    return burst.at_once > max(FEW, SHARE * burst.live)


class Brake:
    """Says of each record that is gone whether it may be marked as removed now."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def lets_go(self, key: Key, in_bin: frozenset[str]) -> bool:
        """Tell whether a record in the recycle bin may be marked; if not, it waits for a person.

        Args:
            key: the record.
            in_bin: everything of its kind that lies in the bin now.
        """
        async with self._postgres.transaction() as queries:
            # one after the other, so that none is marked that another look counts just now
            await queries.fetchval(LOCK_PROJECT, key.project_id)
            standing = await queries.fetchrow(STANDING, key.project_id, key.kind, key.procore_id)
            if standing is not None:
                return bool(standing["confirmed"])
            since = await queries.fetchval(WINDOW_FROM, WINDOW_S)
            ids = sorted(in_bin)
            row = await queries.fetchrow(COUNTS, key.project_id, key.kind, ids, since)
            burst = Burst(**dict(row)) if row else Burst(0, 0, 0, 0)
            held_before = await queries.fetchval(ANY_HELD, key.project_id)
            if not (held_before or is_too_much(burst)):
                return True
            await queries.execute(HOLD, key.project_id, key.kind, ids)
            if not held_before:
                await _tell(queries, key.project_id, burst)
        return False

    async def marked(self, key: Key) -> None:
        """Note that a record was marked as removed."""
        await self._postgres.execute(MARK, key.project_id, key.kind, key.procore_id)

    async def back(self, key: Key) -> None:
        """Note that a record lies in the bin no longer: nothing waits for a person any more."""
        named = (key.project_id, key.kind, key.procore_id)
        async with self._postgres.transaction() as queries:
            # one after the other, so that exactly one is the last and tells of it
            await queries.fetchval(LOCK_PROJECT, key.project_id)
            if await queries.fetchval(FORGET, *named) != "held":
                return
            log.info("removal.back", kind=key.kind, procore_id=key.procore_id)
            if not await queries.fetchval(ANY_HELD, key.project_id):
                words = "Nothing that went to Procore's recycle bin waits for a person any more."
                await note(queries, key.project_id, "removals.over", words)


async def _tell(queries: Queries, project_id: str, burst: Burst) -> None:
    words = (
        f"{burst.at_once} of {burst.live} records went to Procore's recycle bin within an hour. "
        "Nothing more is marked as removed until a General Contractor or the Prime Consultant "
        "confirms it on the Completeness page, or the records are restored in Procore."
    )
    await note(queries, project_id, "removals.held", words, reason="removals_held")
    log.warning("removals.held", project_id=project_id, gone=burst.at_once, live=burst.live)


async def take_confirmation(queries: Queries, project_id: str, confirmed: RemovalsConfirmed) -> int:
    """Have looked at what a person confirmed as gone, and tell of it; return how many that are."""
    rows: list[Any] = await queries.fetch(LOOK_AT_CONFIRMED, project_id, confirmed.until)
    if rows:
        words = f"{confirmed.name} confirmed that {len(rows)} records are meant to be removed."
        person = Person(name=confirmed.name)
        await note(queries, project_id, "removals.confirmed", words, person=person)
    return len(rows)

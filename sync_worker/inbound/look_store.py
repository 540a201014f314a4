"""`mirror.looks`: which records are to be looked at, by whom, and when again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from schemas.records import Kind
from services.errors import TryLater
from services.postgres import Postgres, Row
from services.waits import Account, Minutes, waiting_on
from sync_worker.backoff import CRASHED, backoff_s
from sync_worker.inbound.settling import AwaitedReply, Moments, Seen, answered_by

LEASE_S = 30.0
"""How long a claim outlives its worker; renewed at every quarter of it while work goes on."""

MOST_SUBMITTALS = 50
"""One list call reads so many; beyond, its address would grow too long for some proxies."""

PUT_OFF = 1.5
"""How far later looks put a settling off, as a multiple of SETTLE_S."""

SWEPT, BACKFILL = 2, 3
"""The priorities of a sweep's and of a backfill's looks; 1 is a notice's."""

FREE_OWN = """
UPDATE mirror.looks SET claimed_by = NULL, due_at = now() WHERE claimed_by = $1
"""
# What a worker had in hands when it ended may be what ended it: after $2 times in a row it rests,
# $3 seconds at first and $4 at most. What was in hands beside it comes 5 s apart, so that the next
# end is that of one alone.
FREE_AFTER_CRASH = """
UPDATE mirror.looks l SET claimed_by = NULL, crashes = l.crashes + 1,
  due_at = now() + CASE WHEN l.crashes + 1 < $2 THEN interval '0' ELSE make_interval(
    secs => LEAST($4::float8, $3::float8 * 2.0 ^ (l.crashes + 1 - $2)) + 5 * o.place) END,
  reason = CASE WHEN l.crashes + 1 < $2 THEN l.reason ELSE 'fault' END,
  message = CASE WHEN l.crashes + 1 < $2 THEN l.message
    ELSE 'a worker ended each time it looked at this record' END
FROM (SELECT project_id, kind, procore_id,
    row_number() OVER (ORDER BY project_id, kind, procore_id) - 1 AS place
  FROM mirror.looks WHERE claimed_by = $1) o
WHERE (l.project_id, l.kind, l.procore_id) = (o.project_id, o.kind, o.procore_id)
"""
# A claim that was committed although its answer was lost belongs to nobody: $2 to $4 are all that
# this worker knows of.
FREE_LOST = """
UPDATE mirror.looks SET claimed_by = NULL, due_at = now()
WHERE claimed_by = $1 AND (project_id, kind, procore_id) NOT IN (
  SELECT * FROM unnest($2::text[], $3::text[], $4::text[]))
"""
# Which projects, kinds and priorities have looks: one step from each to the next in the index, so
# that projects with nothing to look at cost nothing, and neither do the many looks of a backfill.
WAITING = """
WITH RECURSIVE waiting AS (
  (SELECT l.project_id, l.kind, l.priority FROM mirror.looks l
    ORDER BY l.project_id, l.kind, l.priority LIMIT 1)
  UNION ALL
  SELECT n.project_id, n.kind, n.priority FROM waiting w CROSS JOIN LATERAL (
    SELECT l.project_id, l.kind, l.priority FROM mirror.looks l
    WHERE (l.project_id, l.kind, l.priority) > (w.project_id, w.kind, w.priority)
    ORDER BY l.project_id, l.kind, l.priority LIMIT 1
  ) n
)
"""
# The most urgent due record, from projects that have room: one step into the index a project,
# kind and priority, however many looks wait there. Submittals that somebody just changed wait for
# those that come right after them, $4 seconds at most, as one call reads them all. $1 projects
# without room; $2 those without room for their backfill; $3 whether backfills have room at all.
MOST_URGENT = """
  FROM waiting v
  CROSS JOIN LATERAL (
    SELECT one.project_id FROM mirror.projects one
    WHERE one.project_id = v.project_id AND one.state = 'active' AND one.attention_reason IS NULL
      AND one.to_part3_paused IS NULL
    LIMIT 1
  ) p
  CROSS JOIN LATERAL (
    SELECT l.project_id, l.kind, l.procore_id, l.reason, l.due_at FROM mirror.looks l
    WHERE (l.project_id, l.kind, l.priority) = (p.project_id, v.kind, v.priority)
    ORDER BY l.due_at LIMIT 1
  ) l
  CROSS JOIN LATERAL (
    SELECT CASE WHEN v.kind = 'submittal' AND v.priority = 1 THEN coalesce((
      SELECT max(m.due_at) FROM mirror.looks m
      WHERE (m.project_id, m.kind, m.priority) = (p.project_id, v.kind, v.priority)
        AND m.due_at BETWEEN l.due_at AND l.due_at + make_interval(secs => $4)
        AND m.claimed_by IS NULL AND m.attempts = 0), l.due_at)
      ELSE l.due_at END AS ready_at
  ) r
  WHERE NOT p.project_id = ANY($1)
    AND (v.priority < 3 OR ($3 AND NOT p.project_id = ANY($2)))
"""
# Several submittals of its project go with it, as one list call reads them all; but what was at
# fault itself goes alone, so that it fails alone. Whatever is claimed falls due again if this
# worker dies.
CLAIM = f"""
{WAITING}, first AS MATERIALIZED (
  SELECT l.project_id, l.kind, l.procore_id, coalesce(l.reason = ANY($8), false) AS alone,
    CASE WHEN l.kind = 'submittal' AND NOT coalesce(l.reason = ANY($8), false)
      THEN $7::int ELSE 1 END AS most
  {MOST_URGENT} AND r.ready_at <= now() ORDER BY v.priority, l.due_at LIMIT 1
), batch AS MATERIALIZED (
  SELECT one.place FROM first
  CROSS JOIN (VALUES (1), (2), (3)) AS v (priority)
  CROSS JOIN LATERAL (
    SELECT l.ctid AS place, l.due_at FROM mirror.looks l
    WHERE (l.project_id, l.kind, l.priority) = (first.project_id, first.kind, v.priority)
      AND l.due_at <= now()
      AND (l.procore_id = first.procore_id
        OR NOT (first.alone OR coalesce(l.reason = ANY($8), false)))
    ORDER BY l.due_at LIMIT first.most FOR UPDATE OF l SKIP LOCKED
  ) one
  ORDER BY v.priority, one.due_at LIMIT (SELECT most FROM first)
)
UPDATE mirror.looks l SET claimed_by = $5, due_at = now() + make_interval(secs => $6)
WHERE l.ctid = ANY(ARRAY(SELECT place FROM batch))
RETURNING l.project_id, l.kind, l.procore_id, l.asked, l.attempts, l.priority, l.notice_id,
  l.first_asked_at, l.traceparent, l.first_moment, l.last_moment, l.gone, l.arrived_at, l.minutes,
  now() AS claimed_at
"""  # noqa: S608 - constants
NEXT_DUE = f"""
{WAITING} SELECT extract(epoch FROM min(r.ready_at) - now())::float8 {MOST_URGENT}
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
# What a look has accounted for is over. Where no newer change was told of, as when a sweep asked,
# nothing was late: its minutes begin with the asking.
ASKED_MEANWHILE = """
UPDATE mirror.looks SET claimed_by = NULL, attempts = 0, reason = NULL, message = NULL, crashes = 0,
  first_moment = last_moment, due_at = LEAST(due_at, now() + make_interval(secs => 1)),
  arrived_at = last_asked_at,
  minutes = CASE WHEN last_moment IS NOT DISTINCT FROM $5::timestamptz THEN jsonb_build_object(
    'since', to_char(last_asked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) END
WHERE (project_id, kind, procore_id, claimed_by) = ($1, $2, $3, $4)
"""
TRY_AGAIN = """
UPDATE mirror.looks SET claimed_by = NULL, due_at = GREATEST(now() + make_interval(secs => $5), $6),
  attempts = attempts + $7, reason = $8, message = $9, minutes = coalesce($10, minutes), crashes = 0
WHERE (project_id, kind, procore_id, claimed_by) = ($1, $2, $3, $4)
"""
WANT = """
INSERT INTO mirror.looks AS l (project_id, kind, procore_id, due_at, priority)
VALUES ($1, $2, $3, now(), $4)
ON CONFLICT (project_id, kind, procore_id) DO UPDATE SET
  priority = LEAST(l.priority, EXCLUDED.priority), asked = l.asked + 1, last_asked_at = now()
"""
NOTE_FRESH = """
UPDATE mirror.records SET fresh_until = GREATEST(fresh_until, $4)
WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
# Whoever asks meanwhile puts it off, so that one listing settles them all; but not for ever.
WANT_SETTLING = """
UPDATE mirror.sweeps SET
  settle_at = LEAST(now() + make_interval(secs => $3), coalesce(settle_by, 'infinity')),
  settle_by = coalesce(settle_by, now() + make_interval(secs => $3 * $4))
WHERE (project_id, kind) = ($1, $2)
"""
AWAITED = """
SELECT reply_id, reason, occurred_at FROM mirror.awaited_replies WHERE project_id = $1
"""
# A listing that is due already may be wanted for something else.
REPLIES_SEEN = """
WITH seen AS (
  DELETE FROM mirror.awaited_replies WHERE project_id = $1 AND reply_id = ANY($2) RETURNING 1
)
UPDATE mirror.sweeps SET wanted_at = (
  SELECT min(list_at) FROM mirror.awaited_replies
  WHERE project_id = $1 AND NOT reply_id = ANY($2))
WHERE (project_id, kind) = ($1, 'rfi') AND wanted_at > now() AND EXISTS (SELECT 1 FROM seen)
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
    "flipping",
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
    first_moment: datetime | None = None
    last_moment: datetime | None = None
    gone: bool = False
    account: Account | None = field(default=None, compare=False)

    @property
    def moments(self) -> Moments | None:
        """Of which changes its notices speak; None where no notice asked for it."""
        if self.last_moment is None:
            return None
        return Moments(self.first_moment or self.last_moment, self.last_moment)


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

    def __init__(
        self,
        postgres: Postgres,
        worker_id: str,
        *,
        retry_max_s: float,
        gather_s: float = 0.0,
        settle_s: float = 60.0,
    ) -> None:
        """Name the worker.

        Args:
            postgres: the worker's own schema.
            worker_id: this replica's name.
            retry_max_s: the longest back-off.
            gather_s: how long changed submittals wait for others, to be read with one call.
            settle_s: when after a look that may have been stale its project is listed.
        """
        self._postgres = postgres
        self._worker_id = worker_id
        self._retry_max_s = retry_max_s
        self._gather_s = gather_s
        self._settle_s = settle_s

    async def free_own(self) -> None:
        """Hand over what this worker has claimed, at its end."""
        await self._postgres.execute(FREE_OWN, self._worker_id)

    async def free_after_crash(self) -> None:
        """Make due again what an earlier life of this worker had claimed when it was cut short.

        What is in hands at every such end rests.
        """
        await self._postgres.execute(FREE_AFTER_CRASH, self._worker_id, *CRASHED)

    async def free_lost(self, under_way: Collection[tuple[str, str, str]]) -> None:
        """Make due again what is claimed for this worker and not among what it works on."""
        columns = zip(*under_way, strict=True) if under_way else ((), (), ())
        await self._postgres.execute(FREE_LOST, self._worker_id, *map(list, columns))

    async def claim(self, room: Room) -> list[Look]:
        """Claim one due RFI, or several submittals of one project; empty when nothing is due."""
        how = (self._worker_id, LEASE_S, MOST_SUBMITTALS, list(OWN_FAULTS))
        rows = await self._postgres.fetch(CLAIM, *room.args, self._gather_s, *how)
        looks = [_look(row) for row in rows]
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
            await self._postgres.execute(ASKED_MEANWHILE, *key, self._worker_id, look.last_moment)

    async def judged(self, look: Look, *, fresh: bool) -> None:
        """Note whether a look surely read what its notices speak of; else have it settled."""
        kind = (look.project_id, look.kind)
        if fresh:
            await self._postgres.execute(NOTE_FRESH, *kind, look.procore_id, look.last_moment)
        else:
            await self._postgres.execute(WANT_SETTLING, *kind, self._settle_s, PUT_OFF)

    async def replies_seen(self, project_id: str, seen: Seen) -> None:
        """Let no listing be made for replies that a look at their RFI has shown."""
        rows = await self._postgres.fetch(AWAITED, project_id)
        if not rows:
            return
        answered = answered_by((AwaitedReply(**dict(row)) for row in rows), seen)
        if answered:
            await self._postgres.execute(REPLIES_SEEN, project_id, answered)

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
            _minutes(look, error, wait_s),
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
        seconds: float | None = await self._postgres.fetchval(NEXT_DUE, *room.args, self._gather_s)
        return seconds


def _look(row: Row) -> Look:
    """Return a claimed row. What Procore told late of, it took; so says its own clock."""
    named = dict(row)
    arrived_at, kept, now = (named.pop(one) for one in ("arrived_at", "minutes", "claimed_at"))
    moment, since = named["first_moment"], arrived_at or named["first_asked_at"]
    minutes = msgspec.convert(kept, Minutes) if kept else Minutes(since=since)
    account = Account(minutes, now, tells=moment is not None)
    if moment is not None and kept is None:
        account.began_late("procore", moment)
    return Look(**named, account=account)


def _minutes(look: Look, error: TryLater, wait_s: float) -> Any:
    if look.account is None:
        return None
    on = waiting_on(error.reason)
    return msgspec.to_builtins(look.account.ended(on, until=error.not_before, wait_s=wait_s))

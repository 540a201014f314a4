"""`mirror.deliveries`: who works on which return, where it stands, and when it is due.

A lease makes one worker at a time; its fence only grows, so that a worker that slept through its
lease changes nothing any more. No two returns of one record are worked on at once: a unique index
holds that, whatever the claims below believe.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol

import msgspec

from schemas.records import Kind, Person
from schemas.returns import Delivery, Receipt, Return
from services.postgres import Postgres, Queries, Row, UniqueViolation
from services.waits import Account, Minutes, account_at_work, waiting_on
from sync_worker.backoff import CRASHED
from sync_worker.outbound.intent_store import leased
from sync_worker.outbound.seal_store import seal
from sync_worker.outbound.standing import Standing

ASK = """
INSERT INTO mirror.deliveries
    (return_id, project_id, kind, procore_id, author_user_id, state, due_at, traceparent,
     arrived_at)
VALUES ($1, $2, $3, $4, $5, 'new', now(), $6, $7)
ON CONFLICT (return_id) DO UPDATE
SET asked = mirror.deliveries.asked + 1, due_at = now(), attempts = 0
WHERE mirror.deliveries.state NOT IN ('delivered', 'failed')
"""
ASK_AUTHOR = """
UPDATE mirror.deliveries SET due_at = now(), asked = asked + 1
WHERE state IN ('held', 'waiting') AND author_user_id = $1
"""
ASK_RECORD = """
UPDATE mirror.deliveries SET due_at = now()
WHERE (project_id, kind, procore_id) = ($1, $2, $3) AND due_at > now()
  AND (state = 'held' OR reason = 'outcome_unknown')
"""
ASK_READINESS = """
UPDATE mirror.readiness SET due_at = now(), asked = asked + 1
WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
# What a worker had in hands when it ended may be what ended it: after $2 times in a row it rests,
# $3 seconds at first and $4 at most.
FREE_OWN = """
UPDATE mirror.deliveries SET lease_owner = NULL, lease_until = NULL, crashes = crashes + 1,
    due_at = CASE WHEN crashes + 1 < $2 THEN due_at ELSE now() + make_interval(
        secs => LEAST($4::float8, $3::float8 * 2.0 ^ (crashes + 1 - $2))) END
WHERE lease_owner = $1
"""
# A lease that was committed although its answer was lost belongs to nobody; $2 is all that this
# worker knows of.
FREE_LOST = """
UPDATE mirror.deliveries SET lease_owner = NULL, lease_until = NULL
WHERE lease_owner = $1 AND NOT return_id = ANY($2)
"""
FREE_LAPSED = """
UPDATE mirror.deliveries SET lease_owner = NULL, lease_until = NULL
WHERE lease_owner IS NOT NULL AND lease_until < now()
"""
EARLIER_UNDER_WAY = """
SELECT 1 FROM mirror.deliveries o
WHERE (o.project_id, o.kind, o.procore_id, o.author_user_id)
      = (d.project_id, d.kind, d.procore_id, d.author_user_id)
  AND o.state IN ('new', 'sending', 'waiting') AND o.due_at IS NOT NULL
  AND (coalesce(o.returned_at, o.created_at), o.return_id)
      < (coalesce(d.returned_at, d.created_at), d.return_id)
"""
CLAIM = f"""
WITH due AS (
    SELECT d.return_id FROM mirror.deliveries d
    WHERE d.due_at <= now() AND d.lease_owner IS NULL
      AND NOT EXISTS (
        SELECT 1 FROM mirror.deliveries o
        WHERE (o.project_id, o.kind, o.procore_id) = (d.project_id, d.kind, d.procore_id)
          AND o.lease_owner IS NOT NULL)
      AND NOT EXISTS ({EARLIER_UNDER_WAY})
    ORDER BY (
        SELECT count(*) FROM mirror.deliveries busy
        WHERE busy.project_id = d.project_id AND busy.lease_owner IS NOT NULL),
      d.state <> 'new', d.due_at, d.return_id
    LIMIT 1 FOR UPDATE OF d SKIP LOCKED)
UPDATE mirror.deliveries d
SET lease_owner = $1, lease_until = now() + make_interval(secs => $2), fence = fence + 1,
    attempts = attempts + 1
FROM due WHERE d.return_id = due.return_id
RETURNING d.return_id, d.project_id, d.kind, d.procore_id, d.state, d.reason, d.message,
    d.mended_by, d.receipt, d.asked, d.attempts, d.fence, d.reported, d.reported_asked,
    d.traceparent, d.minutes, d.returned_at, coalesce(d.arrived_at, d.created_at) AS arrived_at,
    now() AS claimed_at
"""  # noqa: S608 - built from constants only
RENEW = """
UPDATE mirror.deliveries SET lease_until = now() + make_interval(secs => $3)
WHERE return_id = $1 AND fence = $2 AND lease_owner IS NOT NULL RETURNING 1
"""
GIVE_BACK = """
UPDATE mirror.deliveries
SET lease_owner = NULL, lease_until = NULL, due_at = now() + make_interval(secs => $3)
WHERE return_id = $1 AND fence = $2 AND lease_owner IS NOT NULL
"""
IDENTIFY = """
UPDATE mirror.deliveries
SET kind = $3, procore_id = $4, author_user_id = $5, author_name = $6, returned_at = $7
WHERE return_id = $1 AND fence = $2
"""
MAY_GO = f"""
SELECT NOT EXISTS ({EARLIER_UNDER_WAY}) FROM mirror.deliveries d WHERE d.return_id = $1
"""  # noqa: S608 - built from constants only
# What Part3 acknowledged says nothing any more once something else was to be told: that report may
# have arrived although nobody heard so, and what stood before it has to be told once more.
SETTLE = """
UPDATE mirror.deliveries
SET state = $2, reason = $3, message = $4, mended_by = $5, receipt = $6, changed_at = now(),
    reported = CASE WHEN (state, reason, message, mended_by, receipt)
      IS NOT DISTINCT FROM ($2, $3, $4, $5::jsonb, $6::jsonb) THEN reported END
WHERE return_id = $1
"""
NOTE_CHANGE = """
INSERT INTO mirror.activity
    (project_id, event, kind, procore_id, return_id, number, title, words, reason, person, detail)
SELECT d.project_id, $2, d.kind, d.procore_id, d.return_id, r.number, r.title, $3, $4, $5, $6
FROM mirror.deliveries d
LEFT JOIN mirror.records r USING (project_id, kind, procore_id)
WHERE d.return_id = $1
"""
# Not at once: the echo of our own write comes within a second or two, and one look is for both.
ASK_LOOK = """
INSERT INTO mirror.looks (project_id, kind, procore_id, due_at, priority)
SELECT project_id, kind, procore_id, now() + interval '1.5 seconds', 1
FROM mirror.deliveries WHERE return_id = $1
ON CONFLICT (project_id, kind, procore_id) DO UPDATE
SET due_at = CASE WHEN mirror.looks.claimed_by IS NULL THEN least(mirror.looks.due_at, now())
                  ELSE mirror.looks.due_at END,
    priority = 1, asked = mirror.looks.asked + 1, last_asked_at = now()
"""
RELEASE = """
UPDATE mirror.deliveries
SET due_at = CASE WHEN asked > $3 AND state NOT IN ('delivered', 'failed') THEN now()
                  ELSE coalesce($4, now() + make_interval(secs => $5)) END,
    attempts = CASE WHEN $6 THEN attempts ELSE 0 END,
    reported = coalesce($7, reported),
    reported_asked = CASE WHEN $7::jsonb IS NULL THEN reported_asked ELSE $3 END,
    minutes = coalesce($8, minutes), lease_owner = NULL, lease_until = NULL, crashes = 0
WHERE return_id = $1 AND fence = $2
"""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery under our lease."""

    return_id: str
    project_id: str
    state: str
    fence: int
    asked: int = 1
    attempts: int = 1
    kind: Kind | None = None
    procore_id: str | None = None
    reason: str | None = None
    message: str | None = None
    mended_by: Person | None = None
    receipt: Receipt | None = None
    reported: Delivery | None = None  # the last report that Part3 acknowledged
    reported_asked: int = 0  # what `asked` was then
    traceparent: str | None = None
    returned_at: datetime | None = None  # None until it has been read
    minutes: Minutes | None = None
    arrived_at: datetime | None = None  # of its notice in Kafka, else of its row
    claimed_at: datetime | None = None  # by the database's clock


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What the activity log says of a new standing."""

    event: str  # return.delivered, return.held, return.waiting, return.failed
    words: str
    person: Person | None = None
    detail: dict[str, Any] = {}


class DeliveryStore(Protocol):
    """Where deliveries are kept. Each method is one durable transaction."""

    async def identify(self, task: Task, answer: Return) -> bool:
        """Note what a return is about; False while another one of the record goes first."""

    async def settle(self, task: Task, standing: Standing, change: Change | None) -> None:
        """Note where it stands, and tell people if that is new. Raises LeaseLost."""

    async def release(self, task: Task, standing: Standing, told: Delivery | None) -> None:
        """Give the lease back; `told` is what Part3 has acknowledged now."""


async def ask_delivery(
    queries: Queries,
    *,
    project_id: str,
    return_id: str,
    kind: str | None = None,
    procore_id: str | None = None,
    author_user_id: str | None = None,
    traceparent: str | None = None,
    arrived_at: datetime | None = None,
) -> None:
    """Want a return to be looked at now: it is new, confirmed, withdrawn, or was missed."""
    known_kind = kind if kind in ("rfi", "submittal") else None
    about = (return_id, project_id, known_kind, procore_id, author_user_id)
    await queries.execute(ASK, *about, traceparent, arrived_at)


async def ask_author_deliveries(queries: Queries, author_user_id: str) -> None:
    """Look again at what waits of one author, e.g. as they have just authorized Procore."""
    await queries.execute(ASK_AUTHOR, author_user_id)


async def ask_record_deliveries(
    queries: Queries, project_id: str, kind: str, procore_id: str
) -> None:
    """Look again at what is held on a record that was put, or whose write is in doubt.

    Part3 is told again, too, who could return it.
    """
    await queries.execute(ASK_RECORD, project_id, kind, procore_id)
    await queries.execute(ASK_READINESS, project_id, kind, procore_id)


class PostgresDeliveries:
    """`DeliveryStore` in Postgres, with the claims."""

    def __init__(self, postgres: Postgres, *, worker_id: str, lease_s: float) -> None:
        self._postgres = postgres
        self._worker_id = worker_id
        self._lease_s = lease_s

    async def free_own(self) -> None:
        """Free what an earlier life of this worker still held; called at start.

        What is in hands at every such end rests.
        """
        await self._postgres.execute(FREE_OWN, self._worker_id, *CRASHED)

    async def free_lost(self, under_way: Collection[str]) -> None:
        """Free what is leased to this worker and not among the returns it works on."""
        await self._postgres.execute(FREE_LOST, self._worker_id, list(under_way))

    async def claim(self) -> Task | None:
        """Lease the next due delivery: of the least busy project, what is new before the rest."""
        await self._postgres.execute(FREE_LAPSED)
        try:
            row = await self._postgres.fetchrow(CLAIM, self._worker_id, self._lease_s)
        except UniqueViolation:
            return None  # another worker took a return of the same record at this very moment
        return None if row is None else _task(row)

    async def renew(self, task: Task) -> bool:
        """Keep the lease; False when it is another worker's now."""
        kept = await self._postgres.fetchval(RENEW, task.return_id, task.fence, self._lease_s)
        return kept is not None

    async def give_back(self, task: Task, *, after_s: float) -> None:
        """Free a lease whose attempt could not be noted; what another worker has stays its."""
        await self._postgres.execute(GIVE_BACK, task.return_id, task.fence, after_s)

    async def identify(self, task: Task, answer: Return) -> bool:
        """Note what a return is about; False while another one of the record goes first."""
        try:
            await self._postgres.execute(
                IDENTIFY,
                task.return_id,
                task.fence,
                answer.kind,
                answer.procore_id,
                answer.author.user_id,
                answer.author.name,
                answer.returned_at,
            )
        except UniqueViolation:
            return False
        may_go: bool = await self._postgres.fetchval(MAY_GO, task.return_id)
        return may_go

    async def settle(self, task: Task, standing: Standing, change: Change | None) -> None:
        """Note where it stands, and tell people if that is new. Raises LeaseLost."""
        async with leased(self._postgres, task.return_id, task.fence) as queries:
            await queries.execute(
                SETTLE,
                task.return_id,
                standing.state,
                standing.reason,
                standing.message,
                msgspec.to_builtins(standing.mended_by),
                msgspec.to_builtins(standing.receipt),
            )
            if change is not None:
                await queries.execute(
                    NOTE_CHANGE,
                    task.return_id,
                    change.event,
                    change.words,
                    standing.reason,
                    msgspec.to_builtins(change.person),
                    change.detail,
                )
            if standing.receipt is not None:
                await seal(queries, task.return_id, standing.receipt)
            if standing.state == "delivered":
                await queries.execute(ASK_LOOK, task.return_id)

    async def release(self, task: Task, standing: Standing, told: Delivery | None) -> None:
        """Give the lease back, due again as the standing says."""
        await self._postgres.execute(
            RELEASE,
            task.return_id,
            task.fence,
            task.asked,
            standing.again_at,
            standing.again_in_s,
            standing.state == "waiting" or standing.is_final,
            msgspec.to_builtins(told),
            _minutes(standing),
        )

    async def next_due(self) -> datetime | None:
        """Return when the next delivery is due, or None."""
        due: datetime | None = await self._postgres.fetchval(
            "SELECT min(due_at) FROM mirror.deliveries WHERE lease_owner IS NULL"
        )
        return due


def _task(row: Row) -> Task:
    return msgspec.convert({name: row[name] for name in Task.__struct_fields__}, Task)


def account_of(task: Task) -> Account | None:
    """Return the account of a claimed return's time; None for one that was not claimed."""
    if task.claimed_at is None or task.arrived_at is None:
        return None
    return Account(task.minutes or Minutes(since=task.arrived_at), task.claimed_at)


def _minutes(standing: Standing) -> Any:
    """Return what the row of the return at work keeps of its time; None where none is kept."""
    account = account_at_work()
    if account is None:
        return None
    on = waiting_on(standing.reason, held=standing.state == "held")
    return msgspec.to_builtins(
        account.ended(on, until=standing.again_at, wait_s=standing.again_in_s)
    )

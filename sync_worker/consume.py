"""Notices from Kafka become rows of work in Postgres, and nothing else happens here.

Whatever the order, number and age of the notices, they only move due times: what a record holds is
read afterwards. See decision 0001.
"""

import math
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog

from schemas.notices import PART3_NOTICES, PROCORE_NOTICES, Part3Notice, ProcoreNotice
from services import failpoints
from services.errors import TryLater
from services.kafka import ConsumedRecord
from services.postgres import Postgres, Queries
from sync_worker.outbound.delivery_store import ask_delivery
from sync_worker.poison import MOST_POISON, PoisonLimit, TooMuchPoison

TOPICS = (PROCORE_NOTICES, PART3_NOTICES)

READ_PROJECTS = """
SELECT project_id, procore_company_id, procore_project_id FROM mirror.projects
WHERE project_id = ANY($1) AND state = 'active'
"""
# All notices of a batch at once, so that no row stays locked for as long as a batch takes to note;
# in the order of the keys, so that two batches never wait for each other.
# The delay gathers a burst: it counts from the first notice, so a stream of them cannot put a look
# off for ever; but looks at one record keep a distance of three delays, so that a long burst costs
# a few. One under way keeps its claim: the raised `asked` makes it due again at its end, unless it
# began after a notice of the same change. What an earlier look has surely shown is no work. What a
# listing had asked for waited for nobody's change: a notice's minutes begin with it.
WANT_LOOKS = """
INSERT INTO mirror.looks AS l
  (project_id, kind, procore_id, due_at, priority, asked, notice_id, traceparent, first_moment,
   last_moment, gone, changed_by, arrived_at)
SELECT n.project_id, n.kind, n.procore_id,
  GREATEST(now() + make_interval(secs => $1), max(r.looked_at) + 3 * make_interval(secs => $1)),
  1, count(*), (array_agg(n.notice_id ORDER BY n.place DESC))[1],
  (array_agg(n.traceparent ORDER BY n.place DESC))[1], min(n.moment), max(n.moment),
  bool_or(n.gone),
  (array_agg(n.changed_by ORDER BY n.place DESC) FILTER (WHERE n.changed_by IS NOT NULL))[1],
  min(n.arrived_at)
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
    $8::timestamptz[], $9::boolean[], $10::text[]) WITH ORDINALITY
  AS n (project_id, kind, procore_id, notice_id, traceparent, arrived_at, moment, gone, changed_by,
    place)
LEFT JOIN mirror.records r USING (project_id, kind, procore_id)
WHERE n.moment IS NULL OR r.fresh_until IS NULL OR r.fresh_until < n.moment
GROUP BY n.project_id, n.kind, n.procore_id ORDER BY n.project_id, n.kind, n.procore_id
ON CONFLICT (project_id, kind, procore_id) DO UPDATE SET
  due_at = CASE WHEN l.claimed_by IS NULL THEN LEAST(l.due_at, EXCLUDED.due_at) ELSE l.due_at END,
  priority = 1,
  asked = l.asked + CASE WHEN l.claimed_by IS NOT NULL AND l.last_moment >= EXCLUDED.last_moment
    THEN 0 ELSE EXCLUDED.asked END,
  first_moment = LEAST(l.first_moment, EXCLUDED.first_moment),
  last_moment = GREATEST(l.last_moment, EXCLUDED.last_moment),
  gone = l.gone OR EXCLUDED.gone, arrived_at = coalesce(l.arrived_at, EXCLUDED.arrived_at),
  changed_by = coalesce(EXCLUDED.changed_by, l.changed_by),
  minutes = CASE WHEN l.arrived_at IS NULL AND l.claimed_by IS NULL THEN NULL ELSE l.minutes END,
  last_asked_at = now(), notice_id = EXCLUDED.notice_id, traceparent = EXCLUDED.traceparent
"""
# A reply's event names no RFI. Mostly its RFI's own event comes too and a look shows the reply;
# if none does, what changed since the last sweep is listed, and never are all scanned. A reply that
# we delivered ourselves is looked at by its delivery.
AWAIT_REPLY = """
WITH awaited AS (
  INSERT INTO mirror.awaited_replies AS a (project_id, reply_id, reason, occurred_at, list_at)
  SELECT $1, $2, $3, $4, now() + 2 * make_interval(secs => $5)
  WHERE NOT EXISTS (SELECT 1 FROM mirror.deliveries WHERE (project_id, remote_id) = ($1, $2)
    AND $3 = 'create')
  ON CONFLICT (project_id, reply_id) DO UPDATE SET reason = EXCLUDED.reason,
    occurred_at = GREATEST(a.occurred_at, EXCLUDED.occurred_at),
    list_at = LEAST(a.list_at, EXCLUDED.list_at), listings = 0
  RETURNING list_at
)
UPDATE mirror.sweeps SET wanted_at = LEAST(wanted_at, list_at) FROM awaited
WHERE project_id = $1 AND kind = 'rfi'
"""
CHECK_HELD_AGAIN = """
UPDATE mirror.deliveries SET due_at = now(), asked = asked + 1
WHERE project_id = $1 AND state IN ('held', 'waiting')
"""

ASK_AGAIN_S = 60.0
MOST_ASKED = 10_000
TRACEPARENT = re.compile("[0-9a-f]{2}(-[0-9a-f]+){3}")

log = structlog.get_logger()

Bury = Callable[[ConsumedRecord, str], Awaitable[None]]


@dataclass(slots=True)
class Wakers:
    """Told that rows became due, so that nothing waits for the next poll."""

    looks: Callable[[], None]
    deliveries: Callable[[], None]
    sweeps: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Came:
    """How a notice came: in which trace, and since when it is in Kafka."""

    traceparent: str | None
    arrived_at: datetime


class WantedLook(NamedTuple):
    """What one notice asks for.

    Attributes:
        project_id, kind, procore_id: the record.
        notice_id: whose notice it was.
        traceparent: the trace that it belongs to.
        arrived_at: since when it is in Kafka.
        moment: when the record changed by Procore's clock, where the notice says so.
        gone: whether the notice says that it was deleted.
        changed_by: Procore's id of the person who changed it, where the notice says so.
    """

    project_id: str
    kind: str
    procore_id: str
    notice_id: str
    traceparent: str | None
    arrived_at: datetime
    moment: datetime | None = None
    gone: bool = False
    changed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Home:
    """Where a connected project lives in Procore."""

    company_id: str
    project_id: str


@dataclass(slots=True)
class Intake:
    """The handler of a worker's consumer.

    Args:
        postgres: the worker's own schema.
        bury: writes a record that cannot be read to the dead letters.
        wakers: told what became due.
        look_delay_s: how long notices of a record are gathered.
        learn: asked to learn of a project that is not known yet.
        poison: how much of what cannot be read is set aside.
    """

    postgres: Postgres
    bury: Bury
    wakers: Wakers
    look_delay_s: float
    learn: Callable[[str], Awaitable[None]]
    poison: PoisonLimit = field(default_factory=lambda: PoisonLimit(MOST_POISON))
    monotonic: Callable[[], float] = time.monotonic
    _asked_at: dict[str, float] = field(default_factory=dict)

    async def handle(self, batch: list[ConsumedRecord]) -> None:
        """Make a batch durable as rows of work. Raises TryLater to get it again."""
        failpoints.reach("w1")
        notices = await self._read_all(batch)
        homes = await self._homes({notice.project_id for notice, _ in notices})
        wanted: list[WantedLook] = []
        async with self.postgres.transaction() as transaction:
            for notice, came in notices:
                if notice.project_id not in homes:
                    log.info("notice.not_connected", project_id=notice.project_id)
                elif isinstance(notice, ProcoreNotice):
                    home = homes[notice.project_id]
                    wanted += await self._from_procore(transaction, notice, home, came)
                else:
                    wanted += await self._from_part3(transaction, notice, came)
            if wanted:
                columns = [list(column) for column in zip(*wanted, strict=True)]
                await transaction.execute(WANT_LOOKS, self.look_delay_s, *columns)
        failpoints.reach("w1-noted")
        for wake in (self.wakers.looks, self.wakers.deliveries, self.wakers.sweeps):
            wake()

    async def _read_all(
        self, batch: list[ConsumedRecord]
    ) -> list[tuple[ProcoreNotice | Part3Notice, Came]]:
        """Read a batch and set aside what cannot be read, unless that is too much."""
        readings = [(record, _read(record)) for record in batch]
        topic, unreadable = batch[0].topic, [isinstance(one, str) for _, one in readings]
        try:
            self.poison.check(topic, unreadable)
        except TooMuchPoison as error:
            log.error("intake.stopped", topic=topic, why=str(error))  # noqa: TRY400 - it says all
            raise
        for record, cause in readings:
            if isinstance(cause, str):
                log.warning("notice.unreadable", topic=topic, offset=record.offset, why=cause)
                await self.bury(record, cause)
        self.poison.count(topic, unreadable)
        return [(one, _came(record)) for record, one in readings if not isinstance(one, str)]

    async def _homes(self, project_ids: set[str]) -> dict[str, Home]:
        known = await self._known(project_ids)
        for unknown in project_ids - known.keys():
            await self._learn_of(unknown)
        missing = project_ids - known.keys()
        return known | (await self._known(missing) if missing else {})

    async def _learn_of(self, project_id: str) -> None:
        """Ask for a project at most once a minute; what is missed, its first sweep brings."""
        if self._asked_at.get(project_id, -math.inf) > self.monotonic() - ASK_AGAIN_S:
            return
        if len(self._asked_at) > MOST_ASKED:
            self._asked_at.clear()
        try:
            await self.learn(project_id)
        except TryLater as error:
            # others' notices of the batch must not wait for a project that may not even exist
            log.warning("notice.project_not_learned", project_id=project_id, why=str(error))
        else:
            self._asked_at[project_id] = self.monotonic()

    async def _known(self, project_ids: set[str]) -> dict[str, Home]:
        rows = await self.postgres.fetch(READ_PROJECTS, list(project_ids)) if project_ids else []
        return {
            row["project_id"]: Home(row["procore_company_id"], row["procore_project_id"])
            for row in rows
        }

    async def _from_procore(
        self, queries: Queries, notice: ProcoreNotice, home: Home, came: Came
    ) -> tuple[WantedLook, ...]:
        same_company = notice.procore_company_id in (None, home.company_id)
        if notice.procore_project_id != home.project_id or not same_company:
            # The hook's secret is this project's, its body another's: no work, and somebody looks.
            log.warning(
                "notice.foreign", project_id=notice.project_id, named=notice.procore_project_id
            )
            return ()
        if notice.resource == "rfi_reply":
            await queries.execute(
                AWAIT_REPLY,
                notice.project_id,
                notice.record_id,
                notice.reason,
                notice.occurred_at,
                self.look_delay_s,
            )
            return ()
        look = WantedLook(
            notice.project_id,
            "submittal" if notice.resource == "submittal" else "rfi",
            notice.record_id,
            notice.notice_id,
            came.traceparent,
            came.arrived_at,
            moment=notice.occurred_at,
            gone=notice.reason == "delete",
            changed_by=notice.procore_user_id,
        )
        return (look,)

    async def _from_part3(
        self, queries: Queries, notice: Part3Notice, came: Came
    ) -> tuple[WantedLook, ...]:
        if notice.type.startswith("return.") and notice.return_id:
            await ask_delivery(
                queries,
                project_id=notice.project_id,
                return_id=notice.return_id,
                kind=notice.kind,
                procore_id=notice.procore_id,
                author_user_id=notice.user_id,
                traceparent=came.traceparent,
                arrived_at=came.arrived_at,
            )
        elif notice.type == "record.changed" and notice.procore_id:
            if notice.kind in ("rfi", "submittal"):
                key = (notice.project_id, notice.kind, notice.procore_id)
                return (WantedLook(*key, notice.notice_id, came.traceparent, came.arrived_at),)
        elif notice.type == "member.changed":
            await queries.execute(CHECK_HELD_AGAIN, notice.project_id)
        return ()


def _read(record: ConsumedRecord) -> ProcoreNotice | Part3Notice | str:
    """Return a record's notice, or why it cannot be read."""
    shape: type[ProcoreNotice | Part3Notice] = (
        ProcoreNotice if record.topic == PROCORE_NOTICES else Part3Notice
    )
    try:
        notice = msgspec.json.decode(record.value or b"", type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"the worker cannot read it: {error}"
    if record.key is None or record.key != notice.project_id.encode():
        return "the key is not the project the notice names"
    if any("\0" in text for text in msgspec.structs.astuple(notice) if isinstance(text, str)):
        return "it names something with a character that no database takes"
    return notice


def _came(record: ConsumedRecord) -> Came:
    """Return a notice's trace and age; a broken header is no reason to lose the notice."""
    said = (record.headers.get("traceparent") or b"").decode("ascii", "replace")
    return Came(said if TRACEPARENT.fullmatch(said) else None, record.written_at)

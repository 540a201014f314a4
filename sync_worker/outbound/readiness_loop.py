"""Tells Part3 who could return which record, as records and authorizations change."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from schemas.records import Kind
from schemas.returns import Member, Project, Readiness
from services.errors import ConnectorError, NeedsPerson, TryLater
from services.postgres import Postgres
from services.procore.errors import NotAllowed, NotVisible
from services.procore.models import Place, ResponseOption
from services.procore.permissions import Levels
from sync_worker.activity import note
from sync_worker.outbound.checks import Access, Checked, news_of, unmapped_of
from sync_worker.outbound.outside import Agreements, Grants, Part3Readiness
from sync_worker.outbound.readiness import RETURNS_BY, Teammate, not_connected, readiness_of
from sync_worker.outbound.turns import Turns

log = structlog.get_logger()

POLL_S = 1.0
BATCH = 200
CHECK_EVERY = 5
"""Rechecks between two checks of a project: a call for its codes, one for each who returns."""
PROJECTS_A_ROUND = 20
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Taken for half a minute: a worker that dies in between has told nothing twice, and it comes again.
TAKE_RECORDS = """
UPDATE mirror.readiness SET due_at = now() + interval '30 seconds'
WHERE (project_id, kind, procore_id) IN (
    SELECT q.project_id, q.kind, q.procore_id FROM mirror.readiness q
    JOIN mirror.projects p USING (project_id)
    WHERE q.due_at <= now()
    ORDER BY q.due_at LIMIT $1 FOR UPDATE OF q SKIP LOCKED)
RETURNING project_id, kind, procore_id, turns, pushed, asked
"""
STATUS = """
SELECT kind, procore_id, status FROM mirror.records
WHERE project_id = $1 AND procore_id = ANY($2)
"""
TOLD = """
UPDATE mirror.readiness
SET pushed = $4, due_at = CASE WHEN asked > $5 THEN due_at END
WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
LATER = """
UPDATE mirror.readiness SET due_at = now() + make_interval(secs => $4)
WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
TAKE_PROJECT = """
UPDATE mirror.projects SET readiness_due_at = now() + make_interval(secs => $1)
WHERE project_id = (
    SELECT project_id FROM mirror.projects
    WHERE state = 'active' AND readiness_due_at <= now()
    ORDER BY readiness_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING project_id, team_known
"""
TAKE_CHECK = """
UPDATE mirror.projects SET checks_due_at = now() + make_interval(secs => $1)
WHERE project_id = (
    SELECT project_id FROM mirror.projects
    WHERE state = 'active' AND attention_reason IS NULL AND to_part3_paused IS NULL
      AND checks_due_at <= now()
    ORDER BY checks_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING project_id, checked, procore_company_id, procore_project_id, reader_user_id
"""
READ_PROJECT = "SELECT state, checked FROM mirror.projects WHERE project_id = $1"
KEEP_CHECKED = "UPDATE mirror.projects SET checked = $2 WHERE project_id = $1"
ASK_UNMAPPED = """
UPDATE mirror.deliveries SET due_at = now()
WHERE project_id = $1 AND state = 'held' AND reason IN ('code_unmapped', 'not_permitted')
"""
TEAM_CHANGED = """
UPDATE mirror.projects SET team_known = $2, checks_due_at = now() WHERE project_id = $1
"""
TELL_ALL_AGAIN = """
UPDATE mirror.readiness SET due_at = now(), asked = asked + 1 WHERE project_id = $1
"""


class Teams(Part3Readiness, Protocol):
    """Part3's teams, and where readiness is told."""

    async def project(self, project_id: str) -> Project | None:
        """Return a project with its team, or None when there is none of that id."""


class ProcoreChecks(Protocol):
    """The two calls a project is checked by."""

    async def levels(self, place: Place, *, whose: str) -> Levels:
        """Return a person's levels on the two tools."""

    async def response_options(self, place: Place, *, whose: str) -> tuple[ResponseOption, ...]:
        """Read the project's submittal responses."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A record whose readiness is due."""

    project_id: str
    kind: Kind
    procore_id: str
    turns: Turns | None
    pushed: Readiness | None
    asked: int


class ReadinessLoop:
    """Runs beside the worker's other loops.

    Args:
        recheck_s: how often teams and authorizations are looked at without an event.
        procore: None leaves projects unchecked.
        agreements: what the parties said about dispositions.
    """

    def __init__(
        self,
        postgres: Postgres,
        part3: Teams,
        grants: Grants,
        *,
        recheck_s: float,
        procore: ProcoreChecks | None = None,
        agreements: Agreements | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._postgres = postgres
        self._part3 = part3
        self._grants = grants
        self._recheck_s = recheck_s
        self._procore = procore
        self._agreements = agreements
        self._clock = clock
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Take nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped."""
        while not self._stopping.is_set():
            try:
                await self.once()
            except TryLater as error:
                log.info("readiness.later", why=str(error))
            except Exception:
                # a fault of ours must not stop the worker's other loops; it is tried again
                log.exception("readiness.fault")
            try:
                async with asyncio.timeout(POLL_S):
                    _ = await self._stopping.wait()
            except TimeoutError:
                continue

    async def once(self) -> None:
        """See whose team or authorizations changed, then tell all that is due."""
        for _ in range(PROJECTS_A_ROUND):
            taken = await self._postgres.fetchrow(TAKE_PROJECT, self._recheck_s)
            if taken is None:
                break
            await self._see_team(taken["project_id"], taken["team_known"])
        await self._check_projects()
        rows = await self._take()
        while rows:
            by_project: defaultdict[str, list[Row]] = defaultdict(list)
            for row in rows:
                by_project[row.project_id].append(row)
            for project_id, due in by_project.items():
                await self._tell_project(project_id, due)
            rows = await self._take()

    async def _check_projects(self) -> None:
        every_s = CHECK_EVERY * self._recheck_s
        for _ in range(PROJECTS_A_ROUND if self._procore is not None else 0):
            taken = await self._postgres.fetchrow(TAKE_CHECK, every_s)
            if taken is None:
                return
            try:
                await self._check(taken)
            except ConnectorError as error:
                log.info("project.not_checked", project_id=taken["project_id"], why=str(error))

    async def _check(self, taken: Mapping[str, Any]) -> None:
        """Check a project by one call for its responses and one for each who has authorized."""
        project_id = taken["project_id"]
        place = Place(
            company_id=taken["procore_company_id"], project_id=taken["procore_project_id"]
        )
        was = msgspec.convert(taken["checked"] or {}, Checked)
        now = await self._checked(project_id, place, taken["reader_user_id"])
        if now == was:
            return
        async with self._postgres.transaction() as queries:
            await queries.execute(KEEP_CHECKED, project_id, msgspec.to_builtins(now))
            for words, person in news_of(was, now):
                await note(
                    queries,
                    project_id,
                    "codes.suspended",
                    words,
                    reason="code_unmapped",
                    person=person,
                )
            await queries.execute(ASK_UNMAPPED, project_id)
            await queries.execute(TELL_ALL_AGAIN, project_id)

    async def _checked(self, project_id: str, place: Place, reader: str) -> Checked:
        assert self._procore is not None  # noqa: S101 - asked by _check_projects
        project = await self._part3.project(project_id)
        team = project.team if project else ()
        options = await self._procore.response_options(place, whose=reader)
        agreed = await self._agreements.dispositions(project_id) if self._agreements else None
        access = {
            member.user_id: found
            for member in team
            if member.role in RETURNS_BY
            and (found := await self._access(place, member.user_id)) is not None
        }
        return Checked(
            access=access,
            unmapped=unmapped_of(options, agreed, team),
            names={option.id: option.name for option in options},
        )

    async def _access(self, place: Place, user_id: str) -> Access | None:
        """Ask Procore with the person's own grant; None: they have none, or it cannot be said."""
        assert self._procore is not None  # noqa: S101 - asked by _check_projects
        try:
            _ = await self._grants.procore_user_id(user_id)
            return Access(levels=await self._procore.levels(place, whose=user_id))
        except (NotAllowed, NotVisible):
            return Access(levels=None)
        except NeedsPerson:
            return None

    async def _take(self) -> list[Row]:
        if self._stopping.is_set():
            return []
        rows = await self._postgres.fetch(TAKE_RECORDS, BATCH)
        return [msgspec.convert(dict(row), Row) for row in rows]

    async def _see_team(self, project_id: str, known: str | None) -> None:
        try:
            team = await self._team(project_id)
        except ConnectorError as error:
            log.info("readiness.team_unknown", project_id=project_id, why=str(error))
            return
        now_known = msgspec.json.encode(team).decode()
        if now_known == known:
            return
        async with self._postgres.transaction() as queries:
            await queries.execute(TEAM_CHANGED, project_id, now_known)
            await queries.execute(TELL_ALL_AGAIN, project_id)

    async def _team(self, project_id: str) -> list[Teammate]:
        project = await self._part3.project(project_id)
        if project is None:
            return []
        returning = [member for member in project.team if member.role in RETURNS_BY]
        return [await self._teammate(member) for member in returning]

    async def _teammate(self, member: Member) -> Teammate:
        try:
            procore_id = await self._grants.procore_user_id(member.user_id)
        except NeedsPerson as error:
            lapsed = error.reason == "needs_reauthorization"
            return Teammate(member=member, procore_id=None, lapsed=lapsed)
        return Teammate(member=member, procore_id=procore_id)

    async def _tell_project(self, project_id: str, due: list[Row]) -> None:
        project = await self._postgres.fetchrow(READ_PROJECT, project_id)
        statuses = await self._statuses(project_id, due)
        if project is None or project["state"] != "active":
            await self._tell_nothing_crosses(project["state"] if project else "gone", due, statuses)
            return
        try:
            team = await self._team(project_id)
        except ConnectorError as error:
            log.info("readiness.team_unknown", project_id=project_id, why=str(error))
            for row in due:
                await self._later(row)
            return
        checked = msgspec.convert(project["checked"] or {}, Checked)
        for row in due:
            await self._tell(row, team, statuses.get((row.kind, row.procore_id)), checked)

    async def _tell_nothing_crosses(
        self, state: str, due: list[Row], statuses: Mapping[tuple[str, str], str]
    ) -> None:
        """Say of open records that they cannot be returned; nobody asks about the others."""
        for row in due:
            if statuses.get((row.kind, row.procore_id)) == "open":
                await self._push(row, not_connected(state, as_of=self._clock()))
            else:
                await self._told(row, row.pushed)

    async def _statuses(self, project_id: str, due: list[Row]) -> dict[tuple[str, str], str]:
        ids = [row.procore_id for row in due]
        rows = await self._postgres.fetch(STATUS, project_id, ids)
        return {(row["kind"], row["procore_id"]): row["status"] or "" for row in rows}

    async def _tell(
        self, row: Row, team: list[Teammate], status: str | None, checked: Checked
    ) -> None:
        """Tell what is new; of what was never open nobody needs to hear that it cannot go."""
        if row.turns is None or (row.pushed is None and status != "open"):
            await self._told(row, row.pushed)
            return
        readiness = readiness_of(
            row.turns,
            team,
            removed=status == "removed",
            as_of=self._clock(),
            kind=row.kind,
            checked=checked,
        )
        await self._push(row, readiness)

    async def _push(self, row: Row, readiness: Readiness) -> None:
        told = row.pushed
        if _differs(told, readiness):
            try:
                await self._part3.put_readiness(row.project_id, row.kind, row.procore_id, readiness)
            except ConnectorError as error:
                log.info("readiness.not_told", procore_id=row.procore_id, why=str(error))
                await self._later(row)
                return
            told = readiness
        await self._told(row, told)

    async def _told(self, row: Row, told: Readiness | None) -> None:
        pushed = msgspec.to_builtins(told)
        await self._postgres.execute(
            TOLD, row.project_id, row.kind, row.procore_id, pushed, row.asked
        )

    async def _later(self, row: Row) -> None:
        await self._postgres.execute(
            LATER, row.project_id, row.kind, row.procore_id, self._recheck_s
        )


def _differs(told: Readiness | None, readiness: Readiness) -> bool:
    return told is None or replace(told, as_of=EPOCH) != replace(readiness, as_of=EPOCH)

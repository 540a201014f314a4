"""Who reads a project: its owner, or, while the owner's grant is lost, somebody who stands in.

Only reads: a return always goes by its author's own grant. Whose turn it is to stand in: members of
the general contractor who have authorized and are Admin on both tools, oldest authorization first.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from schemas.connections import Authorization
from schemas.records import Kind
from schemas.returns import Project
from services.errors import ConnectorError, NeedsPerson, TryLater
from services.postgres import Postgres, Row
from services.procore.errors import AppNotInstalled, NotAllowed, NotVisible, Refused
from services.procore.models import Place
from services.procore.pacer import Priority
from sync_worker.activity import note
from sync_worker.listing import Trials

log = structlog.get_logger()

# One call says whether a company has the app again; what a person has lost is asked about oftener,
# as it mostly costs Procore nothing. Returns wait for the app too, so a pause towards Part3 alone
# keeps nobody from asking for it.
TAKE_PROBE = """
UPDATE mirror.projects SET probe_after = now() + make_interval(secs =>
  CASE WHEN attention_reason IN ('app_not_installed', 'not_permitted')
    THEN $1::float8 ELSE $2::float8 END)
WHERE project_id = (
  SELECT project_id FROM mirror.projects
  WHERE state = 'active' AND attention_reason IS NOT NULL
    AND (to_part3_paused IS NULL
      OR (attention_reason = 'app_not_installed' AND to_procore_paused IS NULL))
    AND (probe_after IS NULL OR probe_after <= now())
  ORDER BY probe_after NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING project_id, procore_company_id, procore_project_id, owner_user_id, reader_user_id,
  attention_reason
"""
TAKE_STOOD_IN_FOR = """
UPDATE mirror.projects SET reader_due_at = now() + make_interval(secs => $1)
WHERE project_id = (
  SELECT project_id FROM mirror.projects
  WHERE state = 'active' AND attention_reason IS NULL AND to_part3_paused IS NULL
    AND reader_user_id <> owner_user_id
    AND reader_due_at <= now()
  ORDER BY reader_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING project_id, procore_company_id, procore_project_id, owner_user_id, reader_user_id,
  attention_reason
"""
# Named by what it was decided from: a connection that changed meanwhile decides for itself.
READS_NOW = """
UPDATE mirror.projects SET reader_user_id = $4, attention_reason = NULL, attention_message = NULL,
  attention_mended_by = NULL, attention_since = NULL, probe_after = NULL,
  kept_back_because = coalesce(attention_reason, kept_back_because),
  kept_back_since = coalesce(attention_since, kept_back_since),
  kept_back_until = CASE WHEN attention_reason IS NULL THEN kept_back_until ELSE now() END,
  reader_due_at = now() + make_interval(secs => $6)
WHERE project_id = $1 AND owner_user_id = $2 AND reader_user_id = $3
  AND attention_reason IS NOT DISTINCT FROM $5 AND state = 'active' RETURNING 1
"""
REST = """
UPDATE mirror.projects SET reader_due_at = now() + make_interval(secs => $2) WHERE project_id = $1
"""
WAKE_LOOKS = """
UPDATE mirror.looks SET due_at = now(), attempts = 0 WHERE project_id = $1 AND claimed_by IS NULL
"""
WAKE_SWEEPS = """
UPDATE mirror.sweeps SET due_at = now(), retry_at = NULL, attempts = 0
WHERE project_id = $1
"""
KINDS: tuple[Kind, ...] = ("rfi", "submittal")


class Authorizations(Protocol):
    """The token service."""

    async def authorized_among(self, user_ids: Sequence[str]) -> Sequence[Authorization]:
        """Return which of some people have a working authorization, oldest first."""

    def forget(self, user_id: str) -> None:
        """Ask afresh for a person's access token."""


class Teams(Protocol):
    """Part3's projects."""

    async def project(self, project_id: str) -> Project | None:
        """Return a project with its team."""


class Readers:
    """Finds who can read the projects that need attention, and lets owners read again.

    Args:
        recheck_s: how often a lost grant is asked for again; it costs Procore no call.
        retry_max_s: how often Procore is asked again about what it refused.
        wake: told that a project can be read again.
    """

    def __init__(
        self,
        postgres: Postgres,
        authorizations: Authorizations,
        teams: Teams,
        procore: Trials,
        *,
        recheck_s: float,
        retry_max_s: float,
        wake: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._postgres = postgres
        self._authorizations = authorizations
        self._teams = teams
        self._procore = procore
        self._recheck_s = recheck_s
        self._retry_max_s = retry_max_s
        self._wake = wake
        self._monotonic = monotonic
        self._unfit: dict[tuple[str, str], float] = {}

    async def probe(self) -> bool:
        """Try one project that needs attention and is due; return whether there was one."""
        row = await self._postgres.fetchrow(TAKE_PROBE, self._retry_max_s, self._recheck_s)
        if row is None:
            return False
        try:
            user_id = await self._who_can_read(row)
        except ConnectorError as error:
            log.info("project.not_readable", project_id=row["project_id"], why=str(error))
            return True
        if user_id is not None:
            await self._let_read(row, user_id)
        return True

    async def return_to_owner(self) -> bool:
        """Try one project that somebody stands in for and is due; return whether there was one."""
        row = await self._postgres.fetchrow(TAKE_STOOD_IN_FOR, self._recheck_s)
        if row is None:
            return False
        try:
            if await self._owner_can_read(row):
                await self._let_read(row, row["owner_user_id"])
        except (NotAllowed, NotVisible, Refused):
            await self._postgres.execute(REST, row["project_id"], self._retry_max_s)
        except ConnectorError as error:
            log.info("owner.not_reading", project_id=row["project_id"], why=str(error))
        return True

    async def _who_can_read(self, row: Row) -> str | None:
        """Return who can read a project, or None. Raises what keeps anybody from reading it."""
        if row["attention_reason"] == "app_not_installed":
            await self._read_both(row, row["reader_user_id"])  # whoever asks hears the same
            return str(row["reader_user_id"])
        try:
            if await self._owner_can_read(row):
                return str(row["owner_user_id"])
        except AppNotInstalled:
            raise
        except (NeedsPerson, NotAllowed, NotVisible, Refused) as error:
            log.info("owner.not_reading", project_id=row["project_id"], why=str(error))
        return await self._stand_in(row)

    async def _owner_can_read(self, row: Row) -> bool:
        owner = row["owner_user_id"]
        if not await self._authorizations.authorized_among([owner]):
            return False
        self._authorizations.forget(owner)
        await self._read_both(row, owner)
        if not await self._procore.is_admin_of_both(_place(row), whose=owner):
            message = (
                f"{owner} reads lists, and is not Admin on both tools: private ones are hidden"
            )
            raise NotAllowed(message)
        return True

    async def _read_both(self, row: Row, user_id: str) -> None:
        for kind in KINDS:
            _ = await self._procore.page(
                kind,
                _place(row),
                whose=user_id,
                priority=Priority.LOOK,
                number=1,
                updated_from=None,
                updated_to=None,
            )

    async def _stand_in(self, row: Row) -> str | None:
        project = await self._teams.project(row["project_id"])
        if project is None:
            return None
        members = [
            member.user_id
            for member in project.team
            if member.role == "general_contractor" and member.user_id != row["owner_user_id"]
        ]
        if not members:
            return None
        for one in await self._authorizations.authorized_among(members):
            if await self._is_fit(row, one.user_id):
                return one.user_id
        return None

    async def _is_fit(self, row: Row, user_id: str) -> bool:
        """Ask Procore whether somebody may stand in; a no stands for a while."""
        key = (row["project_id"], user_id)
        if self._unfit.get(key, 0.0) > self._monotonic():
            return False
        try:
            if await self._procore.is_admin_of_both(_place(row), whose=user_id):
                return True
        except AppNotInstalled:
            raise
        except TryLater:
            return False
        except (NeedsPerson, NotAllowed, NotVisible, Refused) as error:
            log.info("stand_in.unfit", project_id=row["project_id"], why=str(error))
        self._unfit[key] = self._monotonic() + self._retry_max_s
        return False

    async def _let_read(self, row: Row, user_id: str) -> None:
        project_id, owner = row["project_id"], row["owner_user_id"]
        words = await self._words(row, user_id)
        async with self._postgres.transaction() as transaction:
            decided_from = (project_id, owner, row["reader_user_id"])
            told = (user_id, row["attention_reason"], self._recheck_s)
            if not await transaction.fetchval(READS_NOW, *decided_from, *told):
                return
            await transaction.execute(WAKE_LOOKS, project_id)
            await transaction.execute(WAKE_SWEEPS, project_id)
            event = "connection.mended" if user_id == owner else "connection.stood_in"
            await note(transaction, project_id, event, words)
        log.info("project.reader", project_id=project_id, stands_in=user_id != owner)
        self._wake()

    async def _words(self, row: Row, user_id: str) -> str:
        if user_id == row["owner_user_id"]:
            return "Procore can be read again; what was missed is being listed."
        try:
            project = await self._teams.project(row["project_id"])
        except TryLater:
            project = None
        owner = project.member(row["owner_user_id"]) if project else None
        member = project.member(user_id) if project else None
        return (
            f"{owner.name if owner else 'The person who connected this project'} cannot read it "
            f"in Procore now. Until they can again, it is read with the authorization of "
            f"{member.name if member else 'another member of the general contractor'}."
        )


def _place(row: Row) -> Place:
    return Place(company_id=row["procore_company_id"], project_id=row["procore_project_id"])

"""Which projects are connected, who reads them, and what keeps one from being read.

The token service owns connections; the workers ask it for what changed and keep their own rows.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
import structlog

from schemas.connections import Connection, ProjectOptions
from schemas.records import Person
from schemas.returns import Project
from services.errors import ConnectorError, NeedsPerson, TryLater
from services.postgres import Postgres, Queries, Row
from services.procore.models import Place
from services.token_client import ConnectionPages, all_connections
from services.waits import Closed, waiting_on
from sync_worker.activity import note
from sync_worker.inbound.brake import take_confirmation
from sync_worker.inbound.mirror import Reader

log = structlog.get_logger()

POLL_S = 2.0
OVERLAP = timedelta(seconds=30)
"""How far back each poll asks again: two changes may carry the same time."""

READER = """
SELECT procore_company_id, procore_project_id, reader_user_id, options, kept_back_because,
  kept_back_since, kept_back_until
FROM mirror.projects WHERE project_id = $1 AND state = 'active' AND attention_reason IS NULL
"""
LAST_HEARD = "SELECT max(connection_updated_at) FROM mirror.projects"
KNOWN = """
SELECT state, procore_company_id, procore_project_id, owner_user_id, connection_updated_at,
  options, removals_confirmed
FROM mirror.projects WHERE project_id = $1 FOR UPDATE
"""
# Nothing of the tie itself changed, but what its parties agreed on. Who may return what is asked
# anew; who reads and what needs attention stays.
AGREED_ANEW = """
UPDATE mirror.projects SET connection_updated_at = $2, checks_due_at = now() WHERE project_id = $1
"""
KEEP = """
INSERT INTO mirror.projects AS p (project_id, procore_company_id, procore_project_id,
  owner_user_id, reader_user_id, state, connection_updated_at, options, removals_confirmed,
  unlinking, to_part3_paused, to_procore_paused)
VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, mirror.pause_of($1, $2, 'part3'),
  mirror.pause_of($1, $2, 'procore'))
ON CONFLICT (project_id) DO UPDATE SET
  procore_company_id = EXCLUDED.procore_company_id,
  procore_project_id = EXCLUDED.procore_project_id,
  owner_user_id = EXCLUDED.owner_user_id,
  reader_user_id = EXCLUDED.owner_user_id,
  state = EXCLUDED.state,
  connection_updated_at = EXCLUDED.connection_updated_at,
  options = EXCLUDED.options, removals_confirmed = EXCLUDED.removals_confirmed,
  unlinking = EXCLUDED.unlinking,
  to_part3_paused = EXCLUDED.to_part3_paused, to_procore_paused = EXCLUDED.to_procore_paused,
  kept_back_because = CASE p.state WHEN 'paused' THEN p.state
    ELSE coalesce(p.attention_reason, p.kept_back_because) END,
  kept_back_since = CASE WHEN p.state = 'paused' THEN p.connection_updated_at
    WHEN p.attention_reason IS NOT NULL THEN p.attention_since ELSE p.kept_back_since END,
  kept_back_until = CASE WHEN p.state = 'paused' OR p.attention_reason IS NOT NULL THEN now()
    ELSE p.kept_back_until END,
  attention_reason = NULL, attention_message = NULL, attention_mended_by = NULL,
  attention_since = NULL, probe_after = NULL, hook_due_at = now() + interval '1 minute',
  returns_due_at = now()
"""
# The fence takes the sweep away from whoever lists the project as it was tied before.
BEGIN_SWEEPS = """
INSERT INTO mirror.sweeps AS s (project_id, kind) VALUES ($1, 'rfi'), ($1, 'submittal')
ON CONFLICT (project_id, kind) DO UPDATE SET due_at = now(), backfilled_at = NULL,
  settled_until = NULL, window_from = NULL, window_to = NULL, next_page = NULL, found = 0, done = 0,
  files_found = 0, files_done = 0, started_at = NULL, finished_at = NULL, attempts = 0,
  reason = NULL, message = NULL, settle_at = NULL, settle_by = NULL, wanted_at = NULL,
  retry_at = NULL, audited_at = NULL, lease_owner = NULL, lease_until = NULL, fence = s.fence + 1
"""
# Drafts are shown from now on: everything is listed again, at once, as in the daily audit. The
# fence takes a listing under way from its worker: it would end as if nothing had been asked.
LIST_EVERYTHING = """
UPDATE mirror.sweeps SET due_at = now(), audited_at = '-infinity', retry_at = NULL,
  lease_owner = NULL, lease_until = NULL, fence = fence + 1,
  found = CASE WHEN backfilled_at IS NULL AND next_page IS NOT NULL THEN 0 ELSE found END,
  next_page = CASE WHEN backfilled_at IS NULL AND next_page IS NOT NULL THEN 1 END
WHERE project_id = $1
"""
FORGET_REMOVALS = "DELETE FROM mirror.removals WHERE project_id = $1"
FORGET_LOOKS = "DELETE FROM mirror.looks WHERE project_id = $1"
FORGET_REPLIES = "DELETE FROM mirror.awaited_replies WHERE project_id = $1"
FORGET_COMPARISONS = "DELETE FROM mirror.comparisons WHERE project_id = $1"
FORGET_DIFFERENCES = "DELETE FROM mirror.differences WHERE project_id = $1"
# Who may answer and which responses there are is asked anew, and told as no change of theirs. How
# far its listings are behind counts from here.
BEGIN_ANEW = """
UPDATE mirror.projects SET checked = NULL, checks_due_at = now(), connected_at = now()
WHERE project_id = $1
"""
BEGIN = (
    FORGET_LOOKS,
    FORGET_REPLIES,
    BEGIN_SWEEPS,
    FORGET_REMOVALS,
    FORGET_COMPARISONS,
    FORGET_DIFFERENCES,
    BEGIN_ANEW,
)
"""What a new tie begins with: nothing of the former one counts for it."""
# What could be returned a moment ago cannot now, or the other way round.
TELL_READINESS = """
UPDATE mirror.readiness SET due_at = now(), asked = asked + 1 WHERE project_id = $1
"""
ATTENTION = """
UPDATE mirror.projects SET attention_reason = $2, attention_message = $3, attention_mended_by = $4,
  attention_since = coalesce(attention_since, now()),
  probe_after = now() + make_interval(secs => $5)
WHERE project_id = $1 AND reader_user_id = $6 AND attention_reason IS DISTINCT FROM $2
RETURNING 1
"""
NO_GRANT = ("not_authorized", "needs_reauthorization")


class NotReadable(NeedsPerson):
    """Procore does not let the reader list a tool of the project."""

    def __init__(self, cause: ConnectorError) -> None:
        super().__init__(
            "Procore no longer lets this project's RFIs and submittals be read by the person whose "
            "authorization reads them. A project administrator in Procore gives them Admin on the "
            f"RFIs and Submittals tools again. ({cause})",
            reason="not_permitted",
        )


def _is_a_new_tie(known: Mapping[str, Any] | None, connection: Connection) -> bool:
    """Tell whether a project was connected since it was last heard of, heard to end or not."""
    if connection.state == "disconnected":
        return False
    if known is None or known["state"] == "disconnected":
        return True
    since = connection.connected_at
    return known["procore_project_id"] != connection.procore_project_id or (
        since is not None and since > known["connection_updated_at"]
    )


def _is_unchanged(known: Mapping[str, Any], connection: Connection) -> bool:
    confirmed = connection.removals_confirmed
    now = (
        connection.state,
        connection.procore_company_id,
        connection.procore_project_id,
        connection.owner_user_id,
        connection.options,
        msgspec.to_builtins(confirmed) if confirmed else None,
    )
    was = (
        known["state"],
        known["procore_company_id"],
        known["procore_project_id"],
        known["owner_user_id"],
        msgspec.convert(known["options"], ProjectOptions),
        known["removals_confirmed"],
    )
    return now == was and connection.state == "active"


def _nobody_waits() -> None:
    """Stand in until the sweeping loop is there."""


class Connections(ConnectionPages, Protocol):
    """The token service's internal API, as far as projects go."""

    async def connection(self, project_id: str) -> Connection | None:
        """Return a project's connection."""


class Teams(Protocol):
    """Part3's projects."""

    async def project(self, project_id: str) -> Project | None:
        """Return a project with its team."""


class Projects:
    """The connected projects of all workers.

    Args:
        postgres: the workers' schema.
        connections: the token service.
        teams: Part3, for the names in what people read.
        retry_max_s: how often a company without the app is probed.
    """

    def __init__(
        self,
        postgres: Postgres,
        connections: Connections,
        teams: Teams,
        *,
        retry_max_s: float,
    ) -> None:
        self._postgres = postgres
        self._connections = connections
        self._teams = teams
        self._retry_max_s = retry_max_s
        self.wake_sweeps: Callable[[], None] = _nobody_waits

    async def reader(self, project_id: str) -> Reader | None:
        """Return where a project is read and by whose grant; None while it is not to be read."""
        row = await self._postgres.fetchrow(READER, project_id)
        if row is None:
            return None
        options = msgspec.convert(row["options"], ProjectOptions)
        place = Place(company_id=row["procore_company_id"], project_id=row["procore_project_id"])
        kept_back = _kept_back(row)
        return Reader(project_id, place, row["reader_user_id"], options.show_drafts, kept_back)

    async def follow(self, stopping: asyncio.Event) -> None:
        """Ask for changed connections every two seconds until told to stop."""
        while not stopping.is_set():
            try:
                await self.learn_changes()
            except TryLater as error:
                log.warning("connections.not_heard", why=str(error))
            try:
                async with asyncio.timeout(POLL_S):
                    _ = await stopping.wait()
            except TimeoutError:
                continue

    async def learn_changes(self) -> None:
        """Take over every connection that changed since the last one heard of."""
        heard: datetime | None = await self._postgres.fetchval(LAST_HEARD)
        since = heard - OVERLAP if heard else None
        async for connection in all_connections(self._connections, updated_after=since):
            await self._take_over(connection)

    async def learn(self, project_id: str) -> None:
        """Ask for one project at once: a notice of it came before its connection was heard of."""
        connection = await self._connections.connection(project_id)
        if connection is not None:
            await self._take_over(connection)

    async def _take_over(self, connection: Connection) -> None:
        async with self._postgres.transaction() as transaction:
            known = await transaction.fetchrow(KNOWN, connection.project_id)
            if known and known["connection_updated_at"] >= connection.updated_at:
                return
            began = _is_a_new_tie(known, connection)
            if known and not began and _is_unchanged(known, connection):
                await transaction.execute(AGREED_ANEW, connection.project_id, connection.updated_at)
                return
            confirmed = connection.removals_confirmed
            await transaction.execute(
                KEEP,
                connection.project_id,
                connection.procore_company_id,
                connection.procore_project_id,
                connection.owner_user_id,
                connection.state,
                connection.updated_at,
                msgspec.to_builtins(connection.options),
                msgspec.to_builtins(confirmed) if confirmed else None,
                connection.unlinked and connection.state == "disconnected",
            )
            if began:
                for statement in BEGIN:
                    await transaction.execute(statement, connection.project_id)
            elif confirmed:
                _ = await take_confirmation(transaction, connection.project_id, confirmed)
            asked_for_drafts = (
                not began
                and known is not None
                and connection.options.show_drafts
                and not msgspec.convert(known["options"], ProjectOptions).show_drafts
            )
            if asked_for_drafts:
                await transaction.execute(LIST_EVERYTHING, connection.project_id)
            before = known["state"] if known and not began else None
            if known is not None and before != connection.state:
                await transaction.execute(TELL_READINESS, connection.project_id)
            await self._tell(transaction, connection, before)
        log.info("connection.heard", project_id=connection.project_id, state=connection.state)
        if began or asked_for_drafts:
            self.wake_sweeps()

    async def _tell(self, queries: Queries, connection: Connection, before: str | None) -> None:
        words = {
            "active": "The project is connected to Procore.",
            "paused": "The connection is paused; nothing crosses until it is resumed.",
            "disconnected": "The project was disconnected; both copies stay as they are.",
        }
        if connection.state != before:
            event = f"connection.{connection.state}"
            await note(queries, connection.project_id, event, words[connection.state])
        if connection.unlinked:
            unlinked = (
                "It was tied to the wrong project in Procore and was unlinked; what came from "
                "there is marked as removed, and its content is kept."
            )
            await note(queries, connection.project_id, "connection.unlinked", unlinked)

    async def needs_attention(self, reader: Reader, error: NeedsPerson) -> None:
        """Stop reading a project until a person has mended what keeps it from being read."""
        mended_by = error.mended_by or await self._owner(reader)
        message = str(error)
        if error.reason in NO_GRANT:
            name = mended_by.name if mended_by else "The person who connected this project"
            message = (
                f"{name}'s Procore authorization no longer works, so nothing is read from Procore. "
                f"{name} authorizes again in Account Settings, Integrations."
            )
        # where it is the person, somebody else may read meanwhile: that is found out at once
        probe_s = self._retry_max_s if error.reason == "app_not_installed" else 0.0
        async with self._postgres.transaction() as transaction:
            set_now = await transaction.fetchval(
                ATTENTION,
                reader.project_id,
                error.reason,
                message,
                msgspec.to_builtins(mended_by) if mended_by else None,
                probe_s,
                reader.whose,
            )
            if set_now:
                await note(
                    transaction,
                    reader.project_id,
                    "connection.attention",
                    message,
                    reason=error.reason,
                    person=mended_by,
                )
                log.warning("connection.attention", project_id=reader.project_id, why=message)

    async def _owner(self, reader: Reader) -> Person | None:
        try:
            project = await self._teams.project(reader.project_id)
        except ConnectorError:
            return None
        member = project.member(reader.whose) if project else None
        return (
            Person(name=member.name, email=member.email, company=member.company) if member else None
        )


def _kept_back(row: Row) -> tuple[Closed, ...]:
    since, until = row["kept_back_since"], row["kept_back_until"]
    if since is None or until is None:
        return ()
    return (Closed(since, until, waiting_on(row["kept_back_because"], held=True)),)

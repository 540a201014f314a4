"""Revoking many people's grants in an incident, at the operators' word.

First here, in one commit: from then on nobody is handed a token. Then at Procore, again and again
until it answers. A refresh that is under way meanwhile finds no row, and its pair is revoked too.
"""

import asyncio

import structlog
from msgspec.structs import replace

from schemas.connections import Revocation, RevocationRequest
from services.errors import TryLater
from services.postgres import Postgres, Row
from services.procore.oauth import TokenPair
from services.settings import Secret
from token_service.audit import WRITE_ENTRY, Entry
from token_service.grants.homecoming import Revoker
from token_service.grants.seal import SealBroken, Sealed, Sealer

AT_ONCE = 10
AGAIN_MOST_S = 300.0

LIST_OF_COMPANY = """
SELECT project_id, owner_user_id FROM authority.connections
WHERE procore_company_id = $1 AND activated_at IS NOT NULL
"""
# As the workers know it: who reads, who is on the team with a role that returns, who has returned.
USERS_OF = """
SELECT p.reader_user_id AS user_id FROM mirror.projects p WHERE p.project_id = $1
UNION SELECT t.mate #>> '{member,user_id}' FROM mirror.projects p
  CROSS JOIN LATERAL jsonb_array_elements(p.team_known::jsonb) AS t (mate) WHERE p.project_id = $1
UNION SELECT d.author_user_id FROM mirror.deliveries d WHERE d.project_id = $1
"""
# $1 of whom, or null for everybody; $2 the login host that gave the grants
COUNT = """
SELECT
  (SELECT count(*) FROM authority.grants
    WHERE issuer = $2 AND ($1::text[] IS NULL OR user_id = ANY($1))) AS grants,
  (SELECT count(*) FROM authority.pending_grants
    WHERE $1::text[] IS NULL OR user_id = ANY($1)) AS unchosen,
  (SELECT count(*) FROM authority.connections c WHERE c.state = 'active' AND c.owner_user_id IN (
    SELECT user_id FROM authority.grants
    WHERE issuer = $2 AND ($1::text[] IS NULL OR user_id = ANY($1)))) AS projects,
  (SELECT count(*) FROM authority.revoked_grants WHERE due_at IS NOT NULL) AS waiting
"""
TAKE_GRANTS = """
WITH gone AS (
  DELETE FROM authority.grants WHERE issuer = $2 AND ($1::text[] IS NULL OR user_id = ANY($1))
  RETURNING user_id, procore_user_id, sealed_access, sealed_refresh, key_id
)
INSERT INTO authority.revoked_grants (user_id, procore_user_id, place, sealed_access,
  sealed_refresh, key_id, revoked_by, reason)
SELECT user_id, procore_user_id, 'grants', sealed_access, sealed_refresh, key_id, $3, $4 FROM gone
RETURNING user_id, procore_user_id
"""
TAKE_UNCHOSEN = """
WITH gone AS (
  DELETE FROM authority.pending_grants WHERE $1::text[] IS NULL OR user_id = ANY($1)
  RETURNING user_id, procore_user_id, sealed_access, sealed_refresh, key_id
)
INSERT INTO authority.revoked_grants (user_id, procore_user_id, place, sealed_access,
  sealed_refresh, key_id, revoked_by, reason)
SELECT user_id, procore_user_id, 'pending_grants', sealed_access, sealed_refresh, key_id, $2, $3
FROM gone RETURNING user_id, procore_user_id
"""
# Taken until the next attempt is due, which is further off each time, so by one replica.
TAKE_DUE = """
UPDATE authority.revoked_grants SET attempts = attempts + 1,
  due_at = now() + make_interval(secs => LEAST(5.0 * 2 ^ LEAST(attempts, 10), $2))
WHERE id IN (SELECT id FROM authority.revoked_grants WHERE due_at <= now()
  ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, user_id, place, sealed_access, sealed_refresh, key_id
"""
TOLD = """
UPDATE authority.revoked_grants SET due_at = NULL, procore_told = $3, sealed_access = NULL,
  sealed_refresh = NULL
WHERE id = $1 AND user_id = $2
"""

log = structlog.get_logger()


class Revocations:
    """All methods raise TryLater while Postgres is away.

    Args:
        issuer: Procore's login host; grants that another one gave are not its to revoke.
    """

    def __init__(self, database: Postgres, sealer: Sealer, revoker: Revoker, issuer: str) -> None:
        self._database = database
        self._sealer = sealer
        self._revoker = revoker
        self._issuer = issuer

    async def order(self, asked: RevocationRequest) -> Revocation:
        """Count what an order covers and, unless it only asks, carry it out here.

        Procore is told by `tell_procore`.
        """
        users = await self._users_of(asked)
        counts = await self._database.fetchrow(COUNT, users, self._issuer)
        covered = Revocation(**dict(counts or {}), revoked=asked.act)
        if not asked.act:
            return covered
        async with self._database.transaction() as database:
            by = (asked.by, asked.reason)
            grants = await database.fetch(TAKE_GRANTS, users, self._issuer, *by)
            unchosen = await database.fetch(TAKE_UNCHOSEN, users, *by)
            entries = [_entry(row, asked) for row in (*grants, *unchosen)]
            await database.executemany(WRITE_ENTRY, [entry.values for entry in entries])
        log.warning("grants.revoked", grants=len(entries), by=asked.by, reason=asked.reason)
        waiting = covered.waiting + len(entries)
        return replace(covered, grants=len(grants), unchosen=len(unchosen), waiting=waiting)

    async def _users_of(self, asked: RevocationRequest) -> list[str] | None:
        """Return whose grants are meant; None for everybody's."""
        if asked.user_id is not None:
            return [asked.user_id]
        if asked.company_id is None:
            return None
        found: set[str] = set()
        for connection in await self._database.fetch(LIST_OF_COMPANY, asked.company_id):
            project_id = connection["project_id"]
            async with self._database.of_project(project_id) as database:
                rows = await database.fetch(USERS_OF, project_id)
            found |= {row["user_id"] for row in rows if row["user_id"]}
            found.add(connection["owner_user_id"])
        return sorted(found)

    async def tell_procore(self) -> None:
        """Revoke at Procore what is due; what it does not answer is due again later."""
        while rows := await self._database.fetch(TAKE_DUE, AT_ONCE, AGAIN_MOST_S):
            async with asyncio.TaskGroup() as group:
                telling = [group.create_task(self._tell(row)) for row in rows]
            if not any(task.result() for task in telling):
                return

    async def _tell(self, row: Row) -> bool:
        """Return whether this one is over."""
        try:
            told = await self._revoke(row)
            await self._database.execute(TOLD, row["id"], row["user_id"], told)
        except TryLater as error:
            log.warning("grant.not_revoked", user_id=row["user_id"], reason=error.reason)
            return False
        return True

    async def _revoke(self, row: Row) -> bool:
        """Revoke at Procore; False where nobody can read any more what. Raises TryLater."""
        try:
            pair = self._open(row)
        except SealBroken as error:
            log.critical("grant.unreadable", user_id=row["user_id"], because=str(error))
            return False
        # both are named, as an access token that has ended may stand for nothing any more
        await self._revoker.revoke(pair.refresh_token)
        await self._revoker.revoke(pair.access_token)
        return True

    def _open(self, row: Row) -> TokenPair:
        def opened(column: str) -> Secret:
            sealed = Sealed(row["key_id"], row[f"sealed_{column}"])
            return self._sealer.open(sealed, row["user_id"], f"{row['place']}.{column}")

        return TokenPair(opened("access"), opened("refresh"), 0.0)


def _entry(row: Row, asked: RevocationRequest) -> Entry:
    detail = {"procore_user_id": row["procore_user_id"], "by": asked.by, "reason": asked.reason}
    return Entry(
        event="grant.revoked_by_operators", actor="operator", user_id=row["user_id"], detail=detail
    )

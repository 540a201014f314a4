"""Grants of another Procore account than before, held until their person says which it shall be."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.postgres import Postgres, Queries, Row
from services.procore.oauth import TokenPair
from token_service.audit import Entry, write_entry
from token_service.grants.seal import SealBroken, Sealed, Sealer
from token_service.grants.store import Identity

ACCESS = "pending_grants.access"
REFRESH = "pending_grants.refresh"
LASTS_S = 600.0

HOLD = """
INSERT INTO authority.pending_grants (user_id, choice_key, procore_user_id, procore_login,
  procore_name, sealed_access, sealed_refresh, key_id, expires_in_s, token_expires_at, return_to,
  ends_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + make_interval(secs => $12))
"""
READ = """
SELECT procore_user_id, procore_login, procore_name FROM authority.pending_grants
WHERE user_id = $1 AND choice_key = $2 AND ends_at > now()
"""
TAKE = """
DELETE FROM authority.pending_grants WHERE user_id = $1 AND choice_key = $2 AND ends_at > now()
RETURNING user_id, procore_user_id, procore_login, procore_name, sealed_access, sealed_refresh,
  key_id, expires_in_s, token_expires_at, return_to
"""
TAKE_FORMER = """
DELETE FROM authority.pending_grants WHERE user_id = $1
RETURNING user_id, sealed_access, sealed_refresh, key_id, expires_in_s
"""
TAKE_ENDED = """
DELETE FROM authority.pending_grants WHERE ends_at <= now()
RETURNING user_id, sealed_access, sealed_refresh, key_id, expires_in_s
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Held:
    """A pair that was held, who gave it, and where the person was going."""

    identity: Identity
    pair: TokenPair
    expires_at: datetime
    return_to: str


class PendingGrants:
    """One a person, for ten minutes, bound to the visit that brought it. Raises TryLater."""

    def __init__(self, database: Postgres, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def hold(self, user_id: str, choice_key: bytes, held: Held) -> Sequence[TokenPair]:
        """Hold a pair; return those that were held before and that nobody wants any more."""
        access = self._sealer.seal(held.pair.access_token, user_id, ACCESS)
        refresh = self._sealer.seal(held.pair.refresh_token, user_id, REFRESH)
        entry = Entry(
            event="grant.account_differs",
            actor=f"user:{user_id}",
            user_id=user_id,
            detail={"procore_user_id": held.identity.procore_user_id},
        )
        async with self._database.transaction() as database:
            former = await database.fetch(TAKE_FORMER, user_id)
            await database.execute(
                HOLD,
                user_id,
                choice_key,
                held.identity.procore_user_id,
                held.identity.login,
                held.identity.name,
                access.blob,
                refresh.blob,
                access.key_id,
                held.pair.lasts_s,
                held.expires_at,
                held.return_to,
                LASTS_S,
            )
            await write_entry(database, entry)
        return self._pairs_of(former)

    async def read(self, user_id: str, choice_key: bytes) -> Identity | None:
        """Return whose account waits for this visit's choice, or None."""
        row = await self._database.fetchrow(READ, user_id, choice_key)
        return None if row is None else identity_of(row)

    async def take(self, database: Queries, user_id: str, choice_key: bytes) -> Held | None:
        """Take what is held for this visit, once. Raises SealBroken."""
        row = await database.fetchrow(TAKE, user_id, choice_key)
        if row is None:
            return None
        pair = self._pair_of(row)
        return Held(identity_of(row), pair, row["token_expires_at"], row["return_to"])

    async def take_ended(self) -> Sequence[TokenPair]:
        """Return the pairs that nobody chose in time; they are forgotten here."""
        return self._pairs_of(await self._database.fetch(TAKE_ENDED))

    def _pairs_of(self, rows: Sequence[Row]) -> list[TokenPair]:
        pairs = []
        for row in rows:
            try:
                pairs.append(self._pair_of(row))
            except SealBroken as error:
                log.critical("grant.unreadable", user_id=row["user_id"], because=str(error))
        return pairs

    def _pair_of(self, row: Row) -> TokenPair:
        user_id, key_id = row["user_id"], row["key_id"]
        return TokenPair(
            self._sealer.open(Sealed(key_id, row["sealed_access"]), user_id, ACCESS),
            self._sealer.open(Sealed(key_id, row["sealed_refresh"]), user_id, REFRESH),
            row["expires_in_s"],
        )


def identity_of(row: Row) -> Identity:
    """Return who a row says somebody is at Procore."""
    return Identity(row["procore_user_id"], row["procore_login"], row["procore_name"])

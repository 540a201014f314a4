"""The rows of grants. Each change is one statement that checks what it was decided from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from schemas.connections import Authorization
from services.postgres import Postgres, Queries, Row
from services.procore.oauth import TokenPair
from services.settings import Secret
from token_service.grants.deciding import UNREADABLE, Grant
from token_service.grants.seal import SealBroken, Sealed, Sealer

ACCESS = "grants.access"
REFRESH = "grants.refresh"
JOURNAL_KEPT_DAYS = 90
HOMECOMING_S = 10.0
"""Within it, whichever replica has an unstored pair on its disk brings it home."""

GRANT_COLUMNS = """
user_id, procore_user_id, procore_login, procore_name, state, reason, version, sealed_access,
sealed_refresh, key_id, access_fingerprint, expires_in_s, expires_at, authorized_at, attempt,
extract(epoch FROM expires_at - now())::float8 AS seconds_left,
extract(epoch FROM lease_until - now())::float8 AS lease_left_s,
refresh_unknown_at IS NOT NULL AS outcome_unknown, last_try_at IS NOT NULL AS last_try_made,
greatest(0, extract(epoch FROM refresh_not_before - now()))::float8 AS wait_s
"""
READ_GRANT = f"""
SELECT {GRANT_COLUMNS} FROM authority.grants WHERE (user_id, issuer) = ($1, $2)
"""  # noqa: S608 - constants
LIST_AUTHORIZED = """
SELECT user_id, authorized_at FROM authority.grants
WHERE state = 'authorized' AND issuer = $2 AND user_id = ANY($1)
ORDER BY authorized_at, user_id
"""
LIST_OLD_GRANTS = """
SELECT user_id FROM authority.grants
WHERE state = 'authorized' AND issuer = $2
  AND refreshed_at < now() - make_interval(secs => $1)
ORDER BY refreshed_at LIMIT 100
"""
LIST_OTHER_KEYS = f"""
SELECT {GRANT_COLUMNS} FROM authority.grants WHERE key_id <> $1 AND user_id > $2
ORDER BY user_id LIMIT 100
"""  # noqa: S608 - constants
COUNT_OTHER_KEYS = "SELECT count(*) FROM authority.grants WHERE key_id <> $1"
# $6 access, $7 refresh, $8 key, $9 and $10 fingerprints, $11 lifetime, $12 end
PUT_GRANT = """
INSERT INTO authority.grants (user_id, procore_user_id, procore_login, procore_name, issuer, state,
  sealed_access, sealed_refresh, key_id, access_fingerprint, refresh_fingerprint, expires_in_s,
  expires_at)
VALUES ($1, $2, $3, $4, $5, 'authorized', $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (user_id) DO UPDATE SET procore_user_id = excluded.procore_user_id,
  procore_login = excluded.procore_login, procore_name = excluded.procore_name,
  issuer = excluded.issuer, state = 'authorized', reason = NULL,
  version = nextval('authority.grant_versions'), sealed_access = excluded.sealed_access,
  sealed_refresh = excluded.sealed_refresh, key_id = excluded.key_id,
  access_fingerprint = excluded.access_fingerprint,
  refresh_fingerprint = excluded.refresh_fingerprint, expires_in_s = excluded.expires_in_s,
  expires_at = excluded.expires_at, lease_owner = NULL, lease_until = NULL,
  refresh_unknown_at = NULL, last_try_at = NULL, refresh_not_before = NULL,
  authorized_at = now(), refreshed_at = now()
"""
# the lease and the journal's line are one commit: no refresh token leaves without a trace
TAKE_LEASE = """
WITH taken AS (
  UPDATE authority.grants SET lease_owner = $3, lease_until = now() + make_interval(secs => $4),
    attempt = nextval('authority.refresh_numbers'),
    last_try_at = CASE WHEN $5 THEN now() ELSE last_try_at END
  WHERE user_id = $1 AND version = $2 AND state = 'authorized' AND lease_owner IS NULL
    AND (refresh_not_before IS NULL OR refresh_not_before <= now())
    AND (refresh_unknown_at IS NOT NULL) = $5 AND (NOT $5 OR last_try_at IS NULL)
  RETURNING user_id, attempt, version
)
INSERT INTO authority.refresh_attempts (user_id, attempt, version, owner, started_at)
SELECT user_id, attempt, version, $3, now() FROM taken
RETURNING attempt, started_at
"""
# $11 proves that the lease was taken in this very database, whatever folder a spool is found in
STORE_RENEWED = """
WITH known AS (
  SELECT user_id FROM authority.refresh_attempts
  WHERE user_id = $1 AND attempt = $3 AND started_at = $11
), stored AS (
  UPDATE authority.grants SET state = 'authorized', reason = NULL,
    version = nextval('authority.grant_versions'),
    sealed_access = $4, sealed_refresh = $5, key_id = $6, access_fingerprint = $7,
    refresh_fingerprint = $8, expires_in_s = $9, expires_at = $10, lease_owner = NULL,
    lease_until = NULL, refresh_unknown_at = NULL, last_try_at = NULL, refresh_not_before = NULL,
    refreshed_at = now()
  WHERE user_id = $1 AND version = $2 AND EXISTS (SELECT 1 FROM known) RETURNING user_id
), ended AS (
  UPDATE authority.refresh_attempts SET ended_at = clock_timestamp(),
    outcome = CASE WHEN EXISTS (SELECT 1 FROM stored) THEN 'renewed' ELSE 'superseded' END
  WHERE user_id = $1 AND attempt = $3 AND started_at = $11
    AND outcome IS DISTINCT FROM 'renewed'
)
SELECT EXISTS (SELECT 1 FROM known) AS known,
  EXISTS (SELECT 1 FROM stored UNION ALL
    SELECT 1 FROM authority.grants WHERE user_id = $1 AND refresh_fingerprint = $8) AS stored
"""
# $4 outcome, $5 unknown now, $6 seconds to wait, $7 the last try was not used up
END_ATTEMPT = """
WITH released AS (
  UPDATE authority.grants SET lease_owner = NULL, lease_until = NULL,
    refresh_unknown_at = CASE WHEN $5 THEN coalesce(refresh_unknown_at, now())
      ELSE refresh_unknown_at END,
    refresh_not_before = CASE WHEN $6::float8 > 0 THEN now() + make_interval(secs => $6::float8)
      ELSE refresh_not_before END,
    last_try_at = CASE WHEN $7 THEN NULL ELSE last_try_at END
  WHERE user_id = $1 AND version = $2 AND attempt = $3
)
UPDATE authority.refresh_attempts SET ended_at = clock_timestamp(), outcome = $4
WHERE user_id = $1 AND attempt = $3 AND ended_at IS NULL
"""
# the lease may have been taken although we were told that it was not
RELEASE_UNSENT = """
WITH released AS (
  UPDATE authority.grants SET lease_owner = NULL, lease_until = NULL, last_try_at = NULL
  WHERE user_id = $1 AND lease_owner = $2 RETURNING user_id
)
UPDATE authority.refresh_attempts SET ended_at = clock_timestamp(), outcome = 'not_sent'
WHERE user_id = $1 AND owner = $2 AND ended_at IS NULL
"""
# $4: whoever noticed may be faster than the replica that has the pair on its disk, above all just
# after Postgres came back; until then the spent token is not sent again
SETTLE_LOST = """
WITH settled AS (
  UPDATE authority.grants SET lease_owner = NULL, lease_until = NULL,
    refresh_unknown_at = coalesce(refresh_unknown_at, now()),
    refresh_not_before = greatest(refresh_not_before, now() + make_interval(secs => $4::float8))
  WHERE user_id = $1 AND version = $2 AND attempt = $3 AND lease_until <= now() RETURNING user_id
)
UPDATE authority.refresh_attempts SET ended_at = clock_timestamp(), outcome = 'unknown'
WHERE user_id = $1 AND attempt = $3 AND ended_at IS NULL AND EXISTS (SELECT 1 FROM settled)
"""
MARK_LOST = """
UPDATE authority.grants SET state = 'needs_reauthorization', reason = $3, lease_owner = NULL,
  lease_until = NULL
WHERE user_id = $1 AND version = $2 AND state = 'authorized' RETURNING user_id
"""
UNMARK_UNREADABLE = """
UPDATE authority.grants SET state = 'authorized', reason = NULL
WHERE user_id = $1 AND version = $2 AND reason = $3
"""
SEAL_AGAIN = """
UPDATE authority.grants SET sealed_access = $4, sealed_refresh = $5, key_id = $6
WHERE user_id = $1 AND version = $2 AND key_id = $3 RETURNING user_id
"""
FORGET_ATTEMPTS = """
DELETE FROM authority.refresh_attempts WHERE started_at < now() - make_interval(days => $1)
"""
REVOKED = """
SELECT revoked_at, reason FROM authority.revoked_grants
WHERE user_id = $1 AND NOT authorized_again ORDER BY id DESC LIMIT 1
"""
AUTHORIZED_AGAIN = """
UPDATE authority.revoked_grants SET authorized_again = true
WHERE user_id = $1 AND NOT authorized_again
"""
DELETE_GRANT = "DELETE FROM authority.grants WHERE user_id = $1 AND version = $2 RETURNING user_id"


Stored = Literal["stored", "superseded", "foreign"]
"""superseded: the row holds another pair by now, or is gone; foreign: never of this database."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send one refresh token once. `taken_at` is the database's time."""

    user_id: str
    version: int
    attempt: int
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class SealedPair:
    """A token pair ready to be stored: nothing in it opens anything by itself."""

    access: Sealed
    refresh: Sealed
    access_fingerprint: str
    refresh_fingerprint: str
    lasts_s: float
    expires_at: datetime

    @property
    def values(self) -> tuple[Any, ...]:
        """The columns, in the order the statements take them."""
        return (
            self.access.blob,
            self.refresh.blob,
            self.access.key_id,
            self.access_fingerprint,
            self.refresh_fingerprint,
            self.lasts_s,
            self.expires_at,
        )


@dataclass(frozen=True, slots=True)
class Revoked:
    """Operators ended a person's grant, who has not authorized again since."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a person is at Procore."""

    procore_user_id: str
    login: str
    name: str


def fingerprint(token: Secret) -> str:
    """Return the SHA-256 of a token, hex."""
    return hashlib.sha256(token.reveal().encode()).hexdigest()


class GrantStore:
    """Reads and writes grants; all methods raise TryLater while Postgres is away.

    Args:
        issuer: Procore's login host; a grant that another one gave is not seen.
    """

    def __init__(self, database: Postgres, sealer: Sealer, issuer: str) -> None:
        self._database = database
        self._sealer = sealer
        self._issuer = issuer

    async def read(self, user_id: str) -> Grant | None:
        """Return a person's grant, or None.

        It is the grant of whoever was asked for: the row of another, by whatever mistake it came,
        opens for nobody, as its seal is bound to its own person.
        """
        row = await self._database.fetchrow(READ_GRANT, user_id, self._issuer)
        return None if row is None else _grant_of({**row, "user_id": user_id})

    def seal(self, user_id: str, pair: TokenPair, expires_at: datetime) -> SealedPair:
        """Seal a pair for the person's row."""
        return SealedPair(
            access=self._sealer.seal(pair.access_token, user_id, ACCESS),
            refresh=self._sealer.seal(pair.refresh_token, user_id, REFRESH),
            access_fingerprint=fingerprint(pair.access_token),
            refresh_fingerprint=fingerprint(pair.refresh_token),
            lasts_s=pair.lasts_s,
            expires_at=expires_at,
        )

    def open_access(self, grant: Grant) -> Secret:
        """Return the access token. Raises SealBroken."""
        return self._sealer.open(grant.access, grant.user_id, ACCESS)

    def open_refresh(self, grant: Grant) -> Secret:
        """Return the refresh token, for the refresh and the revocation alone. Raises SealBroken."""
        return self._sealer.open(grant.refresh, grant.user_id, REFRESH)

    def open_spooled(self, user_id: str, pair: SealedPair) -> Secret:
        """Return the access token of a pair that is not in its row yet. Raises SealBroken."""
        self._sealer.open(pair.refresh, user_id, REFRESH)
        return self._sealer.open(pair.access, user_id, ACCESS)

    def opens(self, grant: Grant) -> bool:
        """Tell whether both tokens can be read."""
        try:
            self.open_access(grant)
            self.open_refresh(grant)
        except SealBroken:
            return False
        return True

    async def put(
        self, database: Queries, user_id: str, identity: Identity, pair: SealedPair
    ) -> None:
        """Store what a person consented to, in place of whatever was there."""
        await database.execute(
            PUT_GRANT,
            user_id,
            identity.procore_user_id,
            identity.login,
            identity.name,
            self._issuer,
            *pair.values,
        )
        await database.execute(AUTHORIZED_AGAIN, user_id)

    async def revoked(self, user_id: str) -> Revoked | None:
        """Return when and why operators ended a person's grant, until they authorize again."""
        row = await self._database.fetchrow(REVOKED, user_id)
        return None if row is None else Revoked(row["revoked_at"], row["reason"])

    async def take_lease(
        self, grant: Grant, owner: str, lasts_s: float, *, last_try: bool
    ) -> Lease | None:
        """Become the one who refreshes, with the journal's line written; None if another is."""
        row = await self._database.fetchrow(
            TAKE_LEASE, grant.user_id, grant.version, owner, lasts_s, last_try
        )
        if row is None:
            return None
        return Lease(grant.user_id, grant.version, row["attempt"], row["started_at"])

    async def store_renewed(self, lease: Lease, pair: SealedPair) -> Stored:
        """Store a new pair in place of the one that the lease was taken for."""
        row = await self._database.fetchrow(
            STORE_RENEWED,
            lease.user_id,
            lease.version,
            lease.attempt,
            *pair.values,
            lease.taken_at,
        )
        if row is None or not row["known"]:
            return "foreign"
        return "stored" if row["stored"] else "superseded"

    async def end_attempt(
        self,
        lease: Lease,
        outcome: str,
        *,
        unknown: bool = False,
        wait_s: float = 0.0,
        spent: bool = True,
    ) -> None:
        """Give the lease back and write down how it ended; `spent` False: nothing was used up."""
        await self._database.execute(
            END_ATTEMPT,
            lease.user_id,
            lease.version,
            lease.attempt,
            outcome,
            unknown,
            wait_s,
            not spent,
        )

    async def release_unsent(self, user_id: str, owner: str) -> None:
        """Give a lease back under which nothing was sent; once more is harmless."""
        await self._database.execute(RELEASE_UNSENT, user_id, owner)

    async def settle_lost(self, grant: Grant) -> None:
        """Note a refresh as unknown whose lease ran out without a word.

        Its token is not sent again for `HOMECOMING_S`: the pair may lie on a replica's disk.
        """
        await self._database.execute(
            SETTLE_LOST, grant.user_id, grant.version, grant.attempt, HOMECOMING_S
        )

    async def mark_lost(self, user_id: str, version: int, reason: str) -> bool:
        """Ask for a new authorization, but only if the pair that failed is still the stored one."""
        return await self._database.fetchval(MARK_LOST, user_id, version, reason) is not None

    async def unmark_unreadable(self, grant: Grant) -> None:
        """Take a grant back into use whose seal opens again."""
        await self._database.execute(UNMARK_UNREADABLE, grant.user_id, grant.version, UNREADABLE)

    async def delete(self, database: Queries, grant: Grant) -> bool:
        """Forget a grant's tokens; False if the pair has changed since it was read."""
        return await database.fetchval(DELETE_GRANT, grant.user_id, grant.version) is not None

    async def authorized_among(self, user_ids: Sequence[str]) -> Sequence[Authorization]:
        """Return which of these people have a working authorization, oldest first."""
        rows = await self._database.fetch(LIST_AUTHORIZED, list(user_ids), self._issuer)
        return [Authorization(**dict(row)) for row in rows]

    async def old_ones(self, older_than_s: float) -> Sequence[str]:
        """Return whose grants were last refreshed longer ago than that."""
        rows = await self._database.fetch(LIST_OLD_GRANTS, older_than_s, self._issuer)
        return [row["user_id"] for row in rows]

    async def forget_attempts(self) -> None:
        """Delete the journal's old lines; a spool is long home by then."""
        await self._database.execute(FORGET_ATTEMPTS, JOURNAL_KEPT_DAYS)

    async def seal_again(self) -> int:
        """Seal with the present key what another one sealed; return how many rows were.

        Rows that do not open are passed by: they keep no others from their turn.
        """
        done, after = 0, ""
        while rows := await self._database.fetch(LIST_OTHER_KEYS, self._sealer.key_id, after):
            for grant in map(_grant_of, rows):
                done += self.opens(grant) and await self._seal_one_again(grant)
            after = rows[-1]["user_id"]
        return done

    async def under_other_keys(self) -> int:
        """Count the grants that need a key other than the first one."""
        return int(await self._database.fetchval(COUNT_OTHER_KEYS, self._sealer.key_id))

    async def _seal_one_again(self, grant: Grant) -> bool:
        access = self._sealer.seal(self.open_access(grant), grant.user_id, ACCESS)
        refresh = self._sealer.seal(self.open_refresh(grant), grant.user_id, REFRESH)
        sealed = (access.blob, refresh.blob, access.key_id)
        changed = await self._database.fetchval(
            SEAL_AGAIN, grant.user_id, grant.version, grant.access.key_id, *sealed
        )
        return changed is not None


def _grant_of(row: Row) -> Grant:
    return Grant(
        user_id=row["user_id"],
        procore_user_id=row["procore_user_id"],
        procore_login=row["procore_login"],
        procore_name=row["procore_name"],
        state=row["state"],
        reason=row["reason"],
        version=row["version"],
        access=Sealed(row["key_id"], row["sealed_access"]),
        refresh=Sealed(row["key_id"], row["sealed_refresh"]),
        access_fingerprint=row["access_fingerprint"],
        lasts_s=row["expires_in_s"],
        seconds_left=row["seconds_left"],
        expires_at=row["expires_at"],
        authorized_at=row["authorized_at"],
        attempt=row["attempt"],
        lease_left_s=row["lease_left_s"],
        outcome_unknown=row["outcome_unknown"],
        last_try_made=row["last_try_made"],
        wait_s=row["wait_s"] or 0.0,
    )

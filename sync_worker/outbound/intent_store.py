"""`mirror.write_intents`: every step of a write is durable before the next one is taken."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Protocol

import msgspec

from services import failpoints
from services.errors import TryLater
from services.postgres import Postgres, Queries, Row
from services.procore.models import ResponseOption
from sync_worker.outbound.intents import Intent

PLAN = """
INSERT INTO mirror.write_intents
    (op_key, marker, return_id, operation, state, request_hash, supersedes)
VALUES ($1, $2, $3, $4, 'planned', $5, $6)
ON CONFLICT (op_key) DO NOTHING
"""
READ = """
SELECT op_key, marker, return_id, operation, state, sends, sent_at, not_before, fence, remote_id,
       changed_at, response, supersedes, now() AS read_at
FROM mirror.write_intents WHERE op_key = $1
"""
READ_FOR_RETURN = """
SELECT op_key, marker, return_id, operation, state, sends, sent_at, not_before, fence, remote_id,
       changed_at, response, supersedes
FROM mirror.write_intents WHERE return_id = $1
"""
HOLD_LEASE = """
SELECT 1 FROM mirror.deliveries
WHERE return_id = $1 AND fence = $2 AND lease_until > now() FOR UPDATE
"""
KNOWN_SERVER = """
SELECT CASE WHEN since + make_interval(secs => $1) > now() THEN since + make_interval(secs => $1)
       END AS quiet_until
FROM mirror.servers WHERE server = mirror.this_server()
"""
NEW_SERVER = """
INSERT INTO mirror.servers (server) SELECT mirror.this_server() ON CONFLICT DO NOTHING
"""
ARM = """
UPDATE mirror.write_intents
SET state = 'sending', sends = sends + 1, sent_at = now(),
    not_before = now() + make_interval(secs => $3), fence = $2, response = $5,
    changed_at = now()
WHERE op_key = $1 AND fence <= $2 AND sends = $4 AND (
    state = 'planned'
    OR (state IN ('sending', 'unknown', 'needs_human') AND not_before <= now()))
  AND EXISTS (SELECT 1 FROM mirror.servers WHERE server = mirror.this_server()
              AND since + make_interval(secs => $3) <= now())
RETURNING op_key
"""
DISARM = """
UPDATE mirror.write_intents
SET state = 'planned', sends = sends - 1, not_before = NULL, last_error = $3,
    changed_at = now()
WHERE op_key = $1 AND fence = $2 AND state = 'sending'
"""
LEAVE_UNKNOWN = """
UPDATE mirror.write_intents SET state = 'unknown', last_error = $3, changed_at = now()
WHERE op_key = $1 AND fence = $2 AND state = 'sending'
"""
CONFIRM = """
UPDATE mirror.write_intents
SET state = 'confirmed', remote_id = $2, changed_at = now()
WHERE op_key = $1 AND state NOT IN ('confirmed', 'abandoned')
"""
CONFIRM_DELIVERY = """
UPDATE mirror.deliveries SET remote_id = $2, changed_at = now() WHERE return_id = $1
"""
NEEDS_HUMAN = """
UPDATE mirror.write_intents SET state = 'needs_human', changed_at = now()
WHERE op_key = $1 AND state IN ('sending', 'unknown', 'planned')
"""
STATES = "SELECT state FROM mirror.write_intents WHERE return_id = $1"
ABANDON = """
UPDATE mirror.write_intents SET state = 'abandoned', changed_at = now()
WHERE return_id = $1 AND state = 'planned' AND sends = 0
"""


class LeaseLost(TryLater):
    """Another worker has this delivery now; what this one knows may be old."""

    def __init__(self, return_id: str) -> None:
        super().__init__(
            f"Return {return_id} is in another worker's hands; it goes on there.",
            reason="lease_lost",
        )


class ServerIsNew(TryLater):
    """What the server before this one noted last may be missing, and with it a write."""

    def __init__(self, return_id: str, quiet_until: datetime | None) -> None:
        super().__init__(
            f"The database is on another server than before and may have forgotten that return "
            f"{return_id} was sent. It goes by itself unless it is found in Procore by then.",
            reason="outcome_unknown",
            not_before=quiet_until,
        )


class Intents(Protocol):
    """Where intents are kept. Each method is one durable transaction."""

    async def plan(self, intent: Intent, request_hash: str) -> tuple[Intent, datetime]:
        """Insert it if it is new; return it as it stands, and the database's time."""

    async def of_return(self, return_id: str) -> list[Intent]:
        """Return the intents of a return."""

    async def arm(
        self, intent: Intent, fence: int, quiet_s: float, response: ResponseOption | None
    ) -> None:
        """Note that it is being sent, before it is.

        Raises:
            LeaseLost, ServerIsNew: nothing may go now.
        """

    async def disarm(self, intent: Intent, fence: int, why: str) -> None:
        """It surely did not happen: as if it had not been armed."""

    async def leave_unknown(self, intent: Intent, fence: int, why: str) -> None:
        """It was sent and nobody knows."""

    async def confirm(self, intent: Intent, remote_id: str) -> None:
        """It is there, as `remote_id`, and so is the delivery. It is the truth: no lease needed."""

    async def ask_person(self, intent: Intent) -> None:
        """No more sends by ourselves."""

    async def abandon(self, return_id: str) -> bool:
        """Give up what has not begun; return whether nothing of this return has or will."""


class PostgresIntents:
    """`Intents` in Postgres."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def plan(self, intent: Intent, request_hash: str) -> tuple[Intent, datetime]:
        """Insert it if it is new; return it as it stands, and the database's time."""
        async with self._postgres.transaction() as queries:
            await queries.execute(
                PLAN,
                intent.op_key,
                intent.marker,
                intent.return_id,
                intent.operation,
                request_hash,
                intent.supersedes,
            )
            row = await queries.fetchrow(READ, intent.op_key)
        if row is None:
            raise LeaseLost(intent.return_id)
        return _intent(row), row["read_at"]

    async def of_return(self, return_id: str) -> list[Intent]:
        """Return the intents of a return."""
        return [_intent(row) for row in await self._postgres.fetch(READ_FOR_RETURN, return_id)]

    async def arm(
        self, intent: Intent, fence: int, quiet_s: float, response: ResponseOption | None
    ) -> None:
        """Commit `sending`, under a lease that still stands, on a server that forgot nothing."""
        chosen = None if response is None else msgspec.to_builtins(response)
        async with leased(self._postgres, intent.return_id, fence) as queries:
            armed = await queries.fetchval(ARM, intent.op_key, fence, quiet_s, intent.sends, chosen)
            if armed is not None:
                return
            server = await queries.fetchrow(KNOWN_SERVER, quiet_s)
            if server is None:
                await queries.execute(NEW_SERVER)
            elif server["quiet_until"] is None:
                raise LeaseLost(intent.return_id)
        # outside, as what was noted of the server is to be committed
        raise ServerIsNew(intent.return_id, None if server is None else server["quiet_until"])

    async def disarm(self, intent: Intent, fence: int, why: str) -> None:
        """Take the arming back, unless somebody armed it again."""
        await self._postgres.execute(DISARM, intent.op_key, fence, why)

    async def leave_unknown(self, intent: Intent, fence: int, why: str) -> None:
        """Note that the outcome is unknown; its quiet period runs from the arming."""
        await self._postgres.execute(LEAVE_UNKNOWN, intent.op_key, fence, why)

    async def confirm(self, intent: Intent, remote_id: str) -> None:
        """Note the outcome at the intent and at the delivery."""
        async with self._postgres.transaction() as queries:
            await queries.execute(CONFIRM, intent.op_key, remote_id)
            failpoints.reach("w6-inside")
            await queries.execute(CONFIRM_DELIVERY, intent.return_id, remote_id)

    async def ask_person(self, intent: Intent) -> None:
        """Stop sending by ourselves."""
        await self._postgres.execute(NEEDS_HUMAN, intent.op_key)

    async def abandon(self, return_id: str) -> bool:
        """Give up what has not begun; return whether nothing of this return has or will."""
        async with self._postgres.transaction() as queries:
            await queries.execute(ABANDON, return_id)
            states = await queries.fetch(STATES, return_id)
        return all(row["state"] == "abandoned" for row in states)


@asynccontextmanager
async def leased(postgres: Postgres, return_id: str, fence: int) -> AsyncIterator[Queries]:
    """Open a transaction in which the lease on a delivery stands. Raises LeaseLost."""
    async with postgres.transaction() as queries:
        if await queries.fetchval(HOLD_LEASE, return_id, fence) is None:
            raise LeaseLost(return_id)
        yield queries


def _intent(row: Row) -> Intent:
    fields = {name: row[name] for name in Intent.__struct_fields__}
    return msgspec.convert(fields, Intent)

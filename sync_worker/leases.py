"""Leases on records: one writer at a time, and a fence that only grows.

A worker that slept through its lease holds an old fence, and every write of the record's row names
the fence, so it changes nothing any more.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from schemas.records import Kind
from services.errors import TryLater
from services.postgres import Postgres

LEASE_S = 120.0

MAKE_RECORD = """
INSERT INTO mirror.records (project_id, kind, procore_id) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
"""
TAKE = """
UPDATE mirror.records
SET lease_owner = $4, lease_until = now() + make_interval(secs => $5), fence = fence + 1
WHERE (project_id, kind, procore_id) = ($1, $2, $3)
  AND (lease_owner IS NULL OR lease_until < now())
RETURNING fence
"""
GIVE_BACK = """
UPDATE mirror.records SET lease_owner = NULL, lease_until = NULL
WHERE (project_id, kind, procore_id, fence) = ($1, $2, $3, $4)
"""
FREE_OWN = """
UPDATE mirror.records SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1
"""


@dataclass(frozen=True, slots=True)
class Key:
    """Which record."""

    project_id: str
    kind: Kind
    procore_id: str


class Leases:
    """Takes and gives back leases on records for one worker."""

    def __init__(self, postgres: Postgres, worker_id: str, *, lease_s: float = LEASE_S) -> None:
        self._postgres = postgres
        self._worker_id = worker_id
        self._lease_s = lease_s

    async def free_own(self) -> None:
        """Free what an earlier life of this worker held."""
        await self._postgres.execute(FREE_OWN, self._worker_id)

    @asynccontextmanager
    async def held(self, key: Key) -> AsyncIterator[int]:
        """Hold a record's lease and give its fence.

        Raises:
            TryLater: another worker holds it.
        """
        fence = await self.take(key)
        try:
            yield fence
        finally:
            await self._postgres.execute(GIVE_BACK, key.project_id, key.kind, key.procore_id, fence)

    async def take(self, key: Key) -> int:
        """Return the fence of a new lease; raise TryLater while another worker holds it."""
        named = (key.project_id, key.kind, key.procore_id)
        await self._postgres.execute(MAKE_RECORD, *named)
        fence = await self._postgres.fetchval(TAKE, *named, self._worker_id, self._lease_s)
        if fence is None:
            message = f"another worker is at {key.kind} {key.procore_id}"
            raise TryLater(message, reason="busy")
        return int(fence)

    async def give_back(self, key: Key, fence: int) -> None:
        """Free a lease of ours; one that was lost stays with who has it."""
        await self._postgres.execute(GIVE_BACK, key.project_id, key.kind, key.procore_id, fence)

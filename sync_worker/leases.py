"""Leases on records: one writer at a time, and a fence that only grows.

A worker that slept through its lease holds an old fence, and every write of the record's row names
the fence, so it changes nothing any more.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from schemas.records import Kind
from services.errors import TryLater
from services.postgres import Postgres
from sync_worker.keeping import Owed

LEASE_S = 30.0
RENEW_EVERY_S = 7.5
"""Three renewals may fail before a lease lapses under a worker that lives."""

MAKE_RECORDS = """
INSERT INTO mirror.records (project_id, kind, procore_id)
SELECT $1, $2, unnest($3::text[]) ON CONFLICT DO NOTHING
"""
# Locked in one order and without waiting: two workers that want the same rows never wait in a ring.
TAKE = """
WITH free AS (
  SELECT procore_id FROM mirror.records
  WHERE (project_id, kind) = ($1, $2) AND procore_id = ANY($3)
    AND (lease_owner IS NULL OR lease_until < now())
  ORDER BY procore_id FOR UPDATE SKIP LOCKED
)
UPDATE mirror.records r
SET lease_owner = $4, lease_until = now() + make_interval(secs => $5), fence = r.fence + 1
FROM free WHERE (r.project_id, r.kind, r.procore_id) = ($1, $2, free.procore_id)
RETURNING r.procore_id, r.fence
"""
RENEW = """
UPDATE mirror.records r SET lease_until = now() + make_interval(secs => $5)
FROM unnest($3::text[], $4::bigint[]) AS held (procore_id, fence)
WHERE (r.project_id, r.kind, r.procore_id, r.fence) = ($1, $2, held.procore_id, held.fence)
  AND r.lease_owner IS NOT NULL
"""
GIVE_BACK = """
UPDATE mirror.records r SET lease_owner = NULL, lease_until = NULL
FROM unnest($3::text[], $4::bigint[]) AS held (procore_id, fence)
WHERE (r.project_id, r.kind, r.procore_id, r.fence) = ($1, $2, held.procore_id, held.fence)
"""
FREE_TAKEN = """
UPDATE mirror.records SET lease_owner = NULL, lease_until = NULL
WHERE (project_id, kind, lease_owner) = ($1, $2, $4) AND procore_id = ANY($3)
"""
FREE_OWN = """
UPDATE mirror.records SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1
"""

Fences = Mapping[str, int]
"""Procore id of a record to the fence of our lease on it."""


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
        self._owed = Owed()

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
            await self.give_back(key, fence)

    async def take(self, key: Key) -> int:
        """Return the fence of a new lease; raise TryLater while another worker holds it."""
        fences = await self.take_free(key.project_id, key.kind, [key.procore_id])
        if key.procore_id not in fences:
            raise busy(key)
        return fences[key.procore_id]

    async def take_free(
        self, project_id: str, kind: Kind, procore_ids: Sequence[str]
    ) -> dict[str, int]:
        """Lease those of some records that nobody holds; return their fences by Procore id."""
        ids = list(procore_ids)
        await self._postgres.execute(MAKE_RECORDS, project_id, kind, ids)
        try:
            rows = await self._postgres.fetch(
                TAKE, project_id, kind, ids, self._worker_id, self._lease_s
            )
        except TryLater:
            # they may be ours all the same, and nobody would know; if a work of ours was at one of
            # them before, its fence tells it that the lease is gone, and it is done again
            taken = (project_id, kind, ids, self._worker_id)
            self._owed.add(lambda: self._postgres.execute(FREE_TAKEN, *taken))
            raise
        return {row["procore_id"]: int(row["fence"]) for row in rows}

    async def renew(self, project_id: str, kind: Kind, fences: Fences) -> None:
        """Let leases of ours last anew; one that was lost stays with who has it."""
        held = (list(fences), list(fences.values()))
        await self._postgres.execute(RENEW, project_id, kind, *held, self._lease_s)

    async def give_back(self, key: Key, fence: int) -> None:
        """Free a lease of ours; one that was lost stays with who has it."""
        await self.give_all_back(key.project_id, key.kind, {key.procore_id: fence})

    async def give_all_back(self, project_id: str, kind: Kind, fences: Fences) -> None:
        """Free several leases of ours; while Postgres is away they are owed, see `pay`."""
        try:
            await self._free(project_id, kind, fences)
        except TryLater:
            self._owed.add(lambda: self._free(project_id, kind, fences))

    async def pay(self) -> None:
        """Free what could not be given back before. Raises TryLater while Postgres is away."""
        await self._owed.pay()

    async def _free(self, project_id: str, kind: Kind, fences: Fences) -> None:
        held = (list(fences), list(fences.values()))
        await self._postgres.execute(GIVE_BACK, project_id, kind, *held)


def busy(key: Key) -> TryLater:
    """Return the error that says that another worker is at a record."""
    return TryLater(f"another worker is at {key.kind} {key.procore_id}", reason="busy")

"""The inbound half of a worker on a database of its own, between fakes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from schemas.records import Kind
from services.metrics import Metrics
from services.postgres import Postgres
from sync_worker.completeness.comparing import Comparing
from sync_worker.completeness.listings import Listings
from sync_worker.completeness.store import Comparisons
from sync_worker.duties import Duties
from sync_worker.first_showing import FirstShowing
from sync_worker.inbound.brake import Brake
from sync_worker.inbound.look_store import Looks
from sync_worker.inbound.looking import Looking
from sync_worker.inbound.mirror import Mirror
from sync_worker.inbound.stored import Records
from sync_worker.leases import Leases
from sync_worker.projects import Projects
from sync_worker.readers import Readers
from sync_worker.sweep_store import Sweeps
from sync_worker.sweeping import Sweeping
from sync_worker.unlinking import Unlinking
from tests.worker.sides import PROJECT, FakePart3, FakeProcore, FakeTokenService

PATIENCE_S = 20.0


class Replica:
    """One worker of the group."""

    def __init__(self, bench: "Bench", name: str, *, audit_s: float = 86_400) -> None:
        postgres, procore, part3 = bench.postgres, bench.procore, bench.part3
        self.bench = bench
        self.leases, self.records = Leases(postgres, name), Records(postgres)
        self.looks = Looks(postgres, name, retry_max_s=1.0)
        self.mirror = Mirror(procore, part3, self.records)
        self.projects = Projects(postgres, bench.tokens, part3, retry_max_s=600)
        self.sweeps = Sweeps(postgres, name, sweep_s=600, audit_s=audit_s, retry_max_s=1.0)
        self._begin_anew()
        self.readers = Readers(
            postgres,
            bench.tokens,
            part3,
            procore,
            recheck_s=0.0,
            retry_max_s=600,
            wake=self.sweeping.wake,
        )
        self.deliveries_woken = 0
        self.duties = Duties(
            postgres,
            self.readers,
            part3,
            Unlinking(postgres, self.leases, self.mirror),
            ensure_hook=bench.tokens.ensure_hook,
            wake_deliveries=self._wake_deliveries,
            wake_sweeps=self.sweeping.wake,
            compare_one=self.compare_one,
            recheck_s=60,
            hook_audit_s=3_600,
        )

    def _begin_anew(self) -> None:
        """Make loops that have not ended yet."""
        self.looking = Looking(
            procore=self.bench.procore,
            looks=self.looks,
            leases=self.leases,
            mirror=self.mirror,
            projects=self.projects,
            brake=Brake(self.bench.postgres),
        )
        self.sweeping = Sweeping(
            procore=self.bench.procore,
            sweeps=self.sweeps,
            looks=self.looks,
            first_showing=FirstShowing(self.bench.part3, self.leases, self.records),
            projects=self.projects,
            listings=Listings(self.bench.postgres),
            wake_looks=self.looking.wake,
        )

    async def compare_one(self) -> bool:
        """Make a comparison that is due."""
        comparing = Comparing(
            Comparisons(self.bench.postgres),
            self.bench.part3,
            self.looks,
            self.looking.wake,
            self.bench.marker_faults,
            between_passes_s=0.0,
        )
        return await comparing.compare_one()

    def _wake_deliveries(self) -> None:
        self.deliveries_woken += 1

    @asynccontextmanager
    async def running(self, *, sweeping: bool = True) -> AsyncIterator[None]:
        """Run the loops meanwhile; they end by being asked to."""
        parts: list[Looking | Sweeping] = [self.looking, *([self.sweeping] if sweeping else [])]
        tasks = [asyncio.create_task(part.run()) for part in parts]
        try:
            yield
        finally:
            for part in parts:
                part.stop()
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*tasks)
            self._begin_anew()

    @asynccontextmanager
    async def until_killed(self) -> AsyncIterator[None]:
        """Run the loops meanwhile; they end in the middle of whatever they do."""
        tasks = [asyncio.create_task(part.run()) for part in (self.looking, self.sweeping)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._begin_anew()


class Bench:
    """The sides, the database, and as many replicas as a test wants."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.procore, self.part3, self.tokens = FakeProcore(), FakePart3(), FakeTokenService()
        self.marker_faults = Metrics().counter(
            "connector_marker_faults", "", {"verdict": ("missing", "doubled")}
        )
        self.worker = Replica(self, "w-1")

    def replica(self, name: str, **how: Any) -> Replica:
        return Replica(self, name, **how)

    async def connect(self, project_id: str = PROJECT, **fields: Any) -> None:
        connection = self.tokens.connect(project_id, **fields)
        await self.worker.projects.learn(connection.project_id)

    async def backfilled(self) -> None:
        """Connect, and run until both backfills have ended."""
        await self.connect()
        async with self.worker.running():
            await self.until(self.is_backfilled)

    async def is_backfilled(self) -> bool:
        rows = await self.rows("sweeps")
        return bool(rows) and all(row["backfilled_at"] is not None for row in rows)

    async def is_idle(self) -> bool:
        """Nothing to look at, and nothing due to be listed."""
        due = "SELECT count(*) FROM mirror.sweeps WHERE due_at <= now() OR next_page IS NOT NULL"
        return not await self.rows("looks") and not await self.postgres.fetchval(due)

    async def until(self, done: Callable[[], Awaitable[Any]]) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (found := await done()):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            print(*await self.rows("looks"), *await self.rows("sweeps"), sep="\n")  # noqa: T201 - what it waits for
            raise
        return found

    async def want(self, kind: Kind, *ids: str, priority: int = 1) -> None:
        await self.worker.looks.want(PROJECT, kind, list(ids), priority)
        self.worker.looking.wake()

    async def looked(self, kind: Kind, *ids: str, priority: int = 1) -> None:
        """Have records looked at, and wait until nothing is left to look at."""
        await self.want(kind, *ids, priority=priority)
        async with self.worker.running(sweeping=False):
            await self.until(self.nothing_to_look_at)

    async def nothing_to_look_at(self) -> bool:
        return not await self.rows("looks")

    async def rows(self, table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.postgres.fetch(f"SELECT * FROM mirror.{table}")]  # noqa: S608 - a table of ours

    async def row(self, table: str, **named: str) -> dict[str, Any]:
        found = [
            row
            for row in await self.rows(table)
            if all(row[name] == value for name, value in named.items())
        ]
        assert len(found) == 1, found
        return found[0]

    async def events(self) -> list[str]:
        rows = await self.postgres.fetch("SELECT event FROM mirror.activity ORDER BY id")
        return [row["event"] for row in rows]

    async def sweep_due(self) -> None:
        await self.postgres.execute("UPDATE mirror.sweeps SET due_at = now(), retry_at = NULL")
        self.worker.sweeping.wake()

    async def swept(self) -> None:
        """Have both kinds listed, and everything looked at that this finds."""
        await self.sweep_due()
        async with self.worker.running():
            await self.until(self.is_idle)

    def shown(self, kind: Kind, record_id: str) -> Any:
        return self.part3.held.get((kind, record_id))

"""A gateway and a worker at work between sides that answer at once, on a Kafka and a PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2
import psutil

from bench.sides import Kind, Project, Sides, hook_body
from connector.demo.stack import Stack
from deploy.local.runs import open_run
from deploy.local.servers import LocalServers
from services.hook_secrets import hook_secret
from services.http_server import Site, serving
from services.postgres import open_postgres
from services.settings import Reader
from tests.databases import fresh_database

WORKER = "worker-1"
GENERATION = 1
UNHURRIED = {
    # as it runs in earnest, with nothing falling due beside what is measured
    "LOOK_DELAY_S": "1.5",
    "SETTLE_S": "60",
    "SWEEP_S": "3600",
    "HOOK_AUDIT_S": "3600",
    "RECHECK_S": "600",
    "LOG_LEVEL": "warning",
}
WAITING = """
SELECT (SELECT count(*) FROM mirror.looks) + (SELECT count(*) FROM mirror.sweeps
  WHERE backfilled_at IS NULL OR next_page IS NOT NULL)
"""
# As the worker would leave them, had it connected and backfilled them yesterday.
OTHER_PROJECTS = """
WITH made AS (
  INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, owner_user_id,
    reader_user_id, state, connection_updated_at, options, hook_due_at, returns_due_at,
    readiness_due_at, reader_due_at, checks_due_at)
  SELECT 'other_' || n, '77', (5000000 + n)::text, 'usr_other_' || n, 'usr_other_' || n, 'active',
    now() - interval '9 days', '{}', later, later, later, later, later
  FROM generate_series(1, $1::int) AS n, (SELECT now() + interval '1 day' AS later) AS at
  RETURNING project_id
)
INSERT INTO mirror.sweeps (project_id, kind, due_at, backfilled_at, settled_until, audited_at)
SELECT project_id, kind, now() + interval '1 day', now(), now(), now()
FROM made, (VALUES ('rfi'), ('submittal')) AS kinds (kind)
"""

WITHOUT_THEM = (
    "DELETE FROM mirror.sweeps WHERE project_id LIKE 'other%'",
    "DELETE FROM mirror.projects WHERE project_id LIKE 'other%'",
    "VACUUM ANALYZE mirror.projects, mirror.sweeps",
)


@dataclass
class Mirror:
    """One worker and the gateway, and the sides they work between."""

    stack: Stack
    sides: Sides
    http: httpx2.AsyncClient
    servers: LocalServers

    async def deliver(self, project: Project, kind: Kind, record_id: str, at: datetime) -> None:
        """Give the gateway Procore's notice of a change, until it has it."""
        ring = Reader(self.stack.environment).key_ring("WEBHOOK_SECRET_KEYS")
        answer = await self.http.post(
            f"{self.stack.gateway}/procore/{project.part3_id}/{GENERATION}",
            json=hook_body(project, kind, record_id, at),
            headers={"authorization": hook_secret(ring.first.secret, project.part3_id, GENERATION)},
        )
        answer.raise_for_status()

    async def ask(self, sql: str, *arguments: Any) -> Any:
        """Return the one value that a statement gives, in the connector's database."""
        async with open_postgres(self.stack.environment["DATABASE_URL"], max_size=1) as postgres:
            return await postgres.fetchval(sql, *arguments)

    async def until_idle(self, within_s: float) -> None:
        """Wait until nothing is to be looked at or listed."""

        async def idle() -> bool:
            return not await self.ask(WAITING)

        await until(idle, within_s)

    @property
    def worker(self) -> psutil.Process:
        """The worker's process."""
        return psutil.Process(self.stack.program(WORKER).pid or 0)

    @property
    def resident_mib(self) -> float:
        """The memory that the worker has."""
        return float(self.worker.memory_info().rss) / 2**20

    def cpu_s(self) -> tuple[float, float]:
        """Return the processor seconds used so far by the worker, and by PostgreSQL."""
        return cpu_s_of(self.worker), self._database_cpu_s()

    def _database_cpu_s(self) -> float:
        """All processes of the server: those that ended count in the first one's children."""
        name = self.stack.environment["DATABASE_URL"].rsplit("/", 1)[1]
        for one in psutil.process_iter(["cmdline"]):
            told = " ".join(one.info["cmdline"] or ())
            if told.startswith("postgres:") and name in told and (server := one.parent()):
                ended = server.cpu_times()
                living = sum(map(cpu_s_of, [server, *server.children()]))
                return living + float(ended.children_user + ended.children_system)
        raise RuntimeError("the worker has no connection to PostgreSQL")


def cpu_s_of(process: psutil.Process) -> float:
    """Return the processor seconds that a process has used."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


async def until(done: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Ask until the answer is yes; TimeoutError after so long."""
    async with asyncio.timeout(within_s):
        while not await done():
            await asyncio.sleep(0.2)


@asynccontextmanager
async def running_mirror(
    servers: LocalServers, overrides: Mapping[str, str] | None = None
) -> AsyncIterator[Mirror]:
    """Give a gateway and a worker with a database and topics of their own."""
    sides = Sides()
    async with (
        serving([Site("sides", sides, "127.0.0.1", 0)]) as addresses,
        fresh_database(servers.database_url) as database,
        open_run() as run,
        httpx2.AsyncClient(timeout=20.0, trust_env=False) as http,
    ):
        url = addresses["sides"].url
        where = dict.fromkeys(
            ("PROCORE_LOGIN_URL", "PROCORE_API_URL", "PART3_API_URL", "TOKEN_SERVICE_URL"), url
        )
        stack = Stack(
            run,
            kafka_bootstrap=servers.kafka_bootstrap,
            database_url=database,
            topic_prefix=f"bench-{database[-12:]}.",
            overrides={**UNHURRIED, **where, "PART3_ORIGIN": url, **(overrides or {})},
        )
        await stack.prepare()
        await stack.add_gateway()
        mirror = Mirror(stack, sides, http, servers)
        yield mirror


async def with_projects(mirror: Mirror, count: int, records: int) -> list[Project]:
    """Connect projects of so many RFIs and as many submittals, and let the worker mirror them."""
    projects = [Project(number, records) for number in range(1, count + 1)]
    for project in projects:
        mirror.sides.add(project)
    await mirror.stack.add_worker(1)

    async def heard() -> bool:
        return bool(await mirror.ask("SELECT count(*) = $1 FROM mirror.projects", count))

    await until(heard, 60)
    await mirror.until_idle(300)
    return projects

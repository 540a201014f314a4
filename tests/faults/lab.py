"""The real system on one machine, with a proxy between its parts and a plan at its fail points."""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from standardwebhooks import Webhook

from connector.demo.stack import Stack, url_of
from connector.demo.worlds import seed
from deploy.local.kafka import LocalKafka, start_kafka
from deploy.local.postgres import LocalPostgres, start_postgres
from deploy.local.processes import Program
from deploy.local.runs import DATA_FOLDER, Run, open_run
from services.settings import KafkaSettings, Reader
from tests.databases import fresh_database
from tests.faults.history import History
from tests.faults.proxy import Proxy
from tests.stack.fault_stacks import CALL_TIMEOUT_S, QUICK, Site

T = TypeVar("T")

PATIENCE_S = 40.0
"""How long anything may take on a busy machine before it counts as lost; nothing asserts speed."""

STRICT = {
    # Nothing is listed by itself, so what arrives was brought by its own notice.
    **QUICK,
    "SETTLE_S": "3600",
    "HOOK_AUDIT_S": "3600",
    "REFRESH_DEADLINE_S": "5",
    "REFRESH_LEASE_S": "8",
}
WORKERS = ("worker-1", "worker-2")
OURS = ("gateway", "token-service", *WORKERS)


@dataclass(frozen=True, slots=True)
class Proxies:
    """One between each two parts, named after who is called by whom."""

    gateway: Proxy = field(default_factory=lambda: Proxy("both sides → gateway"))
    kafka: Proxy = field(default_factory=lambda: Proxy("all → Kafka"))
    postgres: Proxy = field(default_factory=lambda: Proxy("workers → Postgres"))
    tokens: Proxy = field(default_factory=lambda: Proxy("workers → token service"))
    procore: Proxy = field(default_factory=lambda: Proxy("workers → Procore"))
    part3: Proxy = field(default_factory=lambda: Proxy("workers → Part3"))

    def __iter__(self) -> Iterator[Proxy]:
        return iter(
            (self.gateway, self.kafka, self.postgres, self.tokens, self.procore, self.part3)
        )


class LabStack(Stack):
    """The stack with its wires through the proxies, and a plan for each program's fail points."""

    def __init__(self, run: Run, proxies: Proxies, *, database_url: str) -> None:
        through = urlsplit(database_url)
        host = f"{through.username}:{through.password}@127.0.0.1:{proxies.postgres.port}"
        super().__init__(
            run,
            kafka_bootstrap=f"127.0.0.1:{proxies.kafka.port}",
            database_url=database_url,
            topic_prefix=f"lab-{secrets.token_hex(4)}.",
            overrides={**STRICT, "GATEWAY_PUBLIC_URL": url_of(proxies.gateway.port)},
            own={
                "sync_worker": {
                    "DATABASE_URL": through._replace(netloc=host).geturl(),
                    "PROCORE_API_URL": url_of(proxies.procore.port),
                    "PART3_API_URL": url_of(proxies.part3.port),
                    "TOKEN_SERVICE_URL": url_of(proxies.tokens.port),
                }
            },
        )
        proxies.gateway.upstream = self.ports.gateway
        proxies.tokens.upstream = self.ports.internal
        proxies.procore.upstream = self.ports.procore
        proxies.part3.upstream = self.ports.part3
        self.gateway = url_of(proxies.gateway.port)
        # Files have addresses at the API, which alone gets the bearer.
        self._shown = {"SANDBOX_PROCORE_PUBLIC_URL": url_of(proxies.procore.port)}

    async def _add(
        self, name: str, arguments: list[str], variables: Mapping[str, str], *, port: int
    ) -> None:
        more = self._shown if name == "procore" else {}
        await super()._add(name, arguments, {**variables, **more}, port=port)

    async def _add_ours(
        self, name: str, module: str, variables: Mapping[str, str], readyz: str
    ) -> None:
        points = {
            "FAILPOINTS_FILE": str(self.run.folder / f"{name}.plan"),
            "FAILPOINTS_LOG": str(self.run.folder / f"{name}.reached"),
        }
        await super()._add_ours(name, module, {**variables, **points}, readyz)


class LabSite(Site):
    """A site whose programs may die by plan while somebody waits."""

    async def execute(self, sql: str) -> None:
        """Change the connector's database, as time or an operator would."""
        _ = await self.rows(sql)

    async def procore_as_dana(self, method: str, path: str) -> None:
        """Write to Procore as the general contractor."""
        headers = {
            "authorization": f"Bearer {await self.dana_access_token()}",
            "procore-company-id": str(self.procore_company),
        }
        answer = await self.http.request(method, f"{self.stack.procore}{path}", headers=headers)
        answer.raise_for_status()

    async def post_part3_event(self, event: Mapping[str, Any], *, at: datetime) -> int:
        """Send a return's event as Part3 does, signed at that time; return the answer's status."""
        names = ("project_id", "kind", "procore_id", "return_id", "user_id")
        data = {name: event[name] for name in names}
        body = json.dumps({"type": event["type"], "timestamp": event["at"], "data": data})
        secret = self.stack.environment["PART3_WEBHOOK_SECRETS"]
        headers = {
            "webhook-id": event["event_id"],
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(event["event_id"], at, body),
            "content-type": "application/json",
        }
        url = f"{self.stack.gateway}/part3/events"
        return (await self.http.post(url, content=body, headers=headers)).status_code

    async def until(
        self, what: str, ask: Callable[[], Awaitable[T | None]], *, patience_s: float = PATIENCE_S
    ) -> T:
        """Ask until the answer is something, and return it; fail with what the workers say."""
        give_up_at = time.monotonic() + patience_s
        while True:
            try:
                if answer := await ask():
                    return answer
            except (httpx2.HTTPError, OSError) as error:
                last: object = error
            else:
                last = answer
            if time.monotonic() > give_up_at:
                said = self._worker_says()
                raise AssertionError(f"never came true: {what} (last: {last!r})\n{said}")
            await asyncio.sleep(0.1)


@dataclass(slots=True)
class Lab:
    """A connected project on servers that nobody else uses."""

    site: LabSite
    kafka: LocalKafka
    postgres: LocalPostgres
    proxies: Proxies
    history: History
    folder: Path
    reached: Counter[str] = field(default_factory=Counter)
    published: set[str] = field(default_factory=set)  # ids that Kafka was ever seen to hold
    _read_to: dict[str, int] = field(default_factory=dict)
    _logs_read_to: dict[str, int] = field(default_factory=dict)

    @property
    def stack(self) -> Stack:
        return self.site.stack

    @property
    def kafka_settings(self) -> KafkaSettings:
        return KafkaSettings.read(Reader(self.stack.environment))

    def workers(self) -> list[Program]:
        """Return the workers that were ever started."""
        programs = self.stack.run.programs
        return [one for name, one in programs.items() if name.startswith("worker-")]

    # ------------------------------------------------------------------ fail points

    def arm(self, plan: str, *names: str) -> None:
        """Have these programs, or else all workers, do so at their fail points."""
        for name in names or [one.name for one in self.workers()]:
            _ = self.struck_now(name)  # what happened before is not this plan's
            (self.stack.run.folder / f"{name}.plan").write_text(plan)
        self.history.note("fault", "armed", plan=plan, programs=list(names) or "workers")

    def disarm(self) -> None:
        """Nothing happens at any fail point any more."""
        for plan in self.stack.run.folder.glob("*.plan"):
            plan.unlink()

    def struck_now(self, name: str) -> list[dict[str, Any]]:
        """Return the actions of a program since this was last asked."""
        log = self.stack.run.folder / f"{name}.reached"
        if not log.exists():
            return []
        with log.open("rb") as lines:
            _ = lines.seek(self._read_to.get(name, 0))
            text = lines.read()
            self._read_to[name] = lines.tell()
        entries = [json.loads(line) for line in text.splitlines()]
        for entry in entries:
            self.reached[f"{entry['point']} {entry['what']}"] += 1
        return [entry for entry in entries if entry["what"] != "reached"]

    async def until_struck(self, *names: str) -> Program:
        """Wait until a plan strikes one of these programs, or else a worker; disarm the others."""
        among = names or tuple(one.name for one in self.workers())

        async def struck() -> Program | None:
            for name in among:
                if found := self.struck_now(name):
                    first = found[0]
                    self.history.note(
                        "saw", "struck", program=name, point=first["point"], action=first["what"]
                    )
                    return self.stack.program(name)
            return None

        program = await self.site.until(f"a plan strikes one of {among}", struck)
        self.disarm()
        return program

    # ------------------------------------------------------------------ programs

    async def kill(self, program: Program) -> None:
        """kill -9."""
        self.history.note("fault", "kill", program=program.name)
        self.reached["kill"] += 1
        program.kill()

    async def start(self, program: Program) -> None:
        """Start what is dead; also what died by plan, which nobody has reaped yet."""
        if not program.is_running:
            program.kill()
            await program.start()
            self.history.note("act", "started", program=program.name)

    def pause(self, program: Program) -> None:
        self.history.note("fault", "paused", program=program.name)
        self.reached["paused"] += 1
        program.pause()

    def resume(self, program: Program) -> None:
        self.history.note("act", "resumed", program=program.name)
        program.resume()

    async def revive(self) -> None:
        """Resume what stands still and start what is dead, of our programs."""
        for name in OURS:
            program = self.stack.program(name)
            program.resume()
            if not program.is_running:
                await self.start(program)

    async def mend(self) -> None:
        """End every fault, and start again whatever does not run."""
        self.disarm()
        for proxy in self.proxies:
            proxy.mend()
        for server in (self.postgres.program, self.kafka.program):
            server.resume()
            await self.start(server)
        await self.site.procore_faults()
        await self.site.part3_faults()
        await self.revive()
        self.history.note("act", "mended")

    # ------------------------------------------------------------------ what the logs say

    def count_logs(self) -> list[str]:
        """Count our programs' log events by their words; return the lines that are faults of ours.

        What was read before is not read again.
        """
        faults: list[str] = []
        for log in sorted((self.stack.run.folder / "logs").glob("*.log")):
            if log.stem not in OURS and not log.stem.startswith("worker-"):
                continue
            with log.open("rb") as lines:
                _ = lines.seek(self._logs_read_to.get(log.stem, 0))
                text = lines.read()
                self._logs_read_to[log.stem] = lines.tell()
            for line in text.decode(errors="replace").splitlines():
                faults += [f"{log.stem}: {line}"] * self._count_line(line)
        return faults

    def _count_line(self, line: str) -> bool:
        try:
            entry = json.loads(line)
        except ValueError:
            return line.startswith("Traceback")
        if not isinstance(entry, dict):
            return False
        self.reached[f"log {entry.get('event')}"] += 1
        return "exception" in entry or entry.get("level") in ("error", "critical")


@asynccontextmanager
async def open_lab(folder: Path, *, rfis: int = 4, submittals: int = 4) -> AsyncIterator[Lab]:
    """Start everything, connect the project, and end all of it on the way out."""
    proxies = Proxies()
    async with AsyncExitStack() as things:
        run = await things.enter_async_context(open_run(DATA_FOLDER))
        for proxy in proxies:
            await things.enter_async_context(proxy.serving())
        kafka = await start_kafka(run, DATA_FOLDER / "cache", advertised_port=proxies.kafka.port)
        proxies.kafka.upstream = int(kafka.bootstrap_servers.rsplit(":", 1)[1])
        postgres = await start_postgres(run)
        proxies.postgres.upstream = urlsplit(postgres.url).port or 0
        database = await things.enter_async_context(fresh_database(postgres.url))
        stack = LabStack(run, proxies, database_url=database)
        things.push_async_callback(_stop_all_but_servers, run)
        await stack.start(workers=len(WORKERS))
        made = await seed(stack, rfis=rfis, submittals=submittals)
        http = await things.enter_async_context(
            httpx2.AsyncClient(timeout=CALL_TIMEOUT_S, trust_env=False)
        )
        site = LabSite(stack, http, made)
        things.push_async_callback(site.close)
        lab = Lab(site, kafka, postgres, proxies, History(folder / "history.jsonl"), folder)
        await _connect(lab)
        yield lab


async def _stop_all_but_servers(run: Run) -> None:
    """So that no program misses its database at the end."""
    for program in reversed(list(run.programs.values())):
        if program.name not in ("postgres", "kafka"):
            program.resume()
            await program.stop()


async def _connect(lab: Lab) -> None:
    """Connect the project, with Maya's authorization there and limits that are not the subject."""
    site = lab.site
    await site.procore_switches(rate_limit_hourly=1_000_000, rate_limit_spike=1_000_000)
    await site.connect()
    await site.until_backfilled()
    await site.authorize(site.maya)
    lab.history.note("act", "connected")

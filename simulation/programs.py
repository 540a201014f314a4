"""The programs, made of their own parts: a worker, and a replica of the token service."""

import asyncio
import contextvars
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from schemas.notices import PART3_NOTICES, PROCORE_NOTICES, WORKER_GROUP
from services.errors import ConnectorError, NeedsPerson, TryLater
from services.http_client import Answer, HttpClient, NotSent
from services.http_client import NoAnswer as HttpNoAnswer
from services.kafka import ConsumerSettings, NoticeConsumer
from services.settings import KafkaSettings, Key, KeyRing
from services.token_client import TokenClient
from simulation.counting import History
from simulation.database import Database
from simulation.faults import Faults
from simulation.kafka import Broker, Member, counted_handle
from simulation.login import LoginHost, LoginPort
from simulation.loop import START, VirtualLoop
from simulation.part3 import Part3Model, Part3Port
from simulation.processes import Process, ProcessPostgres
from simulation.procore import ProcoreModel, ProcorePort, unknown_outcome
from simulation.wire import Wire
from sync_worker.completeness.listings import Listings
from sync_worker.consume import Intake, Wakers
from sync_worker.first_showing import FirstShowing
from sync_worker.inbound.brake import Brake
from sync_worker.inbound.look_store import Looks
from sync_worker.inbound.looking import Looking
from sync_worker.inbound.mirror import Mirror
from sync_worker.inbound.partials import Partials
from sync_worker.inbound.stored import Records
from sync_worker.leases import Leases
from sync_worker.outbound.attempt import Attempts
from sync_worker.outbound.carrying import PostgresUploads
from sync_worker.outbound.codes import CodeBook
from sync_worker.outbound.deliver import Deliverer
from sync_worker.outbound.deliveries import Deliveries
from sync_worker.outbound.delivery_store import PostgresDeliveries
from sync_worker.outbound.errand import Limits
from sync_worker.outbound.intent_store import PostgresIntents
from sync_worker.outbound.memory import PostgresMemory
from sync_worker.outbound.missed import ask_for_missed_returns
from sync_worker.projects import Projects
from sync_worker.sweep_store import Sweeps
from sync_worker.sweeping import Sweeping
from token_service.audit import Audit
from token_service.grants.access import AccessTokens
from token_service.grants.homecoming import Homecoming
from token_service.grants.refresh import Refresher, RefreshLimits
from token_service.grants.seal import Sealer
from token_service.grants.spool import Spool
from token_service.grants.store import GrantStore

LIMITS = Limits(quiet_s=180, recheck_s=120, retry_max_s=120)
DELIVERY_LEASE_S = 45.0
WRITE_DEADLINE_S = 30.0
PART3_DEADLINE_S = 20.0
PART3_LATEST_S = 40.0
SETTLE_S = 60.0
LOOK_DELAY_S = 1.5
SWEEP_S = 300.0
AUDIT_S = 350.0
REFRESH = RefreshLimits(deadline_s=60, lease_s=90)
IDLE_S = 120.0
"""How long loops rest: alarms of the database wake them when something falls due."""

RING = KeyRing((Key("k1", b"k" * 32),))
ISSUER = "https://login.procore.test"
KAFKA = KafkaSettings("simulated", "", "PLAINTEXT", None, None, None, None)
CONSUMING = ConsumerSettings(commit_every_s=30.0)
TOPICS = (PROCORE_NOTICES, PART3_NOTICES)


@dataclass(eq=False)
class Sides:
    """What is outside of the programs, and lives on when they die."""

    loop: VirtualLoop
    history: History
    faults: Faults
    database: Database
    broker: Broker
    procore: ProcoreModel
    part3: Part3Model
    login: LoginHost
    token_lasts_s: float
    folders: "Folders"
    replicas: "dict[str, TokenReplica]" = field(default_factory=dict)
    wakers: dict[str, Wakers] = field(default_factory=dict)

    def now(self) -> datetime:
        """Return the moment, aware UTC."""
        return self.loop.now()

    def epoch_s(self) -> float:
        """Return Unix seconds."""
        return START.timestamp() + self.loop.now_s

    def postgres(self, process: Process) -> ProcessPostgres:
        """Return a pool of a process."""
        return ProcessPostgres(self.database, process, self.faults, self.history)

    def wire(self, process: Process, side: str, deadline_s: float, **more: Any) -> Wire:
        """Return the way of a process to a side."""
        return Wire(
            process, self.loop, self.faults, self.history, side=side, deadline_s=deadline_s, **more
        )


@dataclass(eq=False)
class Worker:
    """One life of a worker."""

    process: Process
    looking: Looking
    sweeping: Sweeping
    deliveries: Deliveries
    consumer: NoticeConsumer
    postgres: ProcessPostgres
    part3: Part3Port
    history: History

    async def run(self) -> None:
        """Work until killed or told to stop."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.consumer.run(asyncio.Event()))
            group.create_task(self.looking.run())
            group.create_task(self.sweeping.run())
            group.create_task(self.deliveries.run())
            group.create_task(self._ask_for_missed_returns())

    async def _ask_for_missed_returns(self) -> None:
        while True:
            try:
                found = await ask_for_missed_returns(
                    self.postgres, self.part3, every_s=LIMITS.recheck_s
                )
            except TryLater:
                found = 0
            if found:
                self.history.count("missed return found")
                self.deliveries.wake()
            await asyncio.sleep(LIMITS.recheck_s)


@dataclass(frozen=True)
class Parts:
    """What programs are made of; a defect that is put in on purpose takes the place of one."""

    deliverer: type[Deliverer] = Deliverer
    limits: Limits = LIMITS
    handle: Callable[[Any], Any] = lambda handle: handle
    spool: "type[SimulatedSpool] | None" = None


def make_worker(sides: Sides, process: Process, name: str, parts: Parts) -> Worker:
    """Wire a worker as its program does, with clocks and sides of the simulation."""
    loop = sides.loop
    postgres = sides.postgres(process)
    tokens = TokenClient(
        TokenHttp(sides, process), ("http://t1", "http://t2"), lambda: "", now=sides.epoch_s
    )
    procore = ProcorePort(
        sides.procore,
        sides.wire(process, "procore", WRITE_DEADLINE_S, unknown=unknown_outcome),
        tokens,
    )
    part3 = Part3Port(
        sides.part3,
        sides.wire(process, "part3", PART3_DEADLINE_S, latest_s=PART3_LATEST_S),
    )
    projects = Projects(postgres, tokens, part3, retry_max_s=LIMITS.retry_max_s)
    leases, records = Leases(postgres, name), Records(postgres)
    looks = Looks(
        postgres,
        name,
        retry_max_s=LIMITS.retry_max_s,
        gather_s=LOOK_DELAY_S,
        settle_s=SETTLE_S,
    )
    looking = Looking(
        procore=procore,
        looks=looks,
        leases=leases,
        mirror=Mirror(procore, part3, records, partials=Partials(sides.folders.of("partials"))),
        projects=projects,
        brake=Brake(postgres),
        longest_rest_s=IDLE_S,
        now=sides.epoch_s,
        monotonic=loop.time,
    )
    sweeping = Sweeping(
        procore=procore,
        sweeps=Sweeps(
            postgres,
            name,
            sweep_s=SWEEP_S,
            audit_s=AUDIT_S,
            settle_s=SETTLE_S,
            retry_max_s=LIMITS.retry_max_s,
        ),
        looks=looks,
        first_showing=FirstShowing(part3, leases, records),
        projects=projects,
        listings=Listings(postgres),
        wake_looks=looking.wake,
        longest_rest_s=IDLE_S,
    )
    deliveries = _deliveries(
        sides, postgres, procore, part3, tokens, name=name, parts=parts, wake=looking.wake
    )
    wakers = Wakers(looking.wake, deliveries.wake, sweeping.wake)
    sides.wakers[name] = wakers
    intake = Intake(
        postgres,
        bury=_nothing_is_buried,
        wakers=wakers,
        look_delay_s=LOOK_DELAY_S,
        learn=_nobody_to_ask,
        monotonic=loop.time,
    )
    consumer = NoticeConsumer(
        KAFKA,
        topics=TOPICS,
        group_id=WORKER_GROUP,
        instance_id=name,
        handle=parts.handle(counted_handle(sides.broker, intake.handle, sides.history.count)),
        how=CONSUMING,
        connect=lambda *_args, **_kwargs: Member(sides.broker, process, name),
    )
    return Worker(process, looking, sweeping, deliveries, consumer, postgres, part3, sides.history)


def _deliveries(
    sides: Sides,
    postgres: ProcessPostgres,
    procore: ProcorePort,
    part3: Part3Port,
    tokens: TokenClient,
    *,
    name: str,
    parts: Parts,
    wake: Callable[[], None],
) -> Deliveries:
    memory = PostgresMemory(postgres)
    store = PostgresDeliveries(postgres, worker_id=name, lease_s=DELIVERY_LEASE_S)
    deliverer = parts.deliverer(
        grants=tokens,
        procore=procore,
        part3=part3,
        intents=PostgresIntents(postgres),
        uploads=PostgresUploads(postgres),
        memory=memory,
        codes=CodeBook(tokens, part3, LIMITS.recheck_s, sides.loop.time),
        limits=parts.limits,
        monotonic=sides.loop.time,
    )
    attempts = Attempts(
        store=store,
        deliverer=deliverer,
        part3=part3,
        memory=memory,
        limits=parts.limits,
        wake_looks=wake,
        clock=sides.now,
    )
    return Deliveries(store, attempts, lease_s=DELIVERY_LEASE_S, poll_s=IDLE_S)


async def _nothing_is_buried(record: Any, cause: str) -> None:
    message = f"a notice could not be read: {cause} ({record})"
    raise AssertionError(message)


async def _nobody_to_ask(project_id: str) -> None:
    message = f"project {project_id} is not known"
    raise AssertionError(message)


@dataclass(eq=False)
class TokenReplica:
    """One life of a replica of the token service. Its spool's folder outlives it."""

    process: Process
    tokens: AccessTokens
    refresher: Refresher
    store: GrantStore
    context: contextvars.Context

    async def run(self) -> None:
        """Bring home what an earlier life left, then serve until killed."""
        while True:
            try:
                async with self.refresher.running():
                    await self.process.died.wait()
            except ConnectorError:
                await asyncio.sleep(1)
            else:
                return


class ToldHomecoming(Homecoming):
    """`Homecoming` that counts what it brings home from the spool."""

    history: History

    async def _replay_one(self, spooled: Any) -> None:
        await super()._replay_one(spooled)
        self.history.count("pair brought home from the spool")


def make_replica(sides: Sides, process: Process, folder: Path, parts: Parts) -> TokenReplica:
    """Wire a replica as its program does."""
    postgres = sides.postgres(process)
    store = GrantStore(postgres, Sealer(RING), ISSUER)
    audit = Audit(postgres)
    spool = parts.spool or SimulatedSpool
    endpoint = LoginPort(sides.login, process, sides.faults, lasts_s=sides.token_lasts_s)
    homecoming = ToldHomecoming(store, spool(folder, process), endpoint, audit)
    homecoming.history = sides.history
    refresher = Refresher(
        store,
        endpoint,
        homecoming,
        audit,
        owner=process.name,
        limits=REFRESH,
        count=lambda word: sides.history.count("grant refreshed") if word == "given" else None,
        monotonic=sides.loop.time,
        replay_every_s=45.0,
    )
    tokens = AccessTokens(store, refresher, audit, monotonic=sides.loop.time, clock=sides.now)
    return TokenReplica(process, tokens, refresher, store, contextvars.copy_context())


class SimulatedSpool(Spool):
    """The real spool, of a process that may be dead."""

    def __init__(self, folder: Path, process: Process) -> None:
        super().__init__(folder)
        self._process = process

    def write(self, lease: Any, pair: Any) -> Any:
        """Write a pair, unless the process is dead."""
        self._process.check()
        return super().write(lease, pair)

    def remove(self, spooled: Any) -> None:
        """Forget a pair, unless the process is dead."""
        self._process.check()
        super().remove(spooled)


class TokenHttp(HttpClient):
    """The token service's internal port, as one worker reaches it."""

    def __init__(self, sides: Sides, process: Process) -> None:
        self._sides = sides
        self._process = process

    async def send(
        self,
        method: str,
        url: str,
        *,
        deadline_s: float | None = None,
        max_body_bytes: int = 0,
        **request: Any,
    ) -> Answer:
        """Ask the replica that the URL names."""
        await self._process.gate()
        replica = self._sides.replicas.get(url[7:9])
        if replica is None or not replica.process.alive:
            raise NotSent("the token service is away")
        if not url.endswith("/access-tokens"):
            return Answer(404, NO_HEADERS, b"")
        asked = request["json"]
        work = replica.tokens.get(
            asked["user_id"], caller="sync_worker", rejected=asked.get("rejected")
        )
        task = self._sides.loop.create_task(work, context=replica.context.copy())
        done, _ = await asyncio.wait([task], timeout=30)
        await self._process.gate()
        if not done or task.cancelled():
            raise HttpNoAnswer("no answer")
        error = task.exception()
        if isinstance(error, NeedsPerson):
            status = 404 if error.reason == "not_authorized" else 409
            body = {"title": "", "status": status, "code": error.reason}
            return Answer(status, NO_HEADERS, msgspec.json.encode(body))
        if error is not None:
            if not isinstance(error, TryLater) and replica.process.alive:
                raise error
            return Answer(503, NO_HEADERS, b"")
        return Answer(200, NO_HEADERS, msgspec.json.encode(task.result()))


NO_HEADERS: Any = {}


class Folders:
    """The folders of spools and of files on their way, which outlive their processes.

    What the programs make in the folder for temporary files is in there too, and goes with it.
    """

    def __init__(self) -> None:
        in_memory = Path("/dev/shm")  # noqa: S108 - made by mkdtemp, so nobody else's
        self._root = Path(
            tempfile.mkdtemp(prefix="simulation-", dir=in_memory if in_memory.is_dir() else None)
        )
        self._temporary, tempfile.tempdir = tempfile.tempdir, str(self._root)

    def of(self, name: str) -> Path:
        """Return a replica's folder."""
        folder = self._root / name
        folder.mkdir(exist_ok=True)
        return folder

    def remove(self) -> None:
        """Forget them."""
        tempfile.tempdir = self._temporary
        shutil.rmtree(self._root, ignore_errors=True)

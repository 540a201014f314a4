"""One history from its seed: the sides, the programs, the people, and the faults among them."""

import asyncio
import contextvars
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any

from schemas.records import KINDS
from simulation import statements
from simulation.checking import check_end
from simulation.counting import History
from simulation.database import Database, Row
from simulation.faults import Faults
from simulation.kafka import SESSION_TIMEOUT_S, Broker
from simulation.login import LoginHost
from simulation.loop import OWNER, START, VirtualLoop
from simulation.part3 import Part3Model
from simulation.people import (
    COMPANY_ID,
    IDS,
    OPTIONS,
    PROCORE_PROJECT_ID,
    PROJECT,
    PROJECT_ID,
    USERS,
    People,
    new_rfi,
    new_submittal,
)
from simulation.people import OWNER as OWNER_USER
from simulation.processes import PAUSES_S, Process
from simulation.procore import ProcoreModel
from simulation.programs import TOPICS, Folders, Parts, Sides, make_replica, make_worker

assert statements  # every statement has its answer

FAULTS_END_S = 400.0
ACTS_END_S = 360.0
QUIET_FOR_S = 360.0
"""By then the last quiet period is over, and what was held up has gone its way."""
SWEPT_FOR_S = 140.0
GRID_S = 0.25
WORKERS = ("worker-1", "worker-2")
REPLICAS = ("t1", "t2")


@dataclass(eq=False)
class World:
    """A history under way."""

    loop: VirtualLoop
    history: History
    faults: Faults
    sides: Sides
    people: People
    folders: Folders
    parts: Parts
    alarms: set[tuple[str, float]] = field(default_factory=set)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    processes: dict[str, Process] = field(default_factory=dict)

    def watch(self) -> None:
        """Wake the loops when a row falls due, as their polling would within a second."""
        database = self.sides.database
        # of what is claimed or leased the loops find out by themselves, at the end of their rest
        database.deliveries.on_change = lambda row: (
            self._due("deliveries", row["due_at"]) if row["lease_owner"] is None else None
        )
        database.looks.on_change = lambda row: (
            self._due("looks", row["due_at"]) if row["claimed_by"] is None else None
        )
        database.sweeps.on_change = self._sweep_changed

    def _sweep_changed(self, row: Row) -> None:
        if row["lease_owner"] is not None:
            return
        moments = [row["due_at"], row["settle_at"], row["wanted_at"]]
        if row["retry_at"] is not None:
            moments = [row["retry_at"]]
        self._due("sweeps", min(at for at in moments if at is not None))

    def _due(self, loops: str, at: datetime | None) -> None:
        if at is None:
            return
        at_s = max((at - START).total_seconds(), self.loop.now_s)
        alarm = (loops, ceil(at_s / GRID_S + 0.001) * GRID_S)
        if alarm not in self.alarms:
            self.alarms.add(alarm)
            self.loop.call_at(alarm[1], self._ring, alarm)

    def _ring(self, alarm: tuple[str, float]) -> None:
        self.alarms.discard(alarm)
        for wakers in self.sides.wakers.values():
            getattr(wakers, alarm[0])()

    def start_process(
        self, name: str, make: Callable[[Process], Coroutine[Any, Any, None]]
    ) -> tuple[Process, "asyncio.Task[None]"]:
        """Start one life of a program."""
        process = self.processes[name] = Process(name, self.loop, self.history)
        context = contextvars.copy_context()
        context.run(OWNER.set, process)
        task = self.loop.create_task(context.run(make, process), context=context)
        return process, task

    async def keep_worker(self, name: str) -> None:
        """Start a worker, and start it again when it dies or is given up as hanging."""
        while True:
            process, task = self.start_process(name, self._work)
            process.on_pause = self._paused
            replaced = self.loop.create_task(process.replaced.wait())
            pausing = self.loop.create_task(self._sometimes_pause(process))
            await asyncio.wait([task, replaced], return_when=asyncio.FIRST_COMPLETED)
            pausing.cancel()
            if task.done() and process.alive:
                task.result()
            if not process.alive:
                replaced.cancel()
                await asyncio.sleep(self.faults.random.choice((0.3, 2.0, 40.0)))

    async def _work(self, process: Process) -> None:
        await make_worker(self.sides, process, process.name, self.parts).run()

    async def _sometimes_pause(self, process: Process) -> None:
        """Stop a worker at some moments."""
        often = self.faults.rates.pauses / FAULTS_END_S
        while often > 0:
            await asyncio.sleep(self.faults.random.expovariate(often))
            if self.faults.over or not process.alive:
                return
            process.stand_still(self.faults.random.choice(PAUSES_S))

    def _paused(self, process: Process, pause_s: float) -> None:
        """Let others notice that a worker is silent, and perhaps another one take its name."""
        self.history.count("worker paused")
        if pause_s <= SESSION_TIMEOUT_S:
            return
        self.loop.call_later(SESSION_TIMEOUT_S, self._expire, process)
        if self.faults.chance(0.4):
            self.history.count("worker replaced while paused")
            self.history.tell(process.name, "is started beside itself")
            process.replaced.set()
            # it wakes and works on for a moment beside the one that has its name now
            ends_in_s = pause_s + self.faults.between(1, 30)
            self.loop.call_later(ends_in_s, process.die, "as it was replaced")

    def _expire(self, process: Process) -> None:
        member = self.sides.broker.members.get(process.name)
        if member is not None:
            self.sides.broker.expire(member)

    async def keep_replica(self, name: str) -> None:
        """Start a replica of the token service, and start it again when it dies."""
        while True:
            process, task = self.start_process(name, self._serve)
            await asyncio.wait([task])
            if process.alive and not task.cancelled():
                task.result()
            await asyncio.sleep(self.faults.random.choice((0.3, 3.0, 20.0)))

    async def _serve(self, process: Process) -> None:
        replica = make_replica(self.sides, process, self.folders.of(process.name), self.parts)
        self.sides.replicas[process.name] = replica
        await replica.run()

    async def restart_postgres(self) -> None:
        """Restart the server at some moments."""
        if self.faults.rates.restarts <= 0:
            return
        often = self.faults.rates.restarts / FAULTS_END_S
        while True:
            await asyncio.sleep(self.faults.random.expovariate(often))
            if self.faults.over:
                return
            self.history.count("postgres restarted")
            self.history.tell("postgres", "goes away")
            self.sides.database.is_down = True
            await asyncio.sleep(self.faults.random.choice((0.4, 4.0, 25.0)))
            self.sides.database.is_down = False

    async def live(self) -> None:
        """Play the history from its beginning to its end, and check what must hold."""
        try:
            self.start()
            for _ in range(self.faults.random.randint(4, 10)):
                at_s = self.faults.random.uniform(8, ACTS_END_S)
                self.loop.call_at(at_s, self.people.do_something)
            await self.until(FAULTS_END_S)
            await self.end()
        finally:
            await self.stop()

    def start(self) -> None:
        """Begin the history: a connected project with two records, and the programs."""
        self._begin()
        works = [self.keep_worker(name) for name in WORKERS]
        works += [self.keep_replica(name) for name in REPLICAS]
        works.append(self.restart_postgres())
        self.tasks = [self.loop.create_task(work) for work in works]

    async def end(self) -> None:
        """Let everything work again, make one sweep, and check what must hold."""
        self._end_faults()
        await self.until(self.loop.now_s + QUIET_FOR_S)
        self._sweep_everything()
        await self.until(self.loop.now_s + SWEPT_FOR_S)
        check_end(self.sides)

    def _begin(self) -> None:
        database, now = self.sides.database, self.loop.now()
        database.begin()
        database.put_row(
            "projects",
            PROJECT_ID,
            {
                "project_id": PROJECT_ID,
                "procore_company_id": COMPANY_ID,
                "procore_project_id": PROCORE_PROJECT_ID,
                "owner_user_id": OWNER_USER,
                "reader_user_id": OWNER_USER,
                "state": "active",
                "connection_updated_at": now,
                "attention_reason": None,
                "attention_message": None,
                "attention_mended_by": None,
                "to_procore_paused": None,
                "attention_since": None,
                "probe_after": None,
                "kept_back_because": None,
                "kept_back_since": None,
                "kept_back_until": None,
                "returns_due_at": now,
                "options": {},
                "team_known": None,
                "removals_confirmed": None,
            },
        )
        database.put_row("install", True, {"one": True, "install_key": b"k" * 32})
        for kind in KINDS:
            sweep = statements.sweeps.new_sweep(database, PROJECT_ID, kind)
            database.put_row("sweeps", (PROJECT_ID, kind), sweep)
        database.commit()
        for user_id in IDS:
            left_s = self.faults.random.uniform(0.2, 1) * self.sides.token_lasts_s
            self.people.give_grant(user_id, left_s=left_s)
        model = self.sides.procore
        model.add(new_rfi("101"))
        model.add(new_submittal("301"))
        for _ in range(self.faults.random.randint(0, 2)):
            at_s = self.faults.random.uniform(0, ACTS_END_S)
            number = str(102 + len(self.alarms) + int(at_s * 100))
            make = self.faults.random.choice((new_rfi, new_submittal))
            self.loop.call_at(at_s, model.add, make(number))

    async def until(self, at_s: float) -> None:
        """Let time pass; a program that ends by a fault of its own ends the history."""
        left_s = at_s - self.loop.now_s
        done, _ = await asyncio.wait(
            self.tasks, timeout=left_s, return_when=asyncio.FIRST_EXCEPTION
        )
        for task in done:
            task.result()

    def _end_faults(self) -> None:
        self.history.tell("world", "works again")
        self.faults.end()
        self.sides.database.is_down = False
        for user_id in IDS:
            self.loop.call_later(200, self.people.authorize, user_id)

    def _sweep_everything(self) -> None:
        self.history.tell("world", "has one full sweep")
        for user_id in IDS:
            self.people.authorize(user_id)
        database = self.sides.database
        database.begin()
        for row in database.sweeps.all():
            key = {"project_id": row["project_id"], "kind": row["kind"]}
            database.change_row("sweeps", key, due_at=database.now)
        database.commit()

    async def stop(self) -> None:
        """End everything that still runs; none of it has an effect any more."""
        current = asyncio.current_task()
        for _ in range(5):
            left = [task for task in self.loop.tasks_left() if task is not current]
            for task in left:
                if isinstance(task.owner, Process):
                    task.owner.alive = False
                task.cancel()
            if not left:
                return
            await asyncio.wait(left, timeout=1)


@dataclass(frozen=True)
class Outcome:
    """What a history came to."""

    seed: int
    profile: str
    history: History
    operations: int
    effects: int
    ambiguous: int


def run(
    seed: int,
    *,
    parts: Parts | None = None,
    profile: str | None = None,
    told: bool = False,
    journal: list[tuple[Any, ...]] | None = None,
) -> Outcome:
    """Run the history of a seed. The same seed gives the same history, to the last line."""
    with opened_world(seed, parts=parts, profile=profile, told=told, journal=journal) as world:
        world.loop.run_until_complete(world.live())
        history = world.history
        history.counts.update(world.sides.database.noted)
        return Outcome(
            seed=seed,
            profile=world.faults.profile,
            history=history,
            operations=len(world.sides.database.write_intents.all()) + world.sides.part3.puts,
            effects=len(world.sides.procore.effects),
            ambiguous=history.counts["answer lost after the effect"]
            + history.counts["executed after its caller gave up"]
            + history.counts["half an answer"],
        )


@contextmanager
def opened_world(
    seed: int,
    *,
    parts: Parts | None = None,
    profile: str | None = None,
    told: bool = False,
    journal: list[tuple[Any, ...]] | None = None,
) -> Iterator[World]:
    """Give the world of a seed, in which nothing has happened yet."""
    state = random.getstate()
    random.seed(seed)  # the jitter of the programs
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    folders = Folders()
    try:
        history = History(loop.time, told=told)
        faults = Faults(seed, profile)
        database = Database(loop.now)
        database.journal = journal
        login = LoginHost(loop.time, history)
        procore = ProcoreModel(loop.now, faults, history, login, OPTIONS, USERS)
        sides = Sides(
            loop=loop,
            history=history,
            faults=faults,
            database=database,
            broker=Broker(loop, history, TOPICS),
            procore=procore,
            part3=Part3Model(loop.now, history, PROJECT),
            login=login,
            folders=folders,
            token_lasts_s=faults.random.choice((240.0, 420.0, 900.0)),
        )
        world = World(loop, history, faults, sides, People(sides), folders, parts or Parts())
        world.watch()
        yield world
    finally:
        folders.remove()
        with suppress(RuntimeError):
            loop.close()
        asyncio.set_event_loop(None)
        random.setstate(state)

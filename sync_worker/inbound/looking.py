"""Claims the looks that are due, as many at once as there is room for, and has them brought."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple

import structlog

from services.errors import TryLater
from services.tracing import following, span
from services.waits import accounting
from sync_worker.inbound.brake import Brake
from sync_worker.inbound.bringing import Bringing, Reads, key_of
from sync_worker.inbound.look_store import BACKFILL, Look, Looks, Room
from sync_worker.inbound.mirror import Mirror
from sync_worker.inbound.pausing import Pauses
from sync_worker.keeping import Owed, renewed
from sync_worker.leases import RENEW_EVERY_S, Leases
from sync_worker.projects import Projects

log = structlog.get_logger()

AT_ONCE = 16
BACKFILLS_AT_ONCE = 10
"""Of those at once; the rest is kept for what somebody has just changed."""

PER_PROJECT = 4
BACKFILLS_PER_PROJECT = 3
"""Looks of one project at once; the pacer lets two calls of a grant go, the rest copies files."""

LONGEST_REST_S = 1.0
SHORTEST_REST_S = 0.02
PAUSE_AFTER_FAULT_S = 1.0


class Looking:
    """Runs beside the worker's other loops; `stop()` lets what is under way finish."""

    def __init__(
        self,
        *,
        procore: Reads,
        looks: Looks,
        leases: Leases,
        mirror: Mirror,
        projects: Projects,
        brake: Brake,
        longest_rest_s: float = LONGEST_REST_S,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._looks = looks
        self._leases = leases
        self._longest_rest_s = longest_rest_s
        self._pauses = Pauses(now=now)
        self._owed = Owed()
        self._bringing = Bringing(
            procore=procore,
            looks=looks,
            leases=leases,
            mirror=mirror,
            projects=projects,
            brake=brake,
            pauses=self._pauses,
            owe=self._owe,
            monotonic=monotonic,
        )
        self._at: set[tuple[str, str, str]] = set()
        self._in_doubt = False  # a claim may have been made whose answer was lost
        self._woken = asyncio.Event()
        self._stopping = False
        self._under_way: Counter[str] = Counter()
        self._backfills: Counter[str] = Counter()
        self._places = asyncio.Semaphore(AT_ONCE)

    def wake(self) -> None:
        """Look for due work now."""
        self._woken.set()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Work until stopped."""
        await self._free_own()
        try:
            async with asyncio.TaskGroup() as group:
                while not self._stopping:
                    try:
                        await self._leases.pay()
                        await self._owed.pay()
                        await self._free_lost()
                        await self._take_what_is_due(group)
                        await self._rest()
                    except TryLater as error:
                        self._in_doubt = True
                        log.warning("looking.postgres_away", why=str(error))
                        await asyncio.sleep(PAUSE_AFTER_FAULT_S)
        finally:
            # what was cut short is another worker's at once, and not after its claim has lapsed
            await self._hand_over()

    async def _free_own(self) -> None:
        while not self._stopping:
            try:
                await self._leases.free_own()
                await self._looks.free_after_crash()
            except TryLater:
                await asyncio.sleep(PAUSE_AFTER_FAULT_S)
            else:
                return

    async def _free_lost(self) -> None:
        if self._in_doubt:
            await self._looks.free_lost(self._at)
            self._in_doubt = False

    async def _hand_over(self) -> None:
        try:
            await self._looks.free_own()
        except TryLater as error:
            log.warning("looking.not_handed_over", why=str(error))

    def _room(self) -> Room:
        full = [one for one, count in self._under_way.items() if count >= PER_PROJECT]
        busy_filling = [
            one for one, count in self._backfills.items() if count >= BACKFILLS_PER_PROJECT
        ]
        return Room(
            full + self._pauses.resting(backfill=False),
            busy_filling + self._pauses.resting(backfill=True),
            self._backfills.total() < BACKFILLS_AT_ONCE,
        )

    async def _take_what_is_due(self, group: asyncio.TaskGroup) -> None:
        while not self._stopping:
            _ = await self._places.acquire()
            batch: list[Look] = []
            try:
                if not self._stopping and not self._pauses.closed_s():
                    batch = await self._looks.claim(self._room())
            finally:
                if not batch:
                    self._places.release()
            if not batch:
                return
            self._at |= {astuple(key_of(look)) for look in batch}
            self._under_way[batch[0].project_id] += 1
            if batch[0].priority == BACKFILL:
                self._backfills[batch[0].project_id] += 1
            _ = group.create_task(self._work(batch))

    async def _rest(self) -> None:
        if closed_s := self._pauses.closed_s():
            rest_s = min(closed_s, self._longest_rest_s)
            self._woken.clear()  # a notice changes nothing about a side that is away
        else:
            due_in_s = await self._looks.seconds_to_next(self._room())
            rest_s = self._longest_rest_s if due_in_s is None else due_in_s
            rest_s = min(rest_s, self._longest_rest_s)
        try:
            async with asyncio.timeout(max(rest_s, SHORTEST_REST_S)):
                _ = await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    async def _work(self, batch: list[Look]) -> None:
        project_id = batch[0].project_id
        try:
            with (
                structlog.contextvars.bound_contextvars(project_id=project_id),
                accounting(*(look.account for look in batch)),
                following(batch[0].traceparent),
                span("look", kind=batch[0].kind, records=len(batch), attempts=batch[0].attempts),
            ):
                await self._take(batch)
        except TryLater as error:
            self._owe(batch, error)
        except Exception:
            # a fault of ours: it must not stop the others, and is tried again
            log.exception("look.fault", kind=batch[0].kind)
            await self._after_a_fault(batch)
        finally:
            self._places.release()
            self._at -= {astuple(key_of(look)) for look in batch}
            _one_less(self._under_way, project_id)
            if batch[0].priority == BACKFILL:
                _one_less(self._backfills, project_id)
            self._woken.set()

    async def _after_a_fault(self, batch: list[Look]) -> None:
        try:
            await self._bringing.give_back(
                batch, TryLater("a fault of ours, see the log", reason="fault")
            )
        except TryLater as error:
            self._owe(batch, error)

    def _owe(self, batch: list[Look], error: TryLater) -> None:
        """Postgres is away: the looks are due again once it is back, not when the claims lapse."""
        log.warning("look.not_noted", looks=len(batch), why=str(error))
        self._owed.add(lambda: self._bringing.give_back(batch, error))

    async def _take(self, batch: list[Look]) -> None:
        # renewed from the first moment: to find out who reads may take longer than a claim lasts
        async with renewed(lambda: self._looks.renew(batch), every_s=RENEW_EVERY_S):
            await self._bringing.bring(batch)


def _one_less(counts: Counter[str], project_id: str) -> None:
    counts[project_id] -= 1
    if not counts[project_id]:
        del counts[project_id]

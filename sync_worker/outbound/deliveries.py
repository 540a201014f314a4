"""The outbound half of the worker: claims what is due, works on a few at a time, keeps leases."""

import asyncio
from collections.abc import Collection
from typing import Protocol

import structlog

from services.errors import TryLater
from services.tracing import following, span
from sync_worker.keeping import Owed
from sync_worker.outbound.delivery_store import Task
from sync_worker.outbound.intent_store import LeaseLost

log = structlog.get_logger()

CONCURRENT = 8
"""Deliveries at once: each spends nearly all its time waiting for the other side."""

POLL_S = 1.0
"""How long to wait for a wake-up before looking for due work anyway."""

PAUSE_AFTER_FAULT_S = 1.0


SOON_S, AFTER_FAULT_S = 1.0, 10.0
"""When what could not be noted is due again, and what met a fault of ours in noting it."""


class Claims(Protocol):
    """Leases on deliveries."""

    async def free_own(self) -> None:
        """Free what an earlier life of this worker still held."""

    async def free_lost(self, under_way: Collection[str]) -> None:
        """Free what is leased to this worker and not among the returns it works on."""

    async def claim(self) -> Task | None:
        """Lease the next due delivery, or None."""

    async def renew(self, task: Task) -> bool:
        """Keep a lease; False when it is another worker's now."""

    async def give_back(self, task: Task, *, after_s: float) -> None:
        """Free a lease whose attempt could not be noted; what another worker has stays its.

        Args:
            task: what was claimed.
            after_s: when it is due again.
        """


class Works(Protocol):
    """Makes one attempt at a claimed delivery."""

    async def attempt(self, task: Task) -> None:
        """Bring a delivery on and let it go."""


class Deliveries:
    """Run by the worker's program beside its other loops.

    `run()` ends after `stop()`, when what is under way has finished; cancelling it stops at once,
    which is as safe as a crash.
    """

    def __init__(
        self,
        claims: Claims,
        works: Works,
        *,
        lease_s: float,
        concurrent: int = CONCURRENT,
        poll_s: float = POLL_S,
    ) -> None:
        self._claims = claims
        self._works = works
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._places = asyncio.Semaphore(concurrent)
        self._woken = asyncio.Event()
        self._stopping = False
        self._owed = Owed()
        self._under_way: set[str] = set()

    def wake(self) -> None:
        """Look for due work now: a return was created, confirmed or withdrawn."""
        self._woken.set()

    def stop(self) -> None:
        """Claim nothing more; `run()` ends when what is under way has finished."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Work until stopped."""
        freed, in_doubt = False, False
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                try:
                    if not freed:
                        await self._claims.free_own()
                        freed = True
                    await self._owed.pay()
                    if in_doubt:  # a claim may have been made whose answer was lost
                        await self._claims.free_lost(self._under_way)
                        in_doubt = False
                    await self._work_on_what_is_due(group)
                except TryLater as error:
                    in_doubt = True
                    log.warning("deliveries.postgres_away", why=str(error))
                    await asyncio.sleep(PAUSE_AFTER_FAULT_S)
                await self._rest()

    async def _work_on_what_is_due(self, group: asyncio.TaskGroup) -> None:
        while not self._stopping:
            _ = await self._places.acquire()
            task = None
            try:
                task = await self._claims.claim()
            finally:
                if task is None:
                    self._places.release()
            if task is None:
                return
            self._under_way.add(task.return_id)
            _ = group.create_task(self._work(task), name=f"delivery {task.return_id}")

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                _ = await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    async def _work(self, task: Task) -> None:
        try:
            with (
                structlog.contextvars.bound_contextvars(
                    return_id=task.return_id, project_id=task.project_id
                ),
                following(task.traceparent),
                span("delivery", stood=task.state, attempts=task.attempts),
            ):
                await self._work_under_lease(task)
        finally:
            self._under_way.discard(task.return_id)
            self._places.release()
            self._woken.set()  # a later return of the same record may be free to go now

    async def _work_under_lease(self, task: Task) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep_lease(task))
                try:
                    await self._works.attempt(task)
                finally:
                    _ = keeper.cancel()
        except* LeaseLost:
            log.info("delivery.lease_lost")
        except* TryLater as group_error:
            # it could not be noted; the attempt is made again, and looks up what became of this one
            self._owed.add(lambda: self._claims.give_back(task, after_s=SOON_S))
            log.warning("delivery.not_noted", why=str(group_error.exceptions[0]))
        except* Exception:
            # a fault of ours: one return must not stop the others, and it is tried again
            log.exception("delivery.fault")
            self._owed.add(lambda: self._claims.give_back(task, after_s=AFTER_FAULT_S))

    async def _keep_lease(self, task: Task) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                kept = await self._claims.renew(task)
            except TryLater:
                continue  # if it lapses meanwhile, arming fails
            if not kept:
                raise LeaseLost(task.return_id)

"""Takes the looks that are due: reads each record's present state and brings it into Part3."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import structlog

from schemas.records import Kind
from services.errors import ConnectorError, NeedsPerson, TryLater
from services.procore.errors import NotAllowed, NotVisible, Refused
from services.procore.models import Place, Rfi, Submittal
from services.procore.pacer import Priority
from sync_worker.inbound.look_store import Look, Looks
from sync_worker.inbound.mirror import Mirror, Reader
from sync_worker.leases import Key, Leases
from sync_worker.projects import Projects

log = structlog.get_logger()

AT_ONCE = 16
PER_PROJECT = 4
"""Looks of one project at once; the pacer lets two calls of a grant go, the rest copies files."""

LONGEST_REST_S = 1.0
PAUSE_AFTER_FAULT_S = 1.0
PRIORITIES = {1: Priority.LOOK, 2: Priority.SWEEP, 3: Priority.BACKFILL}


class Reads(Protocol):
    """Procore's records."""

    async def rfi(self, place: Place, rfi_id: str, *, whose: str, priority: Priority) -> Rfi:
        """Read one RFI in full."""

    async def submittals(
        self, place: Place, ids: Sequence[str], *, whose: str, priority: Priority
    ) -> dict[str, Submittal]:
        """Read several submittals with one call."""

    async def recycled(self, kind: Kind, place: Place, *, whose: str) -> frozenset[str]:
        """Return the ids in the recycle bin."""


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
    ) -> None:
        self._procore = procore
        self._looks = looks
        self._leases = leases
        self._mirror = mirror
        self._projects = projects
        self._woken = asyncio.Event()
        self._stopping = False
        self._busy: Counter[str] = Counter()
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
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                try:
                    await self._take_what_is_due(group)
                    await self._rest()
                except TryLater as error:
                    log.warning("looking.postgres_away", why=str(error))
                    await asyncio.sleep(PAUSE_AFTER_FAULT_S)

    async def _free_own(self) -> None:
        while not self._stopping:
            try:
                await self._leases.free_own()
                await self._looks.free_own()
            except TryLater:
                await asyncio.sleep(PAUSE_AFTER_FAULT_S)
            else:
                return

    async def _take_what_is_due(self, group: asyncio.TaskGroup) -> None:
        while not self._stopping:
            await self._places.acquire()
            batch: list[Look] = []
            try:
                full = [one for one, count in self._busy.items() if count >= PER_PROJECT]
                batch = await self._looks.claim(full)
            finally:
                if not batch:
                    self._places.release()
            if not batch:
                return
            self._busy[batch[0].project_id] += 1
            group.create_task(self._work(batch))

    async def _rest(self) -> None:
        due_in_s = await self._looks.seconds_to_next()
        rest_s = LONGEST_REST_S if due_in_s is None else min(max(due_in_s, 0.02), LONGEST_REST_S)
        try:
            async with asyncio.timeout(rest_s):
                await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    async def _work(self, batch: list[Look]) -> None:
        project_id = batch[0].project_id
        try:
            with structlog.contextvars.bound_contextvars(project_id=project_id):
                await self._take(batch)
        except TryLater as error:
            log.warning("look.not_noted", why=str(error))  # due again when the claim lapses
        except Exception:
            # a fault of ours: one record must not stop the others, and it is tried again
            log.exception("look.fault", kind=batch[0].kind)
            await self._give_back(batch, TryLater("a fault of ours, see the log", reason="fault"))
        finally:
            self._places.release()
            self._busy[project_id] -= 1
            if not self._busy[project_id]:
                del self._busy[project_id]
            self._woken.set()

    async def _take(self, batch: list[Look]) -> None:
        reader = await self._projects.reader(batch[0].project_id)
        if reader is None:
            await self._give_back(batch, TryLater("not connected", reason="not_connected"))
            return
        try:
            found = await self._read(reader, batch)
        except NeedsPerson as error:
            await self._projects.needs_attention(reader, error)
            await self._give_back(batch, TryLater(str(error), reason=error.reason))
        except (NotAllowed, Refused) as error:
            await self._give_back(batch, TryLater(str(error), reason="not_permitted"))
        except TryLater as error:
            await self._give_back(batch, error)
        else:
            for look in batch:
                await self._bring(reader, look, found.get(look.procore_id))

    async def _read(self, reader: Reader, batch: list[Look]) -> dict[str, Rfi | Submittal]:
        priority = PRIORITIES[min(look.priority for look in batch)]
        ids = [look.procore_id for look in batch]
        if batch[0].kind == "submittal":
            found = await self._procore.submittals(
                reader.place, ids, whose=reader.whose, priority=priority
            )
            return dict(found)
        try:
            rfi = await self._procore.rfi(
                reader.place, ids[0], whose=reader.whose, priority=priority
            )
        except NotVisible:
            return {}
        return {rfi.id: rfi}

    async def _bring(self, reader: Reader, look: Look, source: Rfi | Submittal | None) -> None:
        key = Key(look.project_id, look.kind, look.procore_id)
        try:
            async with self._leases.held(key) as fence:
                if source is None:
                    await self._absent(reader, key, fence)
                else:
                    await self._mirror.bring(
                        reader,
                        key,
                        fence,
                        source,
                        count=lambda found, done: self._looks.count_files(
                            key.project_id, key.kind, found, done
                        ),
                    )
        except TryLater as error:
            log.info("look.later", kind=key.kind, procore_id=key.procore_id, reason=error.reason)
            await self._looks.try_again(look, error)
        except ConnectorError as error:
            log.warning("look.refused", kind=key.kind, procore_id=key.procore_id, why=str(error))
            reason = error.reason if isinstance(error, NeedsPerson) else "part3_refused"
            await self._looks.try_again(look, TryLater(str(error), reason=reason))
        else:
            await self._looks.done(look)

    async def _absent(self, reader: Reader, key: Key, fence: int) -> None:
        """404 is not deletion: only what stands in the recycle bin is marked as removed."""
        recycled = await self._procore.recycled(key.kind, reader.place, whose=reader.whose)
        if key.procore_id in recycled:
            await self._mirror.bury(key, fence)
            return
        before = await self._mirror.records.read(key)
        why = "Procore does not show it to the person whose authorization reads this project."
        await self._mirror.records.looked(key, fence, before.procore_updated_at, why)

    async def _give_back(self, batch: list[Look], error: TryLater) -> None:
        for look in batch:
            await self._looks.try_again(look, error)

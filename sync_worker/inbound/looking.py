"""Takes the looks that are due: reads each record's present state and brings it into Part3."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple
from typing import Any, Protocol

import structlog

from schemas.records import Kind
from services import failpoints
from services.errors import ConnectorError, NeedsPerson, TryLater
from services.procore.errors import NotAllowed, NotVisible, Refused
from services.procore.models import Page, Place, Rfi, Submittal
from services.procore.pacer import Priority
from services.tracing import following, note_fact, span
from services.waits import accounting
from sync_worker.inbound.brake import Brake
from sync_worker.inbound.look_store import BACKFILL, Look, Looks, Room
from sync_worker.inbound.mirror import Mirror, Reader, StaleRead
from sync_worker.inbound.pausing import Pauses
from sync_worker.inbound.recycling import RecycleBins
from sync_worker.inbound.settling import is_fresh
from sync_worker.inbound.sight import Sight
from sync_worker.keeping import Owed, renewed
from sync_worker.leases import RENEW_EVERY_S, Key, Leases, busy
from sync_worker.projects import NotReadable, Projects

log = structlog.get_logger()

AT_ONCE = 16
BACKFILLS_AT_ONCE = 10
"""Of those at once; the rest is kept for what somebody has just changed."""

PER_PROJECT = 4
BACKFILLS_PER_PROJECT = 3
"""Looks of one project at once; the pacer lets two calls of a grant go, the rest copies files."""

OF_A_BATCH_AT_ONCE = 4
LONGEST_REST_S = 1.0
SHORTEST_REST_S = 0.02
PAUSE_AFTER_FAULT_S = 1.0
SHOWN_THOUGH_GONE = 4
"""So often a record that was deleted by its notice is read again while Procore still shows it."""

PRIORITIES = {1: Priority.LOOK, 2: Priority.SWEEP, 3: Priority.BACKFILL}
HIDDEN = "Procore does not show it to the person whose authorization reads this project."


class Reads(Protocol):
    """Procore's records."""

    async def rfi(self, place: Place, rfi_id: str, *, whose: str, priority: Priority) -> Rfi:
        """Read one RFI in full."""

    async def rfis_listed(
        self, place: Place, ids: Sequence[str], *, whose: str, priority: Priority
    ) -> frozenset[str]:
        """Return which of these RFIs are listed."""

    async def submittals(
        self, place: Place, ids: Sequence[str], *, whose: str, priority: Priority
    ) -> dict[str, Submittal]:
        """Read several submittals with one call."""

    async def page(
        self,
        kind: Kind,
        place: Place,
        *,
        whose: str,
        priority: Priority,
        number: int,
        updated_from: Any,
        updated_to: Any,
    ) -> Page:
        """Read one page of a list."""

    async def recycled(self, kind: Kind, place: Place, *, whose: str) -> frozenset[str]:
        """Return the ids in the recycle bin."""

    async def is_admin_of_both(self, place: Place, *, whose: str) -> bool:
        """Tell whether a person is Admin on both tools."""


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
        self._procore = procore
        self._brake = brake
        self._looks = looks
        self._leases = leases
        self._mirror = mirror
        self._projects = projects
        self._longest_rest_s = longest_rest_s
        self._bins = RecycleBins(procore, monotonic=monotonic)
        self._sight = Sight(procore, monotonic=monotonic)
        self._pauses = Pauses(now=now)
        self._owed = Owed()
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
                await self._looks.free_own()
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
            self._at |= {astuple(_key(look)) for look in batch}
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
            self._not_noted(batch, error)
        except Exception:
            # a fault of ours: it must not stop the others, and is tried again
            log.exception("look.fault", kind=batch[0].kind)
            await self._after_a_fault(batch)
        finally:
            self._places.release()
            self._at -= {astuple(_key(look)) for look in batch}
            _one_less(self._under_way, project_id)
            if batch[0].priority == BACKFILL:
                _one_less(self._backfills, project_id)
            self._woken.set()

    async def _after_a_fault(self, batch: list[Look]) -> None:
        try:
            await self._give_back(batch, TryLater("a fault of ours, see the log", reason="fault"))
        except TryLater as error:
            self._not_noted(batch, error)

    def _not_noted(self, batch: list[Look], error: TryLater) -> None:
        """Postgres is away: the looks are due again once it is back, not when the claims lapse."""
        log.warning("look.not_noted", looks=len(batch), why=str(error))
        self._owed.add(lambda: self._give_back(batch, error))

    async def _take(self, batch: list[Look]) -> None:
        # renewed from the first moment: to find out who reads may take longer than a claim lasts
        async with renewed(lambda: self._looks.renew(batch), every_s=RENEW_EVERY_S):
            reader = await self._projects.reader(batch[0].project_id)
            if reader is None:
                await self._give_back(batch, TryLater("not connected", reason="not_connected"))
                return
            for look in batch:
                self._tell_what_was_closed(reader, look)
            await self._lease_and_look(reader, batch)

    def _tell_what_was_closed(self, reader: Reader, look: Look) -> None:
        """Let a look's time know when none of its project was taken up, and why."""
        if look.account is not None:
            look.account.was_closed(*reader.kept_back, *self._pauses.taken(look.project_id))

    async def _lease_and_look(self, reader: Reader, batch: list[Look]) -> None:
        project_id, kind = batch[0].project_id, batch[0].kind
        # leased before they are read: what another worker is at costs no call, and no state that
        # was read earlier can be put after one that was read later
        fences = await self._leases.take_free(project_id, kind, [one.procore_id for one in batch])
        for look in batch:
            if look.procore_id not in fences:
                await self._looks.try_again(look, busy(_key(look)))
        mine = [look for look in batch if look.procore_id in fences]
        if not mine:
            return
        try:
            async with renewed(
                lambda: self._leases.renew(project_id, kind, fences), every_s=RENEW_EVERY_S
            ):
                failpoints.reach("l1")
                await self._look(reader, mine, fences)
        finally:
            await self._leases.give_all_back(project_id, kind, fences)

    async def _look(self, reader: Reader, batch: list[Look], fences: dict[str, int]) -> None:
        try:
            found = await self._read(reader, batch)
        except NeedsPerson as error:
            await self._projects.needs_attention(reader, error)
            await self._give_back(batch, TryLater(str(error), reason=error.reason))
        except (NotAllowed, NotVisible) as error:
            await self._projects.needs_attention(reader, NotReadable(error))
            await self._give_back(batch, TryLater(str(error), reason="not_permitted"))
        except Refused as error:
            await self._give_back(batch, TryLater(str(error), reason="procore_refused"))
        except TryLater as error:
            await self._give_back(batch, error)
        else:
            failpoints.reach("l2")
            await self._bring_all(reader, batch, fences, found)

    async def _read(self, reader: Reader, batch: list[Look]) -> Mapping[str, Rfi | Submittal]:
        priority = PRIORITIES[min(look.priority for look in batch)]
        ids = [look.procore_id for look in batch]
        if batch[0].kind == "submittal":
            return await self._procore.submittals(
                reader.place, ids, whose=reader.whose, priority=priority
            )
        try:
            if batch[0].gone and not await self._procore.rfis_listed(
                reader.place, ids, whose=reader.whose, priority=priority
            ):
                return {}  # to read what was deleted is a 404, and Procore counts these
            rfi = await self._procore.rfi(
                reader.place, ids[0], whose=reader.whose, priority=priority
            )
        except NotVisible:
            return {}
        except NotAllowed:
            await self._make_sure_of_the_tool(reader, batch[0].kind)
            return {}
        return {rfi.id: rfi}

    async def _make_sure_of_the_tool(self, reader: Reader, kind: Kind) -> None:
        """Raise NotAllowed when not one record but the whole tool is refused."""
        _ = await self._procore.page(
            kind,
            reader.place,
            whose=reader.whose,
            priority=Priority.LOOK,
            number=1,
            updated_from=None,
            updated_to=None,
        )

    async def _bring_all(
        self,
        reader: Reader,
        batch: list[Look],
        fences: dict[str, int],
        found: Mapping[str, Rfi | Submittal],
    ) -> None:
        turns = asyncio.Semaphore(OF_A_BATCH_AT_ONCE)

        async def one(look: Look) -> None:
            async with turns:
                with accounting(look.account), _trace_of(look, batch):
                    source = found.get(look.procore_id)
                    await self._bring(reader, look, fences[look.procore_id], source)

        async with asyncio.TaskGroup() as group:
            for look in batch:
                _ = group.create_task(one(look))

    async def _bring(
        self, reader: Reader, look: Look, fence: int, source: Rfi | Submittal | None
    ) -> None:
        """Bring one record and note how that went; no record of a batch stops another."""
        key = _key(look)
        try:
            try:
                if source is None:
                    await self._absent(reader, look, fence)
                else:
                    await self._present(reader, look, fence, source)
            except ConnectorError as error:
                await self._note_failure(reader, look, error)
            except Exception:
                # a fault of ours, of this record alone
                log.exception("look.fault", kind=key.kind, procore_id=key.procore_id)
                fault = TryLater("a fault of ours, see the log", reason="fault")
                await self._looks.try_again(look, fault)
            else:
                self._pauses.note_success()
                await self._looks.done(look)
            await self._leases.give_back(key, fence)
        except TryLater as error:
            self._not_noted([look], error)

    def _count_of(self, look: Look) -> Any:
        async def count(done: int) -> None:
            await self._looks.count_files(look.project_id, look.kind, done)

        return count

    async def _note_failure(self, reader: Reader, look: Look, error: ConnectorError) -> None:
        named = {"kind": look.kind, "procore_id": look.procore_id}
        if isinstance(error, NeedsPerson):
            await self._projects.needs_attention(reader, error)
            later = TryLater(str(error), reason=error.reason)
        elif isinstance(error, TryLater):
            later = error
            log.debug("look.later", reason=error.reason, **named)
        else:
            log.warning("look.refused", why=str(error), **named)
            ours = isinstance(error, NotAllowed | NotVisible | Refused)
            later = TryLater(str(error), reason="procore_refused" if ours else "part3_refused")
        note_fact("reason", later.reason)
        self._pauses.note(look.project_id, look.priority, later)
        await self._looks.try_again(look, later)

    async def _present(
        self, reader: Reader, look: Look, fence: int, source: Rfi | Submittal
    ) -> None:
        """Bring what Procore shows. Raises as `Mirror.bring`."""
        key = _key(look)
        await self._brake.back(key)
        seen = await self._mirror.bring(reader, key, fence, source, count=self._count_of(look))
        if look.kind == "rfi":
            await self._looks.replies_seen(look.project_id, seen)
        if look.moments is None:
            return
        fresh = is_fresh(look.moments, seen)
        if look.gone and not fresh and look.attempts < SHOWN_THOUGH_GONE:
            raise StaleRead(key)  # a listing would not show that it is gone
        await self._looks.judged(look, fresh=fresh)

    async def _absent(self, reader: Reader, look: Look, fence: int) -> None:
        """404 is not deletion: only what stands in the recycle bin is marked as removed."""
        key = _key(look)
        in_bin = await self._bins.around(key, reader)
        if in_bin is not None:
            if await self._brake.lets_go(key, in_bin):
                await self._mirror.bury(key, fence)
                await self._brake.marked(key)
        else:
            await self._brake.back(key)
            before = await self._mirror.records.read(key)
            if before.record is not None:
                await self._sight.make_sure(key, reader)
            await self._mirror.records.looked(key, fence, before.procore_updated_at, HIDDEN)
        if look.moments is not None:
            await self._looks.judged(look, fresh=in_bin is not None)

    async def _give_back(self, batch: list[Look], error: TryLater) -> None:
        note_fact("reason", error.reason)
        self._pauses.note(batch[0].project_id, batch[0].priority, error)
        for look in batch:
            await self._looks.try_again(look, error)


def _trace_of(look: Look, batch: list[Look]) -> AbstractContextManager[None]:
    """What was read with another's look goes on in the trace of its own notice."""
    if look.traceparent == batch[0].traceparent:
        return nullcontext()
    return following(look.traceparent)


def _key(look: Look) -> Key:
    return Key(look.project_id, look.kind, look.procore_id)


def _one_less(counts: Counter[str], project_id: str) -> None:
    counts[project_id] -= 1
    if not counts[project_id]:
        del counts[project_id]

"""Brings what was claimed: leases its records, reads their present state, puts it into Part3."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import structlog

from schemas.records import Kind
from services import failpoints
from services.errors import ConnectorError, NeedsPerson, TryLater
from services.procore.errors import NotAllowed, NotVisible, Refused
from services.procore.models import Place, Rfi, Submittal
from services.procore.pacer import Priority
from services.tracing import following, note_fact
from services.waits import accounting
from sync_worker.inbound.brake import Brake
from sync_worker.inbound.look_store import Look, Looks
from sync_worker.inbound.mirror import Mirror, Reader, StaleRead
from sync_worker.inbound.pausing import Pauses
from sync_worker.inbound.recycling import RecycleBins
from sync_worker.inbound.settling import is_fresh
from sync_worker.inbound.sight import Sight
from sync_worker.keeping import renewed
from sync_worker.leases import RENEW_EVERY_S, Key, Leases, busy
from sync_worker.listing import Levels, Lists
from sync_worker.projects import NotReadable, Projects

log = structlog.get_logger()

OF_A_BATCH_AT_ONCE = 4
SHOWN_THOUGH_GONE = 4
"""So often a record that was deleted by its notice is read again while Procore still shows it."""

PRIORITIES = {1: Priority.LOOK, 2: Priority.SWEEP, 3: Priority.BACKFILL}
HIDDEN = "Procore does not show it to the person whose authorization reads this project."


class Reads(Lists, Levels, Protocol):
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


class Bringing:
    """What becomes of looks once they are claimed: each is done, or due again with a reason."""

    def __init__(
        self,
        *,
        procore: Reads,
        looks: Looks,
        leases: Leases,
        mirror: Mirror,
        projects: Projects,
        brake: Brake,
        pauses: Pauses,
        owe: Callable[[list[Look], TryLater], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Name what it works with.

        Args:
            procore: whose records are read.
            looks: where each look is done, or due again.
            leases: of the records.
            mirror: puts what was read.
            projects: who reads a project, and why it is not read.
            brake: says whether what is gone may be marked as removed.
            pauses: told what was tried, and how it went.
            owe: given the looks that Postgres could not note, and why they are due again.
            monotonic: seconds, for what is kept for a while.
        """
        self._procore = procore
        self._looks = looks
        self._leases = leases
        self._mirror = mirror
        self._projects = projects
        self._brake = brake
        self._pauses = pauses
        self._owe = owe
        self._bins = RecycleBins(procore, monotonic=monotonic)
        self._sight = Sight(procore, monotonic=monotonic)

    async def bring(self, batch: list[Look]) -> None:
        """Bring looks of one project and kind. Raises TryLater when Postgres cannot note them."""
        reader = await self._projects.reader(batch[0].project_id)
        if reader is None:
            await self.give_back(batch, TryLater("not connected", reason="not_connected"))
            return
        for look in batch:
            self._tell_what_was_closed(reader, look)
        await self._lease_and_look(reader, batch)

    async def give_back(self, batch: list[Look], error: TryLater) -> None:
        """Let looks be due again, all for one reason. Raises TryLater as `bring`."""
        note_fact("reason", error.reason)
        self._pauses.note(batch[0].project_id, batch[0].priority, error)
        for look in batch:
            await self._looks.try_again(look, error)

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
                await self._looks.try_again(look, busy(key_of(look)))
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
            await self.give_back(batch, TryLater(str(error), reason=error.reason))
        except (NotAllowed, NotVisible) as error:
            await self._projects.needs_attention(reader, NotReadable(error))
            await self.give_back(batch, TryLater(str(error), reason="not_permitted"))
        except Refused as error:
            await self.give_back(batch, TryLater(str(error), reason="procore_refused"))
        except TryLater as error:
            await self.give_back(batch, error)
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
        key = key_of(look)
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
            self._owe([look], error)

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
        key = key_of(look)
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
        key = key_of(look)
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


def _trace_of(look: Look, batch: list[Look]) -> AbstractContextManager[None]:
    """What was read with another's look goes on in the trace of its own notice."""
    if look.traceparent == batch[0].traceparent:
        return nullcontext()
    return following(look.traceparent)


def key_of(look: Look) -> Key:
    """Return which record a look is at."""
    return Key(look.project_id, look.kind, look.procore_id)

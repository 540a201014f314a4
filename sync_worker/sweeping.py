"""Lists what changed since the last time; the first listing of a project is its backfill.

A backfill goes in two passes: pages of the list put everything visible at once, then looks of the
lowest priority bring RFI threads and files. Both are resumed where they stopped.
"""

import asyncio
from datetime import datetime
from typing import Any, Protocol

import structlog

from schemas.records import Kind, Record, StoredRecord
from services.errors import ConnectorError, NeedsPerson, TryLater
from services.procore.errors import NotAllowed, NotVisible, Refused
from services.procore.models import Page, Place, Rfi, Submittal
from services.procore.pacer import Priority
from services.procore.reading import read_rfi, read_submittal
from sync_worker.activity import as_json
from sync_worker.inbound.look_store import Looks
from sync_worker.inbound.mirror import Reader
from sync_worker.inbound.stored import Records
from sync_worker.inbound.translate import attachments_of, translate_rfi, translate_submittal
from sync_worker.leases import Key, Leases
from sync_worker.projects import Projects
from sync_worker.sweep_store import Sweep, Sweeps

log = structlog.get_logger()

LONGEST_REST_S = 0.5
PAUSE_AFTER_FAULT_S = 1.0
MOST_PAGES = 10_000
SWEEP_LOOK, BACKFILL_LOOK = 2, 3
SHALLOW = (
    "title",
    "status",
    "status_label",
    "private",
    "due_on",
    "number",
    "revision",
    "closed_on",
)
PEOPLE = ("ball_in_court", "assignees")
"""Fields that a list has as a show has them; of people only the ids, as names vary by place."""


class Lists(Protocol):
    """Procore's lists."""

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
        """Read one page."""

    async def recycled(self, kind: Kind, place: Place, *, whose: str) -> frozenset[str]:
        """Return the ids in the recycle bin."""


class Batches(Protocol):
    """Part3's batch of upserts."""

    async def put_records(self, project_id: str, records: list[Record]) -> list[StoredRecord | str]:
        """Put up to 100 records."""


class Sweeping:
    """Runs beside the worker's other loops; a sweep that is stopped goes on at its page."""

    def __init__(
        self,
        *,
        procore: Lists,
        part3: Batches,
        sweeps: Sweeps,
        looks: Looks,
        leases: Leases,
        records: Records,
        projects: Projects,
        wake_looks: Any,
    ) -> None:
        self._procore = procore
        self._part3 = part3
        self._sweeps = sweeps
        self._looks = looks
        self._leases = leases
        self._records = records
        self._projects = projects
        self._wake_looks = wake_looks
        self._woken = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look for due sweeps now."""
        self._woken.set()

    def stop(self) -> None:
        """End after the page under way."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Work until stopped."""
        freed = False
        while not self._stopping:
            try:
                if not freed:
                    await self._sweeps.free_own()
                    freed = True
                sweep = await self._sweeps.claim()
                if sweep is not None:
                    await self._sweep(sweep)
                    continue
                await self._sweeps.finish_backfills()
                await self._rest()
            except TryLater as error:
                log.warning("sweeping.postgres_away", why=str(error))
                await asyncio.sleep(PAUSE_AFTER_FAULT_S)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_REST_S):
                await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    async def _sweep(self, sweep: Sweep) -> None:
        reader = await self._projects.reader(sweep.project_id)
        if reader is None:
            await self._sweeps.try_again(sweep, TryLater("not connected", reason="not_connected"))
            return
        try:
            await self._list(reader, sweep)
        except NeedsPerson as error:
            await self._projects.needs_attention(reader, error)
            await self._sweeps.try_again(sweep, TryLater(str(error), reason=error.reason))
        except TryLater as error:
            await self._sweeps.try_again(sweep, error)
        except (NotAllowed, NotVisible, Refused) as error:
            later = TryLater(str(error), reason="not_permitted")
            await self._sweeps.try_again(sweep, later)
        except ConnectorError as error:
            log.warning("sweep.refused", project_id=sweep.project_id, why=str(error))
            await self._sweeps.try_again(sweep, TryLater(str(error), reason="part3_refused"))
        except Exception:
            # a fault of ours: one project's sweep must not stop the others
            log.exception("sweep.fault", project_id=sweep.project_id)
            await self._sweeps.try_again(sweep, TryLater("a fault of ours", reason="fault"))

    async def _list(self, reader: Reader, sweep: Sweep) -> None:
        priority = Priority.BACKFILL if sweep.backfill else Priority.SWEEP
        number = sweep.next_page
        while number <= MOST_PAGES:
            page = await self._procore.page(
                sweep.kind,
                reader.place,
                whose=reader.whose,
                priority=priority,
                number=number,
                updated_from=sweep.window_from,
                updated_to=sweep.window_to,
            )
            await self._take(sweep, page)
            number += 1
            await self._sweeps.page_done(sweep, number, len(page.items))
            if page.next_page is None:
                break
            if self._stopping:
                message = "the worker ends; another goes on"
                raise TryLater(message, reason="stopping")
        if sweep.full_sweep and not sweep.backfill:
            await self._mind_the_recycle_bin(reader, sweep)
        await self._sweeps.listed(sweep)
        log.info("sweep.listed", project_id=sweep.project_id, kind=sweep.kind, pages=number - 1)

    async def _take(self, sweep: Sweep, page: Page) -> None:
        found = [_read(sweep.kind, item) for item in page.items]
        known = await self._sweeps.known(sweep, [one.id for one in found])
        changed = [one for one in found if _wants_a_look(one, known.get(one.id))]
        if sweep.backfill:
            await self._show_at_once(sweep, changed)
        priority = BACKFILL_LOOK if sweep.backfill else SWEEP_LOOK
        await self._looks.want(sweep.project_id, sweep.kind, [one.id for one in changed], priority)
        self._wake_looks()

    async def _show_at_once(self, sweep: Sweep, found: list[Rfi | Submittal]) -> None:
        """Put what a page of the list already says; threads and files follow."""
        fresh: list[tuple[Key, int, Rfi | Submittal, Record]] = []
        for one in found:
            key = Key(sweep.project_id, sweep.kind, one.id)
            before = await self._records.read(key)
            if before.record is not None or _is_draft(one):
                continue
            try:
                fence = await self._leases.take(key)
            except TryLater:
                continue  # a look is at it already, and brings more than this would
            attachments = [a.id for a in attachments_of(one)]
            files = await self._records.known_files(key.project_id, attachments)
            record = (
                translate_submittal(one, files)
                if isinstance(one, Submittal)
                else translate_rfi(one, files, {})
            )
            fresh.append((key, fence, one, record))
        await self._put(sweep, fresh)

    async def _put(
        self, sweep: Sweep, fresh: list[tuple[Key, int, Rfi | Submittal, Record]]
    ) -> None:
        if not fresh:
            return
        try:
            results = await self._part3.put_records(
                sweep.project_id, [record for *_, record in fresh]
            )
            for (key, fence, source, record), put in zip(fresh, results, strict=True):
                if isinstance(put, str):
                    log.warning("backfill.refused", procore_id=key.procore_id, why=put)
                    continue
                await self._records.keep(
                    key,
                    fence,
                    before=await self._records.read(key),
                    put=put,
                    record=record,
                    source=source,
                    updated_at=source.updated_at,
                )
        finally:
            for key, fence, *_ in fresh:
                await self._leases.give_back(key, fence)

    async def _mind_the_recycle_bin(self, reader: Reader, sweep: Sweep) -> None:
        recycled = await self._procore.recycled(sweep.kind, reader.place, whose=reader.whose)
        ids = await self._sweeps.to_bury(sweep, recycled)
        await self._looks.want(sweep.project_id, sweep.kind, ids, SWEEP_LOOK)


def _read(kind: Kind, item: dict[str, Any]) -> Rfi | Submittal:
    return read_rfi(item, full=False) if kind == "rfi" else read_submittal(item)


def _wants_a_look(found: Rfi | Submittal, known: dict[str, Any] | None) -> bool:
    """Tell whether a listed state differs from the one that Part3 has, as far as a list tells."""
    if known is None or known["record"] is None or known["files_pending"]:
        return not _is_draft(found) or (known is not None and known["record"] is not None)
    if known["removed_at"] is not None or known["procore_updated_at"] is None:
        return True
    seen_at: datetime = known["procore_updated_at"]
    if found.updated_at != seen_at:
        return found.updated_at > seen_at
    return _differs(found, known["record"])


def _differs(found: Rfi | Submittal, put: dict[str, Any]) -> bool:
    """Compare what a list has: with equal times we may still have seen a half-updated state."""
    translated = (
        translate_submittal(found, {})
        if isinstance(found, Submittal)
        else translate_rfi(found, {}, {})
    )
    now = as_json(translated)
    if any(now.get(field) != put.get(field) for field in SHALLOW):
        return True
    return any(_ids(now.get(field)) != _ids(put.get(field)) for field in PEOPLE)


def _ids(people: Any) -> list[str]:
    return [person.get("procore_id") for person in people or ()]


def _is_draft(found: Rfi | Submittal) -> bool:
    if isinstance(found, Rfi):
        return found.status in ("draft", "closed_draft")
    return found.status_class.lower() == "draft"

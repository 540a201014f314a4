"""Lists what changed since the last time; the first listing of a project is its backfill.

A backfill goes in two passes: pages of the list put everything visible at once, then looks of the
lowest priority bring RFI threads and files. Both are resumed where they stopped.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from schemas.records import Kind
from services import failpoints
from services.errors import ConnectorError, NeedsPerson, TryLater
from services.procore.errors import NotAllowed, NotVisible
from services.procore.json_values import id_of
from services.procore.models import Page, Rfi, Submittal
from services.procore.pacer import Priority
from services.procore.reading import read_rfi, read_submittal
from sync_worker.activity import as_json
from sync_worker.completeness.listings import ListedState, Listings
from sync_worker.first_showing import FirstShowing
from sync_worker.inbound.look_store import BACKFILL, Looks
from sync_worker.inbound.mirror import Reader, is_draft
from sync_worker.inbound.translate import translate_rfi, translate_submittal
from sync_worker.keeping import Owed, renewed
from sync_worker.listing import Lists
from sync_worker.projects import NotReadable, Projects
from sync_worker.sweep_store import RENEW_EVERY_S, LeaseLost, Sweep, Sweeps

log = structlog.get_logger()

LONGEST_REST_S = 0.5
PAUSE_AFTER_FAULT_S = 1.0
MOST_PAGES = 10_000
SWEEPS_AT_ONCE = 4
BACKFILLS_AT_ONCE = 3
SWEEP_LOOK = 2
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


class Sweeping:
    """Runs beside the worker's other loops; a sweep that is stopped goes on at its page."""

    def __init__(
        self,
        *,
        procore: Lists,
        sweeps: Sweeps,
        looks: Looks,
        first_showing: FirstShowing,
        projects: Projects,
        listings: Listings,
        wake_looks: Callable[[], None],
        longest_rest_s: float = LONGEST_REST_S,
    ) -> None:
        self._listings = listings
        self._procore = procore
        self._sweeps = sweeps
        self._looks = looks
        self._first_showing = first_showing
        self._projects = projects
        self._wake_looks = wake_looks
        self._longest_rest_s = longest_rest_s
        self._woken = asyncio.Event()
        self._stopping = False
        self._under_way = {False: 0, True: 0}
        self._owed = Owed()
        self._at: set[tuple[str, Kind]] = set()
        self._in_doubt = False  # a claim may have been made whose answer was lost

    def wake(self) -> None:
        """Look for due sweeps now."""
        self._woken.set()

    def stop(self) -> None:
        """End after the pages under way."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Work until stopped. Backfills take their own places, so that they keep nobody waiting."""
        freed = False
        try:
            async with asyncio.TaskGroup() as group:
                while not self._stopping:
                    try:
                        if not freed:
                            await self._sweeps.free_own()
                            freed = True
                        await self._owed.pay()
                        await self._free_lost()
                        await self._begin_what_is_due(group)
                        await self._sweeps.count_backfills()
                        if await self._sweeps.finish_backfills():
                            continue
                        await self._rest()
                    except TryLater as error:
                        self._in_doubt = True
                        log.warning("sweeping.postgres_away", why=str(error))
                        await asyncio.sleep(PAUSE_AFTER_FAULT_S)
        finally:
            await self._free_at_end()

    async def _free_lost(self) -> None:
        if self._in_doubt:
            await self._sweeps.free_lost(self._at)
            self._in_doubt = False

    async def _free_at_end(self) -> None:
        try:
            await self._sweeps.free_own()
        except TryLater as error:
            log.warning("sweeping.not_handed_over", why=str(error))

    async def _begin_what_is_due(self, group: asyncio.TaskGroup) -> None:
        for backfill, places in ((False, SWEEPS_AT_ONCE), (True, BACKFILLS_AT_ONCE)):
            while not self._stopping and self._under_way[backfill] < places:
                sweep = await self._sweeps.claim(backfill=backfill)
                if sweep is None:
                    break
                self._under_way[backfill] += 1
                self._at.add((sweep.project_id, sweep.kind))
                _ = group.create_task(self._work(sweep))

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._longest_rest_s):
                _ = await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    async def _work(self, sweep: Sweep) -> None:
        try:
            async with renewed(lambda: self._sweeps.renew(sweep), every_s=RENEW_EVERY_S):
                await self._sweep(sweep)
        except TryLater as error:
            self._owed.add(lambda: self._sweeps.hand_over(sweep))
            log.warning("sweep.not_noted", project_id=sweep.project_id, why=str(error))
        except Exception:
            # a fault of ours: one project's sweep must not stop the others
            log.exception("sweep.fault", project_id=sweep.project_id)
        finally:
            self._under_way[sweep.backfill] -= 1
            self._at.discard((sweep.project_id, sweep.kind))
            self._woken.set()

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
        except (NotAllowed, NotVisible) as error:
            await self._projects.needs_attention(reader, NotReadable(error))
            await self._sweeps.try_again(sweep, TryLater(str(error), reason="not_permitted"))
        except LeaseLost as error:
            log.warning("sweep.overtaken", project_id=sweep.project_id, why=str(error))
        except TryLater as error:
            await self._sweeps.try_again(sweep, error)
        except ConnectorError as error:
            log.warning("sweep.refused", project_id=sweep.project_id, why=str(error))
            await self._sweeps.try_again(sweep, TryLater(str(error), reason="procore_refused"))
        except Exception:
            log.exception("sweep.fault", project_id=sweep.project_id)
            await self._sweeps.try_again(sweep, TryLater("a fault of ours", reason="fault"))

    async def _list(self, reader: Reader, sweep: Sweep) -> None:
        everything = sweep.window_from is None
        number = sweep.next_page
        if everything and number == 1:
            await self._listings.begin(sweep.project_id, sweep.kind)
        while number <= MOST_PAGES:
            if self._stopping:
                await self._sweeps.hand_over(sweep)
                return
            # The window has no end: what changes while it is listed would leave it, and what
            # follows would move up by one, past the page that is read next.
            page = await self._procore.page(
                sweep.kind,
                reader.place,
                whose=reader.whose,
                priority=Priority.BACKFILL if everything else Priority.SWEEP,
                number=number,
                updated_from=sweep.window_from,
                updated_to=None,
            )
            await self._take(sweep, page, drafts=reader.show_drafts)
            failpoints.reach("s1")
            number += 1
            goes_on = await self._sweeps.page_done(sweep, number, len(page.items), page.answered_at)
            if page.next_page is None:
                break
            if not goes_on:
                await self._sweeps.hand_over(sweep)
                return
        if sweep.full_sweep and not sweep.backfill:
            await self._mind_the_recycle_bin(reader, sweep)
        if everything:
            await self._end_listing(sweep)
        await self._sweeps.listed(sweep)
        log.debug("sweep.listed", project_id=sweep.project_id, kind=sweep.kind, pages=number - 1)

    async def _end_listing(self, sweep: Sweep) -> None:
        """Have the two sides compared; what a list does not show is read in full before."""
        await self._listings.ended(sweep.project_id, sweep.kind)
        if not sweep.backfill:  # whose records are all still to be read in full
            ids = await self._listings.to_read_in_full(sweep.project_id, sweep.kind)
            await self._looks.want(sweep.project_id, sweep.kind, ids, BACKFILL)
            self._wake_looks()

    async def _take(self, sweep: Sweep, page: Page, *, drafts: bool) -> None:
        found = [one for item in page.items if (one := _read(sweep.kind, item)) is not None]
        known = await self._sweeps.known(sweep, [one.id for one in found])
        changed = [one for one in found if _wants_a_look(one, known.get(one.id), drafts=drafts)]
        whole: frozenset[str] = frozenset()
        if sweep.backfill:
            whole = await self._first_showing.show(sweep, changed, known, drafts=drafts)
        if sweep.window_from is None:
            states = _states_of(page.items, found, {one.id for one in changed} - whole)
            await self._listings.note(sweep.project_id, sweep.kind, states)
        priority = BACKFILL if sweep.backfill else SWEEP_LOOK
        wanted = [one.id for one in changed if one.id not in whole]
        await self._looks.want(sweep.project_id, sweep.kind, wanted, priority)
        if wanted:
            self._wake_looks()

    async def _mind_the_recycle_bin(self, reader: Reader, sweep: Sweep) -> None:
        recycled = await self._procore.recycled(sweep.kind, reader.place, whose=reader.whose)
        ids = await self._sweeps.to_bury(sweep, recycled)
        await self._looks.want(sweep.project_id, sweep.kind, ids, SWEEP_LOOK)
        if ids:
            self._wake_looks()


def _read(kind: Kind, item: dict[str, Any]) -> Rfi | Submittal | None:
    """None for what lacks an id or a time: it must not hide the others of its list."""
    try:
        return read_rfi(item, full=False) if kind == "rfi" else read_submittal(item)
    except TryLater as error:
        log.warning("sweep.item_unreadable", kind=kind, why=str(error))
        return None


def _states_of(
    items: list[dict[str, Any]], found: list[Rfi | Submittal], changed: set[str]
) -> dict[str, ListedState]:
    """Say of each record of a page how it was listed; what cannot be read counts too."""
    states: dict[str, ListedState] = {
        listed: "unreadable" for item in items if (listed := id_of(item.get("id"))) is not None
    }
    for one in found:
        fresh: ListedState = "changed" if one.id in changed else "same"
        states[one.id] = "draft" if fresh == "same" and is_draft(one) else fresh
    return states


def _wants_a_look(
    found: Rfi | Submittal, known: dict[str, Any] | None, *, drafts: bool = False
) -> bool:
    """Tell whether a listed state differs from the one that Part3 has, as far as a list tells."""
    if known is None or known["record"] is None:
        return drafts or not is_draft(found)
    # of an RFI a list shows the head: until its thread has been read, it is not here
    if known["files_pending"] or known["record"]["extras"].get("thread_pending"):
        return True
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

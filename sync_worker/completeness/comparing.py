"""Compares Procore's full listing, what is remembered and what Part3 holds, and mends what differs.

Costs Procore nothing beyond the listing and the looks that mend: Part3 is paged and asked for each
file's bytes. What differs is looked at anew and compared again; what still differs then is shown.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from schemas.records import File, Kind, StoredRecord
from services.errors import ConnectorError
from services.metrics import CounterOf
from sync_worker.completeness.judging import Difference, files_of, judged, plain
from sync_worker.completeness.markers import verdict_of
from sync_worker.completeness.store import Comparison, Comparisons, Result, portions_of
from sync_worker.inbound.look_store import Looks
from sync_worker.unlinking import LABEL as UNLINKED

MOST_PASSES = 4
PORTION = 200
FILES_ASKED_AT_ONCE = 8
REPAIR_LOOK = 2
KIND_WORDS = {"rfi": "RFIs", "submittal": "submittals"}

log = structlog.get_logger()


class Holdings(Protocol):
    """What Part3 holds."""

    async def records(
        self, project_id: str, *, kind: Kind | None = None, cursor: str | None = None
    ) -> tuple[list[StoredRecord], str | None]:
        """Return a page of its records, and the next cursor."""

    async def has_file(self, project_id: str, sha256: str) -> bool:
        """Tell whether it has a file."""


@dataclass(slots=True)
class _Seen:
    """What a pass has seen so far."""

    ids: set[str] = field(default_factory=set)
    files: dict[str, bool] = field(default_factory=dict)  # hash -> whether Part3 has it
    differences: list[Difference] = field(default_factory=list)
    compared: int = 0


@dataclass(frozen=True, slots=True)
class Comparing:
    """Makes the comparisons that are due, one at a time.

    Args:
        comparisons: what is due, and what came of it.
        part3: what it holds.
        looks: has what differs looked at.
        wake_looks: says that there are some.
        marker_faults: counts markers that do not stand exactly once.
    """

    comparisons: Comparisons
    part3: Holdings
    looks: Looks
    wake_looks: Callable[[], None]
    marker_faults: CounterOf
    between_passes_s: float = 5.0

    async def compare_one(self) -> bool:
        """Make a comparison that is due; return whether there was one."""
        one = await self.comparisons.take()
        if one is None:
            return False
        try:
            await self._compare(one)
        except ConnectorError as error:
            log.warning("comparison.later", project_id=one.project_id, why=str(error))
            await self.comparisons.later(one, 60.0)
        return True

    async def _compare(self, one: Comparison) -> None:
        seen = _Seen()
        cursor: str | None = None
        while True:
            held, cursor = await self.part3.records(one.project_id, kind=one.kind, cursor=cursor)
            await self._judge(one, seen, {item.procore_id: item for item in held})
            if not cursor or not held:
                break
        for ids in portions_of(await self.comparisons.all_known(one) - seen.ids, PORTION):
            await self._judge(one, seen, {}, ids)
        await self.comparisons.keep(one, seen.differences)
        mended = [two.procore_id for two in seen.differences if two.mended_by_a_look]
        if mended and one.pass_number < MOST_PASSES:
            await self.looks.want(one.project_id, one.kind, mended, REPAIR_LOOK)
            self.wake_looks()
            await self.comparisons.again(one, self.between_passes_s * 2**one.pass_number)
            return
        await self._finish(one, seen)

    async def _judge(
        self,
        one: Comparison,
        seen: _Seen,
        held: dict[str, StoredRecord],
        ids: Collection[str] | None = None,
    ) -> None:
        """Judge the records that Part3 holds, or some that it does not."""
        asked = sorted(held if ids is None else ids)
        remembered = await self.comparisons.remembered(one, asked)
        listed = await self.comparisons.listed(one, asked)
        for procore_id in asked:
            there, row = held.get(procore_id), remembered.get(procore_id)
            how = listed.get(procore_id)
            if there is not None and there.status_label == UNLINKED:
                seen.ids.add(procore_id)  # it belongs to a project that is none of this tie's
                continue
            found = judged(
                procore_id,
                listed=how.state if how else None,
                listed_at=how.at if how else one.listed_at,
                remembered=row,
                there=there,
                lost_files=await self._lost(one, seen, there) if there else (),
            )
            seen.ids.add(procore_id)
            # drafts and what the reader is not shown are no part of what should be equal
            seen.compared += found is not None or there is not None
            if found is not None:
                seen.differences.append(found)

    async def _lost(self, one: Comparison, seen: _Seen, there: StoredRecord) -> list[File]:
        """Return the files of a record whose bytes Part3 does not have."""
        files = files_of(plain(there))
        unknown = sorted({file.sha256 for file in files} - set(seen.files))
        for first in range(0, len(unknown), FILES_ASKED_AT_ONCE):
            some = unknown[first : first + FILES_ASKED_AT_ONCE]
            answers = await asyncio.gather(
                *(self.part3.has_file(one.project_id, sha256) for sha256 in some)
            )
            seen.files |= dict(zip(some, answers, strict=True))
        return [file for file in files if not seen.files[file.sha256]]

    async def _finish(self, one: Comparison, seen: _Seen) -> None:
        markers, wrong = await self._count_markers(one)
        result = Result(
            compared=seen.compared,
            equal=seen.compared - len(seen.differences),
            files=len(seen.files),
            markers=markers,
            markers_wrong=wrong,
            open=any(two.mended_by_a_look for two in seen.differences),
        )
        told_before = one.pass_number > MOST_PASSES and result.open
        if not await self.comparisons.finish(one, result) or told_before:
            return
        words = (
            f"Compared {KIND_WORDS[one.kind]} on both sides: {result.equal} of {result.compared} "
            f"are equal, with {result.files} files."
        )
        await self.comparisons.tell(one, "comparison.done", words)
        log.info(
            "comparison.done",
            project_id=one.project_id,
            kind=one.kind,
            compared=result.compared,
            equal=result.equal,
            files=result.files,
        )

    async def _count_markers(self, one: Comparison) -> tuple[int, int]:
        """Return how many of our own writes were counted, and how many stand not exactly once."""
        counted = wrong = 0
        for written in await self.comparisons.written(one):
            verdict = verdict_of(written, one.listed_at)
            counted += verdict != "unread"
            if verdict not in ("missing", "doubled"):
                continue
            wrong += 1
            self.marker_faults.add(verdict)
            log.error(
                "audit.marker_wrong",
                project_id=one.project_id,
                return_id=written.return_id,
                verdict=verdict,
            )
            words = (
                f"The return with reference {written.marker} stands in Procore "
                + ("more than once" if verdict == "doubled" else "no more")
                + ". Whoever runs the connector should look at it with the General Contractor."
            )
            await self.comparisons.tell(
                one, f"audit.marker_{verdict}", words, return_id=written.return_id
            )
        return counted, wrong

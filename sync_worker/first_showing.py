"""The first pass of a backfill: a page of a list is shown as it is; threads and files follow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from schemas.records import Record, StoredRecord
from services.part3.client import Outdated, Part3Refused
from services.procore.models import Rfi, Submittal
from sync_worker.inbound.mirror import is_draft, origin_of
from sync_worker.inbound.stored import FenceLost, Records
from sync_worker.inbound.translate import attachments_of, translate_rfi, translate_submittal
from sync_worker.keeping import renewed
from sync_worker.leases import RENEW_EVERY_S, Key, Leases
from sync_worker.sweep_store import Sweep

log = structlog.get_logger()


class Batches(Protocol):
    """Part3's batch of upserts."""

    async def put_records(self, project_id: str, records: list[Record]) -> list[StoredRecord | str]:
        """Put up to 100 records."""


@dataclass(frozen=True, slots=True)
class _Fresh:
    key: Key
    fence: int
    source: Rfi | Submittal
    record: Record


@dataclass(frozen=True, slots=True)
class FirstShowing:
    """Puts records that Part3 does not have yet, a page at a time."""

    part3: Batches
    leases: Leases
    records: Records

    async def show(
        self,
        sweep: Sweep,
        found: list[Rfi | Submittal],
        known: Mapping[str, Any],
        *,
        drafts: bool = False,
    ) -> frozenset[str]:
        """Put what a page says of records that were never put.

        A record that is refused, or that somebody is at, is left to its look, and so is an RFI
        that may be here already as another one. `drafts`: the project shows them.

        Returns:
            The ids of those that are whole with that: a submittal's list lacks nothing, so without
            new files no look would bring more.
        """
        new = {
            one.id: one
            for one in found
            if (drafts or not is_draft(one))
            and origin_of(one) is None
            and (known.get(one.id) or {}).get("record") is None
        }
        if not new:
            return frozenset()
        project_id, kind = sweep.project_id, sweep.kind
        fences = await self.leases.take_free(project_id, kind, list(new))
        try:
            async with renewed(
                lambda: self.leases.renew(project_id, kind, fences), every_s=RENEW_EVERY_S
            ):
                fresh = [
                    one
                    for procore_id, fence in fences.items()
                    if (one := await self._translated(sweep, fence, new[procore_id])) is not None
                ]
                return await self._put(project_id, fresh)
        finally:
            await self.leases.give_all_back(project_id, kind, fences)

    async def _translated(self, sweep: Sweep, fence: int, source: Rfi | Submittal) -> _Fresh | None:
        """None when a look has brought it since the page was read: it brought more than this."""
        key = Key(sweep.project_id, sweep.kind, source.id)
        if (await self.records.read(key)).record is not None:
            return None
        attachments = [one.id for one in attachments_of(source)]
        files = await self.records.known_files(key.project_id, attachments)
        record = (
            translate_submittal(source, files)
            if isinstance(source, Submittal)
            else translate_rfi(source, files, {})
        )
        try:
            await self.records.confirm(key, fence, source.updated_at)
        except FenceLost:
            return None
        return _Fresh(key, fence, source, record)

    async def _put(self, project_id: str, fresh: list[_Fresh]) -> frozenset[str]:
        whole: set[str] = set()
        if not fresh:
            return frozenset()
        try:
            results = await self.part3.put_records(project_id, [one.record for one in fresh])
        except (Part3Refused, Outdated) as error:
            # too much at once, or one of them is wrong or there: each goes alone, by its look
            log.warning("backfill.page_refused", project_id=project_id, why=str(error))
            return frozenset()
        for one, put in zip(fresh, results, strict=True):
            if isinstance(put, str):
                log.warning("backfill.refused", procore_id=one.key.procore_id, why=put)
                continue
            try:
                await self.records.keep(
                    one.key,
                    one.fence,
                    before=await self.records.read(one.key),
                    put=put,
                    record=one.record,
                    source=one.source,
                    updated_at=one.source.updated_at,
                )
            except FenceLost:
                log.warning("backfill.overtaken", procore_id=one.key.procore_id)
                continue
            if isinstance(one.source, Submittal) and not one.record.extras.get("files_pending"):
                whole.add(one.key.procore_id)
        return frozenset(whole)

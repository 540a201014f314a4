"""Bring one record's present state into Part3: translate, compare, put, copy files, put again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from schemas.records import File, Kind, Record, StoredRecord
from services import failpoints
from services.errors import ConnectorError, NeedsPerson, TryLater
from services.part3.client import Outdated
from services.procore.files import FileBytes, FileEmpty, FileTooLarge
from services.procore.models import Attachment, Place, Rfi, Submittal
from services.tracing import span
from services.waits import Closed
from sync_worker.activity import as_json
from sync_worker.inbound.content_version import with_content_version
from sync_worker.inbound.flipping import MOST_FLIPS, WITHIN, lately, rests_until
from sync_worker.inbound.partials import Partials, default_folder
from sync_worker.inbound.revisions import chain_of, previous_of
from sync_worker.inbound.rounds import Rounds, next_rounds
from sync_worker.inbound.settling import Seen, contradicts
from sync_worker.inbound.stored import Records, Stored
from sync_worker.inbound.translate import (
    NOTHING,
    Remembered,
    attachments_of,
    translate_rfi,
    translate_submittal,
)
from sync_worker.leases import Key

log = structlog.get_logger()

FilesCounted = Callable[[int], Awaitable[None]]
"""Told how many more files of a record are shown."""


class Downloads(Protocol):
    """Where the bytes of attachments come from."""

    async def download(
        self,
        place: Place,
        attachment: Attachment,
        into: Path,
        *,
        whose: str,
        most_bytes: int | None = None,
    ) -> FileBytes:
        """Write an attachment's bytes to a new file, at most so many."""


class Puts(Protocol):
    """Where records and files go."""

    async def put_record(
        self, project_id: str, record: Record, *, if_match: str | None = None
    ) -> StoredRecord:
        """Create or replace what the GC owns of a record."""

    async def record(self, project_id: str, kind: Kind, procore_id: str) -> StoredRecord | None:
        """Return a record as Part3 holds it."""

    async def has_file(self, project_id: str, sha256: str) -> bool:
        """Tell whether Part3 has a file."""

    async def put_file(self, project_id: str, path: Path, file: File) -> None:
        """Store a file."""


class StaleRead(TryLater):
    """Procore answered with an older state than the one seen before."""

    def __init__(self, key: Key) -> None:
        super().__init__(
            f"Procore still shows an older state of {key.kind} {key.procore_id}", reason="stale"
        )


class Flipping(TryLater):
    """A record goes to and fro between states that Part3 has had, and rests for a while."""

    def __init__(self, until: datetime) -> None:
        super().__init__(
            f"It changed to and fro between the same states more than {MOST_FLIPS} times in "
            f"{WITHIN.seconds // 60} minutes, as if two programs undid each other's changes in "
            f"Procore. Part3 keeps what it has until {until:%H:%M} UTC; then its state is brought "
            "over by itself.",
            reason="flipping",
            not_before=until,
        )


@dataclass(frozen=True, slots=True)
class Reader:
    """Where a project's records are read, and by whose grant."""

    project_id: str
    place: Place
    whose: str
    show_drafts: bool = False  # the project's choice
    kept_back: tuple[Closed, ...] = ()  # when it was last not to be read, and for whom


@dataclass(frozen=True, slots=True)
class Mirror:
    """Puts records into Part3, each under its lease.

    A file of more than `most_file_bytes` is named as not mirrored; None: however large.
    """

    procore: Downloads
    part3: Puts
    records: Records
    partials: Partials = field(default_factory=lambda: Partials(default_folder()))
    most_file_bytes: int | None = None

    async def bring(
        self,
        reader: Reader,
        key: Key,
        fence: int,
        source: Rfi | Submittal,
        *,
        count: FilesCounted | None = None,
    ) -> Seen:
        """Make Part3 hold this state, files included; return it beside what was known before.

        Raises:
            StaleRead: a newer state was put before.
            TryLater: what is missing comes later; what could be put has been put.
        """
        before = await self.records.read(key)
        if before.procore_updated_at and source.updated_at < before.procore_updated_at:
            raise StaleRead(key)
        why_not = await self._why_not(reader, key, source) if before.record is None else None
        if why_not is not None:
            await self.records.looked(key, fence, source.updated_at, why_not)
            return Seen(source.updated_at, before.procore_updated_at, None, None)
        remembered = await self._remembered(key, before, source)
        attachments = attachments_of(source)
        known = await self.records.known_files(key.project_id, [one.id for one in attachments])
        settled = known.keys() | remembered.left_out.keys()
        missing = [one for one in attachments if one.id not in settled]
        record = await self._translated(key, source, known, before, remembered)
        if await self._is_of_the_same_second(key, before, record, source):
            raise StaleRead(key)
        rounds = remembered.rounds
        _ = await self._put_if_changed(key, fence, before, record, source, rounds=rounds)
        if not missing:
            return _seen(source, before, record)
        fault = await self._copy_all(reader, missing, known)
        shown = await self.records.read(key)
        complete = await self._translated(key, source, known, shown, remembered)
        _ = await self._put_if_changed(key, fence, shown, complete, source, rounds=rounds)
        if count:
            await count(sum(one.id in known for one in missing))
        if fault is not None:
            raise fault
        return _seen(source, before, complete)

    async def _is_of_the_same_second(
        self, key: Key, before: Stored, record: Record, source: Rfi | Submittal
    ) -> bool:
        """Tell whether this state seems to be one that was already replaced in Part3.

        Procore tells times by the second, so of two states with equal times the one that was put
        earlier is taken for older. Should it have come back in that second, it is put a minute
        later. One that was never put may be a stale read as well, where it contradicts what was put
        a moment ago; it is read again first. A tombstone is no state of Procore's: what is restored
        comes back at once.
        """
        if source.updated_at != before.procore_updated_at or before.record is None:
            return False
        if before.content_version is None:  # a comparison asks for it to be put again
            return False
        if record.content_version == before.content_version:
            return before.put_unheard_lately
        if before.record["status"] == "removed":
            return False
        if await self.records.put_lately(key, record.content_version):
            return True
        return contradicts(before.record, as_json(record)) and await self.records.just_put(key)

    async def bury(self, key: Key, fence: int, label: str = "Removed in Procore") -> None:
        """Mark a record as removed in Procore; its content is kept."""
        before = await self.records.read(key)
        there = await self.part3.record(key.project_id, key.kind, key.procore_id)
        if there is not None:
            # what Part3 shows, and not what we know of: a put whose answer was lost may be there
            kept = Record(**{name: getattr(there, name) for name in Record.__struct_fields__})
        elif before.record is not None:
            kept = msgspec.convert(before.record, Record)
        else:
            await self.records.looked(key, fence, None, "It is in Procore's recycle bin.")
            return
        before = replace(before, part3_version=there.version if there else None)
        tombstone = with_content_version(
            msgspec.structs.replace(kept, status="removed", status_label=label, ball_in_court=())
        )
        _ = await self._put_if_changed(key, fence, before, tombstone, None)

    async def _why_not(self, reader: Reader, key: Key, source: Rfi | Submittal) -> str | None:
        """Say why a record that Part3 does not have stays out of it, in words for people."""
        if is_draft(source) and not reader.show_drafts:
            return "It is a draft in Procore; drafts stay there until they are opened."
        if (origin := origin_of(source)) is None:
            return None
        first = await self.records.first_of_origin(key, origin)
        if first == key.procore_id:
            return None
        return (
            "Procore's own connection copied it here a second time; Part3 has it already, as the "
            f"RFI with Procore's id {first}."
        )

    async def _remembered(self, key: Key, before: Stored, source: Rfi | Submittal) -> Remembered:
        chain = chain_of(source)
        siblings = await self.records.chain(key, chain) if chain is not None else []
        rounds: Rounds = ()
        if isinstance(source, Rfi):
            rounds = next_rounds(before.known_rounds, before.record, source)
        left_out = await self.records.left_out(
            key.project_id, attachments_of(source), self.most_file_bytes
        )
        rounds_told = rounds if len(rounds) > 1 else ()
        return Remembered(previous_of(source, siblings), rounds_told, left_out)

    async def _translated(
        self,
        key: Key,
        source: Rfi | Submittal,
        files: dict[str, File],
        before: Stored,
        known: Remembered = NOTHING,
    ) -> Record:
        """Translate, and add what became of answers after they were returned."""
        if isinstance(source, Submittal):
            record = translate_submittal(source, files, known)
        else:
            ids = await self.records.return_ids(key.project_id, key.procore_id)
            record = translate_rfi(source, files, ids, known)
        after = (await self.records.after_return(key, source, before)).extras
        if not after:
            return record
        told = msgspec.structs.replace(record, extras={**record.extras, **after})
        return with_content_version(told)

    async def _put_if_changed(
        self,
        key: Key,
        fence: int,
        before: Stored,
        record: Record,
        source: Rfi | Submittal | None,
        *,
        rounds: Rounds = (),
    ) -> bool:
        updated_at = source.updated_at if source else before.procore_updated_at
        if record.content_version == before.content_version and not before.put_unheard:
            await self.records.looked(key, fence, updated_at)
            return False
        flips = await self._flips_with(key, fence, before, record)
        with span("put", kind=key.kind):
            put = await self._put(key, fence, record, before.part3_version, source)
        failpoints.reach("l3")
        await self.records.keep(
            key,
            fence,
            before=before,
            put=put,
            record=record,
            source=source,
            updated_at=updated_at,
            rounds=rounds,
            flips=flips,
        )
        failpoints.reach("l4")
        log.info("record.mirrored", kind=key.kind, procore_id=key.procore_id, number=record.number)
        return True

    async def _flips_with(
        self, key: Key, fence: int, before: Stored, record: Record
    ) -> tuple[datetime, ...]:
        """Return the record's flips with this put counted. Raises Flipping when it has to rest."""
        flips = tuple(before.flips)
        if before.record is None or before.content_version is None:
            return flips
        former, now = await self.records.was_put(key, record.content_version)
        if not former:
            return lately(flips, now)
        until = rests_until(flips, now)
        if until is None:
            return (*lately(flips, now), now)
        error = Flipping(until)
        await self.records.park(key, fence, before, until, str(error))
        raise error

    async def _put(
        self,
        key: Key,
        fence: int,
        record: Record,
        version: str | None,
        source: Rfi | Submittal | None,
    ) -> StoredRecord:
        """Put, minding what Part3 holds.

        A version that is not ours is put over only while the lease is: otherwise whoever has it
        now may have put something newer.

        Args:
            key: which record.
            fence: of our lease.
            record: what to put.
            version: what it replaces; None where nothing is known to be there.
            source: what was read, after whatever else may be there by now. None for a tombstone: it
                is made of what was there, and is made anew.
        """
        updated_at = source.updated_at if source else None
        await self.records.confirm(key, fence, updated_at)
        try:
            return await self.part3.put_record(key.project_id, record, if_match=version)
        except Outdated as error:
            if source is None:
                message = f"{key.kind} {key.procore_id} changed in Part3 meanwhile"
                raise TryLater(message, reason="part3_down") from error
            there = await self.part3.record(key.project_id, key.kind, key.procore_id)
            await self.records.confirm(key, fence, updated_at)
            return await self.part3.put_record(
                key.project_id, record, if_match=there.version if there else None
            )

    async def _copy_all(
        self, reader: Reader, missing: list[Attachment], known: dict[str, File]
    ) -> ConnectorError | None:
        """Copy what can be copied into `known`; one bad file keeps no other one back.

        Returns:
            The last failure, or None when all are there.
        """
        fault: ConnectorError | None = None
        for attachment in missing:
            try:
                known[attachment.id] = await self.copy(reader, attachment)
            except ConnectorError as error:
                fault = error
                if isinstance(error, NeedsPerson):
                    break  # the grant is lost, so the next one fails likewise
        return fault

    async def copy(self, reader: Reader, attachment: Attachment) -> File:
        """Bring one file to Part3. Raises TryLater; what has come by then is gone on with."""
        async with self.partials.place_of(reader.project_id, attachment.id) as path:
            try:
                got = await self.procore.download(
                    reader.place,
                    attachment,
                    path,
                    whose=reader.whose,
                    most_bytes=self.most_file_bytes,
                )
            except FileEmpty:
                await self.records.note_empty(reader.project_id, attachment.id)
                raise
            except FileTooLarge as error:
                named = (reader.project_id, attachment.id)
                await self.records.note_too_large(*named, error.most_bytes)
                raise
            file = File(
                sha256=got.sha256,
                name=attachment.name,
                content_type=got.content_type,
                size=got.size,
                procore_id=attachment.id,
            )
            if not await self.part3.has_file(reader.project_id, file.sha256):
                await self.part3.put_file(reader.project_id, path, file)
        failpoints.reach("f3")
        await self.records.note_file(reader.project_id, file)
        return file


def _seen(source: Rfi | Submittal, before: Stored, record: Record) -> Seen:
    return Seen(source.updated_at, before.procore_updated_at, as_json(record), before.record)


def is_draft(source: Rfi | Submittal) -> bool:
    """Tell a draft, which stays in Procore until it is opened."""
    if isinstance(source, Rfi):
        return source.status in ("draft", "closed_draft")
    return source.status_class.lower() == "draft"


def origin_of(source: Rfi | Submittal) -> str | None:
    """Return what names the RFI in another account that Procore's own connection copied here."""
    origin = source.connect_export_origin if isinstance(source, Rfi) else None
    provider, number = ((origin or {}).get(name) for name in ("source_provider_name", "rfi_number"))
    return f"{provider}\n{number}" if provider and number else None

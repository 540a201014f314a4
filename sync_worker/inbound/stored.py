"""A record's row: what was last put into Part3, and every write of it fenced."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from schemas.records import File, Record, StoredRecord
from services.errors import TryLater
from services.postgres import Postgres, Queries
from services.procore.models import Attachment, Rfi, Submittal
from services.waits import told
from sync_worker.activity import as_json, note, words_for
from sync_worker.inbound.look_store import SWEPT, WANT
from sync_worker.inbound.revisions import Sibling, chain_of, misled, previous_of
from sync_worker.inbound.rounds import Rounds
from sync_worker.leases import Key
from sync_worker.outbound.delivery_store import ask_record_deliveries
from sync_worker.outbound.put_notes import note_put
from sync_worker.outbound.seal_store import AfterReturn, compare, note_after_return

READ = """
SELECT record, content_version, part3_version, procore_updated_at, files_pending, rounds, flips,
  unheard_put_at IS NOT NULL AS put_unheard,
  coalesce(unheard_put_at > now() - interval '60 seconds', false) AS put_unheard_lately
FROM mirror.records WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
KEEP = """
UPDATE mirror.records SET number = $5, title = $6, status = $7, record = $8,
  content_version = $9, part3_version = $10, procore_updated_at = $11, files_pending = $12,
  chain = coalesce($13, chain), rounds = coalesce($14, rounds),
  flips = $15, parked_until = NULL, unheard_put_at = NULL,
  not_mirrored_because = NULL, looked_at = now(), mirrored_at = now(),
  removed_at = CASE WHEN $7 = 'removed' THEN coalesce(removed_at, now()) END
WHERE (project_id, kind, procore_id, fence) = ($1, $2, $3, $4)
RETURNING 1
"""
# The state that is about to be put counts as seen from here on: its put may arrive although nobody
# hears so. Then a stale read must not be put over it, and the state before is not what Part3 shows.
CONFIRM = """
UPDATE mirror.records SET lease_until = greatest(lease_until, now() + interval '120 seconds'),
  procore_updated_at = greatest(procore_updated_at, $5), unheard_put_at = now()
WHERE (project_id, kind, procore_id, fence) = ($1, $2, $3, $4) AND lease_owner IS NOT NULL
RETURNING 1
"""
LOOKED = """
UPDATE mirror.records SET looked_at = now(), procore_updated_at = $5, not_mirrored_because = $6
WHERE (project_id, kind, procore_id, fence) = ($1, $2, $3, $4)
RETURNING 1
"""
# Told once for each rest, however often the record is looked at meanwhile.
PARK = """
UPDATE mirror.records SET parked_until = $5
WHERE (project_id, kind, procore_id, fence) = ($1, $2, $3, $4)
  AND (parked_until IS NULL OR parked_until <= now())
RETURNING 1
"""
WAS_PUT = """
SELECT now() AS at, EXISTS (SELECT 1 FROM mirror.seen_versions
  WHERE (project_id, kind, procore_id, content_version) = ($1, $2, $3, $4)) AS before
"""
JUST_PUT = """
SELECT coalesce(mirrored_at > now() - interval '3 seconds', false) AS just_put
FROM mirror.records WHERE (project_id, kind, procore_id) = ($1, $2, $3)
"""
# reads lag behind writes by up to about a minute; what was put earlier may be a state of then
PUT_LATELY = """
SELECT EXISTS (SELECT 1 FROM mirror.seen_versions
  WHERE (project_id, kind, procore_id, content_version) = ($1, $2, $3, $4)
    AND noted_at > now() - interval '60 seconds')
"""
RETURN_IDS = """
SELECT remote_id, return_id FROM mirror.deliveries
WHERE (project_id, kind, procore_id) = ($1, 'rfi', $2) AND remote_id IS NOT NULL
"""
CHAIN = """
SELECT procore_id, record->>'revision' AS revision,
  record->>'previous_revision' AS previous_revision
FROM mirror.records WHERE (project_id, kind, chain) = ($1, $2, $3) AND record IS NOT NULL
"""
# Whoever asks first has an origin, and the others wait until it is removed.
TAKE_ORIGIN = """
INSERT INTO mirror.origins AS o (project_id, origin, procore_id) VALUES ($1, $2, $3)
ON CONFLICT (project_id, origin) DO UPDATE SET procore_id = CASE WHEN EXISTS (
    SELECT 1 FROM mirror.records r WHERE (r.project_id, r.kind, r.procore_id) =
      (o.project_id, 'rfi', o.procore_id) AND r.removed_at IS NOT NULL)
  THEN excluded.procore_id ELSE o.procore_id END
RETURNING procore_id
"""
KNOWN_FILES = """
SELECT attachment_id, sha256, name, content_type, size FROM mirror.files
WHERE project_id = $1 AND attachment_id = ANY($2)
"""
NOTE_FILE = """
INSERT INTO mirror.files (project_id, attachment_id, sha256, name, content_type, size)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
"""
# Only once in five minutes: what is asked for in a burst is one try.
NOTE_EMPTY = """
INSERT INTO mirror.empty_files AS e (project_id, attachment_id) VALUES ($1, $2)
ON CONFLICT (project_id, attachment_id) DO UPDATE SET tries = e.tries + 1, last_at = now()
WHERE e.last_at < now() - interval '5 minutes'
"""
# An attachment never changes under its id, so this stays true. Where Procore itself tells 0 bytes
# ($5), one try that found none is enough.
# What was too large stays so until the limit ($6) is raised.
LEFT_OUT = """
SELECT attachment_id, larger_than FROM mirror.empty_files
WHERE project_id = $1 AND attachment_id = ANY($2) AND CASE WHEN larger_than IS NULL
  THEN attachment_id = ANY($5)
    OR tries >= $3 AND last_at - first_at >= make_interval(hours => $4)
  ELSE larger_than >= $6 END
"""
NOTE_TOO_LARGE = """
INSERT INTO mirror.empty_files (project_id, attachment_id, larger_than) VALUES ($1, $2, $3)
ON CONFLICT (project_id, attachment_id) DO UPDATE SET larger_than = $3, last_at = now()
"""
EMPTY_TRIES, EMPTY_HOURS = 5, 24
EMPTY = "empty in Procore (0 bytes)"
HOWEVER_LARGE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of a record; `record` is None when it was never put.

    Attributes:
        put_unheard: whether another state was put since, and nobody heard whether it arrived.
        put_unheard_lately: whether that is so recent that reads may still be of before.
    """

    record: dict[str, Any] | None = None
    content_version: str | None = None
    part3_version: str | None = None
    procore_updated_at: datetime | None = None
    files_pending: int = 0
    rounds: list[dict[str, Any]] | None = None
    flips: list[datetime] = field(default_factory=list)
    put_unheard: bool = False
    put_unheard_lately: bool = False

    @property
    def known_rounds(self) -> Rounds:
        """An RFI's rounds as they were kept; empty while there is but the first."""
        return msgspec.convert(self.rounds or [], Rounds)


class FenceLost(TryLater):
    """Another worker has the record now, so nothing of this look counts."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"the lease on {key.kind} {key.procore_id} was lost", reason="busy")


class Records:
    """The rows of records, in Postgres."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def read(self, key: Key) -> Stored:
        """Return what is known of a record."""
        row = await self._postgres.fetchrow(READ, key.project_id, key.kind, key.procore_id)
        return Stored(**dict(row)) if row else Stored()

    async def keep(
        self,
        key: Key,
        fence: int,
        *,
        before: Stored,
        put: StoredRecord,
        record: Record,
        source: Rfi | Submittal | None,
        updated_at: datetime | None,
        rounds: Rounds = (),
        flips: Sequence[datetime] = (),
    ) -> None:
        """Note a put, tell of it, and wake what is held on the record. Raises FenceLost.

        Args:
            key: which record.
            fence: of our lease.
            before: what was known.
            put: Part3's answer.
            record: what was put.
            source: what Procore held, from a show or a list; None for a tombstone.
            updated_at: Procore's time of that state.
            rounds: an RFI's answer rounds; empty where they were not looked at.
            flips: when former states were put again lately, this one perhaps included.
        """
        pending = int(record.extras.get("files_pending", 0))
        chain = chain_of(source) if source is not None else None
        async with self._postgres.transaction() as transaction:
            kept = await transaction.fetchval(
                KEEP,
                key.project_id,
                key.kind,
                key.procore_id,
                fence,
                record.number,
                record.title,
                record.status,
                as_json(record),
                record.content_version,
                put.version,
                updated_at,
                pending,
                chain,
                msgspec.to_builtins(rounds) if rounds else None,
                list(flips),
            )
            if kept is None:
                raise FenceLost(key)
            if source is not None:
                await note_put(transaction, key.project_id, record.content_version, source)
                after = await compare(transaction, key.project_id, source, before.record)
                await note_after_return(transaction, key.project_id, record, after)
            if chain is not None and before.record is None:
                await _look_again_at_revisions(transaction, key, chain, record, source)
            if words := words_for(before.record, record):
                event = "record.removed" if record.status == "removed" else "record.mirrored"
                await note(transaction, key.project_id, event, words, record=record, detail=told())
            await ask_record_deliveries(transaction, key.project_id, key.kind, key.procore_id)

    async def looked(
        self, key: Key, fence: int, updated_at: datetime | None, why_not: str | None = None
    ) -> None:
        """Note a look that put nothing, and why if it may not be mirrored. Raises FenceLost."""
        named = (key.project_id, key.kind, key.procore_id, fence)
        if await self._postgres.fetchval(LOOKED, *named, updated_at, why_not) is None:
            raise FenceLost(key)

    async def just_put(self, key: Key) -> bool:
        """Tell whether Part3 was given something within the time that reads mostly lag."""
        named = (key.project_id, key.kind, key.procore_id)
        return bool(await self._postgres.fetchval(JUST_PUT, *named))

    async def put_lately(self, key: Key, content_version: str) -> bool:
        """Tell whether Part3 was given this very state within the last minute."""
        named = (key.project_id, key.kind, key.procore_id)
        return bool(await self._postgres.fetchval(PUT_LATELY, *named, content_version))

    async def was_put(self, key: Key, content_version: str) -> tuple[bool, datetime]:
        """Tell whether Part3 was ever given this very state, and the database's time."""
        named = (key.project_id, key.kind, key.procore_id)
        (row,) = await self._postgres.fetch(WAS_PUT, *named, content_version)
        return row["before"], row["at"]

    async def park(self, key: Key, fence: int, before: Stored, until: datetime, words: str) -> None:
        """Note that a record rests until then, and tell it once."""
        named = (key.project_id, key.kind, key.procore_id, fence)
        async with self._postgres.transaction() as transaction:
            if await transaction.fetchval(PARK, *named, until) is None:
                return
            kept = msgspec.convert(before.record, Record) if before.record else None
            await note(
                transaction, key.project_id, "record.parked", words, record=kept, reason="flipping"
            )

    async def confirm(self, key: Key, fence: int, updated_at: datetime | None) -> None:
        """Make sure that the record is still ours, and for as long as a put may take.

        Args:
            key: which record.
            fence: of our lease.
            updated_at: Procore's time of the state that is about to be put; None for a tombstone.

        Raises:
            FenceLost: another worker has it, and may have put something newer by now.
        """
        named = (key.project_id, key.kind, key.procore_id, fence)
        if await self._postgres.fetchval(CONFIRM, *named, updated_at) is None:
            raise FenceLost(key)

    async def return_ids(self, project_id: str, rfi_id: str) -> dict[str, str]:
        """Return which replies of an RFI came from which returns."""
        rows = await self._postgres.fetch(RETURN_IDS, project_id, rfi_id)
        return {row["remote_id"]: row["return_id"] for row in rows}

    async def after_return(self, key: Key, source: Rfi | Submittal, before: Stored) -> AfterReturn:
        """Return what became of the answers that were delivered to a record."""
        return await compare(self._postgres, key.project_id, source, before.record)

    async def chain(self, key: Key, chain: str) -> list[Sibling]:
        """Return the mirrored records of a chain of revisions, this one perhaps among them."""
        return await _chain(self._postgres, key, chain)

    async def first_of_origin(self, key: Key, origin: str) -> str:
        """Return which RFI of a project stands for one that Procore itself copies about.

        The first that asks, for as long as it is not removed.
        """
        first: str = await self._postgres.fetchval(
            TAKE_ORIGIN, key.project_id, origin, key.procore_id
        )
        return first

    async def known_files(self, project_id: str, attachment_ids: list[str]) -> dict[str, File]:
        """Return, of these attachments, those whose bytes Part3 has."""
        if not attachment_ids:
            return {}
        rows = await self._postgres.fetch(KNOWN_FILES, project_id, attachment_ids)
        return {
            row["attachment_id"]: File(
                sha256=row["sha256"],
                name=row["name"],
                content_type=row["content_type"],
                size=row["size"],
                procore_id=row["attachment_id"],
            )
            for row in rows
        }

    async def note_empty(self, project_id: str, attachment_id: str) -> None:
        """Note that an attachment came without a byte, though nothing was wrong with the answer."""
        await self._postgres.execute(NOTE_EMPTY, project_id, attachment_id)

    async def note_too_large(self, project_id: str, attachment_id: str, most_bytes: int) -> None:
        """Note that an attachment has more bytes than may be copied."""
        await self._postgres.execute(NOTE_TOO_LARGE, project_id, attachment_id, most_bytes)

    async def left_out(
        self, project_id: str, attachments: tuple[Attachment, ...], most_bytes: int | None
    ) -> dict[str, str]:
        """Return by id, and with words for people, those that are not to be copied.

        They came empty again and again for a day, or once where Procore says 0 bytes too; or they
        have more than `most_bytes`, by Procore's word or as it was found.
        """
        if not attachments:
            return {}
        most = HOWEVER_LARGE if most_bytes is None else most_bytes
        ids = [one.id for one in attachments]
        said_empty = [one.id for one in attachments if one.size == 0]
        how = (EMPTY_TRIES, EMPTY_HOURS, said_empty, most)
        rows = await self._postgres.fetch(LEFT_OUT, project_id, ids, *how)
        too_large = f"larger than {in_units(most)}, which is the most that is copied"
        told = {one.id: too_large for one in attachments if (one.size or 0) > most}
        return told | {
            row["attachment_id"]: EMPTY if row["larger_than"] is None else too_large for row in rows
        }

    async def note_file(self, project_id: str, file: File) -> None:
        """Note that Part3 has an attachment's bytes."""
        await self._postgres.execute(
            NOTE_FILE,
            project_id,
            file.procore_id,
            file.sha256,
            file.name,
            file.content_type,
            file.size,
        )


async def _chain(queries: Queries, key: Key, chain: str) -> list[Sibling]:
    rows = await queries.fetch(CHAIN, key.project_id, key.kind, chain)
    return [Sibling(**dict(row)) for row in rows]


async def _look_again_at_revisions(
    queries: Queries, key: Key, chain: str, record: Record, source: Rfi | Submittal | None
) -> None:
    """Link what came over before the one it supersedes was known.

    That is the next revision, where this one came late, and this one, where a page of a list
    showed both at once.
    """
    known = await _chain(queries, key, chain)
    again = misled(Sibling(key.procore_id, record.revision), known)
    if source is not None and previous_of(source, known) != record.previous_revision:
        again = (*again, key.procore_id)
    for one in again:
        await queries.execute(WANT, key.project_id, key.kind, one, SWEPT)


def in_units(count: int) -> str:
    """Return a number of bytes as people say it: 5 GiB, 512 MiB."""
    unit, size = ("GiB", 2**30) if count >= 2**30 else ("MiB", 2**20)
    return f"{round(count / size, 1):g} {unit}"

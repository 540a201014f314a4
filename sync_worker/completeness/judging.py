"""Decides of one record whether Procore, our memory and Part3 agree, and what to do if not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from schemas.records import File, Record, StoredRecord
from sync_worker.activity import as_json, changed_fields
from sync_worker.completeness.listings import ListedState

Reason = Literal[
    "missing_in_part3",
    "differs_in_part3",
    "file_missing",
    "unknown_here",
    "not_brought_yet",
    "files_pending",
    "removal_held",
    "not_shown",
    "unreadable",
]
NOT_MENDED_BY_A_LOOK: frozenset[Reason] = frozenset(("removal_held", "not_shown", "unreadable"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A record's row, with what waits for it."""

    procore_id: str
    record: Mapping[str, Any] | None
    looked_at: datetime | None
    removed_at: datetime | None
    files_pending: int = 0
    not_mirrored_because: str | None = None
    removal_held: bool = False
    look_message: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What of a record is not equal, in a sentence."""

    procore_id: str
    reason: Reason
    words: str
    lost_files: tuple[str, ...] = ()  # hashes that Part3 does not have

    @property
    def mended_by_a_look(self) -> bool:
        """Tell whether looking at the record again is all it takes."""
        return self.reason not in NOT_MENDED_BY_A_LOOK


def files_of(record: Record) -> tuple[File, ...]:
    """Return every file of a record, those of its replies and workflow rows included."""
    inner: Sequence[Any] = (*record.replies, *record.workflow)
    return (*record.files, *(file for one in inner for file in one.files))


def plain(stored: StoredRecord) -> Record:
    """Return what the general contractor's side says of a record that Part3 holds."""
    return Record(**{name: getattr(stored, name) for name in Record.__struct_fields__})


def judged(
    procore_id: str,
    *,
    listed: ListedState | None,
    listed_at: datetime,
    remembered: Remembered | None,
    there: StoredRecord | None,
    lost_files: Sequence[File] = (),
) -> Difference | None:
    """Say what of a record differs; None when all agree, or when it is none of Part3's.

    Args:
        procore_id: the record.
        listed: how Procore listed it, or None.
        listed_at: when that listing had ended.
        remembered: its row.
        there: what Part3 holds.
        lost_files: those of `there` whose bytes Part3 does not have.
    """
    if remembered is None:
        return _unremembered(procore_id, listed, there)
    if remembered.record is None and there is None:
        return _not_brought(remembered, listed)
    if remembered.removal_held and there is not None:
        words = "It is in Procore's recycle bin; whether that is meant waits for a person."
        return Difference(procore_id, "removal_held", words)
    in_part3 = _in_part3(remembered, there, lost_files)
    if in_part3 is not None or remembered.removed_at is not None:
        return in_part3  # what was removed is a tombstone, and nothing more is asked of Procore
    return _behind_procore(remembered, listed, listed_at)


def _in_part3(
    remembered: Remembered, there: StoredRecord | None, lost_files: Sequence[File]
) -> Difference | None:
    """Is what Part3 holds what was put, field by field and file by file?"""
    procore_id = remembered.procore_id
    if there is None:
        return Difference(procore_id, "missing_in_part3", "Part3 did not hold it any more.")
    if remembered.record is None:
        words = "Part3 holds it, and how it came there was forgotten; it is brought anew."
        return Difference(procore_id, "unknown_here", words)
    kept, held = msgspec.convert(remembered.record, Record), plain(there)
    if kept != held:
        fields = ", ".join(changed_fields(as_json(kept), held)) or "details"
        return Difference(procore_id, "differs_in_part3", f"Part3 held another state: {fields}.")
    if lost_files:
        names = ", ".join(dict.fromkeys(file.name for file in lost_files))
        hashes = tuple(file.sha256 for file in lost_files)
        words = f"Part3 did not hold the bytes of {names}."
        return Difference(procore_id, "file_missing", words, hashes)
    return None


def _unremembered(
    procore_id: str, listed: ListedState | None, there: StoredRecord | None
) -> Difference | None:
    if listed == "unreadable":
        words = "What Procore lists of it cannot be read."
        return Difference(procore_id, "unreadable", words)
    if there is not None:
        words = "Part3 holds it, and nothing is remembered of it; it is looked at anew."
        return Difference(procore_id, "unknown_here", words)
    if listed in ("same", "changed"):
        return Difference(procore_id, "not_brought_yet", "It has not come over yet.")
    return None  # a draft


def _not_brought(remembered: Remembered, listed: ListedState | None) -> Difference | None:
    if listed in (None, "draft") or remembered.not_mirrored_because is not None:
        return None  # what is left out on purpose stands with its reason under what is not mirrored
    words = remembered.look_message or "It has not come over yet."
    return Difference(remembered.procore_id, "not_brought_yet", words)


def _behind_procore(
    remembered: Remembered, listed: ListedState | None, listed_at: datetime
) -> Difference | None:
    """Part3 holds what was put: is that what Procore holds now?"""
    procore_id = remembered.procore_id
    if remembered.files_pending:
        words = remembered.look_message or f"{remembered.files_pending} files are still to come."
        return Difference(procore_id, "files_pending", words)
    if remembered.not_mirrored_because is not None:
        return Difference(procore_id, "not_shown", remembered.not_mirrored_because)
    looked_since = remembered.looked_at is not None and remembered.looked_at >= listed_at
    if listed == "unreadable":
        return Difference(procore_id, "unreadable", "What Procore lists of it cannot be read.")
    if listed in ("changed", None) and not looked_since:
        words = remembered.look_message or "Procore holds another state, which is on its way."
        return Difference(procore_id, "not_brought_yet", words)
    return None

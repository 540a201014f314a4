"""Mirrored records: put, read, list. What the general contractor owns is only ever put whole."""

import base64
import binascii
import secrets
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Any, Generic, TypeVar

import msgspec

from sandbox.part3.files import Files
from sandbox.part3.history import History
from sandbox.part3.ledger import Ledger
from sandbox.part3.problems import Problem
from sandbox.part3.store import Store, rfc3339, to_micros, to_time
from sandbox.part3.wire import Readiness, Record, StoredRecord


@dataclass(frozen=True, kw_only=True)
class Put:
    record: StoredRecord
    created: bool


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    items: list[T]
    next_cursor: str | None


def encode_cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> int:
    """The position behind a cursor of ours; raises Problem 422 on any other text."""
    if cursor is None:
        return 0
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        word, _, position = base64.urlsafe_b64decode(padded).decode().partition(":")
    except (binascii.Error, ValueError):
        word, position = "", ""
    if word != "after" or not position.isdecimal():
        raise Problem(422, "The cursor is none of ours: pass next_cursor back as it came.")
    return int(position)


def _matches(header: str, held: Row | None) -> bool:
    """Whether If-Match allows the write: one of its tags is the version held."""
    if held is None:
        return False
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return "*" in tags or str(held["version"]) in tags


def _stored(row: Row) -> StoredRecord:
    record = msgspec.to_builtins(msgspec.json.decode(row["body"], type=Record))
    record |= {
        "id": row["id"],
        "version": str(row["version"]),
        "updated_at": rfc3339(row["updated_at"]),
    }
    return msgspec.convert(record, StoredRecord)


class Records:
    def __init__(self, store: Store, ledger: Ledger, files: Files) -> None:
        self._store = store
        self._ledger = ledger
        self._files = files
        self.history = History(store)

    def _row(self, project_id: str, kind: str, procore_id: str) -> Row | None:
        return self._store.one(
            "SELECT * FROM records WHERE project_id = ? AND kind = ? AND procore_id = ?",
            project_id,
            kind,
            procore_id,
        )

    def find(self, project_id: str, kind: str, procore_id: str) -> StoredRecord | None:
        row = self._row(project_id, kind, procore_id)
        return _stored(row) if row else None

    def get(self, project_id: str, kind: str, procore_id: str) -> StoredRecord:
        record = self.find(project_id, kind, procore_id)
        if record is None:
            raise Problem(404, f"Part3 holds no {kind} {procore_id}.", procore_id=procore_id)
        return record

    def put(
        self,
        project_id: str,
        record: Record,
        *,
        if_match: str | None = None,
        only_new: bool = False,
    ) -> Put:
        """Create or replace; the same again changes nothing, not even the version."""
        self._check_files(project_id, record)
        body = msgspec.json.encode(record)
        with self._store.transaction():
            held = self._row(project_id, record.kind, record.procore_id)
            if held is not None and held["body"] == body:
                # also with an old If-Match: this very put was applied, only its answer was lost
                self._note("record.unchanged", project_id, record, held["version"])
                return Put(record=_stored(held), created=False)
            if only_new and held is not None:
                raise Problem(
                    412,
                    f"Part3 holds version {held['version']} of this {record.kind} already.",
                    procore_id=record.procore_id,
                )
            if if_match is not None and not _matches(if_match, held):
                version = held["version"] if held else "none"
                raise Problem(
                    412,
                    f"Part3 holds version {version} of this {record.kind}, not {if_match}.",
                    procore_id=record.procore_id,
                )
            self._write(project_id, record, body)
            self.history.note(project_id, record)
            row = self._row(project_id, record.kind, record.procore_id)
            if row is None:
                raise LookupError(record.procore_id)
            what = "record.replaced" if held else "record.created"
            self._note(what, project_id, record, row["version"])
            return Put(record=_stored(row), created=held is None)

    def _check_files(self, project_id: str, record: Record) -> None:
        pending = record.extras.get("files_pending", 0)
        if not isinstance(pending, int) or isinstance(pending, bool) or pending < 0:
            raise Problem(
                422,
                "extras.files_pending must be a whole number, 0 or more.",
                procore_id=record.procore_id,
            )
        missing = sorted(
            {f.sha256 for f in record.named_files() if not self._files.holds(project_id, f.sha256)}
        )
        if missing:
            raise Problem(
                422,
                f"{len(missing)} file(s) named but not stored: {', '.join(missing)}. Put the files"
                " first; until then leave them out and count them in extras.files_pending.",
                procore_id=record.procore_id,
            )

    def _write(self, project_id: str, record: Record, body: bytes) -> None:
        self._store.run(
            "INSERT INTO records (project_id, kind, procore_id, id, version, updated_at, body)"
            " VALUES (?, ?, ?, ?, 1, ?, ?) ON CONFLICT (project_id, kind, procore_id) DO UPDATE"
            " SET version = version + 1, updated_at = excluded.updated_at, body = excluded.body",
            project_id,
            record.kind,
            record.procore_id,
            f"rec_{secrets.token_hex(8)}",
            self._store.now(),
            body,
        )

    def _note(self, what: str, project_id: str, record: Record, version: int) -> None:
        self._ledger.note(
            "effect",
            what,
            project_id,
            kind=record.kind,
            procore_id=record.procore_id,
            version=str(version),
            content_version=record.content_version,
            number=record.number,
            title=record.title,
            files=len(record.named_files()),
            files_pending=record.files_pending,
        )

    def page(
        self,
        project_id: str,
        *,
        kind: str | None = None,
        updated_after: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[StoredRecord]:
        """Oldest change first. A record that changes meanwhile comes again, further on."""
        after = max(decode_cursor(cursor), to_micros(updated_after) if updated_after else 0)
        rows = self._store.all(
            "SELECT * FROM records WHERE project_id = ?1 AND (?2 IS NULL OR kind = ?2)"
            " AND updated_at > ?3 ORDER BY updated_at LIMIT ?4",
            project_id,
            kind,
            after,
            limit + 1,
        )
        more = len(rows) > limit
        return Page(
            items=[_stored(row) for row in rows[:limit]],
            next_cursor=encode_cursor(rows[limit - 1]["updated_at"]) if more else None,
        )

    def all_of(self, project_id: str, kind: str) -> list[StoredRecord]:
        """For the register page: every record of a kind, by number as people read it."""
        rows = self._store.all(
            "SELECT * FROM records WHERE project_id = ? AND kind = ?", project_id, kind
        )
        return sorted((_stored(row) for row in rows), key=_by_number)

    def revisions_of(self, project_id: str, kind: str, procore_id: str) -> list[StoredRecord]:
        """The records that name this one as the revision they supersede."""
        rows = self._store.all(
            "SELECT * FROM records WHERE project_id = ? AND kind = ?"
            " AND json_extract(CAST(body AS TEXT), '$.previous_revision') = ?",
            project_id,
            kind,
            procore_id,
        )
        return [_stored(row) for row in rows]

    def put_readiness(
        self, project_id: str, kind: str, procore_id: str, readiness: Readiness
    ) -> None:
        """Keep the newest word; an older one that comes late changes nothing."""
        with self._store.transaction():
            changed = self._store.run(
                "INSERT INTO readiness (project_id, kind, procore_id, as_of, body)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (project_id, kind, procore_id) DO UPDATE"
                " SET as_of = excluded.as_of, body = excluded.body"
                " WHERE excluded.as_of >= readiness.as_of",
                project_id,
                kind,
                procore_id,
                to_micros(readiness.as_of),
                msgspec.json.encode(readiness),
            )
            self._ledger.note(
                "effect",
                "readiness.set" if changed else "readiness.too_old",
                project_id,
                kind=kind,
                procore_id=procore_id,
                returnable=readiness.returnable,
                reason=readiness.reason,
            )

    def readiness(self, project_id: str, kind: str, procore_id: str) -> Readiness | None:
        row = self._store.one(
            "SELECT body FROM readiness WHERE project_id = ? AND kind = ? AND procore_id = ?",
            project_id,
            kind,
            procore_id,
        )
        return msgspec.json.decode(row["body"], type=Readiness) if row else None

    def updated_at(self, record: StoredRecord) -> datetime:
        row = self._store.one("SELECT updated_at FROM records WHERE id = ?", record.id)
        return to_time(row["updated_at"] if row else 0)


def _by_number(record: StoredRecord) -> list[Any]:
    """Sort A-9 before A-10: digits as numbers, each part tagged so that kinds never compare."""
    section = record.spec_section if record.kind == "submittal" else None
    text = f"{section or ''} {record.number} {record.revision or ''}"
    words = "".join(c if c.isalnum() else " " for c in text).split()
    return [(0, int(word), "") if word.isdecimal() else (1, 0, word) for word in words]

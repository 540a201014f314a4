"""What Part3 keeps of successive puts: versions of the question, and who may see what was private.

A put replaces a record whole. Its words, title and files are what a reviewer answers, so each
change of these makes a version; a file that only arrived belongs to the version that named it.
"""

from dataclasses import dataclass
from sqlite3 import Row

import msgspec

from sandbox.part3.store import Store
from sandbox.part3.wire import File, Record


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: an RFI's question in HTML, or a submittal's description in plain text."""

    title: str
    text: str
    files: tuple[File, ...] = ()

    @property
    def file_ids(self) -> list[str]:
        return sorted(f"{file.procore_id or file.sha256} {file.name}" for file in self.files)

    def asks_the_same_as(self, other: "Asked") -> bool:
        """Compare words alone: files may still be on their way."""
        return (self.title, self.text) == (other.title, other.text)


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a question, from `since` (microseconds) until the next one."""

    number: int
    since: int
    asked: Asked


def asked_by(record: Record) -> Asked:
    text = record.question if record.kind == "rfi" else record.description
    return Asked(title=record.title, text=text or "", files=record.files)


class History:
    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, project_id: str, record: Record) -> None:
        """Keep what a put changes; called in the transaction of the put."""
        self._note_question(project_id, record)
        if record.private:
            self._store.run(
                "INSERT INTO veils (project_id, kind, procore_id) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET lifted_by = NULL",
                project_id,
                record.kind,
                record.procore_id,
            )

    def _note_question(self, project_id: str, record: Record) -> None:
        key = (project_id, record.kind, record.procore_id)
        now, complete = asked_by(record), _is_whole(record)
        last = self._store.one(
            "SELECT * FROM question_versions WHERE (project_id, kind, procore_id) = (?, ?, ?)"
            " ORDER BY number DESC LIMIT 1",
            *key,
        )
        number = int(last["number"]) if last else 0
        if last is None or _is_another(last, now, complete=complete):
            number += 1
        self._store.run(
            "INSERT INTO question_versions VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET body = excluded.body, complete = excluded.complete WHERE NOT complete",
            *(*key, number, self._store.now(), msgspec.json.encode(now), complete),
        )
        self._store.run(
            "INSERT INTO versions_seen VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            *(*key, record.content_version, number),
        )

    def versions(self, project_id: str, kind: str, procore_id: str) -> list[Version]:
        """Every version of a question, oldest first."""
        rows = self._store.all(
            "SELECT * FROM question_versions WHERE (project_id, kind, procore_id) = (?, ?, ?)"
            " ORDER BY number",
            project_id,
            kind,
            procore_id,
        )
        return [
            Version(number=row["number"], since=row["since"], asked=_asked(row)) for row in rows
        ]

    def version_seen(
        self, project_id: str, kind: str, procore_id: str, content_version: str
    ) -> int | None:
        """The version of the question that a content version had."""
        row = self._store.one(
            "SELECT number FROM versions_seen"
            " WHERE (project_id, kind, procore_id, content_version) = (?, ?, ?, ?)",
            project_id,
            kind,
            procore_id,
            content_version,
        )
        return int(row["number"]) if row else None

    def veiled(self, project_id: str, kind: str, procore_id: str) -> bool:
        """Whether a record was private and nobody has said since that all may see it."""
        row = self._store.one(
            "SELECT lifted_by FROM veils WHERE (project_id, kind, procore_id) = (?, ?, ?)",
            project_id,
            kind,
            procore_id,
        )
        return row is not None and row["lifted_by"] is None

    def lift_veil(self, project_id: str, kind: str, procore_id: str, by: str) -> None:
        """Somebody has checked what was written meanwhile; it stays so until private again."""
        self._store.run(
            "UPDATE veils SET lifted_by = ? WHERE (project_id, kind, procore_id) = (?, ?, ?)",
            by,
            project_id,
            kind,
            procore_id,
        )


def _is_whole(record: Record) -> bool:
    """Whether nothing of it is still on its way."""
    return record.files_pending == 0 and record.extras.get("thread_pending") is not True


def _asked(row: Row) -> Asked:
    return msgspec.json.decode(row["body"], type=Asked)


def _is_another(last: Row, now: Asked, *, complete: bool) -> bool:
    before = _asked(last)
    if not now.asks_the_same_as(before):
        return True
    return bool(last["complete"]) and complete and now.file_ids != before.file_ids

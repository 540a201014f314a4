"""What an author answers: question, description, files and revision, hashed part by part.

A return names the content version its author saw. Many of a record's fields may have changed since
(a due date, the ball in court) without touching the answer; a change of these must be seen first.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from schemas.records import Kind
from services.postgres import Queries
from services.procore.models import Approver, Attachment, Rfi, Submittal
from sync_worker.outbound.plain_text import words_of_html, words_unescaped

Answerable: TypeAlias = Mapping[str, str]
"""Part (question, description, files, revision) to its hash."""

MOST_SAID = 4_000
"""Characters of a text that are kept to show what changed in it."""

NOTE_VERSION = """
INSERT INTO mirror.seen_versions
    (project_id, kind, procore_id, content_version, answerable, answered, said)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (project_id, kind, procore_id, content_version) DO NOTHING
"""
SEEN_VERSION = """
SELECT answerable, answered, said FROM mirror.seen_versions
WHERE (project_id, kind, procore_id, content_version) = ($1, $2, $3, $4)
"""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a version said, in words, to show what changed since."""

    text: str = ""  # the question, or the description
    files: Mapping[str, str] = {}  # attachment id -> name
    revision: str = ""


class SeenVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What one content version that Part3 holds, or held, said to whoever answers it."""

    answerable: Answerable  # of the record as Procore held it then
    answered: tuple[str, ...] = ()  # ids of the replies, or of the answered approver rows, then
    said: Said | None = None  # in words; None where only the hashes are known


def answerable_of(record: Rfi | Submittal) -> Answerable:
    """Return what an answer is about, hashed part by part.

    Of texts only what a person reads counts, and of files their ids: a Procore attachment never
    changes under its id.
    """
    parts = _parts_of(record)
    return {part: hashlib.sha256(value.encode()).hexdigest() for part, value in parts.items()}


def _parts_of(record: Rfi | Submittal) -> dict[str, str]:
    match record:
        case Rfi():
            return {
                "question": words_of_html(record.question_html),
                "files": _files(record.question_attachments),
                "revision": record.revision or "",
            }
        case Submittal():
            return {
                "description": words_unescaped(record.description or ""),
                "files": _files(record.attachments),
                "revision": record.revision or "",
            }


def said_of(record: Rfi | Submittal) -> Said:
    """Return what an answer is about, in words; a long text is cut."""
    if isinstance(record, Rfi):
        text, files = words_of_html(record.question_html), record.question_attachments
    else:
        text, files = words_unescaped(record.description or ""), record.attachments
    named = {one.id: one.name for one in files}
    return Said(text=text[:MOST_SAID], files=named, revision=record.revision or "")


def changed_parts(seen: Answerable, now: Answerable) -> tuple[str, ...]:
    """Name the parts that differ, in a fixed order."""
    return tuple(part for part in sorted(now) if seen.get(part) != now[part])


def answered_ids(record: Rfi | Submittal) -> tuple[str, ...]:
    """Return the ids of an RFI's replies, or of a submittal's approver rows with an answer."""
    match record:
        case Rfi():
            return tuple(reply.id for reply in record.answers or ())
        case Submittal():
            return tuple(row.id for row in record.approvers if has_answered(row))


def has_answered(row: Approver) -> bool:
    """Tell whether an approver's answer stands. One who forwarded still owes theirs."""
    forwarded = row.response is not None and row.response.considered == "forwarded for review"
    return row.has_responded and not forwarded


def _files(attachments: tuple[Attachment, ...]) -> str:
    return json.dumps(sorted(attachment.id for attachment in attachments))


async def note_version(
    queries: Queries, project_id: str, content_version: str, record: Rfi | Submittal
) -> None:
    """Keep what a content version meant; called in the transaction that notes a put.

    Args:
        queries: the transaction.
        project_id: Part3's.
        content_version: of the record that Part3 now holds.
        record: what Procore held, read in full, from which that record was translated.
    """
    await queries.execute(
        NOTE_VERSION,
        project_id,
        kind_of(record),
        record.id,
        content_version,
        dict(answerable_of(record)),
        list(answered_ids(record)),
        msgspec.to_builtins(said_of(record)),
    )


async def seen_version(
    queries: Queries, project_id: str, kind: Kind, procore_id: str, content_version: str
) -> SeenVersion | None:
    """Return what that version said, or None when it was never put by this installation."""
    row = await queries.fetchrow(SEEN_VERSION, project_id, kind, procore_id, content_version)
    if row is None:
        return None
    said = msgspec.convert(row["said"], Said) if row["said"] else None
    return SeenVersion(answerable=row["answerable"], answered=tuple(row["answered"]), said=said)


def kind_of(record: Rfi | Submittal) -> Kind:
    """Return which kind of record it is."""
    return "rfi" if isinstance(record, Rfi) else "submittal"

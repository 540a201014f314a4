"""What happened, for people: one plain sentence a row, only ever added to."""

from typing import Any

import msgspec

from schemas.records import Person, Record
from services.postgres import Queries

NOTE = """
INSERT INTO mirror.activity
  (project_id, event, words, kind, procore_id, return_id, number, title, reason, person, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""


async def note(
    queries: Queries,
    project_id: str,
    event: str,
    words: str,
    *,
    record: Record | None = None,
    return_id: str | None = None,
    reason: str | None = None,
    person: Person | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add a row to the activity of a project.

    Args:
        queries: the transaction of the work it tells of.
        project_id: Part3's.
        event: e.g. `record.mirrored`.
        words: one sentence.
        record: the record it is about.
        return_id: the return it is about.
        reason: code of anything that waits.
        person: who did it, or who can mend it.
        detail: JSON values beside.
    """
    await queries.execute(
        NOTE,
        project_id,
        event,
        words,
        record.kind if record else None,
        record.procore_id if record else None,
        return_id,
        record.number if record else None,
        record.title if record else None,
        reason,
        msgspec.to_builtins(person) if person else None,
        detail or {},
    )


LABELS = {
    "title": "title",
    "question": "question",
    "description": "description",
    "status": "status",
    "status_label": "status",
    "private": "visibility",
    "due_on": "due date",
    "ball_in_court": "ball in court",
    "manager": "manager",
    "assignees": "assignees",
    "workflow": "workflow",
    "replies": "replies",
    "files": "files",
    "number": "number",
    "revision": "revision",
    "spec_section": "spec section",
    "distributed_at": "distribution",
    "closed_on": "closing date",
    "extras": "other fields",
}
# What a list of RFIs does not tell.
BESIDE_THE_HEAD = ("question", "replies", "files", "spec section", "other fields")


def changed_fields(before: dict[str, Any] | None, after: Record) -> list[str]:
    """Name what differs from what was put before, in people's words; empty when it is new."""
    if before is None:
        return []
    now = as_json(after)
    changed = (label for field, label in LABELS.items() if before.get(field) != now.get(field))
    return list(dict.fromkeys(changed))


def words_for(before: dict[str, Any] | None, after: Record) -> str | None:
    """Say in one sentence what a put brought; None where it is no news of its own.

    Files that follow their record are none, and neither is the thread of an RFI of which a list
    had told no more than the head: it came over then.
    """
    what = "RFI" if after.kind == "rfi" else "Submittal"
    named = f"{what} {after.number}".strip()
    if before is None:
        return f"{named} came over from Procore."
    is_removed, was_removed = after.status == "removed", before.get("status") == "removed"
    if is_removed and not was_removed:
        return f"{named} is marked as removed, and its content is kept. {after.status_label}."
    if was_removed and not is_removed:
        return f"{named} is no longer marked as removed; it came over from Procore again."
    changed = changed_fields(before, after)
    if before.get("extras", {}).get("thread_pending"):
        changed = [label for label in changed if label not in BESIDE_THE_HEAD]
        if not changed:
            return None
    elif _without_files(before) == _without_files(as_json(after)):
        return None
    return f"{named} changed in Procore: {', '.join(changed) or 'details'}."


STILL_COMING = ("files_pending", "thread_pending")


def _without_files(record: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in record.items() if name != "content_version"}
    extras = plain.get("extras", {})
    plain["extras"] = {name: held for name, held in extras.items() if name not in STILL_COMING}
    plain["files"] = []
    plain["replies"] = [{**reply, "files": []} for reply in plain.get("replies", [])]
    plain["workflow"] = [{**step, "files": []} for step in plain.get("workflow", [])]
    return plain


def as_json(record: Record) -> dict[str, Any]:
    """Return a record as it comes back from a JSON column, so that the two compare."""
    value: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return value

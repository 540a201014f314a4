"""`mirror.activity`, and `authority.audit`: only ever added to."""

from typing import Any

from simulation.database import Database, Row, answers
from sync_worker import activity as sql
from token_service import audit


def add_activity(db: Database, **fields: Any) -> None:
    """Add a row."""
    number = db.next_value("activity")
    db.activity.put(number, {"id": number, "at": db.now} | fields)


@answers(sql.NOTE)
def note(
    db: Database,
    project_id: str,
    event: str,
    words: str,
    kind: str | None,
    procore_id: str | None,
    return_id: str | None,
    number: str | None,
    title: str | None,
    reason: str | None,
    person: Any,
    detail: Any,
) -> list[Row]:
    add_activity(
        db,
        project_id=project_id,
        event=event,
        kind=kind,
        procore_id=procore_id,
        return_id=return_id,
        number=number,
        title=title,
        words=words,
        reason=reason,
        person=person,
        detail=detail,
    )
    return []


@answers(audit.WRITE_ENTRY)
def write_entry(
    db: Database, event: str, actor: str, user_id: str | None, project_id: str | None, detail: Any
) -> list[Row]:
    number = db.next_value("audit")
    db.audit.put(
        number,
        {
            "id": number,
            "event": event,
            "actor": actor,
            "user_id": user_id,
            "project_id": project_id,
            "detail": detail,
        },
    )
    return []

"""`mirror.removals`, as `sync_worker/inbound/brake.py` uses it."""

from collections.abc import Sequence
from datetime import datetime

from simulation.database import Database, Row, answers
from sync_worker.inbound import brake as sql


@answers(sql.LOCK_PROJECT)
def lock_project(db: Database, project_id: str) -> list[Row]:
    return [{"one": 1}] if db.projects.get(project_id) is not None else []


@answers(sql.COUNTS)
def counts(
    db: Database, project_id: str, kind: str, ids: Sequence[str], since: datetime
) -> list[Row]:
    found = {"live": 0, "gone": 0, "recent": 0, "held_elsewhere": 0}
    for row in db.records.all():
        if row["project_id"] != project_id or row["record"] is None:
            continue
        removed_at = row["removed_at"]
        removal = db.removals.get((project_id, row["kind"], row["procore_id"]))
        state = removal["state"] if removal is not None else None
        lately = removed_at is not None and removed_at > since
        found["live"] += removed_at is None or lately
        found["gone"] += removed_at is None and row["kind"] == kind and row["procore_id"] in ids
        found["recent"] += lately and state != "marked"
        found["held_elsewhere"] += removed_at is None and row["kind"] != kind and state == "held"
    return [found]


@answers(sql.WINDOW_FROM)
def window_from(db: Database, window_s: float) -> list[Row]:
    return [{"since": db.after(-window_s)}]


@answers(sql.STANDING)
def standing(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    row = db.removals.get((project_id, kind, procore_id))
    # nobody confirms removals here: the person's word would be null
    return [{"confirmed": None}] if row is not None and row["state"] == "held" else []


@answers(sql.ANY_HELD)
def any_held(db: Database, project_id: str) -> list[Row]:
    rows = db.removals.all()
    held = any((row["project_id"], row["state"]) == (project_id, "held") for row in rows)
    return [{"held": held}]


@answers(sql.HOLD)
def hold(db: Database, project_id: str, kind: str, ids: Sequence[str]) -> list[Row]:
    for row in db.records.all():
        key = (row["project_id"], row["kind"], row["procore_id"])
        of_these = key[:2] == (project_id, kind) and row["procore_id"] in ids
        if not of_these or row["record"] is None or row["removed_at"] is not None:
            continue
        known = db.removals.get(key)
        if known is None or known["state"] == "marked":
            db.removals.put(
                key,
                {
                    "project_id": project_id,
                    "kind": kind,
                    "procore_id": row["procore_id"],
                    "state": "held",
                    "found_at": db.now,
                },
            )
    return []


@answers(sql.MARK)
def mark(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    if db.removals.get((project_id, kind, procore_id)) is not None:
        db.removals.change((project_id, kind, procore_id), state="marked")
    return []


@answers(sql.FORGET)
def forget(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    row = db.removals.get((project_id, kind, procore_id))
    if row is None:
        return []
    db.removals.delete((project_id, kind, procore_id))
    return [{"state": row["state"]}]

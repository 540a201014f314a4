"""`mirror.sealed_answers` and its neighbours, as `sync_worker/outbound/seal_store.py` uses them."""

from datetime import datetime
from typing import Any

from simulation.database import Database, Row, answers
from sync_worker.outbound import seal_store as sql

LEFT = ("sending", "unknown", "confirmed")


def _intents(db: Database, return_id: str) -> list[Row]:
    return [row for row in db.write_intents.all() if row["return_id"] == return_id]


@answers(sql.READ_SENT)
def read_sent(db: Database, return_id: str) -> list[Row]:
    row = db.deliveries.get(return_id)
    if row is None:
        return []
    chosen = [one for one in _intents(db, return_id) if one["response"] is not None]
    chosen.sort(key=lambda one: one["sent_at"], reverse=True)
    names = ("project_id", "kind", "procore_id", "author_user_id")
    response = chosen[0]["response"] if chosen else None
    return [{name: row[name] for name in names} | {"response": response}]


@answers(sql.SEAL)
def seal(
    db: Database,
    return_id: str,
    project_id: str,
    kind: str,
    procore_id: str,
    remote_id: str,
    author_user_id: str,
    sealed: Any,
) -> list[Row]:
    if db.sealed_answers.get(return_id) is None:
        db.sealed_answers.put(
            return_id,
            {
                "return_id": return_id,
                "project_id": project_id,
                "kind": kind,
                "procore_id": procore_id,
                "remote_id": remote_id,
                "author_user_id": author_user_id,
                "seal": sealed,
                "sealed_at": db.now,
                "beside": None,
                "changes": [],
                "changed_at": None,
                "changed_by": None,
            },
        )
    return []


def _record(row: Row) -> tuple[str, str, str]:
    return row["project_id"], row["kind"], row["procore_id"]


@answers(sql.READ_SEALS)
def read_seals(
    db: Database, project_id: str, kind: str, procore_id: str, settled_s: float
) -> list[Row]:
    here = [
        row for row in db.sealed_answers.all() if _record(row) == (project_id, kind, procore_id)
    ]
    names = ("return_id", "seal", "beside", "changes", "changed_at", "changed_by", "sealed_at")
    found = [
        {name: row[name] for name in names}
        | {
            "settled": row["sealed_at"] < db.after(-settled_s),
            "author_name": db.deliveries.rows[row["return_id"]]["author_name"],
        }
        for row in here
        if not any(
            one["remote_id"] == row["remote_id"] and one["sealed_at"] > row["sealed_at"]
            for one in here
        )
        and not _later_on_its_way(db, row)
    ]
    return sorted(found, key=lambda row: (row["sealed_at"], row["return_id"]))


def _later_on_its_way(db: Database, row: Row) -> bool:
    same = (*_record(row), row["author_user_id"])
    return row["kind"] == "submittal" and any(
        (*_record(one), one["author_user_id"]) == same
        and one["return_id"] != row["return_id"]
        and one["created_at"] > row["sealed_at"]
        and (one["state"] in ("sending", "waiting") or one["remote_id"] == row["remote_id"])
        for one in db.deliveries.all()
    )


@answers(sql.SEEN_WHOLE)
def seen_whole(db: Database, return_id: str, beside: Any) -> list[Row]:
    row = db.sealed_answers.get(return_id)
    if row is not None and row["beside"] is None:
        db.sealed_answers.change(return_id, beside=beside)
    return []


@answers(sql.CHANGED)
def changed(
    db: Database, return_id: str, changes: Any, at: datetime | None, by: str | None
) -> list[Row]:
    if db.sealed_answers.get(return_id) is not None:
        db.sealed_answers.change(return_id, changes=changes, changed_at=at, changed_by=by)
    return []


@answers(sql.CHANGED_BY)
def changed_by(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    row = db.looks.get((project_id, kind, procore_id))
    return [] if row is None else [{"changed_by": row["changed_by"]}]


@answers(sql.READ_ELSEWHERE)
def read_elsewhere(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    return [
        {"remote_id": row["remote_id"], "words": row["words"]}
        for row in db.answers_elsewhere.all()
        if _record(row) == (project_id, kind, procore_id)
    ]


@answers(sql.NOTE_ELSEWHERE)
def note_elsewhere(
    db: Database, project_id: str, kind: str, procore_id: str, remote_id: str, words: str
) -> list[Row]:
    key = (project_id, kind, procore_id, remote_id)
    if db.answers_elsewhere.get(key) is not None:
        return []
    db.answers_elsewhere.put(
        key,
        {
            "project_id": project_id,
            "kind": kind,
            "procore_id": procore_id,
            "remote_id": remote_id,
            "words": words,
        },
    )
    return [{"one": 1}]


@answers(sql.TEAM)
def team(db: Database, project_id: str) -> list[Row]:
    row = db.projects.get(project_id)
    return [] if row is None else [{"team_known": row["team_known"]}]


@answers(sql.OURS)
def ours(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    return [
        {
            "remote_id": row["remote_id"],
            "author_user_id": row["author_user_id"],
            "may_be_there": row["remote_id"] is None
            and any(one["state"] in LEFT for one in _intents(db, row["return_id"])),
        }
        for row in db.deliveries.all()
        if _record(row) == (project_id, kind, procore_id)
    ]

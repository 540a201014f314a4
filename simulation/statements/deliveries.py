"""`mirror.deliveries`, as `sync_worker/outbound/delivery_store.py` and its neighbours use it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.postgres import UniqueViolation
from simulation.database import Database, Row, answers
from simulation.statements.activity import add_activity
from sync_worker import consume
from sync_worker.outbound import delivery_store as sql
from sync_worker.outbound import missed

UNDER_WAY = ("new", "sending", "waiting")
FINAL = ("delivered", "failed")


@answers(sql.ASK)
def ask(
    db: Database,
    return_id: str,
    project_id: str,
    kind: str | None,
    procore_id: str | None,
    author_user_id: str | None,
    traceparent: str | None,
    arrived_at: datetime | None,
) -> list[Row]:
    row = db.deliveries.get(return_id)
    if row is not None:
        if row["state"] not in FINAL:
            db.deliveries.change(return_id, asked=row["asked"] + 1, due_at=db.now, attempts=0)
        return []
    db.deliveries.put(
        return_id,
        {
            "return_id": return_id,
            "project_id": project_id,
            "kind": kind,
            "procore_id": procore_id,
            "author_user_id": author_user_id,
            "author_name": None,
            "state": "new",
            "reason": None,
            "message": None,
            "mended_by": None,
            "receipt": None,
            "remote_id": None,
            "due_at": db.now,
            "asked": 1,
            "attempts": 0,
            "crashes": 0,
            "reported": None,
            "reported_asked": 0,
            "returned_at": None,
            "created_at": db.now,
            "changed_at": db.now,
            "traceparent": traceparent,
            "arrived_at": arrived_at,
            "minutes": None,
            "lease_owner": None,
            "lease_until": None,
            "fence": 0,
        },
    )
    return []


@answers(sql.ASK_AUTHOR)
def ask_author(db: Database, author_user_id: str) -> list[Row]:
    for row in db.deliveries.all():
        if row["state"] in ("held", "waiting") and row["author_user_id"] == author_user_id:
            db.deliveries.change(row["return_id"], due_at=db.now, asked=row["asked"] + 1)
    return []


@answers(consume.CHECK_HELD_AGAIN)
def check_held_again(db: Database, project_id: str) -> list[Row]:
    for row in db.deliveries.all():
        if row["project_id"] == project_id and row["state"] in ("held", "waiting"):
            db.deliveries.change(row["return_id"], due_at=db.now, asked=row["asked"] + 1)
    return []


@answers(sql.ASK_RECORD)
def ask_record(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    named = (project_id, kind, procore_id)
    for row in db.deliveries.all():
        later = row["due_at"] is not None and row["due_at"] > db.now
        in_doubt = row["state"] == "held" or row["reason"] == "outcome_unknown"
        if _record(row) == named and later and in_doubt:
            db.deliveries.change(row["return_id"], due_at=db.now)
    return []


@answers(sql.ASK_READINESS)
def ask_readiness(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    row = db.readiness.get((project_id, kind, procore_id))
    if row is not None:
        db.readiness.change((project_id, kind, procore_id), due_at=db.now, asked=row["asked"] + 1)
    return []


@answers(sql.FREE_OWN)
def free_own(db: Database, worker_id: str, most: int, rest_s: float, most_s: float) -> list[Row]:
    for row in db.deliveries.all():
        if row["lease_owner"] == worker_id:
            crashes, due_at = row["crashes"] + 1, row["due_at"]
            if crashes >= most:
                due_at = db.after(min(most_s, rest_s * 2 ** (crashes - most)))
            free = {"lease_owner": None, "lease_until": None, "crashes": crashes}
            db.deliveries.change(row["return_id"], due_at=due_at, **free)
    return []


@answers(sql.FREE_LOST)
def free_lost(db: Database, worker_id: str, under_way: Sequence[str]) -> list[Row]:
    for row in db.deliveries.all():
        if row["lease_owner"] == worker_id and row["return_id"] not in under_way:
            db.deliveries.change(row["return_id"], lease_owner=None, lease_until=None)
    return []


@answers(sql.FREE_LAPSED)
def free_lapsed(db: Database) -> list[Row]:
    for row in db.deliveries.all():
        if row["lease_owner"] is not None and row["lease_until"] < db.now:
            db.noted["delivery lease lapsed"] += 1
            db.deliveries.change(row["return_id"], lease_owner=None, lease_until=None)
    return []


@answers(sql.CLAIM)
def claim(db: Database, worker_id: str, lease_s: float) -> list[Row]:
    rows = db.deliveries.all()
    leased = [row for row in rows if row["lease_owner"] is not None]
    busy_records = {_record(row) for row in leased}
    due = [
        row
        for row in rows
        if row["lease_owner"] is None
        and row["due_at"] is not None
        and row["due_at"] <= db.now
        and not (_is_known(row) and _record(row) in busy_records)
        and not _earlier_under_way(rows, row)
    ]
    if not due:
        return []

    def turn(row: Row) -> Any:
        busy = sum(one["project_id"] == row["project_id"] for one in leased)
        return busy, row["state"] != "new", row["due_at"], row["return_id"]

    first = min(due, key=turn)
    claimed = db.deliveries.change(
        first["return_id"],
        lease_owner=worker_id,
        lease_until=db.after(lease_s),
        fence=first["fence"] + 1,
        attempts=first["attempts"] + 1,
    )
    arrived_at = claimed["arrived_at"] or claimed["created_at"]
    said = {"arrived_at": arrived_at, "claimed_at": db.now}
    return [{name: claimed[name] for name in CLAIMED} | said]


CLAIMED = (
    "return_id", "project_id", "kind", "procore_id", "state", "reason", "message", "mended_by",
    "receipt", "asked", "attempts", "fence", "reported", "reported_asked", "traceparent",
    "minutes", "returned_at",
)  # fmt: skip


def _earlier_under_way(rows: list[Row], row: Row) -> bool:
    same = (*_record(row), row["author_user_id"])
    if None in same:
        return False
    return any(
        (*_record(one), one["author_user_id"]) == same
        and one["state"] in UNDER_WAY
        and one["due_at"] is not None
        and _age(one) < _age(row)
        for one in rows
    )


def _age(row: Row) -> tuple[datetime, str]:
    return row["returned_at"] or row["created_at"], row["return_id"]


def _record(row: Row) -> tuple[str, str | None, str | None]:
    return row["project_id"], row["kind"], row["procore_id"]


def _is_known(row: Row) -> bool:
    return row["kind"] is not None and row["procore_id"] is not None


@answers(sql.RENEW)
def renew(db: Database, return_id: str, fence: int, lease_s: float) -> list[Row]:
    row = db.deliveries.get(return_id)
    if row is None or row["fence"] != fence or row["lease_owner"] is None:
        return []
    db.deliveries.change(return_id, lease_until=db.after(lease_s))
    return [{"one": 1}]


@answers(sql.GIVE_BACK)
def give_back(db: Database, return_id: str, fence: int, after_s: float) -> list[Row]:
    row = db.deliveries.get(return_id)
    if row is not None and row["fence"] == fence and row["lease_owner"] is not None:
        due_at = db.after(after_s)
        db.deliveries.change(return_id, lease_owner=None, lease_until=None, due_at=due_at)
    return []


@answers(sql.IDENTIFY)
def identify(
    db: Database,
    return_id: str,
    fence: int,
    kind: str,
    procore_id: str,
    author_user_id: str,
    author_name: str,
    returned_at: datetime,
) -> list[Row]:
    row = db.deliveries.get(return_id)
    if row is None or row["fence"] != fence:
        return []
    taken = any(
        one["lease_owner"] is not None
        and one["return_id"] != return_id
        and _record(one) == (row["project_id"], kind, procore_id)
        for one in db.deliveries.all()
    )
    if taken and row["lease_owner"] is not None:
        raise UniqueViolation("deliveries_under_way")
    db.deliveries.change(
        return_id,
        kind=kind,
        procore_id=procore_id,
        author_user_id=author_user_id,
        author_name=author_name,
        returned_at=returned_at,
    )
    return []


@answers(sql.MAY_GO)
def may_go(db: Database, return_id: str) -> list[Row]:
    row = db.deliveries.get(return_id)
    return [] if row is None else [{"may": not _earlier_under_way(db.deliveries.all(), row)}]


@answers(sql.SETTLE)
def settle(
    db: Database,
    return_id: str,
    state: str,
    reason: str | None,
    message: str | None,
    mended_by: Any,
    receipt: Any,
) -> list[Row]:
    if state == "sending" and db.deliveries.rows[return_id]["remote_id"] is not None:
        db.noted["read back too early"] += 1
    if reason == "connector_fault":
        db.noted["fault of ours"] += 1
    if (message or "").startswith("Arming return"):
        db.noted["too slow between arming and sending"] += 1
    row = db.deliveries.rows[return_id]
    stood = tuple(row[name] for name in ("state", "reason", "message", "mended_by", "receipt"))
    stands = (state, reason, message, mended_by, receipt)
    db.deliveries.change(
        return_id,
        reported=row["reported"] if stood == stands else None,
        state=state,
        reason=reason,
        message=message,
        mended_by=mended_by,
        receipt=receipt,
        changed_at=db.now,
    )
    return []


@answers(sql.NOTE_CHANGE)
def note_change(
    db: Database,
    return_id: str,
    event: str,
    words: str,
    reason: str | None,
    person: Any,
    detail: Any,
) -> list[Row]:
    row = db.deliveries.rows[return_id]
    record = db.records.get(_record(row)) or {}
    add_activity(
        db,
        project_id=row["project_id"],
        event=event,
        kind=row["kind"],
        procore_id=row["procore_id"],
        return_id=return_id,
        number=record.get("number"),
        title=record.get("title"),
        words=words,
        reason=reason,
        person=person,
        detail=detail,
    )
    return []


@answers(sql.ASK_LOOK)
def ask_look(db: Database, return_id: str) -> list[Row]:
    row = db.deliveries.rows[return_id]
    look = db.looks.get(_record(row))
    if look is None:
        soon = new_look(db, *_record(row), due_at=db.after(1.5), priority=1)
        db.looks.put(_record(row), soon)
        return []
    db.looks.change(
        _record(row),
        due_at=min(look["due_at"], db.now) if look["claimed_by"] is None else look["due_at"],
        priority=1,
        asked=look["asked"] + 1,
        last_asked_at=db.now,
    )
    return []


def new_look(
    db: Database,
    project_id: str,
    kind: str | None,
    procore_id: str | None,
    *,
    due_at: datetime,
    priority: int,
) -> Row:
    """Return a row of `mirror.looks` with its defaults."""
    return {
        "project_id": project_id,
        "kind": kind,
        "procore_id": procore_id,
        "due_at": due_at,
        "priority": priority,
        "claimed_by": None,
        "asked": 1,
        "first_asked_at": db.now,
        "last_asked_at": db.now,
        "notice_id": None,
        "traceparent": None,
        "attempts": 0,
        "crashes": 0,
        "reason": None,
        "message": None,
        "first_moment": None,
        "last_moment": None,
        "gone": False,
        "changed_by": None,
        "arrived_at": None,
        "minutes": None,
    }


@answers(sql.RELEASE)
def release(
    db: Database,
    return_id: str,
    fence: int,
    asked: int,
    again_at: datetime | None,
    again_in_s: float | None,
    keep_attempts: bool,
    told: Any,
    minutes: Any,
) -> list[Row]:
    row = db.deliveries.get(return_id)
    if row is None or row["fence"] != fence:
        return []
    due_at = again_at
    if due_at is None and again_in_s is not None:
        due_at = db.after(again_in_s)
    if row["asked"] > asked and row["state"] not in FINAL:
        due_at = db.now
    db.deliveries.change(
        return_id,
        due_at=due_at,
        attempts=row["attempts"] if keep_attempts else 0,
        reported=told if told is not None else row["reported"],
        reported_asked=asked if told is not None else row["reported_asked"],
        crashes=0,
        minutes=row["minutes"] if minutes is None else minutes,
        lease_owner=None,
        lease_until=None,
    )
    return []


@answers(missed.TAKE_DUE)
def take_due_project(db: Database, every_s: float) -> list[Row]:
    due = [
        row
        for row in db.projects.all()
        if row["state"] == "active" and row["returns_due_at"] <= db.now
    ]
    if not due:
        return []
    first = min(due, key=lambda row: row["returns_due_at"])
    db.projects.change(first["project_id"], returns_due_at=db.after(every_s))
    return [{"project_id": first["project_id"]}]


@answers(missed.UNDER_WAY)
def returns_under_way(db: Database, project_id: str) -> list[Row]:
    return [
        {"return_id": row["return_id"]}
        for row in db.deliveries.all()
        if row["project_id"] == project_id and row["state"] in UNDER_WAY
    ]

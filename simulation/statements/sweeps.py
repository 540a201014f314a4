"""`mirror.sweeps`, as `sync_worker/sweep_store.py` and the intake use it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from simulation.database import Database, Row, answers
from sync_worker import sweep_store as sql
from sync_worker.completeness import listings

BACKFILL = 3


def new_sweep(db: Database, project_id: str, kind: str) -> Row:
    """Return a row with its defaults: a backfill that is due."""
    return {
        "project_id": project_id,
        "kind": kind,
        "due_at": db.now,
        "settle_at": None,
        "backfilled_at": None,
        "settled_until": None,
        "window_from": None,
        "window_to": None,
        "next_page": None,
        "full_sweep": True,
        "found": 0,
        "done": 0,
        "files_found": 0,
        "files_done": 0,
        "started_at": None,
        "finished_at": None,
        "attempts": 0,
        "reason": None,
        "message": None,
        "lease_owner": None,
        "lease_until": None,
        "fence": 0,
        "settle_by": None,
        "wanted_at": None,
        "retry_at": None,
        "audited_at": None,
    }


@answers(sql.FREE_OWN)
def free_own(db: Database, worker_id: str) -> list[Row]:
    for row in db.sweeps.all():
        if row["lease_owner"] == worker_id:
            db.sweeps.change(_key(row), lease_owner=None, lease_until=None)
    return []


@answers(sql.FREE_LOST)
def free_lost(
    db: Database, worker_id: str, project_ids: Sequence[str], kinds: Sequence[str]
) -> list[Row]:
    known = set(zip(project_ids, kinds, strict=True))
    for row in db.sweeps.all():
        if row["lease_owner"] == worker_id and (row["project_id"], row["kind"]) not in known:
            db.sweeps.change(_key(row), lease_owner=None, lease_until=None)
    return []


def _by(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _is_due(db: Database, row: Row, *, backfill: bool) -> bool:
    project = db.projects.get(row["project_id"])
    if project is None or project["state"] != "active" or project["attention_reason"]:
        return False
    filling = row["backfilled_at"] is None
    if filling != backfill or (filling and row["settled_until"] is not None):
        return False
    if row["lease_owner"] is not None and not row["lease_until"] < db.now:
        return False
    if row["retry_at"] is not None and row["retry_at"] > db.now:
        return False
    asked_for = _by(row["settle_at"], db.now) or _by(row["wanted_at"], db.now)
    return row["due_at"] <= db.now or row["next_page"] is not None or (not filling and asked_for)


@answers(sql.CLAIM)
def claim(
    db: Database,
    worker_id: str,
    lease_s: float,
    upper_bound_s: float,
    overlap_s: float,
    audit_s: float,
    backfill: bool,
    settle_s: float,
    settle_by_s: float,
) -> list[Row]:
    due = [row for row in db.sweeps.all() if _is_due(db, row, backfill=backfill)]
    if not due:
        return []

    def turn(row: Row) -> datetime:
        moments = (row["due_at"], row["settle_at"], row["wanted_at"])
        first: datetime = min(at for at in moments if at)
        return first

    row = min(due, key=turn)
    changes: Row = {
        "lease_owner": worker_id,
        "lease_until": db.after(lease_s),
        "fence": row["fence"] + 1,
    }
    if row["next_page"] is None:
        changes |= _new_window(db, row, upper_bound_s, overlap_s, audit_s)
        changes |= _settling(db, row, settle_s, settle_by_s)
    claimed = db.sweeps.change(_key(row), **changes)
    shown = ("project_id", "kind", "fence", "next_page", "window_from", "window_to", "full_sweep")
    return [
        {name: claimed[name] for name in shown}
        | {"attempts": claimed["attempts"], "backfill": claimed["backfilled_at"] is None}
    ]


def _new_window(
    db: Database,
    row: Row,
    upper_bound_s: float,
    overlap_s: float,
    audit_s: float,
) -> Row:
    due = row["due_at"] <= db.now
    audit = due and _before(row["audited_at"], db.after(-audit_s))
    window_from = None
    if not audit and row["settled_until"] is not None:
        window_from = row["settled_until"] - timedelta(seconds=overlap_s)
    changes: Row = {
        "started_at": db.now,
        "window_from": window_from,
        "window_to": db.after(-upper_bound_s),
        "full_sweep": due,
        "wanted_at": None,
        "next_page": 1,
    }
    if row["backfilled_at"] is None:
        changes |= {"found": 0, "done": 0, "files_found": 0, "files_done": 0}
    return changes


def _settling(db: Database, row: Row, settle_s: float, settle_by_s: float) -> Row:
    settle_at, settle_by = row["settle_at"], row["settle_by"]
    if settle_at is not None and settle_at > db.now:
        return {}
    if settle_at is None or settle_by is None or settle_at < settle_by:
        return {"settle_at": None, "settle_by": None}
    return {"settle_at": db.after(settle_s), "settle_by": db.after(settle_by_s)}


def _before(moment: datetime | None, limit: datetime) -> bool:
    return moment is not None and moment < limit


def _ours(db: Database, project_id: str, kind: str, fence: int) -> Row | None:
    row = db.sweeps.get((project_id, kind))
    return row if row is not None and row["fence"] == fence else None


@answers(sql.PAGE_DONE)
def page_done(
    db: Database,
    project_id: str,
    kind: str,
    fence: int,
    next_page: int,
    found: int,
    lease_s: float,
    answered_at: datetime | None,
    upper_bound_s: float,
) -> list[Row]:
    row = _ours(db, project_id, kind, fence)
    if row is None:
        return []
    bounds = [row["window_to"]]
    if answered_at is not None:
        bounds.append(answered_at - timedelta(seconds=upper_bound_s))
    known = [bound for bound in bounds if bound is not None]
    db.sweeps.change(
        _key(row),
        next_page=next_page,
        attempts=0,
        reason=None,
        message=None,
        found=row["found"] + (found if row["backfilled_at"] is None else 0),
        retry_at=None,
        lease_until=db.after(lease_s),
        window_to=min(known) if known else None,
    )
    return [{"goes_on": True}]


@answers(sql.RENEW)
def renew(db: Database, project_id: str, kind: str, fence: int, lease_s: float) -> list[Row]:
    row = _ours(db, project_id, kind, fence)
    if row is not None and row["lease_owner"] is not None:
        db.sweeps.change(_key(row), lease_until=db.after(lease_s))
    return []


@answers(sql.LISTED)
def listed(db: Database, project_id: str, kind: str, fence: int, sweep_s: float) -> list[Row]:
    row = _ours(db, project_id, kind, fence)
    if row is None:
        return []
    db.sweeps.change(
        _key(row),
        next_page=None,
        settled_until=row["window_to"],
        lease_owner=None,
        lease_until=None,
        attempts=0,
        reason=None,
        message=None,
        retry_at=None,
        due_at=db.after(sweep_s) if row["full_sweep"] else row["due_at"],
        audited_at=db.now if row["window_from"] is None else row["audited_at"],
        finished_at=row["finished_at"] if row["backfilled_at"] is None else db.now,
    )
    return [{"one": 1}]


@answers(sql.TRY_AGAIN)
def try_again(
    db: Database,
    project_id: str,
    kind: str,
    fence: int,
    reason: str,
    message: str,
    wait_s: float,
    not_before: datetime | None,
) -> list[Row]:
    row = _ours(db, project_id, kind, fence)
    if row is not None:
        retry_at = db.after(wait_s)
        db.sweeps.change(
            _key(row),
            lease_owner=None,
            lease_until=None,
            attempts=row["attempts"] + 1,
            reason=reason,
            message=message,
            retry_at=retry_at if not_before is None else max(retry_at, not_before),
        )
    return []


@answers(sql.HAND_OVER)
def hand_over(db: Database, project_id: str, kind: str, fence: int) -> list[Row]:
    row = _ours(db, project_id, kind, fence)
    if row is not None:
        db.sweeps.change(_key(row), lease_owner=None, lease_until=None)
    return []


def _left(db: Database, row: Row) -> list[Row]:
    return [
        look
        for look in db.looks.all()
        if (look["project_id"], look["kind"], look["priority"])
        == (row["project_id"], row["kind"], BACKFILL)
    ]


@answers(sql.COUNT_BACKFILLS)
def count_backfills(db: Database) -> list[Row]:
    for row in db.sweeps.all():
        if row["backfilled_at"] is not None or row["started_at"] is None:
            continue
        if db.projects.rows[row["project_id"]]["state"] != "active":
            continue
        files = sum(
            record["files_pending"]
            for record in db.records.all()
            if (record["project_id"], record["kind"]) == _key(row) and record["files_pending"] > 0
        )
        counts = {
            "done": max(0, row["found"] - len(_left(db, row))),
            "files_found": row["files_done"] + files,
        }
        if any(row[name] != count for name, count in counts.items()):
            db.sweeps.change(_key(row), **counts)
    return []


@answers(sql.FINISH_BACKFILLS)
def finish_backfills(db: Database, failures: int, own_faults: Sequence[str]) -> list[Row]:
    finished = []
    for row in db.sweeps.all():
        if (
            row["backfilled_at"] is not None
            or row["settled_until"] is None
            or row["next_page"] is not None
        ):
            continue
        left = _left(db, row)
        if any(not (one["attempts"] >= failures and one["reason"] in own_faults) for one in left):
            continue
        done = db.sweeps.change(
            _key(row),
            backfilled_at=db.now,
            finished_at=db.now,
            done=row["found"],
            due_at=db.now,
        )
        shown = ("project_id", "kind", "found", "files_done", "started_at")
        finished.append(
            {name: done[name] for name in shown} | {"now": db.now, "left_over": len(left)}
        )
    return finished


@answers(sql.KNOWN)
def known(db: Database, project_id: str, kind: str, ids: Sequence[str]) -> list[Row]:
    names = (
        "procore_id", "procore_updated_at", "record", "content_version", "files_pending",
        "removed_at", "looked_at",
    )  # fmt: skip
    rows = (db.records.get((project_id, kind, one)) for one in ids)
    return [{name: row[name] for name in names} for row in rows if row is not None]


@answers(sql.MIRRORED_OF)
def mirrored_of(db: Database, project_id: str, kind: str, ids: Sequence[str]) -> list[Row]:
    rows = (db.records.get((project_id, kind, one)) for one in ids)
    return [
        {"procore_id": row["procore_id"]}
        for row in rows
        if row is not None
        and row["record"] is not None
        and row["removed_at"] is None
        and not _is_held(db, (project_id, kind, row["procore_id"]))
    ]


@answers(sql.REMOVED_OF)
def removed_of(db: Database, project_id: str, kind: str) -> list[Row]:
    return [
        {"procore_id": row["procore_id"]}
        for row in db.records.all()
        if (row["project_id"], row["kind"]) == (project_id, kind)
        and row["removed_at"] is not None
        and row["not_mirrored_because"] is None
    ]


@answers(sql.LISTED_REPLIES)
def listed_replies(db: Database, project_id: str, settle_s: float) -> list[Row]:
    rows = [row for row in db.awaited_replies.all() if row["project_id"] == project_id]
    moments = [
        row["list_at"] if row["list_at"] > db.now else db.after(settle_s)
        for row in rows
        if row["list_at"] > db.now or row["listings"] == 0
    ]
    for row in rows:
        key = (project_id, row["reply_id"])
        if row["list_at"] <= db.now and row["listings"] > 0:
            db.awaited_replies.delete(key)
        elif row["list_at"] <= db.now:
            db.awaited_replies.change(key, listings=1, list_at=db.after(settle_s))
    sweep = db.sweeps.get((project_id, "rfi"))
    if sweep is not None:
        wanted = [at for at in (sweep["wanted_at"], *moments) if at is not None]
        db.sweeps.change((project_id, "rfi"), wanted_at=min(wanted, default=None))
    return []


@answers(listings.BEGIN)
def begin_listing(db: Database, project_id: str, kind: str) -> list[Row]:
    for row in db.listed.all():
        if (row["project_id"], row["kind"]) == (project_id, kind):
            db.listed.delete((project_id, kind, row["procore_id"]))
    return []


@answers(listings.NOTE)
def note_listed(db: Database, project_id: str, kind: str, procore_id: str, state: str) -> list[Row]:
    row = {"project_id": project_id, "kind": kind, "procore_id": procore_id, "state": state}
    db.listed.put((project_id, kind, procore_id), row)
    return []


@answers(listings.TO_READ_IN_FULL)
def to_read_in_full(
    db: Database, project_id: str, kind: str, open_s: float, closed_s: float
) -> list[Row]:
    found = []
    for row in db.records.all():
        key = (row["project_id"], row["kind"], row["procore_id"])
        if key[:2] != (project_id, kind) or row["record"] is None or row["removed_at"] is not None:
            continue
        before = db.after(-(open_s if row["status"] == "open" else closed_s))
        old = kind == "rfi" and (row["looked_at"] is None or row["looked_at"] < before)
        if _is_held(db, key) or not (old or _has_ours(db, key) or db.listed.get(key) is None):
            continue
        found.append({"procore_id": row["procore_id"]})
    return found


def _is_held(db: Database, key: Any) -> bool:
    removal = db.removals.get(key)
    return removal is not None and removal["state"] == "held"


def _has_ours(db: Database, key: Any) -> bool:
    ours = {
        row["return_id"]
        for row in db.deliveries.all()
        if (row["project_id"], row["kind"], row["procore_id"]) == key
    }
    return any(
        row["return_id"] in ours
        and row["state"] == "confirmed"
        and row["changed_at"] > db.after(-7 * 86_400)
        for row in db.write_intents.all()
    )


@answers(listings.ENDED)
def ended_listing(db: Database, project_id: str, kind: str) -> list[Row]:
    row = {"project_id": project_id, "kind": kind, "listed_at": db.now, "due_at": db.after(1)}
    db.comparisons.put((project_id, kind), row | {"pass": 0})
    return []


def _key(row: Row) -> Any:
    return row["project_id"], row["kind"]

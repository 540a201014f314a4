"""`mirror.looks`, as `sync_worker/inbound/look_store.py` and the intake use it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from simulation.database import Database, Row, answers
from simulation.statements.deliveries import new_look
from sync_worker import consume
from sync_worker.inbound import look_store as sql

BACKFILL = 3


@answers(sql.FREE_OWN)
def free_own(db: Database, worker_id: str) -> list[Row]:
    for row in db.looks.all():
        if row["claimed_by"] == worker_id:
            db.looks.change(_key(row), claimed_by=None, due_at=db.now)
    return []


@answers(sql.FREE_AFTER_CRASH)
def free_after_crash(
    db: Database, worker_id: str, most: int, rest_s: float, most_s: float
) -> list[Row]:
    own = sorted((row for row in db.looks.all() if row["claimed_by"] == worker_id), key=_key)
    for place, row in enumerate(own):
        crashes = row["crashes"] + 1
        changes: dict[str, Any] = {"claimed_by": None, "crashes": crashes, "due_at": db.now}
        if crashes >= most:
            db.noted["a look that workers end at rests"] += 1
            changes["due_at"] = db.after(min(most_s, rest_s * 2 ** (crashes - most)) + 5 * place)
            changes["reason"] = "fault"
            changes["message"] = "a worker ended each time it looked at this record"
        db.looks.change(_key(row), **changes)
    return []


@answers(sql.FREE_LOST)
def free_lost(
    db: Database,
    worker_id: str,
    projects: Sequence[str],
    kinds: Sequence[str],
    ids: Sequence[str],
) -> list[Row]:
    under_way = set(zip(projects, kinds, ids, strict=True))
    for row in db.looks.all():
        if row["claimed_by"] == worker_id and _key(row) not in under_way:
            db.looks.change(_key(row), claimed_by=None, due_at=db.now)
    return []


def _claimable(
    db: Database,
    full: Sequence[str],
    full_for_backfill: Sequence[str],
    backfills: bool,
    gather_s: float,
) -> list[tuple[datetime, Row]]:
    """Return, of each project, kind and priority that has room, when its first look is ready."""
    first: dict[tuple[str, int, str], Row] = {}
    for row in db.looks.all():
        project = db.projects.get(row["project_id"])
        if project is None or project["state"] != "active" or project["attention_reason"]:
            continue
        if row["project_id"] in full:
            continue
        if row["priority"] >= BACKFILL and (
            not backfills or row["project_id"] in full_for_backfill
        ):
            continue
        group = (row["project_id"], row["priority"], row["kind"])
        if group not in first or row["due_at"] < first[group]["due_at"]:
            first[group] = row
    return [(_ready_at(db, row, gather_s), row) for row in first.values()]


def _ready_at(db: Database, row: Row, gather_s: float) -> datetime:
    """Return when a look may go: changed submittals wait for those right after them."""
    due_at: datetime = row["due_at"]
    if (row["kind"], row["priority"]) != ("submittal", 1):
        return due_at
    until = due_at + timedelta(seconds=gather_s)
    gathered = [
        one["due_at"]
        for one in db.looks.all()
        if (one["project_id"], one["kind"], one["priority"])
        == (row["project_id"], row["kind"], row["priority"])
        and due_at <= one["due_at"] <= until
        and one["claimed_by"] is None
        and one["attempts"] == 0
    ]
    return max(gathered, default=due_at)


@answers(sql.CLAIM)
def claim(
    db: Database,
    full: Sequence[str],
    full_for_backfill: Sequence[str],
    backfills: bool,
    gather_s: float,
    worker_id: str,
    lease_s: float,
    most: int,
    own_faults: Sequence[str],
) -> list[Row]:
    due = [
        row
        for ready_at, row in _claimable(db, full, full_for_backfill, backfills, gather_s)
        if ready_at <= db.now
    ]
    if not due:
        return []
    first = min(due, key=lambda row: (row["priority"], row["due_at"]))
    alone = first["reason"] in own_faults
    many = first["kind"] == "submittal" and not alone
    batch: list[Row] = []
    for priority in (1, 2, 3):
        mine = [
            row
            for row in db.looks.all()
            if (row["project_id"], row["kind"], row["priority"])
            == (first["project_id"], first["kind"], priority)
            and row["due_at"] <= db.now
            and (
                row["procore_id"] == first["procore_id"]
                or not (alone or row["reason"] in own_faults)
            )
        ]
        batch += sorted(mine, key=lambda row: row["due_at"])
    claimed = [
        db.looks.change(_key(row), claimed_by=worker_id, due_at=db.after(lease_s))
        for row in batch[: most if many else 1]
    ]
    return [{name: row[name] for name in CLAIMED} | {"claimed_at": db.now} for row in claimed]


CLAIMED = (
    "project_id", "kind", "procore_id", "asked", "attempts", "priority", "notice_id",
    "first_asked_at", "traceparent", "first_moment", "last_moment", "gone",
    "arrived_at", "minutes",
)  # fmt: skip


@answers(sql.NEXT_DUE)
def next_due(
    db: Database,
    full: Sequence[str],
    full_for_backfill: Sequence[str],
    backfills: bool,
    gather_s: float,
) -> list[Row]:
    ready = [at for at, _ in _claimable(db, full, full_for_backfill, backfills, gather_s)]
    return [{"seconds": (min(ready) - db.now).total_seconds() if ready else None}]


@answers(sql.RENEW)
def renew(
    db: Database, project_id: str, kind: str, ids: Sequence[str], worker_id: str, lease_s: float
) -> list[Row]:
    for one in ids:
        row = db.looks.get((project_id, kind, one))
        if row is not None and row["claimed_by"] == worker_id:
            db.looks.change(_key(row), due_at=db.after(lease_s))
    return []


@answers(sql.DONE)
def done(
    db: Database, project_id: str, kind: str, procore_id: str, asked: int, worker_id: str
) -> list[Row]:
    row = db.looks.get((project_id, kind, procore_id))
    if row is None or row["asked"] != asked or row["claimed_by"] != worker_id:
        return []
    db.looks.delete(_key(row))
    return [{"one": 1}]


@answers(sql.ASKED_MEANWHILE)
def asked_meanwhile(
    db: Database,
    project_id: str,
    kind: str,
    procore_id: str,
    worker_id: str,
    moment: datetime | None,
) -> list[Row]:
    row = db.looks.get((project_id, kind, procore_id))
    if row is not None and row["claimed_by"] == worker_id:
        db.looks.change(
            _key(row),
            claimed_by=None,
            attempts=0,
            reason=None,
            message=None,
            crashes=0,
            first_moment=row["last_moment"],
            due_at=min(row["due_at"], db.after(1)),
            arrived_at=row["last_asked_at"],
            minutes={"since": f"{row['last_asked_at']:%Y-%m-%dT%H:%M:%S.%fZ}"}
            if row["last_moment"] == moment
            else None,
        )
    return []


@answers(sql.TRY_AGAIN)
def try_again(
    db: Database,
    project_id: str,
    kind: str,
    procore_id: str,
    worker_id: str,
    wait_s: float,
    not_before: datetime | None,
    counted: int,
    reason: str,
    message: str,
    minutes: Any,
) -> list[Row]:
    row = db.looks.get((project_id, kind, procore_id))
    if reason == "fault":
        db.noted["fault of ours"] += 1
    if reason == "stale":
        db.noted["stale read discarded"] += 1
    if row is not None and row["claimed_by"] == worker_id:
        due_at = db.after(wait_s)
        db.looks.change(
            _key(row),
            claimed_by=None,
            due_at=due_at if not_before is None else max(due_at, not_before),
            attempts=row["attempts"] + counted,
            reason=reason,
            message=message,
            crashes=0,
            minutes=minutes or row["minutes"],
        )
    return []


@answers(sql.WANT)
def want(db: Database, project_id: str, kind: str, procore_id: str, priority: int) -> list[Row]:
    key = (project_id, kind, procore_id)
    row = db.looks.get(key)
    if row is None:
        db.looks.put(key, new_look(db, *key, due_at=db.now, priority=priority))
        return []
    db.looks.change(
        key,
        priority=min(row["priority"], priority),
        asked=row["asked"] + 1,
        last_asked_at=db.now,
    )
    return []


@answers(sql.COUNT_FILES)
def count_files(db: Database, project_id: str, kind: str, done_now: int) -> list[Row]:
    row = db.sweeps.get((project_id, kind))
    if row is not None and row["backfilled_at"] is None:
        db.sweeps.change((project_id, kind), files_done=row["files_done"] + done_now)
    return []


@answers(consume.WANT_LOOKS)
def want_looks(db: Database, delay_s: float, *columns: list[Any]) -> list[Row]:
    by_key: dict[tuple[str, str, str], list[consume.WantedLook]] = {}
    for one in map(consume.WantedLook, *columns):
        fresh_until = (db.records.get(one[:3]) or {}).get("fresh_until")
        if one.moment is not None and fresh_until is not None and fresh_until >= one.moment:
            db.noted["notice of what a look had shown"] += 1
        else:
            by_key.setdefault(one[:3], []).append(one)
    for key in sorted(by_key):
        _want_look(db, key, delay_s, by_key[key])
    return []


def _want_look(
    db: Database, key: tuple[str, str, str], delay_s: float, notices: list[consume.WantedLook]
) -> None:
    record, row = db.records.get(key) or {}, db.looks.get(key)
    due_at, looked_at = db.after(delay_s), record.get("looked_at")
    if looked_at is not None:
        due_at = max(due_at, looked_at + timedelta(seconds=3 * delay_s))
    last_moment = _most(*(one.moment for one in notices))
    changers = [one.changed_by for one in notices if one.changed_by is not None]
    says: Row = {
        "asked": len(notices),
        "notice_id": notices[-1].notice_id,
        "traceparent": notices[-1].traceparent,
        "first_moment": _least(*(one.moment for one in notices)),
        "last_moment": last_moment,
        "gone": any(one.gone for one in notices),
        "changed_by": changers[-1] if changers else None,
        "arrived_at": _least(*(one.arrived_at for one in notices)),
    }
    if row is None:
        db.looks.put(key, new_look(db, *key, due_at=due_at, priority=1) | says)
        return
    began_after = (
        row["claimed_by"] is not None
        and last_moment is not None
        and row["last_moment"] is not None
        and row["last_moment"] >= last_moment
    )
    db.looks.change(
        key,
        **says
        | {
            "due_at": min(row["due_at"], due_at) if row["claimed_by"] is None else row["due_at"],
            "priority": 1,
            "asked": row["asked"] + (0 if began_after else len(notices)),
            "first_moment": _least(row["first_moment"], says["first_moment"]),
            "last_moment": _most(row["last_moment"], last_moment),
            "gone": row["gone"] or says["gone"],
            "changed_by": says["changed_by"] or row["changed_by"],
            "arrived_at": row["arrived_at"] or says["arrived_at"],
            "last_asked_at": db.now,
            "minutes": None
            if row["arrived_at"] is None and row["claimed_by"] is None
            else row["minutes"],
        },
    )


def _least(*moments: datetime | None) -> datetime | None:
    """Return what LEAST does: nulls do not count."""
    return min((one for one in moments if one is not None), default=None)


def _most(*moments: datetime | None) -> datetime | None:
    return max((one for one in moments if one is not None), default=None)


@answers(sql.NOTE_FRESH)
def note_fresh(
    db: Database, project_id: str, kind: str, procore_id: str, until: datetime
) -> list[Row]:
    row = db.records.get((project_id, kind, procore_id))
    if row is not None:
        db.records.change(_key(row), fresh_until=_most(row["fresh_until"], until))
    return []


@answers(sql.WANT_SETTLING)
def want_settling(
    db: Database, project_id: str, kind: str, settle_s: float, put_off: float
) -> list[Row]:
    row = db.sweeps.get((project_id, kind))
    if row is not None:
        db.sweeps.change(
            (project_id, kind),
            settle_at=_least(db.after(settle_s), row["settle_by"]),
            settle_by=row["settle_by"] or db.after(settle_s * put_off),
        )
    return []


@answers(sql.AWAITED)
def awaited(db: Database, project_id: str) -> list[Row]:
    names = ("reply_id", "reason", "occurred_at")
    return [{name: row[name] for name in names} for row in _awaited(db, project_id)]


def _awaited(db: Database, project_id: str) -> list[Row]:
    return [row for row in db.awaited_replies.all() if row["project_id"] == project_id]


@answers(sql.REPLIES_SEEN)
def replies_seen(db: Database, project_id: str, ids: Sequence[str]) -> list[Row]:
    seen = [row for row in _awaited(db, project_id) if row["reply_id"] in ids]
    left = [row["list_at"] for row in _awaited(db, project_id) if row["reply_id"] not in ids]
    for row in seen:
        db.awaited_replies.delete((project_id, row["reply_id"]))
    sweep = db.sweeps.get((project_id, "rfi"))
    if seen and sweep is not None and sweep["wanted_at"] and sweep["wanted_at"] > db.now:
        db.sweeps.change((project_id, "rfi"), wanted_at=min(left, default=None))
    return []


@answers(consume.AWAIT_REPLY)
def await_reply(
    db: Database,
    project_id: str,
    reply_id: str,
    reason: str,
    occurred_at: datetime | None,
    delay_s: float,
) -> list[Row]:
    ours = any(
        (row["project_id"], row["remote_id"]) == (project_id, reply_id)
        for row in db.deliveries.all()
    )
    if ours and reason == "create":
        return []
    row = db.awaited_replies.get((project_id, reply_id))
    list_at = db.after(2 * delay_s)
    if row is not None:
        list_at = min(row["list_at"], list_at)
        occurred_at = _most(row["occurred_at"], occurred_at)
    db.awaited_replies.put(
        (project_id, reply_id),
        {
            "project_id": project_id,
            "reply_id": reply_id,
            "reason": reason,
            "occurred_at": occurred_at,
            "list_at": list_at,
            "listings": 0,
        },
    )
    sweep = db.sweeps.get((project_id, "rfi"))
    if sweep is not None:
        db.sweeps.change((project_id, "rfi"), wanted_at=_least(sweep["wanted_at"], list_at))
    return []


def _key(row: Row) -> Any:
    return row["project_id"], row["kind"], row["procore_id"]

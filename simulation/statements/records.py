"""`mirror.records` with its leases, and `mirror.files`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from simulation.database import Database, Row, answers
from sync_worker import leases
from sync_worker.inbound import stored as sql

CONFIRM_S = 120.0


@answers(leases.MAKE_RECORDS)
def make_records(db: Database, project_id: str, kind: str, ids: Sequence[str]) -> list[Row]:
    for one in ids:
        if db.records.get((project_id, kind, one)) is None:
            db.records.put(
                (project_id, kind, one),
                {
                    "project_id": project_id,
                    "kind": kind,
                    "procore_id": one,
                    "number": "",
                    "title": "",
                    "status": None,
                    "record": None,
                    "content_version": None,
                    "part3_version": None,
                    "procore_updated_at": None,
                    "files_pending": 0,
                    "not_mirrored_because": None,
                    "looked_at": None,
                    "mirrored_at": None,
                    "removed_at": None,
                    "fresh_until": None,
                    "chain": None,
                    "rounds": None,
                    "flips": [],
                    "parked_until": None,
                    "unheard_put_at": None,
                    "lease_owner": None,
                    "lease_until": None,
                    "fence": 0,
                },
            )
    return []


@answers(leases.TAKE)
def take(
    db: Database, project_id: str, kind: str, ids: Sequence[str], worker_id: str, lease_s: float
) -> list[Row]:
    taken = []
    for one in sorted(set(ids)):
        row = db.records.get((project_id, kind, one))
        if row is None or (row["lease_owner"] is not None and not row["lease_until"] < db.now):
            continue
        db.records.change(
            (project_id, kind, one),
            lease_owner=worker_id,
            lease_until=db.after(lease_s),
            fence=row["fence"] + 1,
        )
        taken.append({"procore_id": one, "fence": row["fence"] + 1})
    return taken


def _held(
    db: Database, project_id: str, kind: str, ids: Sequence[str], fences: Sequence[int]
) -> list[Row]:
    pairs = zip(ids, fences, strict=True)
    rows = ((db.records.get((project_id, kind, one)), fence) for one, fence in pairs)
    return [row for row, fence in rows if row is not None and row["fence"] == fence]


@answers(leases.RENEW)
def renew(
    db: Database,
    project_id: str,
    kind: str,
    ids: Sequence[str],
    fences: Sequence[int],
    lease_s: float,
) -> list[Row]:
    for row in _held(db, project_id, kind, ids, fences):
        if row["lease_owner"] is not None:
            db.records.change(_key(row), lease_until=db.after(lease_s))
    return []


@answers(leases.GIVE_BACK)
def give_back(
    db: Database, project_id: str, kind: str, ids: Sequence[str], fences: Sequence[int]
) -> list[Row]:
    for row in _held(db, project_id, kind, ids, fences):
        db.records.change(_key(row), lease_owner=None, lease_until=None)
    return []


@answers(leases.FREE_OWN)
def free_own(db: Database, worker_id: str) -> list[Row]:
    for row in db.records.all():
        if row["lease_owner"] == worker_id:
            db.records.change(_key(row), lease_owner=None, lease_until=None)
    return []


@answers(leases.FREE_TAKEN)
def free_taken(
    db: Database, project_id: str, kind: str, ids: Sequence[str], worker_id: str
) -> list[Row]:
    for one in ids:
        row = db.records.get((project_id, kind, one))
        if row is not None and row["lease_owner"] == worker_id:
            db.records.change(_key(row), lease_owner=None, lease_until=None)
    return []


READ = (
    "record", "content_version", "part3_version", "procore_updated_at", "files_pending", "rounds",
    "flips",
)  # fmt: skip


@answers(sql.READ)
def read(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    row = db.records.get((project_id, kind, procore_id))
    if row is None:
        return []
    at = row["unheard_put_at"]
    unheard = {
        "put_unheard": at is not None,
        "put_unheard_lately": at is not None and at > db.after(-60),
    }
    return [{name: row[name] for name in READ} | unheard]


@answers(sql.KEEP)
def keep(
    db: Database,
    project_id: str,
    kind: str,
    procore_id: str,
    fence: int,
    number: str,
    title: str,
    status: str,
    record: Any,
    content_version: str,
    part3_version: str,
    updated_at: datetime | None,
    files_pending: int,
    chain: str | None,
    rounds: Any,
    flips: Any,
) -> list[Row]:
    key = (project_id, kind, procore_id)
    row = db.records.get(key)
    if row is None or row["fence"] != fence:
        db.noted["refused by a record's fence"] += 1
        return []
    removed = status == "removed"
    if removed:
        db.noted["record removed"] += 1
    elif row["removed_at"] is not None:
        db.noted["record restored"] += 1
    db.records.change(
        key,
        number=number,
        title=title,
        status=status,
        record=record,
        content_version=content_version,
        part3_version=part3_version,
        procore_updated_at=updated_at,
        files_pending=files_pending,
        chain=chain if chain is not None else row["chain"],
        rounds=rounds if rounds is not None else row["rounds"],
        flips=flips,
        parked_until=None,
        unheard_put_at=None,
        not_mirrored_because=None,
        looked_at=db.now,
        mirrored_at=db.now,
        removed_at=(row["removed_at"] or db.now) if removed else None,
    )
    return [{"one": 1}]


@answers(sql.CONFIRM)
def confirm(
    db: Database,
    project_id: str,
    kind: str,
    procore_id: str,
    fence: int,
    updated_at: datetime | None,
) -> list[Row]:
    key = (project_id, kind, procore_id)
    row = db.records.get(key)
    if row is None or row["fence"] != fence or row["lease_owner"] is None:
        db.noted["refused by a record's fence"] += 1
        return []
    seen = [at for at in (row["procore_updated_at"], updated_at) if at is not None]
    db.records.change(
        key,
        lease_until=max(row["lease_until"], db.after(CONFIRM_S)),
        procore_updated_at=max(seen, default=None),
        unheard_put_at=db.now,
    )
    return [{"one": 1}]


@answers(sql.LOOKED)
def looked(
    db: Database,
    project_id: str,
    kind: str,
    procore_id: str,
    fence: int,
    updated_at: datetime | None,
    why_not: str | None,
) -> list[Row]:
    key = (project_id, kind, procore_id)
    row = db.records.get(key)
    if row is None or row["fence"] != fence:
        db.noted["refused by a record's fence"] += 1
        return []
    if why_not is None:
        db.noted["echo put nothing"] += 1
    db.records.change(
        key, looked_at=db.now, procore_updated_at=updated_at, not_mirrored_because=why_not
    )
    return [{"one": 1}]


@answers(sql.RETURN_IDS)
def return_ids(db: Database, project_id: str, rfi_id: str) -> list[Row]:
    return [
        {"remote_id": row["remote_id"], "return_id": row["return_id"]}
        for row in db.deliveries.all()
        if (row["project_id"], row["kind"], row["procore_id"]) == (project_id, "rfi", rfi_id)
        and row["remote_id"] is not None
    ]


@answers(sql.KNOWN_FILES)
def known_files(db: Database, project_id: str, ids: Sequence[str]) -> list[Row]:
    rows = (db.files.get((project_id, one)) for one in ids)
    names = ("attachment_id", "sha256", "name", "content_type", "size")
    return [{name: row[name] for name in names} for row in rows if row is not None]


@answers(sql.NOTE_FILE)
def note_file(
    db: Database,
    project_id: str,
    attachment_id: str,
    sha256: str,
    name: str,
    content_type: str,
    size: int,
) -> list[Row]:
    if db.files.get((project_id, attachment_id)) is None:
        db.files.put(
            (project_id, attachment_id),
            {
                "project_id": project_id,
                "attachment_id": attachment_id,
                "sha256": sha256,
                "name": name,
                "content_type": content_type,
                "size": size,
            },
        )
    return []


def _key(row: Row) -> Any:
    return row["project_id"], row["kind"], row["procore_id"]


@answers(sql.JUST_PUT)
def just_put(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    row = db.records.get((project_id, kind, procore_id))
    if row is None:
        return []
    at = row["mirrored_at"]
    return [{"just_put": at is not None and at > db.after(-3)}]


@answers(sql.PUT_LATELY)
def put_lately(
    db: Database, project_id: str, kind: str, procore_id: str, content_version: str
) -> list[Row]:
    row = db.seen_versions.get((project_id, kind, procore_id, content_version))
    return [{"lately": row is not None and row["noted_at"] > db.after(-60)}]


@answers(sql.CHAIN)
def chain_of_revisions(db: Database, project_id: str, kind: str, chain: str) -> list[Row]:
    return [
        {
            "procore_id": row["procore_id"],
            "revision": row["record"].get("revision"),
            "previous_revision": row["record"].get("previous_revision"),
        }
        for row in db.records.all()
        if (row["project_id"], row["kind"], row["chain"]) == (project_id, kind, chain)
        and row["record"] is not None
    ]


@answers(sql.WAS_PUT)
def was_put(
    db: Database, project_id: str, kind: str, procore_id: str, content_version: str
) -> list[Row]:
    row = db.seen_versions.get((project_id, kind, procore_id, content_version))
    return [{"at": db.now, "before": row is not None}]


@answers(sql.PARK)
def park(
    db: Database, project_id: str, kind: str, procore_id: str, fence: int, until: datetime
) -> list[Row]:
    key = (project_id, kind, procore_id)
    row = db.records.get(key)
    if row is None or row["fence"] != fence:
        return []
    if row["parked_until"] is not None and row["parked_until"] > db.now:
        return []
    db.records.change(key, parked_until=until)
    return [{"one": 1}]


@answers(sql.NOTE_EMPTY)
def note_empty(db: Database, project_id: str, attachment_id: str) -> list[Row]:
    key = (project_id, attachment_id)
    row = db.empty_files.get(key)
    if row is None:
        fresh = {"project_id": project_id, "attachment_id": attachment_id, "tries": 1}
        db.empty_files.put(key, fresh | {"first_at": db.now, "last_at": db.now})
    elif row["last_at"] < db.after(-300):
        db.empty_files.change(key, tries=row["tries"] + 1, last_at=db.now)
    return []


@answers(sql.LEFT_OUT)
def left_out(
    db: Database,
    project_id: str,
    ids: Sequence[str],
    tries: int,
    hours: int,
    told: Sequence[str],
    _most_bytes: int,
) -> list[Row]:
    """Answer of those that came empty: no file here is too large."""
    rows = (db.empty_files.get((project_id, one)) for one in ids)
    return [
        {"attachment_id": row["attachment_id"], "larger_than": None}
        for row in rows
        if row is not None
        and (
            row["attachment_id"] in told
            or (
                row["tries"] >= tries
                and (row["last_at"] - row["first_at"]).total_seconds() >= hours * 3600
            )
        )
    ]

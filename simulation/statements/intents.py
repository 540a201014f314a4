"""`mirror.write_intents`, as `sync_worker/outbound/intent_store.py` uses it."""

from datetime import datetime
from typing import Any

from simulation.database import Database, Row, answers
from sync_worker.outbound import intent_store as sql


@answers(sql.PLAN)
def plan(
    db: Database,
    op_key: str,
    marker: str,
    return_id: str,
    operation: str,
    request_hash: str,
    supersedes: str | None,
) -> list[Row]:
    if db.write_intents.get(op_key) is None:
        db.write_intents.put(
            op_key,
            {
                "op_key": op_key,
                "marker": marker,
                "return_id": return_id,
                "operation": operation,
                "state": "planned",
                "sends": 0,
                "sent_at": None,
                "not_before": None,
                "fence": 0,
                "request_hash": request_hash,
                "supersedes": supersedes,
                "remote_id": None,
                "response": None,
                "last_error": None,
                "changed_at": db.now,
            },
        )
    return []


SHOWN = (
    "op_key", "marker", "return_id", "operation", "state", "sends", "sent_at", "not_before",
    "fence", "remote_id", "changed_at", "response", "supersedes",
)  # fmt: skip


@answers(sql.READ)
def read(db: Database, op_key: str) -> list[Row]:
    row = db.write_intents.get(op_key)
    return [] if row is None else [{name: row[name] for name in SHOWN} | {"read_at": db.now}]


@answers(sql.READ_FOR_RETURN)
def read_for_return(db: Database, return_id: str) -> list[Row]:
    return [{name: row[name] for name in SHOWN} for row in _of_return(db, return_id)]


@answers(sql.HOLD_LEASE)
def hold_lease(db: Database, return_id: str, fence: int) -> list[Row]:
    row = db.deliveries.get(return_id)
    stands = (
        row is not None
        and row["fence"] == fence
        and row["lease_until"] is not None
        and row["lease_until"] > db.now
    )
    if not stands:
        db.noted["refused by a delivery's fence"] += 1
    return [{"one": 1}] if stands else []


@answers(sql.KNOWN_SERVER)
def known_server(db: Database, quiet_s: float) -> list[Row]:
    return [{"quiet_until": None}]  # one server, for ever


def _is_over(not_before: datetime | None, now: datetime) -> bool:
    return not_before is not None and not_before <= now


@answers(sql.ARM)
def arm(
    db: Database, op_key: str, fence: int, quiet_s: float, sends: int, response: Any
) -> list[Row]:
    row = db.write_intents.get(op_key)
    if row is None or row["fence"] > fence or row["sends"] != sends:
        return []
    again = row["state"] in ("sending", "unknown", "needs_human")
    if not (row["state"] == "planned" or (again and _is_over(row["not_before"], db.now))):
        return []
    if row["sends"]:
        db.noted["sent a second time" if row["sends"] == 1 else "sent again for a person"] += 1
    db.write_intents.change(
        op_key,
        state="sending",
        sends=row["sends"] + 1,
        sent_at=db.now,
        not_before=db.after(quiet_s),
        fence=fence,
        response=response,
        changed_at=db.now,
    )
    return [{"op_key": op_key}]


@answers(sql.DISARM)
def disarm(db: Database, op_key: str, fence: int, why: str) -> list[Row]:
    row = db.write_intents.get(op_key)
    if row is not None and row["fence"] == fence and row["state"] == "sending":
        db.write_intents.change(
            op_key,
            state="planned",
            sends=row["sends"] - 1,
            not_before=None,
            last_error=why,
            changed_at=db.now,
        )
    return []


@answers(sql.LEAVE_UNKNOWN)
def leave_unknown(db: Database, op_key: str, fence: int, why: str) -> list[Row]:
    row = db.write_intents.get(op_key)
    if row is not None and row["fence"] == fence and row["state"] == "sending":
        db.write_intents.change(op_key, state="unknown", last_error=why, changed_at=db.now)
    return []


@answers(sql.CONFIRM)
def confirm(db: Database, op_key: str, remote_id: str) -> list[Row]:
    row = db.write_intents.get(op_key)
    if row is not None and row["state"] not in ("confirmed", "abandoned"):
        if row["state"] == "planned":
            db.noted["already there before a send"] += 1
        elif row["fence"] < db.deliveries.rows[row["return_id"]]["fence"]:
            db.noted["adopted by its marker"] += 1
        db.write_intents.change(op_key, state="confirmed", remote_id=remote_id, changed_at=db.now)
    return []


@answers(sql.CONFIRM_DELIVERY)
def confirm_delivery(db: Database, return_id: str, remote_id: str) -> list[Row]:
    if db.deliveries.get(return_id) is not None:
        db.deliveries.change(return_id, remote_id=remote_id, changed_at=db.now)
    return []


@answers(sql.NEEDS_HUMAN)
def needs_human(db: Database, op_key: str) -> list[Row]:
    row = db.write_intents.get(op_key)
    if row is not None and row["state"] in ("sending", "unknown", "planned"):
        db.noted["asked of a person"] += 1
        db.write_intents.change(op_key, state="needs_human", changed_at=db.now)
    return []


@answers(sql.STATES)
def states(db: Database, return_id: str) -> list[Row]:
    return [{"state": row["state"]} for row in _of_return(db, return_id)]


@answers(sql.ABANDON)
def abandon(db: Database, return_id: str) -> list[Row]:
    for row in _of_return(db, return_id):
        if row["state"] == "planned" and row["sends"] == 0:
            db.write_intents.change(row["op_key"], state="abandoned", changed_at=db.now)
    return []


def _of_return(db: Database, return_id: str) -> list[Row]:
    return [row for row in db.write_intents.all() if row["return_id"] == return_id]

"""`authority.grants` and its journal, as `token_service/grants/store.py` uses them."""

from datetime import datetime
from typing import Any

from simulation.database import Database, Row, answers
from token_service.grants import store as sql

AUTHORIZED = "authorized"
NO_LEASE: Row = {"lease_owner": None, "lease_until": None}
NOTHING_OPEN: Row = {"refresh_unknown_at": None, "last_try_at": None, "refresh_not_before": None}


def _pair(
    access: bytes,
    refresh: bytes,
    key_id: str,
    access_fingerprint: str,
    refresh_fingerprint: str,
    lasts_s: float,
    expires_at: datetime,
) -> Row:
    return {
        "sealed_access": access,
        "sealed_refresh": refresh,
        "key_id": key_id,
        "access_fingerprint": access_fingerprint,
        "refresh_fingerprint": refresh_fingerprint,
        "expires_in_s": lasts_s,
        "expires_at": expires_at,
    }


@answers(sql.READ_GRANT)
def read_grant(db: Database, user_id: str, issuer: str) -> list[Row]:
    row = db.grants.get(user_id)
    if row is None or row["issuer"] != issuer:
        return []
    lease, wait = row["lease_until"], row["refresh_not_before"]
    names = (
        "user_id", "procore_user_id", "procore_login", "procore_name", "state", "reason",
        "version", "sealed_access", "sealed_refresh", "key_id", "access_fingerprint",
        "expires_in_s", "expires_at", "authorized_at", "attempt",
    )  # fmt: skip
    return [
        {name: row[name] for name in names}
        | {
            "seconds_left": (row["expires_at"] - db.now).total_seconds(),
            "lease_left_s": None if lease is None else (lease - db.now).total_seconds(),
            "outcome_unknown": row["refresh_unknown_at"] is not None,
            "last_try_made": row["last_try_at"] is not None,
            "wait_s": max(0.0, (wait - db.now).total_seconds()) if wait is not None else 0.0,
        }
    ]


@answers(sql.PUT_GRANT)
def put_grant(
    db: Database,
    user_id: str,
    procore_user_id: str,
    login: str,
    name: str,
    issuer: str,
    *pair: Any,
) -> list[Row]:
    before = db.grants.get(user_id) or {"attempt": 0}
    if db.grants.get(user_id) is not None:
        db.next_value("grant_versions")  # the default of the row that was not inserted
    db.grants.put(
        user_id,
        {
            "user_id": user_id,
            "procore_user_id": procore_user_id,
            "procore_login": login,
            "procore_name": name,
            "issuer": issuer,
            "state": AUTHORIZED,
            "reason": None,
            "version": db.next_value("grant_versions"),
            "attempt": before["attempt"],
            "authorized_at": db.now,
            "refreshed_at": db.now,
        }
        | _pair(*pair)
        | NO_LEASE
        | NOTHING_OPEN,
    )
    return []


@answers(sql.TAKE_LEASE)
def take_lease(
    db: Database, user_id: str, version: int, owner: str, lease_s: float, last_try: bool
) -> list[Row]:
    row = db.grants.get(user_id)
    if (
        row is None
        or row["version"] != version
        or row["state"] != AUTHORIZED
        or row["lease_owner"] is not None
        or (row["refresh_not_before"] is not None and row["refresh_not_before"] > db.now)
        or (row["refresh_unknown_at"] is not None) != last_try
        or (last_try and row["last_try_at"] is not None)
    ):
        return []
    if last_try:
        db.noted["refresh tried a last time"] += 1
    attempt = db.next_value("refresh_numbers")
    db.grants.change(
        user_id,
        lease_owner=owner,
        lease_until=db.after(lease_s),
        attempt=attempt,
        last_try_at=db.now if last_try else row["last_try_at"],
    )
    db.refresh_attempts.put(
        (user_id, attempt),
        {
            "user_id": user_id,
            "attempt": attempt,
            "version": version,
            "owner": owner,
            "started_at": db.now,
            "ended_at": None,
            "outcome": None,
        },
    )
    return [{"attempt": attempt, "started_at": db.now}]


@answers(sql.STORE_RENEWED)
def store_renewed(
    db: Database, user_id: str, version: int, attempt: int, *values: Any
) -> list[Row]:
    *pair, taken_at = values
    fields = _pair(*pair)
    journal = db.refresh_attempts.get((user_id, attempt))
    known = journal is not None and journal["started_at"] == taken_at
    row = db.grants.get(user_id)
    there = row is not None and row["refresh_fingerprint"] == fields["refresh_fingerprint"]
    stored = known and row is not None and row["version"] == version
    if stored and row is not None:
        if row["state"] != AUTHORIZED:
            db.grants_lost[user_id] -= 1  # a pair that was on a disk all the while
        db.grants.change(
            user_id,
            state=AUTHORIZED,
            reason=None,
            version=db.next_value("grant_versions"),
            refreshed_at=db.now,
            **fields,
            **NO_LEASE,
            **NOTHING_OPEN,
        )
    if known and journal is not None and journal["outcome"] != "renewed":
        outcome = "renewed" if stored else "superseded"
        db.refresh_attempts.change((user_id, attempt), ended_at=db.now, outcome=outcome)
    return [{"known": known, "stored": stored or there}]


def _end(db: Database, user_id: str, attempt: int, outcome: str) -> None:
    journal = db.refresh_attempts.get((user_id, attempt))
    if journal is not None and journal["ended_at"] is None:
        db.refresh_attempts.change((user_id, attempt), ended_at=db.now, outcome=outcome)


@answers(sql.END_ATTEMPT)
def end_attempt(
    db: Database,
    user_id: str,
    version: int,
    attempt: int,
    outcome: str,
    unknown: bool,
    wait_s: float,
    unspent: bool,
) -> list[Row]:
    row = db.grants.get(user_id)
    if row is not None and (row["version"], row["attempt"]) == (version, attempt):
        changes: Row = dict(NO_LEASE)
        if unknown:
            changes["refresh_unknown_at"] = row["refresh_unknown_at"] or db.now
        if wait_s > 0:
            changes["refresh_not_before"] = db.after(wait_s)
        if unspent:
            changes["last_try_at"] = None
        db.grants.change(user_id, **changes)
    _end(db, user_id, attempt, outcome)
    return []


@answers(sql.RELEASE_UNSENT)
def release_unsent(db: Database, user_id: str, owner: str) -> list[Row]:
    row = db.grants.get(user_id)
    if row is not None and row["lease_owner"] == owner:
        db.grants.change(user_id, last_try_at=None, **NO_LEASE)
    for journal in db.refresh_attempts.all():
        mine = (journal["user_id"], journal["owner"]) == (user_id, owner)
        if mine and journal["ended_at"] is None:
            _end(db, user_id, journal["attempt"], "not_sent")
    return []


@answers(sql.SETTLE_LOST)
def settle_lost(
    db: Database, user_id: str, version: int, attempt: int, homecoming_s: float
) -> list[Row]:
    row = db.grants.get(user_id)
    if (
        row is not None
        and (row["version"], row["attempt"]) == (version, attempt)
        and row["lease_until"] is not None
        and row["lease_until"] <= db.now
    ):
        unknown_at = row["refresh_unknown_at"] or db.now
        wait = max(row["refresh_not_before"] or db.now, db.after(homecoming_s))
        db.grants.change(
            user_id, refresh_unknown_at=unknown_at, refresh_not_before=wait, **NO_LEASE
        )
        _end(db, user_id, attempt, "unknown")
        db.noted["refresh lease lapsed"] += 1
    return []


@answers(sql.MARK_LOST)
def mark_lost(db: Database, user_id: str, version: int, reason: str) -> list[Row]:
    row = db.grants.get(user_id)
    if row is None or row["version"] != version or row["state"] != AUTHORIZED:
        return []
    db.noted["grant lost with its answer"] += 1
    db.grants_lost[user_id] += 1
    db.grants.change(user_id, state="needs_reauthorization", reason=reason, **NO_LEASE)
    return [{"user_id": user_id}]


@answers(sql.REVOKED)
def revoked(db: Database, user_id: str) -> list[Row]:
    return []  # no operator in these histories


@answers(sql.AUTHORIZED_AGAIN)
def authorized_again(db: Database, user_id: str) -> list[Row]:
    return []

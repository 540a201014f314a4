"""A contractor's side and a design team, for the tables: Procore's JSON in, Part3's record out.

Gus manages for the general contractor, Pat builds for a trade; Amy is the architect and Sam the
structural engineer. Only the last two review in Part3.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sandbox.part3.wire import Member
from sandbox.part3.wire import Record as Held
from services.procore.reading import read_rfi, read_submittal
from sync_worker.inbound.rounds import Rounds
from sync_worker.inbound.translate import Remembered, translate_rfi, translate_submittal

GUS: dict[str, Any] = {"id": 12, "name": "Gus Ortega", "login": "gus@gc.example"}
PAT: dict[str, Any] = {"id": 44, "name": "Pat Holm", "login": "pat@steel.example"}
AMY: dict[str, Any] = {"id": 31, "name": "Amy Lind", "login": "amy@arch.example"}
SAM: dict[str, Any] = {"id": 32, "name": "Sam Oduya", "login": "sam@struct.example"}
TEAM = frozenset({"amy@arch.example", "sam@struct.example"})
DAY = datetime(2026, 11, 20, 9, tzinfo=UTC)


def member(person: dict[str, Any], role: Any = "consultant") -> Member:
    mail = person["login"]
    return Member(user_id=mail, name=person["name"], email=mail, company="A firm", role=role)


def at(hours: float) -> str:
    return (DAY + timedelta(hours=hours)).isoformat()


def reply(by: dict[str, Any], number: int, *, official: bool = False, **more: Any) -> Any:
    """The nth reply in a thread, n hours after the question."""
    words = {"created_by": by["name"], "created_by_id": by["id"], "plain_text_body": "Six bolts."}
    return {"id": 900 + number, "official": official, "answer_date": at(number)} | words | more


def rfi(*replies: Any, **fields: Any) -> dict[str, Any]:
    """An RFI of Gus's to Amy, as a show answers it; the ball is with her."""
    question = {"rich_text_body": "<p>Four bolts or six?</p>", "answers": list(replies)}
    return {
        "id": 14,
        "number": "14",
        "full_number": "A-014",
        "subject": "Anchor bolts",
        "status": "open",
        "updated_at": at(len(replies) + 0.5),
        "rfi_manager": GUS,
        "assignees": [AMY | {"response_required": True}],
        "ball_in_courts": [AMY],
        "questions": [question],
    } | fields


def step(number: int, who: dict[str, Any], response: str | None = None, **more: Any) -> Any:
    """A row of a workflow; `response` is its class, and also the project's word for it."""
    answer = {"id": 9, "name": (response or "pending").title(), "considered": response or "pending"}
    return {
        "id": 5000 + 10 * number + who["id"],
        "approver_type": "Submitter" if who is PAT else "Approver",
        "workflow_group_number": number,
        "response_required": True,
        "user": who,
        "response": answer,
        "returned_date": "2026-11-23" if response else None,
    } | more


def submittal(*rows: Any, **fields: Any) -> dict[str, Any]:
    """A submittal from Pat past Gus to Amy, as a list answers it; the ball is with her."""
    usual = (step(1, PAT, "submitted"), step(2, GUS, "approved"), step(3, AMY))
    return {
        "id": 7,
        "number": "7",
        "formatted_number": "05 12 00-7",
        "title": "Anchor bolts, shop drawings",
        "revision": "0",
        "status": {"name": "Open", "status": "Open"},
        "updated_at": at(1),
        "submittal_manager": GUS,
        "ball_in_court": [AMY],
        "approvers": list(rows or usual),
    } | fields


def is_submittal(value: dict[str, Any]) -> bool:
    return "approvers" in value


def held(
    value: dict[str, Any],
    *,
    rounds: Rounds = (),
    previous: str | None = None,
    ours: dict[str, str] | None = None,
) -> Held:
    """The record as Part3 holds it after the connector's put."""
    known = Remembered(previous, rounds)
    record = (
        translate_submittal(read_submittal(value), {}, known)
        if is_submittal(value)
        else translate_rfi(read_rfi(value, full=True), {}, ours or {}, known)
    )
    return msgspec.json.decode(msgspec.json.encode(record), type=Held)

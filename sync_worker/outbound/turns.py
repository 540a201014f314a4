"""Whose turn it is on a record, kept when it is put, so that readiness costs Procore no call."""

from collections.abc import Iterable

import msgspec

from schemas.records import Person
from services.procore.models import Approver, Rfi, Submittal, UserRef
from sync_worker.outbound.check import (
    is_closed,
    rfi_turn_fault,
    row_to_answer,
    submittal_turn_fault,
)
from sync_worker.outbound.holds import Hold, name_of, person_of, record_closed, revision_superseded
from sync_worker.outbound.versions import has_answered


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """Who may answer a record now.

    Attributes:
        may: Procore user ids of everybody whose answer Procore would take.
        asked: those of them that the record waits for, in order.
        ball: who has the ball.
        hold: why nobody may answer, e.g. as it is closed.
        record: its name as people say it.
        manager: who can change that.
    """

    record: str
    may: tuple[str, ...] = ()
    asked: tuple[Person, ...] = ()
    ball: tuple[Person, ...] = ()
    hold: Hold | None = None
    manager: Person | None = None


def turns_of(record: Rfi | Submittal) -> Turns:
    """Return who may answer a record, by the same rules that a return is checked by."""
    may = _open_to(record) if (hold := _closed(record)) is None else ()
    return Turns(
        record=name_of(record),
        may=tuple(user.id for user in may),
        asked=_people(user for user in may if user.id in _asked(record)),
        ball=_people(record.ball_in_court),
        hold=hold,
        manager=person_of(record.manager),
    )


def _closed(record: Rfi | Submittal) -> Hold | None:
    if is_closed(record):
        return record_closed(record)
    if isinstance(record, Submittal) and not record.current_revision:
        return revision_superseded(record)
    return None


def _open_to(record: Rfi | Submittal) -> tuple[UserRef, ...]:
    match record:
        case Rfi():
            parties = (*(one.user for one in record.assignees), *record.ball_in_court)
            everybody = {user.id: user for user in (*parties, *record.distribution)}
            free = (u for u in everybody.values() if rfi_turn_fault(record, u.id, u.name) is None)
            return tuple(free)
        case Submittal():
            rows = (row for row in record.approvers if row.type == "approver")
            users = {row.user.id: row.user for row in sorted(rows, key=_step)}
            return tuple(user for user in users.values() if _may_respond(record, user))


def _may_respond(record: Submittal, user: UserRef) -> bool:
    row = row_to_answer(record, user.id, None)
    fault = submittal_turn_fault(record, row, user.name)
    return fault is None and row is not None and not has_answered(row)


def _step(row: Approver) -> int:
    return row.group_number


def _asked(record: Rfi | Submittal) -> set[str]:
    """A submittal's approvers are all asked; of an RFI's parties the assignees and the ball."""
    if isinstance(record, Submittal):
        return {row.user.id for row in record.approvers}
    manager = {record.manager.id} if record.manager else set[str]()
    asked = {one.user.id for one in record.assignees} | {one.id for one in record.ball_in_court}
    return asked - manager


def _people(users: Iterable[UserRef]) -> tuple[Person, ...]:
    return tuple(person for user in users if (person := person_of(user)) is not None)

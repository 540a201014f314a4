"""May a return go to Procore now? Pure: from values alone, read just before the write.

The rules are the field's (domain notes 4.7): ownership beats recency, nothing is overwritten, and
what is uncertain waits for a named person.
"""

from collections.abc import Collection
from typing import TypeAlias

import msgspec

from schemas.returns import Return
from services.procore.models import Answer, Approver, ResponseOption, Rfi, Submittal
from sync_worker.outbound import code_holds, holds
from sync_worker.outbound.codes import CodeMap
from sync_worker.outbound.differences import differences
from sync_worker.outbound.holds import Hold
from sync_worker.outbound.marker import MARKER
from sync_worker.outbound.versions import (
    SeenVersion,
    answerable_of,
    changed_parts,
    has_answered,
    said_of,
)


class DeliverReply(msgspec.Struct, frozen=True):
    """Post one reply to this RFI."""

    rfi_id: str


class DeliverResponse(msgspec.Struct, frozen=True):
    """Answer this submittal in this approver row with this response."""

    submittal_id: str
    approver_id: str
    response: ResponseOption


Deliver: TypeAlias = DeliverReply | DeliverResponse
Verdict: TypeAlias = Deliver | Hold


def check_return(
    answer: Return,
    record: Rfi | Submittal,
    *,
    me: str,
    seen: SeenVersion | None,
    codes: CodeMap,
    ours: Collection[str] = (),
    newer: str | None = None,
) -> Verdict:
    """Say whether a return may go to Procore now.

    Args:
        answer: what its author finished in Part3.
        record: what Procore holds at this moment, read with the author's own grant.
        me: the author's Procore user id, as proven when they authorized.
        seen: what the version said that the author answered; None when nobody knows.
        codes: the project's map from dispositions to its responses.
        ours: ids of the replies that earlier deliveries of this record became.
        newer: names the revision that took the record's place, if that is known.

    Returns:
        What to deliver, or why it waits and who can mend that. The author can overrule
        `question_changed`, and of an RFI `already_answered` and `record_closed` (it then goes as a
        further comment), by confirming that very code.
    """
    hold = _of_every_kind(answer, record, newer)
    if hold is not None:
        return hold
    match record:
        case Rfi():
            return _check_rfi(answer, record, me=me, seen=seen, ours=ours)
        case Submittal():
            return _check_submittal(answer, record, me=me, seen=seen, codes=codes, newer=newer)


def _of_every_kind(answer: Return, record: Rfi | Submittal, newer: str | None) -> Hold | None:
    if record.deleted:
        return holds.record_removed(holds.name_of(record), holds.person_of(record.manager))
    as_comment = _takes_comments(record) and _overruled(answer, "record_closed")
    if is_closed(record) and not as_comment:
        return holds.record_closed(record, newer)
    files = (*answer.files, *((answer.cover_page,) if answer.cover_page else ()))
    for file in files:
        if file.size <= 0:
            return holds.file_rejected(answer, file.name, "it is empty")
    return None


def _takes_comments(record: Rfi | Submittal) -> bool:
    """Tell whether a reply may be tried though it is closed: not where a revision took over."""
    return isinstance(record, Rfi) and record.status == "closed"


def is_closed(record: Rfi | Submittal) -> bool:
    """Tell whether the general contractor has closed it; custom status names do not matter."""
    match record:
        case Rfi():
            return record.status.startswith("closed")
        case Submittal():
            return record.status_class.casefold() == "closed"


def is_draft(record: Rfi | Submittal) -> bool:
    """Tell whether it is not opened yet."""
    status = record.status if isinstance(record, Rfi) else record.status_class
    return status.casefold() == "draft"


def _check_rfi(
    answer: Return, record: Rfi, *, me: str, seen: SeenVersion | None, ours: Collection[str]
) -> Verdict:
    if not (answer.text or "").strip() and not answer.files and answer.cover_page is None:
        return holds.empty_answer(answer)
    if (why := rfi_turn_fault(record, me, answer.author.name)) is not None:
        return holds.not_your_turn(answer, record, why)
    if _replied_elsewhere(record, me, seen, ours) and not _overruled(answer, "already_answered"):
        return holds.already_answered(answer, record)
    if (changed := _question_hold(answer, record, seen)) is not None:
        return changed
    return DeliverReply(record.id)


def rfi_turn_fault(record: Rfi, me: str, name: str) -> str | None:
    """Say why this person may not reply now, or None: the parties of an RFI may."""
    if is_draft(record):
        return f"{holds.name_of(record)} is still a draft in Procore."
    parties = {assignee.user.id for assignee in record.assignees}
    parties |= {user.id for user in (*record.distribution, *record.ball_in_court)}
    parties |= {record.manager.id} if record.manager else set()
    if me in parties:
        return None
    return f"{name} is neither an assignee of {holds.name_of(record)} nor on its distribution list."


def _replied_elsewhere(
    record: Rfi, me: str, seen: SeenVersion | None, ours: Collection[str]
) -> bool:
    """A reply by this author, not from us, that was not in the thread they answered."""
    if seen is None:  # held as question_changed; what was in that thread is not known
        return False
    return any(
        reply.author_id == me and reply.id not in seen.answered and not _is_ours(reply, ours)
        for reply in record.answers or ()
    )


def _is_ours(reply: Answer, ours: Collection[str]) -> bool:
    return reply.id in ours or MARKER.search(reply.html) is not None


def _check_submittal(
    answer: Return,
    record: Submittal,
    *,
    me: str,
    seen: SeenVersion | None,
    codes: CodeMap,
    newer: str | None,
) -> Verdict:
    if not record.current_revision:
        return holds.revision_superseded(record, newer)
    row = row_to_answer(record, me, seen)
    if row is not None and has_answered(row):
        return holds.already_answered(answer, record)
    if (why := submittal_turn_fault(record, row, answer.author.name)) is not None or row is None:
        return holds.not_your_turn(answer, record, why or "")
    if (changed := _question_hold(answer, record, seen)) is not None:
        return changed
    if (response := codes.get(answer.disposition)) is None:
        return code_holds.code_unmapped(answer, record, codes)
    return DeliverResponse(record.id, row.id, response)


def row_to_answer(record: Submittal, me: str, seen: SeenVersion | None) -> Approver | None:
    """Return the row of this person that a return is about, or None when they have none.

    Somebody may be in several steps. It is their first row that was open in the version they
    answered: when that one has been answered since, a later step's row must not take the return.
    """
    mine = sorted(
        (row for row in record.approvers if row.type == "approver" and row.user.id == me),
        key=lambda row: row.group_number,
    )
    settled = seen.answered if seen is not None else [row.id for row in mine]
    left = [row for row in mine if not (has_answered(row) and row.id in settled)]
    return next(iter(left or mine[-1:]), None)


def submittal_turn_fault(record: Submittal, row: Approver | None, name: str) -> str | None:
    """Say why this row may not be answered now, or None: it is open and holds the ball."""
    record_name = holds.name_of(record)
    if is_draft(record):
        return f"{record_name} is still a draft in Procore."
    if row is None:
        return f"{name} is not an approver of {record_name}."
    ball = record.ball_in_court
    if ball and row.user.id not in {user.id for user in ball}:
        holders = ", ".join(user.name for user in ball)
        return f"{record_name} is with {holders} in Procore, not with {name}."
    if any(_owes_earlier(other, row) for other in record.approvers):
        # the ball says otherwise only in a stale read, or where it is not told
        return f"{record_name} waits for an earlier step of its workflow."
    return None


def _owes_earlier(other: Approver, row: Approver) -> bool:
    before = other.type == "approver" and other.group_number < row.group_number
    return before and other.required and not has_answered(other)


def _question_hold(
    answer: Return, record: Rfi | Submittal, seen: SeenVersion | None
) -> Hold | None:
    if _overruled(answer, "question_changed"):
        return None
    if seen is None:
        return holds.question_changed(answer, record, ())
    parts = changed_parts(seen.answerable, answerable_of(record))
    shown = differences(seen.said, said_of(record)) if seen.said else ()
    return holds.question_changed(answer, record, parts, shown) if parts else None


def _overruled(answer: Return, code: str) -> bool:
    return code in answer.confirmed_despite

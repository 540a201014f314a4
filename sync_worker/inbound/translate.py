"""Procore's records in Part3's words: pure, and total over whatever Procore may hold.

Rules: the field's status table and ownership map. A status is mapped by class, never guessed from
its name; what has no place of its own becomes a labelled extra.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from html import unescape

import nh3

from schemas.records import (
    Disposition,
    File,
    Person,
    Record,
    Reply,
    Status,
    WorkflowStep,
)
from services.procore.models import Answer, Approver, Attachment, Rfi, Submittal, UserRef
from sync_worker.inbound.content_version import with_content_version
from sync_worker.inbound.labels import (
    answers_owed,
    everybody_of,
    extras_of,
    origin_told,
    turns_begun,
    unknown_status,
)
from sync_worker.inbound.rounds import Rounds, rounds_told

RFI_STATUS: Mapping[str, Status] = {
    "draft": "draft",
    "open": "open",
    "closed": "closed",
    "closed_with_revision": "closed",
    "closed_draft": "withdrawn",
}
SUBMITTAL_STATUS: Mapping[str, Status] = {"draft": "draft", "open": "open", "closed": "closed"}
DISPOSITION_OF_CLASS: Mapping[str, Disposition] = {
    "approved": "proceed",
    "approved as noted": "proceed_as_noted",
    "for record only": "record_only",
    "forwarded for review": "forwarded",
    "pending": "pending",
    "rejected": "rejected",
    "revise and resubmit": "revise_resubmit",
    "void": "void",
}
ALLOWED_TAGS = {
    "a", "b", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "hr", "i",
    "ins", "li", "ol", "p", "pre", "s", "span", "strong", "sub", "sup", "table", "tbody", "td",
    "th", "thead", "tr", "u", "ul",
}  # fmt: skip
MOST_TEXT = 1_000_000
"""Characters of one text that cross; what is longer is cut and says so."""

Files = Mapping[str, File]
"""Procore attachment id to the file that Part3 holds."""

ReturnIds = Mapping[str, str]
"""Procore id of a reply to the return it came from."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the worker knows of a record and Procore does not say.

    Attributes:
        previous_revision: Procore id of the revision just before, where it is mirrored.
        rounds: an RFI's answer rounds.
        left_out: why in words, by id of the attachments that are not to be copied.
    """

    previous_revision: str | None = None
    rounds: Rounds = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


NOTHING = Remembered()
"""Before the worker has looked: Procore's own word has to do."""


def translate_rfi(
    rfi: Rfi, files: Files, return_ids: ReturnIds, known: Remembered = NOTHING
) -> Record:
    """Return an RFI as Part3 holds it; files not in `files` are counted as pending."""
    answers = sorted(rfi.answers or (), key=lambda answer: (_since(answer.answered_at), answer.id))
    people = everybody_of(rfi)
    every = [*rfi.question_attachments, *(a for r in answers for a in r.attachments)]
    return with_content_version(
        Record(
            kind="rfi",
            procore_id=rfi.id,
            procore_url=rfi.link,
            number=rfi.full_number or rfi.number or "",
            revision=rfi.revision,
            previous_revision=_other(rfi.source_rfi_header_id, rfi.id)
            if known is NOTHING
            else known.previous_revision,
            title=rfi.subject,
            question=sanitised(rfi.question_html),
            spec_section=rfi.spec_section,
            status="removed" if rfi.deleted else rfi_status(rfi.status),
            status_label=rfi.status_label,
            private=rfi.private,
            due_on=rfi.due_on,
            opened_on=rfi.initiated_on,
            closed_on=_day(rfi.closed_at),
            ball_in_court=_people(rfi.ball_in_court),
            manager=_person(rfi.manager),
            assignees=tuple(_known(assignee.user) for assignee in rfi.assignees),
            replies=tuple(_reply(answer, rfi, people, files, return_ids) for answer in answers),
            files=_files(rfi.question_attachments, files),
            extras=extras_of(rfi, every, files, known.left_out)
            | answers_owed(rfi)
            | rounds_told(known.rounds, [answer.id for answer in answers])
            | origin_told(rfi.connect_export_origin)
            | unknown_status(rfi.status, RFI_STATUS, rfi_status(rfi.status)),
        )
    )


def translate_submittal(submittal: Submittal, files: Files, known: Remembered = NOTHING) -> Record:
    """Return a submittal as Part3 holds it; files not in `files` are counted as pending."""
    every = [*submittal.attachments, *(a for row in submittal.approvers for a in row.attachments)]
    rows = sorted(submittal.approvers, key=lambda row: row.group_number)
    return with_content_version(
        Record(
            kind="submittal",
            procore_id=submittal.id,
            procore_url=submittal.link,
            number=submittal.formatted_number or submittal.number,
            revision=submittal.revision,
            previous_revision=_other(submittal.source_submittal_id, submittal.id)
            if known is NOTHING
            else known.previous_revision,
            title=submittal.title,
            description=_cut(unescape(submittal.description)) if submittal.description else None,
            spec_section=submittal.spec_section,
            package=submittal.package,
            type=submittal.type,
            status=submittal_status(submittal),
            status_label=submittal.status_name,
            private=submittal.private,
            due_on=submittal.due_on,
            opened_on=submittal.issued_on or submittal.received_on,
            closed_on=_day(submittal.closed_at),
            distributed_at=submittal.distributed_at,
            ball_in_court=_people(submittal.ball_in_court),
            manager=_person(submittal.manager),
            workflow=tuple(_step(row, files) for row in rows),
            files=_files(submittal.attachments, files),
            extras=extras_of(submittal, every, files, known.left_out)
            | turns_begun(rows)
            | unknown_status(
                submittal.status_class.lower(), SUBMITTAL_STATUS, submittal_status(submittal)
            ),
        )
    )


def attachments_of(record: Rfi | Submittal) -> tuple[Attachment, ...]:
    """Return every file on a record, once each."""
    found: list[Attachment] = []
    match record:
        case Rfi():
            found += record.question_attachments
            found += (a for answer in record.answers or () for a in answer.attachments)
        case Submittal():
            found += record.attachments
            found += (a for row in record.approvers for a in row.attachments)
    return tuple({attachment.id: attachment for attachment in found}.values())


def rfi_status(status: str) -> Status:
    """Map an RFI status; an unknown word is closed when it says so, else open."""
    if (known := RFI_STATUS.get(status)) is not None:
        return known
    return "closed" if "closed" in status.lower() else "open"


def submittal_status(submittal: Submittal) -> Status:
    """Map a submittal's status by its class: custom names hang off Draft, Open and Closed."""
    if submittal.deleted:
        return "removed"
    status = SUBMITTAL_STATUS.get(submittal.status_class.lower(), "open")
    return "distributed" if status == "closed" and submittal.distributed_at else status


def sanitised(html: str) -> str:
    """Return HTML without anything that could run, load or hide."""
    return nh3.clean(_cut(html), tags=ALLOWED_TAGS, url_schemes={"http", "https", "mailto"})


def _reply(
    answer: Answer,
    rfi: Rfi,
    people: Mapping[str, UserRef],
    files: Files,
    return_ids: ReturnIds,
) -> Reply:
    known = people.get(answer.author_id or "")
    return Reply(
        procore_id=answer.id,
        author=Person(
            name=answer.author_name,
            procore_id=answer.author_id,
            email=known.login if known else None,
            company=known.company if known else None,
        ),
        text=sanitised(answer.html),
        official=answer.official,
        created_at=answer.answered_at or rfi.created_at or rfi.updated_at,
        files=_files(answer.attachments, files),
        return_id=return_ids.get(answer.id),
    )


def _step(row: Approver, files: Files) -> WorkflowStep:
    response = row.response
    return WorkflowStep(
        procore_id=row.id,
        step=row.group_number,
        person=_known(row.user),
        role=row.type,
        required=row.required,
        due_on=row.due_on,
        response=response.name if response else None,
        disposition=DISPOSITION_OF_CLASS.get(response.considered) if response else None,
        comment=_cut(unescape(row.comment)) if row.comment else None,
        responded_at=row.returned_at,
        files=_files(row.attachments, files),
    )


def _files(attachments: tuple[Attachment, ...], files: Files) -> tuple[File, ...]:
    return tuple(files[one.id] for one in attachments if one.id in files)


def _people(users: tuple[UserRef, ...]) -> tuple[Person, ...]:
    return tuple(_known(user) for user in users)


def _person(user: UserRef | None) -> Person | None:
    return None if user is None else _known(user)


def _known(user: UserRef) -> Person:
    return Person(procore_id=user.id, name=user.name, email=user.login, company=user.company)


def _other(source_id: str | None, own_id: str) -> str | None:
    return source_id if source_id != own_id else None


def _day(at: datetime | None) -> date | None:
    return at.date() if at else None


def _since(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + " … (cut: too long)"

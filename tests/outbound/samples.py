"""People, records and returns that the tests of the outbound half share."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from schemas.records import File
from schemas.returns import Member, Return
from services.procore.models import (
    Answer,
    Approver,
    Assignee,
    Attachment,
    ResponseOption,
    Rfi,
    Submittal,
    UserRef,
)
from sync_worker.outbound.codes import CodeMap
from sync_worker.outbound.versions import SeenVersion, answerable_of, answered_ids, said_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PROJECT = "p3-100"
AMY = Member(
    user_id="u-amy",
    name="Amy Chen",
    email="amy@arch.example",
    company="Chen Architects",
    role="prime_consultant",
)
TOM = Member(
    user_id="u-tom",
    name="Tomás Rivera",
    email="tomas@struct.example",
    company="Rivera Structural",
    role="consultant",
)
AMY_REF = UserRef(id="9001", name="Amy Chen", login="amy@arch.example")
TOM_REF = UserRef(id="9002", name="Tomás Rivera", login="tomas@struct.example")
GC = UserRef(id="9009", name="Gale Cooper", login="gale@gc.example")
PROCORE_IDS = {AMY.user_id: AMY_REF.id, TOM.user_id: TOM_REF.id}

PENDING = ResponseOption(id="1", name="Pending", considered="pending")
APPROVED = ResponseOption(id="2", name="Approved", considered="approved")
AS_NOTED = ResponseOption(id="3", name="Approved as Noted", considered="approved as noted")
REVISE = ResponseOption(id="4", name="Revise and Resubmit", considered="revise and resubmit")
REJECTED = ResponseOption(id="5", name="Rejected", considered="rejected")
RECORD_ONLY = ResponseOption(id="6", name="For Record Only", considered="for record only")
FORWARDED = ResponseOption(id="7", name="Forwarded for Review", considered="forwarded for review")
VOID = ResponseOption(id="8", name="Void", considered="void")
OPTIONS = (PENDING, APPROVED, AS_NOTED, REVISE, REJECTED, RECORD_ONLY, FORWARDED, VOID)
ALL_CODES = CodeMap(OPTIONS)


def file_of(content: bytes, name: str) -> File:
    return File(
        sha256=hashlib.sha256(content).hexdigest(),
        name=name,
        content_type="application/pdf",
        size=len(content),
    )


def rfi(**changes: Any) -> Rfi:
    plain = Rfi(
        id="54321",
        status="open",
        status_label="Open",
        subject="Beam pocket at grid C4",
        number="14",
        full_number="A-014",
        private=False,
        link=None,
        question_html="<p>Which pocket depth applies?</p>",
        question_attachments=(Attachment(id="71", name="sketch.pdf", url=None),),
        answers=(),
        assignees=(Assignee(user=AMY_REF, required=True), Assignee(user=TOM_REF, required=False)),
        ball_in_court=(AMY_REF, TOM_REF),
        manager=GC,
        updated_at=NOON,
        revision="0",
    )
    return replace(plain, **changes)


def approver(row_id: str, user: UserRef, step: int, **changes: Any) -> Approver:
    plain = Approver(
        id=row_id,
        type="approver",
        user=user,
        group_number=step,
        required=True,
        response=PENDING,
        comment=None,
        sent_on=None,
        returned_at=None,
        due_on=None,
    )
    return replace(plain, **changes)


def submittal(**changes: Any) -> Submittal:
    submitter = approver("300", GC, 1, type="submitter", response=None)
    plain = Submittal(
        id="777",
        number="12",
        formatted_number="03 30 00-12",
        title="Concrete mix design",
        status_name="Open",
        status_class="Open",
        private=False,
        link=None,
        description="Mix &amp; cure",
        attachments=(Attachment(id="81", name="mix.pdf", url=None),),
        approvers=(submitter, approver("301", AMY_REF, 2), approver("302", TOM_REF, 3)),
        ball_in_court=(AMY_REF,),
        manager=GC,
        updated_at=NOON,
        revision="0",
    )
    return replace(plain, **changes)


def answer_to(record: Rfi | Submittal, **changes: Any) -> Return:
    """Amy's finished answer to a record, of the version she saw."""
    is_rfi = isinstance(record, Rfi)
    plain = Return(
        id="ret_1",
        project_id=PROJECT,
        kind="rfi" if is_rfi else "submittal",
        procore_id=record.id,
        author=AMY,
        returned_at=NOON,
        seen_content_version="v1",
        state="pending",
        text="Use 150 mm.\n\nSee the sketch.",
        disposition=None if is_rfi else "proceed_as_noted",
        stamp=None if is_rfi else "Make Corrections Noted",
    )
    return replace(plain, **changes)


def seen_of(record: Rfi | Submittal) -> SeenVersion:
    return SeenVersion(
        answerable=answerable_of(record), answered=answered_ids(record), said=said_of(record)
    )


def reply(reply_id: str, author: UserRef, html: str = "<p>Yes.</p>", **changes: Any) -> Answer:
    plain = Answer(
        id=reply_id,
        official=False,
        author_id=author.id,
        author_name=author.name,
        html=html,
        answered_at=NOON,
    )
    return replace(plain, **changes)

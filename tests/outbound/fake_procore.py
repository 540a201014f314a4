"""Procore in memory: one record, its files, who did what; able to fail at every step."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from services.errors import OutcomeUnknown
from services.procore.call import BeforeSending
from services.procore.errors import NotAllowed, NotVisible
from services.procore.files import FileBytes
from services.procore.models import (
    Answer,
    Approver,
    Attachment,
    Place,
    ResponseOption,
    Rfi,
    Submittal,
    UserRef,
)
from services.procore.pacer import Priority
from tests.outbound.fakes import Clock
from tests.outbound.samples import AMY_REF, OPTIONS, PROCORE_IDS, TOM_REF

NAMES = {AMY_REF.id: AMY_REF.name, TOM_REF.id: TOM_REF.name}
Step = Callable[[str], None]


def no_fault(_step: str) -> None:
    """Let a step happen."""


@dataclass
class FakeProcore:
    """One record, its files, and what everybody did, under whose grant.

    `fault(step)` may raise before a step: `read`, `upload`, `write.lost` (it never arrives),
    `write.answer` (it is done and the answer is lost), `write.late` (it is done when the test
    calls `execute_late`), `download`.
    """

    record: Rfi | Submittal
    clock: Clock = field(default_factory=Clock)
    fault: Step = no_fault
    options: tuple[ResponseOption, ...] = OPTIONS
    ids: dict[str, str] = field(default_factory=lambda: dict(PROCORE_IDS))
    blind: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    stale_reads: int = 0
    contents: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    received: list[Any] = field(default_factory=list)
    late: list[Callable[[], object]] = field(default_factory=list)
    late_since: datetime | None = None
    executed: int = 0
    mailed: list[bool] = field(default_factory=list)
    answers_401: bool = False
    refusal: Exception | None = None
    _before: Rfi | Submittal | None = None

    def _called(self, what: str, whose: str) -> None:
        self.calls.append((what, whose))
        self.fault("read" if what in ("rfi", "submittal", "replies") else what)
        if whose in self.blind:
            raise NotVisible(what)
        if whose in self.forbidden:
            raise NotAllowed(what)

    def _shown(self) -> Rfi | Submittal:
        if self.stale_reads and self._before is not None:
            self.stale_reads -= 1
            return self._before
        return self.record

    async def rfi(
        self, place: Place, rfi_id: str, *, whose: str, priority: Priority = Priority.LOOK
    ) -> Rfi:
        self._called("rfi", whose)
        shown = self._shown()
        if not isinstance(shown, Rfi) or shown.id != rfi_id:
            raise NotVisible(rfi_id)
        return shown

    async def submittal(
        self, place: Place, submittal_id: str, *, whose: str, priority: Priority = Priority.LOOK
    ) -> Submittal:
        self._called("submittal", whose)
        shown = self._shown()
        if not isinstance(shown, Submittal) or shown.id != submittal_id:
            raise NotVisible(submittal_id)
        return shown

    async def replies(self, place: Place, rfi_id: str, *, whose: str) -> tuple[Answer, ...]:
        self._called("replies", whose)
        shown = self._shown()
        assert isinstance(shown, Rfi)
        return shown.answers or ()

    async def response_options(self, place: Place, *, whose: str) -> tuple[ResponseOption, ...]:
        self._called("options", whose)
        return self.options

    async def download(
        self, place: Place, attachment: Attachment, into: Path, *, whose: str
    ) -> FileBytes:
        self._called("download", whose)
        content = self.contents[attachment.id]
        into.write_bytes(content)
        return FileBytes(hashlib.sha256(content).hexdigest(), len(content), "application/pdf")

    async def upload(
        self, place: Place, path: Path, name: str, content_type: str, *, whose: str
    ) -> str:
        self._called("upload", whose)
        if self.refusal is not None:
            raise self.refusal
        uuid = f"upload-{len(self.uploads) + 1}"
        self.uploads[uuid] = (whose, name, path.read_bytes())
        self.received += [name, content_type, path.read_bytes()]
        return uuid

    def _attach(self, upload_ids: tuple[str, ...], whose: str) -> tuple[Attachment, ...]:
        attached = []
        for uuid in upload_ids:
            owner, name, content = self.uploads[uuid]
            assert owner == whose, "only who uploaded a file may attach it"
            attachment = Attachment(id=f"att-{len(self.contents) + 1}", name=name, url=None)
            self.contents[attachment.id] = content
            attached.append(attachment)
        return tuple(attached)

    async def _write(
        self,
        what: str,
        whose: str,
        before_sending: BeforeSending | None,
        execute: Callable[[], str],
    ) -> str:
        self._called(what, whose)
        if self.refusal is not None:
            raise self.refusal
        assert before_sending is not None, "a return is armed before it is sent"
        await before_sending()
        if self.answers_401:
            self.answers_401 = False
            await before_sending()
        self.fault("write.lost")
        try:
            self.fault("write.late")
        except OutcomeUnknown:
            self.late.append(execute)
            self.late_since = self.clock()
            raise
        done = execute()
        self.fault("write.answer")
        return done

    def execute_late(self) -> None:
        """Do now what Procore still had in its queue."""
        while self.late:
            self.late.pop()()

    async def post_reply(
        self,
        place: Place,
        rfi_id: str,
        html: str,
        upload_ids: tuple[str, ...],
        *,
        whose: str,
        before_sending: BeforeSending | None = None,
    ) -> str:
        def execute() -> str:
            assert isinstance(self.record, Rfi)
            self.executed += 1
            self._before = self.record
            me = self.ids[whose]
            reply = Answer(
                id=str(5000 + len(self.record.answers or ())),
                official=False,
                author_id=me,
                author_name=NAMES[me],
                html=html,
                answered_at=self.clock(),
                attachments=self._attach(upload_ids, whose),
            )
            self.record = replace(self.record, answers=(*(self.record.answers or ()), reply))
            self.received += [html, *upload_ids]
            return reply.id

        return await self._write("reply", whose, before_sending, execute)

    async def respond(
        self,
        place: Place,
        submittal_id: str,
        approver_id: str,
        *,
        response_id: str,
        comment: str,
        upload_ids: tuple[str, ...],
        whose: str,
        send_emails: bool = False,
        before_sending: BeforeSending | None = None,
    ) -> None:
        self.mailed.append(send_emails)

        def execute() -> str:
            assert isinstance(self.record, Submittal)
            self.executed += 1
            self._before = self.record
            option = next(o for o in self.options if o.id == response_id)

            def answered(row: Approver) -> Approver:
                if row.id != approver_id:
                    return row
                files = (*row.attachments, *self._attach(upload_ids, whose))
                return replace(
                    row,
                    response=option,
                    comment=comment,
                    returned_at=self.clock(),
                    attachments=files,
                )

            rows = tuple(answered(row) for row in self.record.approvers)
            self.record = replace(self.record, approvers=rows)
            self.received += [submittal_id, approver_id, response_id, comment, *upload_ids]
            return approver_id

        await self._write("respond", whose, before_sending, execute)

    def effects(self, author: UserRef) -> int:
        """Count what this person's answers left behind."""
        if isinstance(self.record, Rfi):
            return sum(reply.author_id == author.id for reply in self.record.answers or ())
        return sum(
            row.user.id == author.id and row.returned_at is not None
            for row in self.record.approvers
        )

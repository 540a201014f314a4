"""Procore in memory: records with every state they had, so that a read may be an old one."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from schemas.records import Kind
from services.errors import OutcomeUnknown, TryLater
from services.procore.call import BeforeSending
from services.procore.errors import NotVisible
from services.procore.files import FileBytes
from services.procore.models import (
    Answer,
    Approver,
    Attachment,
    Page,
    Place,
    ResponseOption,
    Rfi,
    Submittal,
    UserRef,
)
from services.procore.pacer import Priority
from services.token_client import TokenClient
from simulation.counting import History
from simulation.faults import Faults
from simulation.login import LoginHost
from simulation.wire import Wire
from sync_worker.outbound.marker import MARKER

PER_PAGE = 2
LONGEST_LAG_S = 60.0
TICK = timedelta(milliseconds=1)


@dataclass(slots=True)
class Effect:
    """One execution of a write: whose, with which marker, under whose name."""

    marker: str
    kind: Kind
    record_id: str
    remote_id: str
    by: str
    at: datetime
    while_owed: bool  # nothing of this marker was there before


@dataclass(slots=True)
class ProcoreModel:
    """The records, and what everybody did to them."""

    clock: Callable[[], datetime]
    faults: Faults
    history: History
    login: LoginHost
    options: tuple[ResponseOption, ...]
    users: dict[str, UserRef]  # by Procore user id
    on_change: Callable[[Kind, str, str, str], None] = lambda *_: None
    states: dict[tuple[Kind, str], list[tuple[datetime, Rfi | Submittal]]] = field(
        default_factory=dict
    )
    uploads: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    received: list[Any] = field(default_factory=list)
    counter: int = 0

    def latest(self, kind: Kind, record_id: str) -> Rfi | Submittal:
        """Return what a record holds now."""
        return self.states[kind, record_id][-1][1]

    def add(self, record: Rfi | Submittal) -> None:
        """Make a record."""
        kind: Kind = "rfi" if isinstance(record, Rfi) else "submittal"
        self.states[kind, record.id] = []
        self._keep(kind, record)
        self.on_change(kind, record.id, "create", "gc")

    def edit(self, kind: Kind, record_id: str, by: str = "gc", **changes: Any) -> None:
        """Change a record, as the general contractor or an answer does."""
        self._keep(kind, replace(self.latest(kind, record_id), **changes))
        self.on_change(kind, record_id, "update", by)

    def _keep(self, kind: Kind, record: Rfi | Submittal) -> None:
        """Add a state. Its number stands in the title, so that whoever shows it shows which."""
        states = self.states[kind, record.id]
        at = self.clock()
        if states and at <= states[-1][0]:
            at = states[-1][0] + TICK
        title = f"{kind} {record.id} state {len(states) + 1}"
        if isinstance(record, Rfi):
            states.append((at, replace(record, subject=title, updated_at=at)))
        else:
            states.append((at, replace(record, title=title, updated_at=at)))
        self.history.tell("procore", "holds", record=title)

    def new_id(self) -> str:
        """Return an id nobody had."""
        self.counter += 1
        return str(7000 + self.counter)

    def as_of(self) -> datetime:
        """Return how old a state this read serves."""
        now = self.clock()
        if self.faults.chance(self.faults.rates.stale):
            self.history.count("stale read served")
            return now - timedelta(seconds=self.faults.between(0.5, LONGEST_LAG_S))
        return now

    def shown(self, kind: Kind, record_id: str, as_of: datetime) -> Rfi | Submittal | None:
        """Return a record as it was at a moment; None when it was not there or in the bin."""
        found = None
        for at, record in self.states.get((kind, record_id), ()):
            if at > as_of and found is not None:
                break
            if at <= as_of or as_of >= self.clock():
                found = record
        return None if found is None or found.deleted else found

    def list_page(self, kind: Kind, number: int, since: datetime | None) -> Page:
        """Return one page, as the list's replica knows it."""
        as_of = self.as_of()
        ids = [record_id for of, record_id in self.states if of == kind]
        found = [one for record_id in ids if (one := self.shown(kind, record_id, as_of))]
        if since is not None:
            found = [one for one in found if one.updated_at >= since]
        first = (number - 1) * PER_PAGE
        more = number + 1 if first + PER_PAGE < len(found) else None
        items = [raw_of(one) for one in found[first : first + PER_PAGE]]
        return Page(items, len(found), more, self.clock())

    def recycled(self, kind: Kind) -> frozenset[str]:
        """Return what lies in the bin."""
        return frozenset(
            record_id
            for (of, record_id), states in self.states.items()
            if of == kind and states[-1][1].deleted
        )

    def attach(self, upload_ids: Sequence[str], by: str) -> tuple[Attachment, ...]:
        """Turn uploads into attachments: only who uploaded a file may attach it."""
        attached = []
        for upload_id in upload_ids:
            owner, name, content = self.uploads[upload_id]
            if owner != by:
                self.history.violate("I4", f"{by} attached a file that {owner} uploaded")
            attachment = Attachment(id=self.new_id(), name=name, url=None)
            self.contents[attachment.id] = content
            attached.append(attachment)
        return tuple(attached)

    def reply(self, rfi_id: str, html: str, upload_ids: Sequence[str], by: str) -> str:
        """Add a reply: asked twice, there are two."""
        rfi = self.latest("rfi", rfi_id)
        assert isinstance(rfi, Rfi)
        reply = Answer(
            id=self.new_id(),
            official=False,
            author_id=by,
            author_name=self.users[by].name,
            html=html,
            answered_at=self.clock(),
            attachments=self.attach(upload_ids, by),
        )
        self._note("rfi", rfi_id, html, reply.id, by)
        self.edit("rfi", rfi_id, by=by, answers=(*(rfi.answers or ()), reply))
        return reply.id

    def respond(
        self,
        submittal_id: str,
        approver_id: str,
        response_id: str,
        comment: str,
        upload_ids: Sequence[str],
        by: str,
    ) -> str:
        """Answer in an approver row."""
        submittal = self.latest("submittal", submittal_id)
        assert isinstance(submittal, Submittal)
        option = next(one for one in self.options if one.id == response_id)
        files = self.attach(upload_ids, by)

        def answered(row: Approver) -> Approver:
            if row.id != approver_id:
                return row
            if row.user.id != by:
                self.history.violate("I4", f"{by} answered in the row of {row.user.id}")
            return replace(
                row,
                response=option,
                comment=comment,
                returned_at=self.clock(),
                attachments=(*row.attachments, *files),
            )

        rows = tuple(map(answered, submittal.approvers))
        self._note("submittal", submittal_id, comment, approver_id, by)
        owing = [row.user for row in rows if row.type == "approver" and not row.has_responded]
        ball = tuple(owing[:1])
        self.edit("submittal", submittal_id, by=by, approvers=rows, ball_in_court=ball)
        return approver_id

    def _note(self, kind: Kind, record_id: str, text: str, remote_id: str, by: str) -> None:
        marker = MARKER.search(text)
        name = marker[0] if marker else ""
        fresh = all(effect.marker != name for effect in self.effects)
        self.effects.append(
            Effect(name, kind, record_id, remote_id, by, self.clock(), while_owed=fresh)
        )
        self.history.tell("procore", "takes an answer", marker=name, by=by)


class ProcorePort:
    """Procore as one worker reaches it, with the access tokens of whoever it acts for."""

    def __init__(self, model: ProcoreModel, wire: Wire, tokens: TokenClient) -> None:
        self._model = model
        self._wire = wire
        self._tokens = tokens

    async def _allowed(self, whose: str, before_sending: BeforeSending | None = None) -> str:
        """Return the Procore user whose access token this is, with a fresh one after a 401."""
        token = await self._tokens.access_token(whose)
        if before_sending is not None:
            await before_sending()
        user_id = self._model.login.user_of(token.access_token)
        if user_id is None:
            self._model.history.count("access token refused")
            token = await self._tokens.replacement_for(whose, token)
            if before_sending is not None:
                await before_sending()
            user_id = self._model.login.user_of(token.access_token)
        if user_id is None:
            raise TryLater("Procore answered 401", reason="procore_down")
        return user_id

    async def rfi(
        self, place: Place, rfi_id: str, *, whose: str, priority: Priority = Priority.LOOK
    ) -> Rfi:
        """Read one RFI in full."""
        await self._allowed(whose)
        found = await self._wire.read(lambda: self._model.shown("rfi", rfi_id, self._model.as_of()))
        if not isinstance(found, Rfi):
            raise NotVisible(rfi_id)
        return found

    async def submittal(
        self, place: Place, submittal_id: str, *, whose: str, priority: Priority = Priority.LOOK
    ) -> Submittal:
        """Read one submittal in full."""
        found = await self.submittals(place, [submittal_id], whose=whose, priority=priority)
        if submittal_id not in found:
            raise NotVisible(submittal_id)
        return found[submittal_id]

    async def rfis_listed(
        self, place: Place, ids: Sequence[str], *, whose: str, priority: Priority
    ) -> frozenset[str]:
        """Return which of these RFIs are listed."""
        await self._allowed(whose)

        def execute() -> frozenset[str]:
            as_of = self._model.as_of()
            return frozenset(one for one in ids if self._model.shown("rfi", one, as_of))

        return await self._wire.read(execute)

    async def submittals(
        self, place: Place, ids: Sequence[str], *, whose: str, priority: Priority
    ) -> dict[str, Submittal]:
        """Read several submittals with one call."""
        await self._allowed(whose)

        def execute() -> dict[str, Submittal]:
            as_of = self._model.as_of()
            shown = {one: self._model.shown("submittal", one, as_of) for one in ids}
            return {one: found for one, found in shown.items() if isinstance(found, Submittal)}

        return await self._wire.read(execute)

    async def replies(self, place: Place, rfi_id: str, *, whose: str) -> tuple[Answer, ...]:
        """Read all replies of an RFI."""
        return (await self.rfi(place, rfi_id, whose=whose)).answers or ()

    async def response_options(self, place: Place, *, whose: str) -> tuple[ResponseOption, ...]:
        """Read the project's submittal responses."""
        await self._allowed(whose)
        return await self._wire.read(lambda: self._model.options)

    async def page(
        self,
        kind: Kind,
        place: Place,
        *,
        whose: str,
        priority: Priority,
        number: int,
        updated_from: Any,
        updated_to: Any,
    ) -> Page:
        """Read one page of a list."""
        await self._allowed(whose)
        return await self._wire.read(lambda: self._model.list_page(kind, number, updated_from))

    async def recycled(self, kind: Kind, place: Place, *, whose: str) -> frozenset[str]:
        """Return the ids in the recycle bin."""
        await self._allowed(whose)
        return await self._wire.read(lambda: self._model.recycled(kind))

    async def is_admin_of_both(self, place: Place, *, whose: str) -> bool:
        """Tell that whoever reads sees all: nobody's level changes here."""
        return True

    async def download(
        self,
        place: Place,
        attachment: Attachment,
        into: Path,
        *,
        whose: str,
        most_bytes: int | None = None,
    ) -> FileBytes:
        """Write an attachment's bytes to a new file."""
        await self._allowed(whose)
        content = await self._wire.read(lambda: self._model.contents[attachment.id])
        into.write_bytes(content)
        return FileBytes(hashlib.sha256(content).hexdigest(), len(content), "application/pdf")

    async def upload(
        self, place: Place, path: Path, name: str, content_type: str, *, whose: str
    ) -> str:
        """Upload a file and return its uuid."""
        by = await self._allowed(whose)
        content = path.read_bytes()

        def execute() -> str:
            upload_id = f"upload-{self._model.new_id()}"
            self._model.uploads[upload_id] = (by, name, content)
            self._model.received.append((name, content_type, content))
            return upload_id

        return await self._wire.write(execute, once=True)

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
        """Add one reply and return its id."""
        by = await self._allowed(whose, before_sending)
        self._model.received.append((rfi_id, html, upload_ids))
        return await self._wire.write(
            lambda: self._model.reply(rfi_id, html, upload_ids, by), once=True
        )

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
        """Answer in an approver row."""
        by = await self._allowed(whose, before_sending)
        self._model.received.append((submittal_id, approver_id, response_id, comment, upload_ids))
        await self._wire.write(
            lambda: self._model.respond(
                submittal_id, approver_id, response_id, comment, upload_ids, by
            ),
            once=True,
        )


def unknown_outcome(why: str) -> OutcomeUnknown:
    """Return what Procore's client raises when a write's effect cannot be told."""
    return OutcomeUnknown(why)


def raw_of(record: Rfi | Submittal) -> dict[str, Any]:
    """Return a record as a list shows it: an RFI without its replies."""
    if isinstance(record, Submittal):
        return _raw_submittal(record)
    return {
        "id": record.id,
        "status": record.status,
        "translated_status": record.status_label,
        "subject": record.subject,
        "number": record.number,
        "full_number": record.full_number,
        "revision": record.revision,
        "due_date": record.due_on.isoformat() if record.due_on else None,
        "updated_at": record.updated_at.isoformat(),
        "questions": [
            {
                "rich_text_body": record.question_html,
                "attachments": list(map(_raw_file, record.question_attachments)),
            }
        ],
        "assignees": [_raw_user(one.user) for one in record.assignees],
        "ball_in_courts": list(map(_raw_user, record.ball_in_court)),
        "rfi_manager": _raw_user(record.manager) if record.manager else None,
    }


def _raw_submittal(record: Submittal) -> dict[str, Any]:
    return {
        "id": record.id,
        "number": record.number,
        "formatted_number": record.formatted_number,
        "title": record.title,
        "status": {"name": record.status_name, "status": record.status_class},
        "description": record.description,
        "revision": record.revision,
        "due_date": record.due_on.isoformat() if record.due_on else None,
        "updated_at": record.updated_at.isoformat(),
        "attachments": list(map(_raw_file, record.attachments)),
        "approvers": list(map(_raw_row, record.approvers)),
        "ball_in_court": list(map(_raw_user, record.ball_in_court)),
        "submittal_manager": _raw_user(record.manager) if record.manager else None,
    }


def _raw_row(row: Approver) -> dict[str, Any]:
    response = row.response
    return {
        "id": row.id,
        "approver_type": row.type,
        "user": _raw_user(row.user),
        "workflow_group_number": row.group_number,
        "response_required": row.required,
        "response": None
        if response is None
        else {"id": response.id, "name": response.name, "considered": response.considered},
        "comment": row.comment,
        "returned_date": row.returned_at.isoformat() if row.returned_at else None,
        "attachments": list(map(_raw_file, row.attachments)),
    }


def _raw_user(user: UserRef) -> dict[str, Any]:
    return {"id": user.id, "name": user.name, "login": user.login}


def _raw_file(file: Attachment) -> dict[str, Any]:
    return {"id": file.id, "name": file.name}

"""What people do in a history: the general contractor in Procore, and two architects in Part3."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from schemas.notices import PART3_NOTICES, PROCORE_NOTICES, Part3Notice, ProcoreNotice
from schemas.records import Disposition, File, Kind
from schemas.returns import Delivery, Member, Project, Return
from services.procore.models import (
    Approver,
    Assignee,
    Attachment,
    ResponseOption,
    Rfi,
    Submittal,
    UserRef,
)
from simulation.loop import START
from simulation.part3 import member_of
from simulation.programs import Sides

PROJECT_ID = "p3-100"
COMPANY_ID, PROCORE_PROJECT_ID = "10", "20"
OWNER = "u-owner"
GC = UserRef(id="9009", name="Gale Cooper", login="gale@gc.example")
AMY = UserRef(id="9001", name="Amy Chen", login="amy@arch.example")
TOM = UserRef(id="9002", name="Tomás Rivera", login="tomas@struct.example")
USERS = {user.id: user for user in (GC, AMY, TOM)}
IDS = {OWNER: GC.id, "u-amy": AMY.id, "u-tom": TOM.id}
AUTHORS = ("u-amy", "u-tom")


def _member(user_id: str, user: UserRef, role: Any) -> Member:
    return Member(
        user_id=user_id, name=user.name, email=user.login or "", company="a firm", role=role
    )


PROJECT = Project(
    id=PROJECT_ID,
    name="Harbour Library",
    team=(
        _member(OWNER, GC, "general_contractor"),
        _member("u-amy", AMY, "prime_consultant"),
        _member("u-tom", TOM, "consultant"),
    ),
)
PENDING = ResponseOption(id="1", name="Pending", considered="pending")
OPTIONS = (
    PENDING,
    ResponseOption(id="2", name="Approved", considered="approved"),
    ResponseOption(id="3", name="Approved as Noted", considered="approved as noted"),
    ResponseOption(id="4", name="Revise and Resubmit", considered="revise and resubmit"),
)
DISPOSITIONS: tuple[Disposition, ...] = ("proceed", "proceed_as_noted", "revise_resubmit")


def new_rfi(record_id: str) -> Rfi:
    """Return an open RFI that both architects may answer."""
    return Rfi(
        id=record_id,
        status="open",
        status_label="Open",
        subject="",
        number=record_id,
        full_number=f"A-{record_id}",
        private=False,
        link=None,
        question_html="<p>Which pocket depth applies?</p>",
        question_attachments=(),
        answers=(),
        assignees=(Assignee(user=AMY, required=True), Assignee(user=TOM, required=False)),
        ball_in_court=(AMY, TOM),
        manager=GC,
        updated_at=START,
        revision="0",
    )


def new_submittal(record_id: str) -> Submittal:
    """Return a submittal whose workflow asks both architects, one after the other."""

    def row(number: int, user: UserRef) -> Approver:
        return Approver(
            id=f"{record_id}{number}",
            type="approver",
            user=user,
            group_number=number,
            required=True,
            response=PENDING,
            comment=None,
            sent_on=None,
            returned_at=None,
            due_on=None,
        )

    return Submittal(
        id=record_id,
        number=record_id,
        formatted_number=f"03-{record_id}",
        title="",
        status_name="Open",
        status_class="Open",
        private=False,
        link=None,
        description="Mix &amp; cure",
        attachments=(),
        approvers=(row(2, AMY), row(3, TOM)),
        ball_in_court=(AMY,),
        manager=GC,
        updated_at=START,
        revision="0",
    )


@dataclass(eq=False)
class People:
    """Acts at moments that the seed chose, and answers to what it is told."""

    sides: Sides
    events: int = 0
    returns: int = 0
    edits: int = 0
    tasks: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sides.procore.on_change = self.procore_tells
        self.sides.part3.on_report = self.hear
        self.random = self.sides.faults.random

    # What the sides tell about it: thin notices, some lost, some twice, some late.

    def procore_tells(self, kind: Kind, record_id: str, reason: str, by: str) -> None:
        """Send the hook's notice of a change."""
        resource: Any = kind
        record = self.sides.procore.latest(kind, record_id)
        user_id = GC.id if by == "gc" else by
        if isinstance(record, Rfi) and by != "gc" and record.answers:
            self._send_procore("rfi_reply", record.answers[-1].id, "create", user_id)
        self._send_procore(resource, record_id, reason, user_id)

    def _send_procore(self, resource: Any, record_id: str, reason: str, user_id: str) -> None:
        self.events += 1
        notice = ProcoreNotice(
            project_id=PROJECT_ID,
            generation=1,
            notice_id=f"n{self.events}",
            resource=resource,
            record_id=record_id,
            reason=reason,
            procore_company_id=COMPANY_ID,
            procore_project_id=PROCORE_PROJECT_ID,
            procore_user_id=user_id,
            occurred_at=self.sides.now(),
        )
        self._send(PROCORE_NOTICES, msgspec.json.encode(notice))

    def _part3_tells(self, event: Any, answer: Return) -> None:
        self.events += 1
        notice = Part3Notice(
            project_id=PROJECT_ID,
            notice_id=f"n{self.events}",
            type=event,
            occurred_at=self.sides.now(),
            kind=answer.kind,
            procore_id=answer.procore_id,
            return_id=answer.id,
            user_id=answer.author.user_id,
        )
        self._send(PART3_NOTICES, msgspec.json.encode(notice))

    def _send(self, topic: str, value: bytes) -> None:
        faults, history = self.sides.faults, self.sides.history
        if faults.chance(faults.rates.notice_lost):
            history.count("notice lost")
            return
        times = 1
        if faults.chance(faults.rates.notice_doubled):
            history.count("notice doubled")
            times = 2
        for _ in range(times):
            delay_s = faults.between(0.05, 0.5)
            if faults.chance(faults.rates.notice_lost):
                history.count("notice late")
                delay_s = faults.between(20, 200)
            self.sides.loop.call_later(
                delay_s, self.sides.broker.append, topic, PROJECT_ID.encode(), value
            )

    # What people do.

    def do_something(self) -> None:
        """Act once: mostly the general contractor changes something, or an architect returns."""
        act = self.random.choice(
            (
                self.return_something,
                self.return_something,
                self.return_something,
                self.edit_something,
                self.edit_something,
                self.change_a_question,
                self.add_a_file,
                self.reply_as_gc,
                self.close_or_reopen,
                self.remove_or_restore,
                self.answer_in_procore,
            )
        )
        act()

    def _some_record(self) -> tuple[Kind, str]:
        return self.random.choice(list(self.sides.procore.states))

    def edit_something(self) -> None:
        """Change what no answer depends on."""
        self.sides.procore.edit(*self._some_record())

    def change_a_question(self) -> None:
        """Change what is being answered."""
        kind, record_id = self._some_record()
        self.edits += 1
        changed = f"<p>Which depth, at {self.edits}?</p>"
        if kind == "rfi":
            self.sides.procore.edit(kind, record_id, question_html=changed)
        else:
            self.sides.procore.edit(kind, record_id, description=f"Mix {self.edits}")

    def add_a_file(self) -> None:
        """Attach a file."""
        kind, record_id = self._some_record()
        model = self.sides.procore
        file = Attachment(id=model.new_id(), name="drawing.pdf", url=None)
        model.contents[file.id] = f"drawing {file.id}".encode()
        record = model.latest(kind, record_id)
        if isinstance(record, Rfi):
            files = (*record.question_attachments, file)
            model.edit(kind, record_id, question_attachments=files)
        else:
            model.edit(kind, record_id, attachments=(*record.attachments, file))

    def reply_as_gc(self) -> None:
        """Write into an RFI's thread."""
        kind, record_id = self._some_record()
        if kind == "rfi":
            self.sides.procore.reply(record_id, "<p>See spec.</p>", (), GC.id)
            self.sides.procore.effects.pop()  # an answer of hers, and no return

    def close_or_reopen(self) -> None:
        """Close what is open, or open it again."""
        kind, record_id = self._some_record()
        record = self.sides.procore.latest(kind, record_id)
        if isinstance(record, Rfi):
            to = "open" if record.status == "closed" else "closed"
            self.sides.procore.edit(kind, record_id, status=to, status_label=to.title())
        else:
            to = "Open" if record.status_class == "Closed" else "Closed"
            self.sides.procore.edit(kind, record_id, status_class=to, status_name=to)

    def remove_or_restore(self) -> None:
        """Put a record into the recycle bin, or take it out."""
        kind, record_id = self._some_record()
        deleted = self.sides.procore.latest(kind, record_id).deleted
        self.sides.procore.edit(kind, record_id, deleted=not deleted)

    def answer_in_procore(self) -> None:
        """An architect answers in Procore itself, and not by a return."""
        kind, record_id = self._some_record()
        record = self.sides.procore.latest(kind, record_id)
        if isinstance(record, Rfi):
            self.sides.procore.reply(record_id, "<p>By hand.</p>", (), AMY.id)
            self.sides.procore.effects.pop()
        elif record.ball_in_court:
            row = next(row for row in record.approvers if row.user == record.ball_in_court[0])
            self.sides.procore.respond(record_id, row.id, "2", "By hand.", (), row.user.id)
            self.sides.procore.effects.pop()

    def return_something(self) -> None:
        """Finish an answer to what Part3 shows."""
        shown = [one for one in self.sides.part3.records.values() if one.status == "open"]
        if not shown:
            return
        record = self.random.choice(shown)
        author = member_of(PROJECT, self.random.choice(AUTHORS))
        self.returns += 1
        answer = Return(
            id=f"ret_{self.returns}",
            project_id=PROJECT_ID,
            kind=record.kind,
            procore_id=record.procore_id,
            author=author,
            returned_at=self.sides.now(),
            seen_content_version=record.content_version,
            state="pending",
            text=f"Answer {self.returns}.",
            disposition=None if record.kind == "rfi" else self.random.choice(DISPOSITIONS),
            files=self._files() if self.random.random() < 0.3 else (),
        )
        self.sides.part3.returns[answer.id] = answer
        self.sides.history.tell("architect", "returns", id=answer.id, on=record.title)
        self._part3_tells("return.created", answer)
        if self.random.random() < 0.1:
            delay_s = self.random.uniform(0.1, 60)
            self.sides.loop.call_later(delay_s, self.withdraw, answer.id)

    def _files(self) -> tuple[File, ...]:
        content = f"mark-up {self.returns}".encode()
        sha256 = hashlib.sha256(content).hexdigest()
        self.sides.part3.files[sha256] = content
        return (
            File(sha256=sha256, name="m.pdf", content_type="application/pdf", size=len(content)),
        )

    def withdraw(self, return_id: str) -> None:
        """Take an answer back, if it has not arrived."""
        answer = self.sides.part3.returns[return_id]
        if answer.state not in ("pending", "held"):
            return
        self.sides.history.tell("architect", "withdraws", id=return_id)
        self.sides.part3.returns[return_id] = replace(answer, state="withdrawn")
        self._part3_tells("return.withdrawn", answer)

    def hear(self, answer: Return, delivery: Delivery) -> None:
        """React to what became of a return."""
        history, later = self.sides.history, self.sides.loop.call_later
        if delivery.state == "delivered":
            history.count("return delivered")
            if answer.state == "withdrawn":
                history.count("return withdrawn too late")
        elif delivery.state == "failed":
            history.count("return withdrawn in time")
        elif delivery.state == "held":
            history.count("return held")
            delay_s = self.random.uniform(10, 120)
            if delivery.reason == "not_authorized":
                later(delay_s, self.authorize, answer.author.user_id)
            elif delivery.reason in ("question_changed", "outcome_unknown", "already_answered"):
                if self.random.random() < 0.6:
                    later(delay_s, self.confirm, answer.id, delivery.reason)
            elif self.random.random() < 0.2:
                later(delay_s, self.withdraw, answer.id)

    def confirm(self, return_id: str, reason: str) -> None:
        """Overrule why a return is held."""
        answer = self.sides.part3.returns[return_id]
        if answer.state != "held":
            return
        self.sides.history.count("return confirmed")
        confirmed = replace(
            answer, state="pending", confirmed_despite=(*answer.confirmed_despite, reason)
        )
        self.sides.part3.returns[return_id] = confirmed
        self._part3_tells("return.confirmed", confirmed)

    def authorize(self, user_id: str) -> None:
        """Authorize Procore again, if that was lost."""
        row = self.sides.database.grants.get(user_id)
        if row is None or row["state"] != "authorized":
            self.sides.history.count("authorized again")
            self.give_grant(user_id)
        self._tell_of_grant(user_id)

    def give_grant(self, user_id: str, *, left_s: float | None = None) -> None:
        """Put a grant where the consent page puts it."""
        from simulation.granting import put_grant

        put_grant(self.sides, user_id, IDS[user_id], left_s=left_s)

    def _tell_of_grant(self, user_id: str) -> None:
        database = self.sides.database
        database.begin()
        for row in database.deliveries.all():
            if row["state"] in ("held", "waiting") and row["author_user_id"] == user_id:
                key = {"return_id": row["return_id"]}
                asked = row["asked"] + 1
                database.change_row("deliveries", key, due_at=database.now, asked=asked)
        project = database.projects.rows[PROJECT_ID]
        if user_id == OWNER and project["attention_reason"] is not None:
            database.change_row("projects", {"project_id": PROJECT_ID}, attention_reason=None)
            for row in database.sweeps.all():
                key = {"project_id": row["project_id"], "kind": row["kind"]}
                database.change_row("sweeps", key, due_at=database.now, retry_at=None)
        database.commit()

"""An RFI as the stand-in keeps it: question, replies, who owes an answer, whose turn it is."""

from datetime import date, datetime
from typing import Any, Literal

import msgspec

from sandbox.procore.domain.attachments import Attachment
from sandbox.procore.store import Kept

RfiStatus = Literal["draft", "open", "closed", "closed_with_revision", "closed_draft"]
RFI_STATUSES: tuple[RfiStatus, ...] = (
    "draft",
    "open",
    "closed",
    "closed_with_revision",
    "closed_draft",
)
STATUS_WORDS: dict[RfiStatus, str] = {
    "draft": "Draft",
    "open": "Open",
    "closed": "Closed",
    "closed_with_revision": "Closed (Revised)",
    "closed_draft": "Closed-Draft",
}
BallRole = Literal["assignees", "creator", "rfi manager"]


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """Cost (money) or schedule (days)."""

    status: Literal["yes_known", "yes_unknown", "no_impact", "tbd", "n_a"]
    value: float | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    author_id: int
    html: str
    official: bool
    created_at: datetime
    attachments: tuple[Attachment, ...] = ()


class Question(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    author_id: int
    html: str
    asked_at: datetime
    attachments: tuple[Attachment, ...] = ()


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    user_id: int
    required: bool


class Forward(msgspec.Struct, frozen=True, kw_only=True):
    """An assignee's request to one more person; their reply brings the ball back."""

    from_id: int
    to_id: int


class Rfi(Kept, frozen=True, kw_only=True):
    id: int
    company_id: int
    project_id: int
    number: str | None  # a draft has none
    prefix: str = ""
    revision: str = "0"
    header_id: int  # the first of its revisions
    current_revision: bool = True
    subject: str
    status: RfiStatus
    private: bool = False
    question: Question
    replies: tuple[Reply, ...] = ()
    manager_id: int
    assignments: tuple[Assignment, ...] = ()
    forwards: tuple[Forward, ...] = ()
    distribution_ids: tuple[int, ...] = ()
    received_from_id: int | None = None
    responsible_contractor_id: int | None = None
    ball_ids: tuple[int, ...] = ()
    ball_role: BallRole | None = None
    round_began_at: datetime  # replies since then count as answers of this round
    due_on: date | None = None
    initiated_at: datetime | None = None
    closed_at: datetime | None = None
    created_by_id: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    spec_section_id: int | None = None
    location_id: int | None = None
    cost_code_id: int | None = None
    project_stage_id: int | None = None
    reference: str | None = None
    drawing_number: str | None = None
    proposed_solution: str | None = None
    cost_impact: Impact | None = None
    schedule_impact: Impact | None = None
    custom_textfield_1: str | None = None
    custom_textfield_2: str | None = None
    custom_fields: dict[str, Any] = msgspec.field(default_factory=dict)
    connect_export_origin: dict[str, Any] | None = None

    @property
    def parent(self) -> str:
        return str(self.project_id)

    @property
    def changed_at(self) -> datetime:
        return self.updated_at

    @property
    def full_number(self) -> str | None:
        if self.number is None:
            return None
        shown = f"{self.prefix}{self.number}"
        return shown if self.revision == "0" else f"{shown}.{self.revision}"

    @property
    def is_draft(self) -> bool:
        return self.status in ("draft", "closed_draft")

    @property
    def is_closed(self) -> bool:
        return self.status.startswith("closed")

    @property
    def assignee_ids(self) -> tuple[int, ...]:
        return tuple(a.user_id for a in self.assignments)

    @property
    def party_ids(self) -> frozenset[int]:
        """Everybody who takes part, and so sees it although it is private."""
        return frozenset(
            (
                self.created_by_id,
                self.manager_id,
                *self.assignee_ids,
                *self.distribution_ids,
                *self.ball_ids,
                *(f.to_id for f in self.forwards),
                *((self.received_from_id,) if self.received_from_id else ()),
            )
        )

    def reply(self, reply_id: int) -> Reply | None:
        return next((r for r in self.replies if r.id == reply_id), None)

"""A submittal as the stand-in keeps it: one revision, its workflow rows, its distributions."""

from datetime import date, datetime
from typing import Any, Literal

import msgspec

from sandbox.procore.domain.attachments import Attachment
from sandbox.procore.store import Kept

ApproverType = Literal["Submitter", "Approver"]

UNANSWERED = ("pending", "forwarded for review")
"""Classes of response that leave a row owing an answer."""

REJECTING = ("rejected", "revise and resubmit")


class ApproverRow(msgspec.Struct, frozen=True, kw_only=True):
    """One person's place in the workflow; rows with one `step` are parallel."""

    id: int
    type: ApproverType
    user_id: int
    step: int
    required: bool = True
    response_id: int
    answered: bool = False
    comment: str | None = None
    sent_on: date | None = None
    due_on: date | None = None
    days_to_respond: int = 14
    returned_at: datetime | None = None
    answered_by_id: int | None = None  # differs from user_id when an Admin answered for them
    attachments: tuple[Attachment, ...] = ()
    forwarded_by_row: int | None = None
    added_by_id: int | None = None  # the approver who added this reviewer
    waits_for_row: int | None = None  # forwarded: the row whose answer brings the ball back
    distributed: bool = False


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    sent_at: datetime
    by_id: int
    to_ids: tuple[int, ...]
    message: str
    row_ids: tuple[int, ...]
    attachments: tuple[Attachment, ...] = ()


class Submittal(Kept, frozen=True, kw_only=True):
    id: int
    company_id: int
    project_id: int
    number: str
    revision: str = "0"
    source_id: int | None = None  # the submittal that this one revises
    current_revision: bool = True
    title: str
    description: str = ""  # plain text
    status_id: int
    private: bool = False
    type_name: str | None = None
    spec_section_id: int | None = None
    package_id: int | None = None
    manager_id: int | None = None
    received_from_id: int | None = None
    responsible_contractor_id: int | None = None
    distribution_ids: tuple[int, ...] = ()
    due_on: date | None = None
    issue_on: date | None = None
    received_on: date | None = None
    submit_by_on: date | None = None
    required_on_site_on: date | None = None
    actual_delivery_on: date | None = None
    lead_time: int | None = None  # days
    location_id: int | None = None
    cost_code_id: int | None = None
    attachments: tuple[Attachment, ...] = ()
    rows: tuple[ApproverRow, ...] = ()
    step: int | None = None  # the workflow's present step; None before it starts and at its end
    ball_ids: tuple[int, ...] = ()
    rejected_row_id: int | None = None  # halted by this row's answer; the manager decides
    distributions: tuple[Distribution, ...] = ()
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    distributed_at: datetime | None = None
    created_by_id: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    custom_fields: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def parent(self) -> str:
        return str(self.project_id)

    @property
    def changed_at(self) -> datetime:
        return self.updated_at

    @property
    def party_ids(self) -> frozenset[int]:
        """Everybody who takes part, and so sees it although it is private."""
        people = (self.manager_id, self.received_from_id)
        return frozenset(
            (
                self.created_by_id,
                *(r.user_id for r in self.rows),
                *self.distribution_ids,
                *(p for p in people if p is not None),
            )
        )

    def row(self, row_id: int) -> ApproverRow | None:
        return next((r for r in self.rows if r.id == row_id), None)

    def rows_of_step(self, step: int | None) -> tuple[ApproverRow, ...]:
        return tuple(r for r in self.rows if r.step == step)

    @property
    def step_numbers(self) -> tuple[int, ...]:
        return tuple(sorted({r.step for r in self.rows}))

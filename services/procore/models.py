"""What Procore holds, read from its JSON into values. Ids are text, whatever the wire had.

Source of the fields: schemas/contracts/procore.openapi.yaml, which names where each was read.
"""

from datetime import date, datetime
from typing import Any, Literal

import msgspec


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a project lives in Procore."""

    company_id: str
    project_id: str  # Procore's


class UserRef(msgspec.Struct, frozen=True, kw_only=True):
    """A Procore user. Match on `id` only: names read "Name (Company)" in some places."""

    id: str
    name: str
    login: str | None = None
    company: str | None = None


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file on a record. `url` is opaque and short-lived; identity is `id`."""

    id: str
    name: str
    url: str | None
    content_type: str | None = None
    size: int | None = None  # bytes, where Procore tells it


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A reply in an RFI's thread."""

    id: str
    official: bool
    author_id: str | None
    author_name: str
    html: str  # as Procore gives it, not sanitised yet
    answered_at: datetime | None
    attachments: tuple[Attachment, ...] = ()


class Assignee(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody asked to answer an RFI."""

    user: UserRef
    required: bool


class Rfi(msgspec.Struct, frozen=True, kw_only=True):
    """An RFI. From a list `answers` is None, as lists are shallow; from a show it is a tuple."""

    id: str
    status: str  # draft, open, closed, closed_with_revision, closed_draft, or a newer word
    status_label: str
    subject: str
    number: str | None
    full_number: str | None
    private: bool
    link: str | None
    question_html: str
    question_attachments: tuple[Attachment, ...]
    answers: tuple[Answer, ...] | None
    assignees: tuple[Assignee, ...]
    ball_in_court: tuple[UserRef, ...]
    manager: UserRef | None
    updated_at: datetime
    created_at: datetime | None = None
    revision: str | None = None
    current_revision: bool = True
    source_rfi_header_id: str | None = None  # of the first of its revisions
    due_on: date | None = None
    initiated_on: date | None = None
    closed_at: datetime | None = None
    deleted: bool = False
    distribution: tuple[UserRef, ...] = ()
    creator: UserRef | None = None
    received_from: UserRef | None = None
    connect_export_origin: dict[str, Any] | None = None
    spec_section: str | None = None
    extras: dict[str, Any] = {}  # other fields by label, JSON values


class ResponseOption(msgspec.Struct, frozen=True, kw_only=True):
    """One answer a project lets its approvers give; `considered` is the stable class."""

    id: str
    name: str
    considered: str


class Approver(msgspec.Struct, frozen=True, kw_only=True):
    """One person's row in a submittal's workflow. Rows of one `group_number` are parallel."""

    id: str
    type: Literal["submitter", "approver"]
    user: UserRef
    group_number: int
    required: bool
    response: ResponseOption | None
    comment: str | None
    sent_on: date | None
    returned_at: datetime | None
    due_on: date | None
    attachments: tuple[Attachment, ...] = ()

    @property
    def has_responded(self) -> bool:
        """Tell whether this person has answered (inferred: Procore has no status per row)."""
        if self.response is None:
            return False
        return self.returned_at is not None or self.response.considered not in (
            "pending",
            "submitted",
        )


class Submittal(msgspec.Struct, frozen=True, kw_only=True):
    """A submittal; lists are as complete as shows but for a few fields."""

    id: str
    number: str
    formatted_number: str | None
    title: str
    status_name: str  # company vocabulary
    status_class: str  # Draft, Open, Closed
    private: bool
    link: str | None
    description: str | None  # still HTML-escaped as Procore gives it
    attachments: tuple[Attachment, ...]
    approvers: tuple[Approver, ...]
    ball_in_court: tuple[UserRef, ...]
    manager: UserRef | None
    updated_at: datetime
    created_at: datetime | None = None
    revision: str | None = None
    current_revision: bool = True
    source_submittal_id: str | None = None
    spec_section: str | None = None
    type: str | None = None
    package: str | None = None
    due_on: date | None = None
    issued_on: date | None = None
    received_on: date | None = None
    closed_at: datetime | None = None
    distributed_at: datetime | None = None
    deleted: bool = False
    distribution: tuple[UserRef, ...] = ()
    creator: UserRef | None = None
    received_from: UserRef | None = None
    extras: dict[str, Any] = {}  # other fields by label, JSON values


class Page(msgspec.Struct, frozen=True):
    """One page of a list: raw items, how many there are in all (None: not said), next page.

    `answered_at` is what Procore's own clock said, None where it did not.
    """

    items: list[dict[str, Any]]
    total: int | None
    next_page: int | None
    answered_at: datetime | None = None

"""The shapes of schemas/contracts/part3.openapi.yaml, written from it and not from the connector.

Were they shared, a mistake in the connector's types would agree with itself.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Kind = Literal["rfi", "submittal"]
Disposition = Literal[
    "proceed",
    "proceed_as_noted",
    "proceed_as_noted_record_copy",
    "revise_resubmit",
    "rejected",
    "record_only",
    "not_reviewed",
    "pending",
    "forwarded",
    "void",
]
Role = Literal[
    "prime_consultant", "consultant", "general_contractor", "subcontractor", "owner", "viewer"
]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
AwareTime = Annotated[datetime, Meta(tz=True)]
Bytes = Annotated[int, Meta(ge=0)]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    procore_id: str | None = None
    email: str | None = None
    company: str | None = None


class File(msgspec.Struct, frozen=True, kw_only=True):
    sha256: Sha256
    name: str
    content_type: str
    size: Bytes
    procore_id: str | None = None


class WorkflowStep(msgspec.Struct, frozen=True, kw_only=True):
    # the contract neither requires these nor lets them be null: left out stays left out
    procore_id: str | UnsetType = UNSET
    step: int | UnsetType = UNSET
    person: Person | UnsetType = UNSET
    role: Literal["submitter", "approver"] | UnsetType = UNSET
    required: bool | UnsetType = UNSET
    due_on: str | None = None
    response: str | None = None
    disposition: Disposition | None = None
    comment: str | None = None
    responded_at: str | None = None
    files: tuple[File, ...] = ()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    procore_id: str | UnsetType = UNSET
    author: Person | UnsetType = UNSET
    text: str | UnsetType = UNSET
    official: bool | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    files: tuple[File, ...] = ()
    return_id: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    procore_id: Annotated[str, Meta(min_length=1)]
    number: str
    title: str
    status: Literal["draft", "open", "closed", "withdrawn", "distributed", "removed"]
    private: bool
    content_version: str
    status_label: str = ""
    procore_url: str | None = None
    revision: str | None = None
    previous_revision: str | None = None
    question: str | None = None
    description: str | None = None
    spec_section: str | None = None
    package: str | None = None
    type: str | None = None
    due_on: date | None = None
    opened_on: date | None = None
    closed_on: date | None = None
    distributed_at: AwareTime | None = None
    ball_in_court: tuple[Person, ...] = ()
    manager: Person | None = None
    assignees: tuple[Person, ...] = ()
    workflow: tuple[WorkflowStep, ...] = ()
    replies: tuple[Reply, ...] = ()
    files: tuple[File, ...] = ()
    extras: dict[str, Any] = {}

    def named_files(self) -> tuple[File, ...]:
        """Every file the record names: its own, its workflow's and its replies'."""
        steps = tuple(file for step in self.workflow for file in step.files)
        replies = tuple(file for reply in self.replies for file in reply.files)
        return (*self.files, *steps, *replies)

    @property
    def files_pending(self) -> int:
        """How many files are still on their way; they are counted and not yet named."""
        pending = self.extras.get("files_pending")
        return pending if isinstance(pending, int) else 0


class StoredRecord(Record, frozen=True, kw_only=True):
    id: str
    version: str
    updated_at: str


class Member(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str
    name: str
    email: str
    company: str
    role: Role


class Project(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    number: str | None
    archived: bool
    team: tuple[Member, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an author finished: the part of a Return that never changes."""

    id: str
    project_id: str
    kind: Kind
    procore_id: str
    author: Member
    returned_at: str
    seen_content_version: str
    text: str | None = None
    disposition: Disposition | None = None
    stamp: str | None = None
    files: tuple[File, ...] = ()
    cover_page: File | None = None


ReturnState = Literal["pending", "delivered", "held", "failed", "withdrawn"]


class Return(Answer, frozen=True, kw_only=True):
    confirmed_despite: tuple[str, ...]
    state: ReturnState


class ReceiptAuthor(msgspec.Struct, frozen=True, kw_only=True):
    name: str | None = None
    procore_id: str | None = None


class ReceiptFile(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    size: Bytes | None = None
    sha256: str | None = None
    procore_id: str | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The contract names its fields and requires none."""

    procore_id: str | None = None
    author: ReceiptAuthor | None = None
    at: str | None = None
    text: str | None = None
    response: str | None = None
    files: tuple[ReceiptFile, ...] = ()


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    state: Literal["sending", "waiting", "delivered", "held", "failed"]
    as_of: AwareTime
    reason: str | None = None
    message: str | None = None
    mended_by: Person | None = None
    receipt: Receipt | None = None


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    returnable: bool
    as_of: AwareTime
    for_user_ids: tuple[str, ...] = ()
    reason: str | None = None
    message: str | None = None
    mended_by: Person | None = None

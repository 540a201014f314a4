"""Records as Part3 holds them: what the general contractor owns, mirrored one way.

The shape of `Record` in Part3's contract. Every field a kind lacks is None.
"""

from datetime import date, datetime
from typing import Any, Literal

import msgspec

Kind = Literal["rfi", "submittal"]
KINDS: tuple[Kind, ...] = ("rfi", "submittal")

Status = Literal["draft", "open", "closed", "withdrawn", "distributed", "removed"]

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


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody named on a record. Only `procore_id` identifies; names vary from place to place."""

    name: str
    procore_id: str | None = None
    email: str | None = None
    company: str | None = None


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file by the hash of its bytes."""

    sha256: str  # lower-case hex
    name: str
    content_type: str
    size: int  # bytes
    procore_id: str | None = None  # Procore's attachment id


class WorkflowStep(msgspec.Struct, frozen=True, kw_only=True):
    """One person's place in a submittal's workflow; people of one step answer in parallel."""

    procore_id: str  # of the approver row
    step: int
    person: Person
    role: Literal["submitter", "approver"]
    required: bool
    due_on: date | None = None
    response: str | None = None  # the project's own word for it
    disposition: Disposition | None = None
    comment: str | None = None
    responded_at: datetime | None = None
    files: tuple[File, ...] = ()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One reply in an RFI's thread."""

    procore_id: str
    author: Person
    text: str  # sanitised HTML as read in Procore, our marker line included
    official: bool
    created_at: datetime
    files: tuple[File, ...] = ()
    return_id: str | None = None  # the Part3 return it came from


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An RFI or a submittal as the general contractor's side holds it."""

    kind: Kind
    procore_id: str
    number: str  # a draft without one: empty
    title: str
    status: Status
    status_label: str  # the exact words on the GC's side
    private: bool
    procore_url: str | None = None
    revision: str | None = None
    previous_revision: str | None = None  # Procore id of the revision this one supersedes
    question: str | None = None  # sanitised HTML
    description: str | None = None  # plain text, unescaped once
    spec_section: str | None = None
    package: str | None = None
    type: str | None = None
    due_on: date | None = None
    opened_on: date | None = None
    closed_on: date | None = None
    distributed_at: datetime | None = None
    ball_in_court: tuple[Person, ...] = ()
    manager: Person | None = None
    assignees: tuple[Person, ...] = ()
    workflow: tuple[WorkflowStep, ...] = ()
    replies: tuple[Reply, ...] = ()
    files: tuple[File, ...] = ()
    extras: dict[str, Any] = {}
    content_version: str = ""  # hash of all the above in normal form


class StoredRecord(Record, frozen=True, kw_only=True):
    """A record as Part3 answers it."""

    id: str
    version: str  # for If-Match
    updated_at: datetime

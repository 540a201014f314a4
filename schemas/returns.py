"""Returns: one person's finished answer on its way to Procore, and what became of it.

Part3's internal comments, drafts and reviewer steps have no field here, and must never get one:
these are the only shapes from Part3 that can reach the Procore client.
"""

from datetime import datetime
from typing import Literal

import msgspec

from schemas.records import Disposition, File, Kind, Person

Role = Literal[
    "prime_consultant", "consultant", "general_contractor", "subcontractor", "owner", "viewer"
]

ReturnState = Literal["pending", "delivered", "held", "failed", "withdrawn"]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A person on a Part3 project's team."""

    user_id: str
    name: str
    email: str
    company: str
    role: Role


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A Part3 project with its team."""

    id: str
    name: str
    team: tuple[Member, ...]
    number: str | None = None
    archived: bool = False

    def member(self, user_id: str) -> Member | None:
        """Return the member with that user id, or None."""
        return next((m for m in self.team if m.user_id == user_id), None)


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """One person's finished answer. Immutable but for the delivery report Part3 keeps beside it."""

    id: str
    project_id: str
    kind: Kind
    procore_id: str
    author: Member
    returned_at: datetime
    seen_content_version: str  # the record's content version that the author answered
    state: ReturnState
    text: str | None = None  # RFI answer, or the submittal comment
    disposition: Disposition | None = None
    stamp: str | None = None  # the firm's own words for the disposition
    files: tuple[File, ...] = ()
    cover_page: File | None = None
    confirmed_despite: tuple[str, ...] = ()  # reason codes the author has seen and overruled


DeliveryState = Literal["sending", "waiting", "delivered", "held", "failed"]


class ReceiptAuthor(msgspec.Struct, frozen=True, kw_only=True):
    """Whose name Procore shows on the delivered answer."""

    procore_id: str
    name: str


class ReceiptFile(msgspec.Struct, frozen=True, kw_only=True):
    """A delivered file as read back from Procore."""

    name: str
    size: int  # bytes
    sha256: str
    procore_id: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was read back from Procore after a delivery; the proof that it arrived whole."""

    procore_id: str  # of the reply, or of the approver row
    author: ReceiptAuthor
    at: datetime
    text: str
    response: str | None = None  # the project's word for the disposition
    files: tuple[ReceiptFile, ...] = ()


class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Where a return stands, as Part3 shows it to its author.

    `waiting` goes by itself and nobody has to act; `held` waits for `mended_by`; `failed` never
    goes (withdrawn by its author).
    """

    state: DeliveryState
    as_of: datetime
    reason: str | None = None
    message: str | None = None  # plain words and the next step
    mended_by: Person | None = None
    receipt: Receipt | None = None


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Can a record be returned now, by whom, and if not, why and who can mend it."""

    returnable: bool
    as_of: datetime
    for_user_ids: tuple[str, ...] = ()  # those of the team who could return now
    reason: str | None = None
    message: str | None = None
    mended_by: Person | None = None

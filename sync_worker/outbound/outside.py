"""What delivering needs of the outside: grants, Procore's reads and writes, Part3's side.

Every call on Procore names whose grant it uses and where the record is. All of them raise
`TryLater` (for now) or `NeedsPerson` (somebody must act). A write raises `OutcomeUnknown` when it
was sent and its effect cannot be told; after any other error it surely had no effect. It awaits
`before_sending` once the call may go and right before its first byte leaves, and again where it is
sent a second time with a fresh access token.
"""

from pathlib import Path
from typing import Protocol

from schemas.dispositions import DispositionMap
from schemas.returns import Delivery, Project, Readiness, Return
from services.procore.call import BeforeSending
from services.procore.files import FileBytes
from services.procore.models import Answer, Attachment, Place, ResponseOption, Rfi, Submittal
from services.procore.pacer import Priority


class Grants(Protocol):
    """Who has authorized Procore."""

    async def procore_user_id(self, user_id: str) -> str:
        """Return the Procore user that this Part3 user proved to be.

        Raises:
            NeedsPerson: `not_authorized` or `needs_reauthorization`.
        """


class Agreements(Protocol):
    """What a project's parties agreed on about dispositions."""

    async def dispositions(self, project_id: str) -> DispositionMap | None:
        """Return what stands and what is proposed, or None for a project that is not connected."""


class Authority(Grants, Agreements, Protocol):
    """The token service, as deliveries need it."""


class ProcoreReads(Protocol):
    """A record as a person sees it. Raises NotVisible or NotAllowed beside the usual two."""

    async def rfi(
        self, place: Place, rfi_id: str, *, whose: str, priority: Priority = Priority.LOOK
    ) -> Rfi:
        """Read one RFI in full."""

    async def submittal(
        self, place: Place, submittal_id: str, *, whose: str, priority: Priority = Priority.LOOK
    ) -> Submittal:
        """Read one submittal in full."""

    async def replies(self, place: Place, rfi_id: str, *, whose: str) -> tuple[Answer, ...]:
        """Read all replies of an RFI."""

    async def response_options(self, place: Place, *, whose: str) -> tuple[ResponseOption, ...]:
        """Read the project's submittal responses."""

    async def download(
        self, place: Place, attachment: Attachment, into: Path, *, whose: str
    ) -> FileBytes:
        """Write an attachment's bytes to a new file; raise TryLater when they are not whole."""


class ProcoreWrites(ProcoreReads, Protocol):
    """What a return does in Procore. Raises Refused beside what reading raises."""

    async def upload(
        self, place: Place, path: Path, name: str, content_type: str, *, whose: str
    ) -> str:
        """Upload a file and return its uuid, which only the same person may attach."""

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
        """Answer in an approver row; Procore mails nobody unless `send_emails`."""


class Teams(Protocol):
    """Who is on a Part3 project."""

    async def project(self, project_id: str) -> Project | None:
        """Return a project with its team, or None when there is none of that id."""


class Part3Returns(Teams, Protocol):
    """Returns and their files in Part3, and where to tell what became of them."""

    async def fetch_return(self, project_id: str, return_id: str) -> Return | None:
        """Read one return; None when Part3 has none of that id."""

    async def pending_returns(self, project_id: str) -> tuple[Return, ...]:
        """List what is pending, oldest first."""

    async def fetch_file(self, project_id: str, sha256: str, into: Path) -> bool:
        """Write a file's bytes to a new file; False when Part3 does not have it."""

    async def report(self, project_id: str, return_id: str, delivery: Delivery) -> None:
        """Tell where a return stands."""


class Part3Readiness(Protocol):
    """Where to tell who could return a record now."""

    async def put_readiness(
        self, project_id: str, kind: str, procore_id: str, readiness: Readiness
    ) -> None:
        """Tell who could return a record now."""

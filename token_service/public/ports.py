"""What the pages need of the rest of the token service, no larger than they need it.

Each protocol has one real implementation and one fake. What fails for now is `TryLater`; what a
person must mend is `NeedsPerson`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from starlette.requests import Request

from schemas.connections import ConnectionState, ProjectOptions
from schemas.dispositions import Party, Proposal
from schemas.records import Disposition
from schemas.returns import Project
from token_service.public.render import Viewer


class Session(Viewer, Protocol):
    """A signed-in visit."""

    @property
    def user_id(self) -> str:
        """Their id in Part3."""

    @property
    def proven(self) -> bool:
        """Whether Part3 said lately who they are: needed by forms that decide."""


class Sessions(Protocol):
    """Who is visiting, and whether a form is theirs."""

    async def visitor(self, request: Request) -> Session | None:
        """Return the visit that the request's cookie belongs to, or None."""

    def own_form(self, request: Request, session: Session, csrf_token: str) -> bool:
        """Tell whether a form was sent from this visit's own page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantView:
    """What people may know of a grant; never a token."""

    state: Literal["authorized", "needs_reauthorization"]
    procore_user_id: str
    procore_name: str
    procore_login: str | None
    authorized_at: datetime


@dataclass(frozen=True, slots=True)
class OtherAccount:
    """The Procore account that somebody came back with, and it is not the one they had."""

    procore_name: str
    procore_login: str | None


@dataclass(frozen=True, slots=True)
class EndedByOperators:
    """Whoever runs the connector ended somebody's authorization, in an incident."""

    at: datetime
    reason: str


class Grants(Protocol):
    """People's authorizations."""

    async def view(self, user_id: str) -> GrantView | None:
        """Return a person's grant, or None when there is none."""

    async def ended(self, user_id: str) -> EndedByOperators | None:
        """Return when and why operators ended a person's grant, until they authorize again."""

    async def revoke(self, user_id: str) -> None:
        """Tell Procore and forget; once more is harmless. Raises TryLater."""

    async def other_account(self, session: Session) -> OtherAccount | None:
        """Return the other Procore account that this visit came back with and has to decide on."""

    async def choose_account(self, session: Session, *, other: bool) -> str | None:
        """Take the other account, or keep the present one; the one not taken is revoked.

        Returns:
            Where the authorization was to lead, a path of ours; None when nothing was open.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionView:
    """A connection with the names people know it by."""

    project_id: str
    project_name: str
    state: ConnectionState
    procore_company_id: str
    procore_company_name: str
    procore_project_id: str
    procore_project_name: str
    owner_user_id: str
    owner_name: str
    connected_at: datetime
    options: ProjectOptions = field(default_factory=ProjectOptions)
    unlinked: bool = False  # it was the wrong Procore project


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A connection that somebody asks for. `once` names the form: sent twice, it counts once."""

    project_id: str
    project_name: str
    procore_company_id: str
    procore_company_name: str
    procore_project_id: str
    procore_project_name: str
    owner_user_id: str
    owner_name: str
    once: str


@dataclass(frozen=True, slots=True)
class RemovalsConfirmer:
    """Whoever says that a burst of removals in Procore is meant."""

    user_id: str
    name: str


class Connections(Protocol):
    """Projects tied to Procore, with their hooks."""

    async def view(self, project_id: str) -> ConnectionView | None:
        """Return a project's connection, also a disconnected one, or None."""

    async def owned_by(self, user_id: str) -> Sequence[ConnectionView]:
        """Return the active connections that this person made."""

    async def create(self, order: Order) -> None:
        """Write the connection and make its hook; both or neither stay.

        The same `once` again, or the same Procore project again, does nothing more.

        Raises:
            NeedsPerson: `already_connected` (this or that project is tied to another), `form_used`
                (the form was used for a connection that has been disconnected since), or what
                Procore says against the hook, e.g. `not_permitted`, `app_not_installed`.
            TryLater: Procore or Postgres does not answer; nothing half-made stays.
        """

    async def choose(self, project_id: str, by_user_id: str, options: ProjectOptions) -> None:
        """Keep what was chosen for a connected project; raises NeedsPerson `not_connected`."""

    async def confirm_removals(
        self, project_id: str, by: RemovalsConfirmer, until: datetime
    ) -> None:
        """Keep that what was found gone is meant; raises NeedsPerson `not_connected`."""

    async def disconnect(
        self, project_id: str, by_user_id: str, *, end_authorization: bool = False
    ) -> None:
        """Stop both directions and remove the hook; once more is harmless. Raises TryLater.

        With `end_authorization` that of whoever says it ends too, if no other project uses it:
        now or, if Procore is away, soon.
        """

    async def uses_of(self, user_id: str, *, but_not: str) -> Sequence[str]:
        """Name the connected projects, but for one, that use a person's authorization."""

    async def unlink(self, project_id: str, by_user_id: str) -> None:
        """Disconnect, and have what came from the wrong Procore project marked as removed."""

    async def take_over(
        self, project_id: str, procore_project_id: str, user_id: str, name: str
    ) -> None:
        """Make somebody the owner; raises NeedsPerson `not_connected`."""


class Part3(Protocol):
    """Who is on a project."""

    async def project(self, project_id: str) -> Project | None:
        """Ask for a project with its team, None when there is none. Raises TryLater."""


@dataclass(frozen=True, slots=True)
class Company:
    """A Procore company."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ProcoreProject:
    """A Procore project."""

    id: str
    name: str
    number: str | None = None


Tool = Literal["rfis", "submittals"]


@dataclass(frozen=True, slots=True)
class ToolAccess:
    """What a person may do with one tool of a Procore project; `level` is Procore's word."""

    tool: Tool
    enabled: bool
    level: str  # None, Read Only, Standard, Admin


@dataclass(frozen=True, slots=True)
class ResponseChoice:
    """A response that a Procore project lets its approvers give; `considered` is its class."""

    id: str
    name: str
    considered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Somebody who speaks for a party of a connected project about its dispositions."""

    project_id: str
    procore_project_id: str
    user_id: str
    name: str
    party: Party


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A line of the log: what was decided, by whom, for which party."""

    at: datetime
    what: Literal["proposed", "confirmed", "withdrawn"]
    name: str
    party: Party
    disposition: Disposition
    response_name: str
    in_force: bool  # with it, both parties had confirmed


class Dispositions(Protocol):
    """What the parties decided about dispositions. Raises TryLater.

    A decision raises NeedsPerson `not_connected` for a project that is not connected any more.
    """

    async def proposals(self, project_id: str, procore_project_id: str) -> Sequence[Proposal]:
        """Return what is in force and what is proposed."""

    async def decisions(self, project_id: str, procore_project_id: str) -> Sequence[Decision]:
        """Return the last decisions, newest first."""

    async def propose(
        self, by: Decider, disposition: Disposition, response: ResponseChoice
    ) -> Proposal:
        """Propose a response; an open proposal for that disposition gives way to it.

        It carries the proposer's confirmation, unless the response is looser than the disposition.
        """

    async def confirm(self, by: Decider, proposal_id: str, *, despite_looser: bool) -> Proposal:
        """Give a party's word; with the other party's it comes into force.

        Raises:
            NeedsPerson: `proposal_gone`, or `looser_response` where that was not confirmed.
        """

    async def withdraw(self, by: Decider, proposal_id: str) -> None:
        """End a proposal, or what is in force. Once more is harmless."""


@dataclass(frozen=True, slots=True)
class RecordCounts:
    """How many records a project has; None where Procore does not say."""

    rfis: int | None
    submittals: int | None


class Procore(Protocol):
    """Procore as one person sees it, under that person's own grant.

    All raise TryLater, and NeedsPerson with `needs_reauthorization`, `app_not_installed` or
    `not_permitted`.
    """

    async def companies(self, user_id: str) -> Sequence[Company]:
        """Return the companies they belong to."""

    async def projects(self, user_id: str, company_id: str) -> Sequence[ProcoreProject]:
        """Return the active projects of a company they are in."""

    async def tools(
        self, user_id: str, company_id: str, procore_project_id: str
    ) -> Sequence[ToolAccess]:
        """Return their access to the RFIs and Submittals tools."""

    async def counts(self, user_id: str, company_id: str, procore_project_id: str) -> RecordCounts:
        """Count the project's RFIs and submittals."""

    async def responses(
        self, user_id: str, company_id: str, procore_project_id: str
    ) -> Sequence[ResponseChoice]:
        """Return the submittal responses that the project offers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything the pages reach out to."""

    sessions: Sessions
    grants: Grants
    connections: Connections
    dispositions: Dispositions
    part3: Part3
    procore: Procore

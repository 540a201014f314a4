"""Everything around the pages, in memory, as small as the pages see it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

import msgspec
from starlette.requests import Request

from schemas.connections import ProjectOptions
from schemas.dispositions import PARTIES, Confirmation, Proposal, SeenResponse
from schemas.records import Disposition
from schemas.returns import Member, Project
from services.dispositions import loosens, unconfirmed
from services.errors import NeedsPerson, TryLater
from token_service.public.ports import (
    Company,
    ConnectionView,
    Decider,
    Decision,
    EndedByOperators,
    GrantView,
    Order,
    OtherAccount,
    Ports,
    ProcoreProject,
    RecordCounts,
    RemovalsConfirmer,
    ResponseChoice,
    Session,
    ToolAccess,
)

LONG_AGO = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FakeSession:
    user_id: str
    name: str
    email: str
    csrf_token: str
    proven: bool = True


class FakeSessions:
    """A visit is a cookie `visit` with its name."""

    def __init__(self) -> None:
        self.visits: dict[str, FakeSession] = {}

    def sign_in(self, member: Member) -> str:
        session = FakeSession(member.user_id, member.name, member.email, secrets.token_hex(8))
        cookie = secrets.token_hex(8)
        self.visits[cookie] = session
        return cookie

    async def visitor(self, request: Request) -> FakeSession | None:
        return self.visits.get(request.cookies.get("visit", ""))

    def own_form(self, request: Request, session: object, csrf_token: str) -> bool:
        return isinstance(session, FakeSession) and csrf_token == session.csrf_token


class FakeGrants:
    def __init__(self) -> None:
        self.by_user: dict[str, GrantView] = {}
        self.others: dict[str, GrantView] = {}
        self.ended_of: dict[str, EndedByOperators] = {}

    def authorize(self, user_id: str, name: str, login: str) -> None:
        self.by_user[user_id] = GrantView(
            state="authorized",
            procore_user_id=f"9{len(self.by_user)}",
            procore_name=name,
            procore_login=login,
            authorized_at=LONG_AGO,
        )

    def lapse(self, user_id: str) -> None:
        self.by_user[user_id] = replace(self.by_user[user_id], state="needs_reauthorization")

    async def view(self, user_id: str) -> GrantView | None:
        return self.by_user.get(user_id)

    async def ended(self, user_id: str) -> EndedByOperators | None:
        return self.ended_of.get(user_id)

    async def revoke(self, user_id: str) -> None:
        self.by_user.pop(user_id, None)

    async def other_account(self, session: Session) -> OtherAccount | None:
        other = self.others.get(session.user_id)
        return OtherAccount(other.procore_name, other.procore_login) if other else None

    async def choose_account(self, session: Session, *, other: bool) -> str | None:
        came_with = self.others.pop(session.user_id, None)
        if came_with is None:
            return None
        if other:
            self.by_user[session.user_id] = came_with
        return "/projects/p-1/integrations/connect"


class FakeConnections:
    """One row a project, as the real store keeps it."""

    def __init__(self, grants: FakeGrants) -> None:
        self.grants = grants
        self.by_project: dict[str, ConnectionView] = {}
        self.used_forms: dict[str, str] = {}
        self.created = 0
        self.confirmed: list[tuple[str, RemovalsConfirmer, datetime]] = []
        self.hook_refusal: NeedsPerson | TryLater | None = None

    async def view(self, project_id: str) -> ConnectionView | None:
        return self.by_project.get(project_id)

    async def owned_by(self, user_id: str) -> Sequence[ConnectionView]:
        return [
            one
            for one in self.by_project.values()
            if one.owner_user_id == user_id and one.state != "disconnected"
        ]

    async def create(self, order: Order) -> None:
        present = self.by_project.get(order.project_id)
        if order.once in self.used_forms:
            if present is None or present.state == "disconnected":
                message = "the form was used"
                raise NeedsPerson(message, reason="form_used")
            return
        taken = any(
            one.procore_project_id == order.procore_project_id and one.state != "disconnected"
            for one in self.by_project.values()
        )
        if taken:
            message = "taken"
            raise NeedsPerson(message, reason="already_connected")
        if self.hook_refusal is not None:
            raise self.hook_refusal
        self.used_forms[order.once] = order.project_id
        self.created += 1
        self.by_project[order.project_id] = ConnectionView(
            project_id=order.project_id,
            project_name=order.project_name,
            state="active",
            procore_company_id=order.procore_company_id,
            procore_company_name=order.procore_company_name,
            procore_project_id=order.procore_project_id,
            procore_project_name=order.procore_project_name,
            owner_user_id=order.owner_user_id,
            owner_name=order.owner_name,
            connected_at=LONG_AGO,
        )

    async def choose(self, project_id: str, by_user_id: str, options: ProjectOptions) -> None:
        known = self.by_project.get(project_id)
        if known is None or known.state == "disconnected":
            message = "not connected"
            raise NeedsPerson(message, reason="not_connected")
        self.by_project[project_id] = replace(known, options=options)

    async def confirm_removals(
        self, project_id: str, by: RemovalsConfirmer, until: datetime
    ) -> None:
        self.confirmed.append((project_id, by, until))

    async def uses_of(self, user_id: str, *, but_not: str) -> Sequence[str]:
        owned = await self.owned_by(user_id)
        return [one.project_name for one in owned if one.project_id != but_not]

    async def disconnect(
        self, project_id: str, by_user_id: str, *, end_authorization: bool = False
    ) -> None:
        if end_authorization:
            self.grants.by_user.pop(by_user_id, None)
        present = self.by_project[project_id]
        self.by_project[project_id] = replace(present, state="disconnected")

    async def unlink(self, project_id: str, by_user_id: str) -> None:
        await self.disconnect(project_id, by_user_id)
        self.by_project[project_id] = replace(self.by_project[project_id], unlinked=True)

    async def take_over(
        self, project_id: str, procore_project_id: str, user_id: str, name: str
    ) -> None:
        known = self.by_project[project_id]
        self.by_project[project_id] = replace(known, owner_user_id=user_id, owner_name=name)


class FakeDispositions:
    """`Dispositions` in memory, of the connections of `connections`."""

    def __init__(self, connections: FakeConnections) -> None:
        self._connections = connections
        self.live: dict[tuple[str, str], list[Proposal]] = {}
        self.log: dict[tuple[str, str], list[Decision]] = {}
        self.given = 0

    async def proposals(self, project_id: str, procore_project_id: str) -> Sequence[Proposal]:
        return list(self.live.get((project_id, procore_project_id), ()))

    async def decisions(self, project_id: str, procore_project_id: str) -> Sequence[Decision]:
        return list(reversed(self.log.get((project_id, procore_project_id), ())))

    async def propose(
        self, by: Decider, disposition: Disposition, response: ResponseChoice
    ) -> Proposal:
        live = self._live(by)
        live[:] = [one for one in live if one.disposition != disposition or not unconfirmed(one)]
        self.given += 1
        seen = SeenResponse(id=response.id, name=response.name, considered=response.considered)
        proposal = Proposal(
            id=str(self.given),
            disposition=disposition,
            response=seen,
            proposed_by=by.name,
            proposed_at=LONG_AGO,
        )
        live.append(proposal)
        self._note("proposed", by, proposal)
        if loosens(disposition, response.considered):
            return proposal
        return self._confirmed(by, proposal, despite_looser=False)

    async def confirm(self, by: Decider, proposal_id: str, *, despite_looser: bool) -> Proposal:
        known = next((one for one in self._live(by) if one.id == proposal_id), None)
        if known is None:
            raise NeedsPerson("gone", reason="proposal_gone")
        if by.party not in unconfirmed(known):
            return known
        if loosens(known.disposition, known.response.considered) and not despite_looser:
            raise NeedsPerson("looser", reason="looser_response")
        said = [known.confirmation(party) for party in PARTIES]
        if by.user_id in [one.user_id for one in said if one is not None]:
            raise NeedsPerson("same", reason="same_person")
        proposal = self._confirmed(by, known, despite_looser=despite_looser)
        self._note("confirmed", by, proposal)
        return proposal

    async def withdraw(self, by: Decider, proposal_id: str) -> None:
        live = self._live(by)
        for known in [one for one in live if one.id == proposal_id]:
            live.remove(known)
            self._note("withdrawn", by, known)

    def _live(self, by: Decider) -> list[Proposal]:
        connection = self._connections.by_project.get(by.project_id)
        if (
            connection is None
            or connection.state == "disconnected"
            or connection.procore_project_id != by.procore_project_id
        ):
            raise NeedsPerson("not connected", reason="not_connected")
        return self.live.setdefault((by.project_id, by.procore_project_id), [])

    def _confirmed(self, by: Decider, known: Proposal, *, despite_looser: bool) -> Proposal:
        live = self._live(by)
        said = Confirmation(
            user_id=by.user_id, name=by.name, at=LONG_AGO, despite_looser=despite_looser
        )
        proposal = msgspec.structs.replace(known, **{by.party: said})
        live[live.index(known)] = proposal
        if not unconfirmed(proposal):
            live[:] = [
                one
                for one in live
                if one == proposal or one.disposition != proposal.disposition or unconfirmed(one)
            ]
        return proposal

    def _note(
        self, what: Literal["proposed", "confirmed", "withdrawn"], by: Decider, about: Proposal
    ) -> None:
        decision = Decision(
            at=LONG_AGO,
            what=what,
            name=by.name,
            party=by.party,
            disposition=about.disposition,
            response_name=about.response.name,
            in_force=what != "withdrawn" and not unconfirmed(about),
        )
        self.log.setdefault((by.project_id, by.procore_project_id), []).append(decision)


class FakePart3:
    def __init__(self) -> None:
        self.projects: dict[str, Project] = {}
        self.down = False

    async def project(self, project_id: str) -> Project | None:
        if self.down:
            message = "Part3 does not answer"
            raise TryLater(message, reason="part3_down")
        return self.projects.get(project_id)


@dataclass
class FakeProcore:
    by_company: dict[Company, list[ProcoreProject]] = field(default_factory=dict)
    access: list[ToolAccess] = field(default_factory=list)
    not_installed_in: set[str] = field(default_factory=set)
    down: bool = False
    found: RecordCounts = field(default_factory=lambda: RecordCounts(rfis=40, submittals=60))
    offered: list[ResponseChoice] = field(
        default_factory=lambda: [
            ResponseChoice("1", "Approved", "approved"),
            ResponseChoice("2", "Make Corrections Noted", "approved_as_noted"),
            ResponseChoice("3", "Revise and Resubmit", "revise_and_resubmit"),
            ResponseChoice("4", "Rejected", "rejected"),
            ResponseChoice("5", "For Record Only", "for_record_only"),
        ]
    )

    async def companies(self, user_id: str) -> Sequence[Company]:
        self._answer()
        return list(self.by_company)

    async def projects(self, user_id: str, company_id: str) -> Sequence[ProcoreProject]:
        self._answer(company_id)
        return next(v for company, v in self.by_company.items() if company.id == company_id)

    async def tools(
        self, user_id: str, company_id: str, procore_project_id: str
    ) -> Sequence[ToolAccess]:
        self._answer(company_id)
        return self.access

    async def counts(self, user_id: str, company_id: str, procore_project_id: str) -> RecordCounts:
        self._answer(company_id)
        return self.found

    async def responses(
        self, user_id: str, company_id: str, procore_project_id: str
    ) -> Sequence[ResponseChoice]:
        self._answer(company_id)
        return list(self.offered)

    def _answer(self, company_id: str = "") -> None:
        if self.down:
            message = "Procore does not answer"
            raise TryLater(message, reason="procore_down")
        if company_id in self.not_installed_in:
            message = "App is not connected to this company."
            raise NeedsPerson(message, reason="app_not_installed")


GINA = Member(
    user_id="u-gina",
    name="Gina Castellano",
    email="gina@harbourbuild.example",
    company="Harbour Build",
    role="general_contractor",
)
ADA = Member(
    user_id="u-ada",
    name="Ada Lindqvist",
    email="ada@northlight.example",
    company="Northlight Architects",
    role="prime_consultant",
)
STRANGER = Member(
    user_id="u-eve", name="Eve", email="eve@elsewhere.example", company="Elsewhere", role="viewer"
)
RIVERSIDE = Project(id="p-1", name="Riverside Library", number="24-017", team=(ADA, GINA))
OTHERS = Project(id="p-2", name="Somebody Else's Tower", team=(STRANGER,))
HARBOUR = Company("562", "Harbour Build Ltd.")
ADMIN_ON_BOTH = [
    ToolAccess("rfis", enabled=True, level="Admin"),
    ToolAccess("submittals", enabled=True, level="Admin"),
]


class World:
    """The fakes together, with a contractor, an architect and a stranger."""

    def __init__(self) -> None:
        self.sessions = FakeSessions()
        self.grants = FakeGrants()
        self.connections = FakeConnections(self.grants)
        self.dispositions = FakeDispositions(self.connections)
        self.part3 = FakePart3()
        self.part3.projects = {"p-1": RIVERSIDE, "p-2": OTHERS}
        self.procore = FakeProcore(
            by_company={
                HARBOUR: [
                    ProcoreProject("88001", "Riverside Public Library", "2024-017"),
                    ProcoreProject("88002", "Quay Street 100% Renewal", "2023-104"),
                    ProcoreProject("88003", "Harbour_Terminal Phase 2", None),
                ],
                Company("777", "Castellano & Sons"): [],
            },
            access=list(ADMIN_ON_BOTH),
        )

    @property
    def ports(self) -> Ports:
        return Ports(
            sessions=self.sessions,
            grants=self.grants,
            connections=self.connections,
            dispositions=self.dispositions,
            part3=self.part3,
            procore=self.procore,
        )

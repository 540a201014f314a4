"""What every step of connecting shares: who may be there, what Procore offers, refusals."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response

from services.errors import NeedsPerson
from token_service.connections import wizard
from token_service.connections.wizard import Finding
from token_service.public.entry import Desk, Visit, member_of_project, proven_form, see
from token_service.public.pages.account import PATH as ACCOUNT_PATH
from token_service.public.pages.project import STATE_WORDS, state_of
from token_service.public.ports import Company, GrantView, ProcoreProject
from token_service.public.progress import read_standing

log = structlog.get_logger()


class LedAway(Exception):  # noqa: N818 - says what happens to the visitor
    """The step does not go on here; `answer` leads elsewhere or says why."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        super().__init__("led away")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A general contractor with a working grant, at a step of connecting."""

    desk: Desk
    request: Request
    visit: Visit
    grant: GrantView
    form: dict[str, str]

    @property
    def user_id(self) -> str:
        """The Part3 user who connects."""
        return self.visit.session.user_id

    @property
    def here(self) -> str:
        """The path of the project's Integrations page."""
        return self.visit.integrations_path

    def page(self, template: str, **values: Any) -> Response:
        """Render a step's page."""
        return self.desk.pages.page(
            template,
            self.visit.session,
            project=self.visit.project,
            here=self.here,
            grant=self.grant,
            **values,
        )

    async def companies(self) -> Sequence[Company]:
        """Return the companies Procore shows this person, in order of their names."""
        companies = await self.desk.ports.procore.companies(self.user_id)
        return sorted(companies, key=lambda company: (company.name.casefold(), company.id))

    async def projects(self, company: Company) -> Sequence[ProcoreProject]:
        """Return the projects Procore shows this person in a company."""
        return await self.desk.ports.procore.projects(self.user_id, company.id)


def step_of(
    take: Callable[[Step], Awaitable[Response]],
) -> Callable[[Desk, Request], Awaitable[Response]]:
    """Make a page's handler of a step: who may be there is asked afresh each time."""

    async def handle(desk: Desk, request: Request) -> Response:
        visit = await member_of_project(desk, request)
        sent = request.method == "POST"
        form = dict(await proven_form(desk, request, visit.session)) if sent else {}
        try:
            grant = await _grant_of_contractor(desk, visit)
            step = Step(desk=desk, request=request, visit=visit, grant=grant, form=form)
            return await take(step)
        except LedAway as away:
            return away.answer
        except NeedsPerson as error:
            return await _refused_by_procore(desk, visit, error)

    handle.__name__ = take.__name__
    return handle


async def _grant_of_contractor(desk: Desk, visit: Visit) -> GrantView:
    """Check what every step needs: the role, no connection yet, and a working grant."""
    findings = wizard.project_findings(visit.project, visit.member)
    if failed := [finding for finding in findings if not finding.ok]:
        raise LedAway(await refuse(desk, visit, failed, status=403))
    connection = await desk.ports.connections.view(visit.project.id)
    if connection is not None and connection.state != "disconnected":
        raise LedAway(see(visit.integrations_path))
    grant = await desk.ports.grants.view(visit.session.user_id)
    if grant is None or grant.state != "authorized":
        raise LedAway(_authorize_first(visit))
    return grant


def _authorize_first(visit: Visit) -> Response:
    back = {"next": f"{visit.integrations_path}/connect", "notice": "authorize_first"}
    return see(f"{ACCOUNT_PATH}?{urlencode(back)}")


async def _refused_by_procore(desk: Desk, visit: Visit, error: NeedsPerson) -> Response:
    log.info("connect.refused", reason=error.reason, project_id=visit.project.id)
    if error.reason in ("needs_reauthorization", "not_authorized"):
        return _authorize_first(visit)
    again = f"{visit.integrations_path}/connect/company"
    return await refuse(desk, visit, [wizard.refusal_finding(error)], status=409, again=again)


async def refuse(
    desk: Desk,
    visit: Visit,
    findings: Sequence[Finding],
    *,
    status: int,
    again: str | None = None,
    title: str = "This project can't be connected yet",
) -> Response:
    """Answer with what is missing and what to do about it; nothing was changed."""
    connection = await desk.ports.connections.view(visit.project.id)
    state = state_of(connection, await read_standing(desk.database, visit.project.id))
    return desk.pages.page(
        "connect_refused.html",
        visit.session,
        status=status,
        project=visit.project,
        here=visit.integrations_path,
        state=state,
        state_words=STATE_WORDS[state][0],
        findings=findings,
        again=again,
        title=title,
    )

"""The steps to a connection: confirm, company, project, review, create.

The choices travel in the address and in the form, so the back button and two tabs each keep their
own; nothing in them is believed, every step asks Part3 and Procore afresh.
"""

import secrets
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from services.errors import NeedsPerson, TryLater
from token_service.connections import wizard
from token_service.connections.wizard import Finding
from token_service.public.entry import Desk, Refused, guarded, see
from token_service.public.pages.project import PATH
from token_service.public.pages.steps import LedAway, Step, refuse, step_of
from token_service.public.ports import Company, Order, ProcoreProject, RecordCounts
from token_service.public.render import BAD_FORM

FORM_ID_LENGTHS = range(20, 101)


async def press_connect(step: Step) -> Response:
    """Begin. Whoever has no grant was led through Authorize before this."""
    return see(f"{step.here}/connect")


async def show_confirm(step: Step) -> Response:
    """Ask for role and permissions."""
    return step.page("connect_confirm.html")


async def press_yes(step: Step) -> Response:
    """Verify what was confirmed, as far as it can be without knowing the project."""
    if not await step.companies():
        again = f"{step.here}/connect"
        return await refuse(step.desk, step.visit, [wizard.NO_COMPANY], status=409, again=again)
    return see(f"{step.here}/connect/company")


async def choose_company(step: Step) -> Response:
    """Offer the companies that Procore shows this person."""
    return await _company_page(step)


async def _company_page(step: Step, finding: Finding | None = None) -> Response:
    companies = await step.companies()
    found = finding if companies else wizard.NO_COMPANY
    only = companies[0].id if len(companies) == 1 else None
    return step.page(
        "connect_company.html",
        companies=companies,
        chosen=step.request.query_params.get("company", only),
        findings=[found] if found else [],
    )


async def choose_project(step: Step) -> Response:
    """Offer the projects of the company, narrowed by a literal search."""
    company = await _chosen_company(step, step.request.query_params.get("company", ""))
    projects = await _projects_of(step, company)
    return _project_page(step, company, projects)


def _project_page(
    step: Step,
    company: Company,
    projects: list[ProcoreProject],
    finding: Finding | None = None,
) -> Response:
    sought = step.request.query_params.get("q", "")[: wizard.SOUGHT_MAX_LENGTH]
    found = wizard.narrow(projects, sought)
    only = found.shown[0].id if len(found.shown) == 1 else None
    return step.page(
        "connect_project.html",
        company=company,
        projects=found.shown,
        found=found,
        sought=sought,
        sought_max=wizard.SOUGHT_MAX_LENGTH,
        chosen=step.request.query_params.get("project", only),
        findings=[finding] if finding else [],
    )


async def _chosen_company(step: Step, company_id: str) -> Company:
    company = next((one for one in await step.companies() if one.id == company_id), None)
    if company is None:
        finding = wizard.unknown_choice("company") if company_id else wizard.NOTHING_CHOSEN
        raise LedAway(await _company_page(step, finding))
    return company


async def _projects_of(step: Step, company: Company) -> list[ProcoreProject]:
    try:
        return list(await step.projects(company))
    except NeedsPerson as error:
        if error.reason in ("app_not_installed", "not_permitted"):
            raise LedAway(await _company_page(step, wizard.refusal_finding(error))) from error
        raise


async def _chosen_project(step: Step, company: Company, procore_project_id: str) -> ProcoreProject:
    projects = await _projects_of(step, company)
    chosen = next((one for one in projects if one.id == procore_project_id), None)
    if chosen is None:
        finding = wizard.unknown_choice("project") if procore_project_id else wizard.NOTHING_CHOSEN
        raise LedAway(_project_page(step, company, projects, finding))
    return chosen


async def review(step: Step) -> Response:
    """Verify the permissions and show what will come over."""
    query = step.request.query_params
    company = await _chosen_company(step, query.get("company", ""))
    chosen = await _chosen_project(step, company, query.get("project", ""))
    return await _review_page(step, company, chosen)


async def _review_page(step: Step, company: Company, chosen: ProcoreProject) -> Response:
    findings = await _findings(step, company, chosen)
    ready = all(finding.ok for finding in findings)
    return step.page(
        "connect_review.html",
        company=company,
        chosen=chosen,
        findings=findings,
        ready=ready,
        counts=await _counts(step, company, chosen) if ready else None,
        again=f"{step.here}/connect/review?{_choice(company, chosen)}",
        once=secrets.token_urlsafe(32),
    )


def _choice(company: Company, chosen: ProcoreProject) -> str:
    return urlencode({"company": company.id, "project": chosen.id})


async def _findings(step: Step, company: Company, chosen: ProcoreProject) -> list[Finding]:
    findings = wizard.project_findings(step.visit.project, step.visit.member)
    try:
        access = await step.desk.ports.procore.tools(step.user_id, company.id, chosen.id)
    except NeedsPerson as error:
        if error.reason not in ("app_not_installed", "not_permitted"):
            raise
        return [*findings, wizard.refusal_finding(error)]
    return [*findings, wizard.app_finding(company.name), *wizard.tool_findings(access)]


async def _counts(step: Step, company: Company, chosen: ProcoreProject) -> RecordCounts:
    """Count what will come over; a count that Procore withholds now stops nobody."""
    try:
        return await step.desk.ports.procore.counts(step.user_id, company.id, chosen.id)
    except TryLater:
        return RecordCounts(rfis=None, submittals=None)


async def create_connection(step: Step) -> Response:
    """Check everything once more, then make the connection and its hook, both or neither."""
    once = step.form.get("once", "")
    if len(once) not in FORM_ID_LENGTHS or not once.isascii():
        raise Refused(BAD_FORM, step.visit.session)
    company = await _chosen_company(step, step.form.get("company", ""))
    chosen = await _chosen_project(step, company, step.form.get("project", ""))
    findings = await _findings(step, company, chosen)
    if failed := [finding for finding in findings if not finding.ok]:
        again = f"{step.here}/connect/review?{_choice(company, chosen)}"
        return await refuse(step.desk, step.visit, failed, status=409, again=again)
    await step.desk.ports.connections.create(
        Order(
            project_id=step.visit.project.id,
            project_name=step.visit.project.name,
            procore_company_id=company.id,
            procore_company_name=company.name,
            procore_project_id=chosen.id,
            procore_project_name=chosen.name,
            owner_user_id=step.user_id,
            owner_name=step.visit.member.name,
            once=once,
        )
    )
    return see(step.here)


def routes(desk: Desk) -> list[Route]:
    """Return the routes of connecting."""
    steps = (
        ("connect", press_connect, "POST"),
        ("connect", show_confirm, "GET"),
        ("connect/confirm", press_yes, "POST"),
        ("connect/company", choose_company, "GET"),
        ("connect/project", choose_project, "GET"),
        ("connect/review", review, "GET"),
        ("connect/create", create_connection, "POST"),
    )
    return [
        Route(f"{PATH}/{tail}", guarded(desk, step_of(take)), methods=[method])
        for tail, take, method in steps
    ]

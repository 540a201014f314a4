"""What a General Contractor mends of a connection: who owns it, and a wrongly chosen project."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.errors import NeedsPerson
from token_service.connections import wizard
from token_service.public.entry import (
    Desk,
    Refused,
    Visit,
    guarded,
    member_of_project,
    proven_form,
    see,
)
from token_service.public.pages.account import PATH as ACCOUNT_PATH
from token_service.public.pages.project import ONLY_CONTRACTORS, PATH
from token_service.public.pages.steps import refuse
from token_service.public.ports import ConnectionView

NOT_OWNER_YET = "You can't be this connection's owner yet"


async def _contractor(desk: Desk, request: Request) -> Visit:
    visit = await member_of_project(desk, request)
    await proven_form(desk, request, visit.session)
    if not visit.may_connect:
        raise Refused(ONLY_CONTRACTORS, visit.session)
    return visit


async def own(desk: Desk, request: Request) -> Response:
    """Make the visitor the owner, if they could have connected the project: asked afresh."""
    visit = await _contractor(desk, request)
    connection = await desk.ports.connections.view(visit.project.id)
    if connection is None or connection.state == "disconnected":
        return see(visit.integrations_path)
    grant = await desk.ports.grants.view(visit.session.user_id)
    if grant is None or grant.state != "authorized":
        return _authorize_first(visit)
    try:
        return await _take_over(desk, visit, connection)
    except NeedsPerson as error:
        if error.reason in ("needs_reauthorization", "not_authorized"):
            return _authorize_first(visit)
        finding = wizard.refusal_finding(error)
        return await refuse(desk, visit, [finding], status=409, title=NOT_OWNER_YET)


async def _take_over(desk: Desk, visit: Visit, connection: ConnectionView) -> Response:
    session = visit.session
    access = await desk.ports.procore.tools(
        session.user_id, connection.procore_company_id, connection.procore_project_id
    )
    if failed := [finding for finding in wizard.tool_findings(access) if not finding.ok]:
        return await refuse(desk, visit, failed, status=403, title=NOT_OWNER_YET)
    await desk.ports.connections.take_over(
        visit.project.id, connection.procore_project_id, session.user_id, session.name
    )
    return see(visit.integrations_path)


def _authorize_first(visit: Visit) -> Response:
    back = {"next": visit.integrations_path, "notice": "authorize_first"}
    return see(f"{ACCOUNT_PATH}?{urlencode(back)}")


async def unlink(desk: Desk, request: Request) -> Response:
    """Undo a wrongly chosen project; nothing is deleted on either side."""
    visit = await _contractor(desk, request)
    if await desk.ports.connections.view(visit.project.id) is not None:
        await desk.ports.connections.unlink(visit.project.id, visit.session.user_id)
    return see(visit.integrations_path)


def routes(desk: Desk) -> list[Route]:
    """Return the routes."""
    return [
        Route(f"{PATH}/own", guarded(desk, own), methods=["POST"]),
        Route(f"{PATH}/unlink", guarded(desk, unlink), methods=["POST"]),
    ]

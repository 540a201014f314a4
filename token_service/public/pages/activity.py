"""The activity page: what happened to each record and return, and what is held, by whom mended."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from token_service.public.activity import TEXT_MAX_LENGTH, Reader, filter_of, read_activity
from token_service.public.entry import Desk, Visit, guarded, member_of_project

PATH = "/projects/{project_id}/activity"


async def show_activity(desk: Desk, request: Request) -> Response:
    """Show one page of the log, filtered."""
    visit = await member_of_project(desk, request)
    wanted = filter_of(request.query_params)
    found = await read_activity(
        desk.database, visit.project.id, await reader_of(desk, visit), wanted
    )
    return desk.pages.page(
        "activity.html",
        visit.session,
        project=visit.project,
        entries=found.entries,
        held=found.held,
        held_count=found.held_count,
        filter=wanted,
        text_max=TEXT_MAX_LENGTH,
        older=wanted.address(before=found.older_before) if found.older_before else None,
        newest=wanted.address() if wanted.before is not None else None,
    )


async def reader_of(desk: Desk, visit: Visit) -> Reader:
    """Say who looks, and so what they see of private records."""
    grant = await desk.ports.grants.view(visit.session.user_id)
    connection = await desk.ports.connections.view(visit.project.id)
    return Reader(
        user_id=visit.session.user_id,
        procore_user_id=grant.procore_user_id if grant else None,
        sees_all=connection is not None and connection.owner_user_id == visit.session.user_id,
    )


def routes(desk: Desk) -> list[Route]:
    """Return the route of the activity page."""
    return [Route(PATH, guarded(desk, show_activity), methods=["GET"])]

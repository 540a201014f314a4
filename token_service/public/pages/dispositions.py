"""The dispositions page: which of the Procore project's responses stands for each disposition."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.errors import NeedsPerson, TryLater
from token_service.connections.dispositions import matches
from token_service.public.entry import Desk, guarded, member_of_project
from token_service.public.ports import ConnectionView, ResponseChoice

PATH = "/projects/{project_id}/dispositions"


async def show_dispositions(desk: Desk, request: Request) -> Response:
    """Show how each disposition reads in the Procore project, and which ones read as none."""
    visit = await member_of_project(desk, request)
    connection = await desk.ports.connections.view(visit.project.id)
    connected = connection is not None and connection.state != "disconnected"
    responses = await _responses(desk, connection) if connection and connected else None
    return desk.pages.page(
        "dispositions.html",
        visit.session,
        project=visit.project,
        connected=connected,
        known=responses is not None,
        rows=matches(responses) if responses is not None else [],
    )


async def _responses(desk: Desk, connection: ConnectionView) -> list[ResponseChoice] | None:
    try:
        found = await desk.ports.procore.responses(
            connection.owner_user_id, connection.procore_company_id, connection.procore_project_id
        )
    except (TryLater, NeedsPerson):
        return None  # the page says so; what each disposition means is still worth reading
    return list(found)


def routes(desk: Desk) -> list[Route]:
    """Return the route of the dispositions page."""
    return [Route(PATH, guarded(desk, show_dispositions), methods=["GET"])]

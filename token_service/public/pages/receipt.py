"""The receipt page: what arrived in Procore, and whether it still stands there as it arrived."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from token_service.public.entry import Desk, Refused, guarded, member_of_project
from token_service.public.pages.activity import reader_of
from token_service.public.receipts import read_receipt
from token_service.public.render import NOT_FOUND

PATH = "/projects/{project_id}/returns/{return_id}"


async def show_receipt(desk: Desk, request: Request) -> Response:
    """Show one receipt; what the visitor may not see is not there for them."""
    visit = await member_of_project(desk, request)
    receipt = await read_receipt(
        desk.database,
        visit.project.id,
        await reader_of(desk, visit),
        request.path_params["return_id"],
    )
    if receipt is None:
        raise Refused(NOT_FOUND, visit.session)
    return desk.pages.page("receipt.html", visit.session, project=visit.project, receipt=receipt)


def routes(desk: Desk) -> list[Route]:
    """Return the route of the receipt page."""
    return [Route(PATH, guarded(desk, show_receipt), methods=["GET"])]

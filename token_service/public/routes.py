"""All routes that people's browsers use, sign-in and OAuth apart."""

from starlette.routing import Route

from token_service.public.entry import Desk
from token_service.public.pages import (
    account,
    activity,
    completeness,
    connect,
    dispositions,
    mending,
    project,
    receipt,
)


def page_routes(desk: Desk) -> list[Route]:
    """Return the pages, their forms, the live stream and the static files."""
    return [
        *account.routes(desk),
        *project.routes(desk),
        *connect.routes(desk),
        *mending.routes(desk),
        *activity.routes(desk),
        *completeness.routes(desk),
        *dispositions.routes(desk),
        *receipt.routes(desk),
        desk.pages.static_route(),
    ]

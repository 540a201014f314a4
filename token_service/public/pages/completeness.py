"""The completeness page: both sides compared, what is left out and why, removals to confirm."""

from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.dispositions import PARTIES
from token_service.public import render
from token_service.public.completeness import read_completeness
from token_service.public.entry import (
    Desk,
    Refused,
    Visit,
    guarded,
    member_of_project,
    proven_form,
    see,
)
from token_service.public.ports import RemovalsConfirmer
from token_service.public.render import Refusal

PATH = "/projects/{project_id}/completeness"
ONLY_PARTIES = Refusal(
    403,
    "Only the two parties confirm this",
    "You are on this project's team, but neither as a General Contractor nor as a Prime Consultant "
    "in Part3. Nothing was changed.",
    "Ask a General Contractor or the Prime Consultant on the team to do it.",
)


async def show_completeness(desk: Desk, request: Request) -> Response:
    """Show what the last comparison found, and what waits for a person."""
    visit = await member_of_project(desk, request)
    connection = await desk.ports.connections.view(visit.project.id)
    return desk.pages.page(
        "completeness.html",
        visit.session,
        project=visit.project,
        here=here_of(visit),
        connected=connection is not None and connection.state != "disconnected",
        may_confirm=visit.member.role in PARTIES,
        parties=[member for member in visit.project.team if member.role in PARTIES],
        found=await read_completeness(desk.database, visit.project.id),
    )


async def confirm_removals(desk: Desk, request: Request) -> Response:
    """Keep that what was shown as gone is meant to be gone."""
    visit = await member_of_project(desk, request)
    fields = await proven_form(desk, request, visit.session)
    if visit.member.role not in PARTIES:
        raise Refused(ONLY_PARTIES, visit.session)
    try:
        until = datetime.fromisoformat(fields.get("until", ""))
    except ValueError as error:
        raise Refused(render.BAD_FORM, visit.session) from error
    if until.tzinfo is None:
        raise Refused(render.BAD_FORM, visit.session)
    by = RemovalsConfirmer(visit.member.user_id, visit.member.name)
    await desk.ports.connections.confirm_removals(visit.project.id, by, until)
    return see(here_of(visit))


def here_of(visit: Visit) -> str:
    """Return the page's path."""
    return f"/projects/{quote(visit.project.id, safe='')}/completeness"


def routes(desk: Desk) -> list[Route]:
    """Return the routes of the completeness page."""
    return [
        Route(PATH, guarded(desk, show_completeness), methods=["GET"]),
        Route(f"{PATH}/removals", guarded(desk, confirm_removals), methods=["POST"]),
    ]

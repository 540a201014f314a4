"""Project settings, Integrations: the connection's state, its progress, disconnecting."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.connections import ProjectOptions
from token_service.public.completeness import read_comparisons
from token_service.public.entry import (
    GENERAL_CONTRACTOR,
    Desk,
    Refused,
    Visit,
    guarded,
    member_of_project,
    own_form,
    proven_form,
    see,
)
from token_service.public.health import health_of
from token_service.public.live import stream_progress
from token_service.public.ports import ConnectionView
from token_service.public.progress import PageState, Standing, live_values, read_standing
from token_service.public.render import Refusal
from token_service.public.unlinking import read_what_came

PATH = "/projects/{project_id}/integrations"
STATE_WORDS: dict[PageState, tuple[str, str]] = {  # the word people see, and its tone
    "not_connected": ("Not connected", ""),
    "connecting": ("Connecting", "busy"),
    "backfilling": ("Backfilling", "busy"),
    "connected": ("Connected", "good"),
    "attention": ("Attention", "bad"),
    "disconnected": ("Disconnected", ""),
}
PAUSED_WORDS = ("Paused", "warn")  # by the operators: an attention that asks nothing of its readers


@dataclass(frozen=True, slots=True)
class Choice:
    """One option as people tick it; `name` is its field in `ProjectOptions`."""

    name: str
    words: str
    hint: str


CHOICES = (
    Choice(
        "send_emails",
        "Let Procore mail its own notifications of returned submittals",
        "Whom Procore mails is set there. Without it, nobody is mailed. Bringing everything over "
        "for the first time never mails anybody.",
    ),
    Choice(
        "show_drafts",
        "Show drafts as Upcoming",
        "The design team sees RFIs and submittals that are still drafts in Procore, and cannot "
        "answer them yet. Without it, they stay in Procore until they are opened. Drafts that came "
        "over stay in Part3 when this is turned off.",
    ),
)
ONLY_CONTRACTORS = Refusal(
    403,
    "Only a General Contractor can do this",
    "You are on this project's team, but not as a General Contractor in Part3. "
    "Nothing was changed.",
    "Ask a General Contractor on the team to do it.",
)


def state_of(connection: ConnectionView | None, standing: Standing) -> PageState:
    """Say which state the page shows."""
    if connection is None:
        return "not_connected"
    if connection.state == "disconnected":
        return "disconnected"
    if connection.state == "paused":
        return "attention"
    return standing.page_state


@dataclass(frozen=True, slots=True)
class OwnAuthorization:
    """What becomes of the visitor's authorization when the project is disconnected."""

    is_owner: bool
    authorized: bool
    used_by: Sequence[str] = ()  # other projects; where there is one it stays


async def _own_authorization(
    desk: Desk, visit: Visit, connection: ConnectionView | None
) -> OwnAuthorization:
    user_id = visit.session.user_id
    if await desk.ports.grants.view(user_id) is None:
        return OwnAuthorization(_owns(visit, connection), authorized=False)
    used_by = await desk.ports.connections.uses_of(user_id, but_not=visit.project.id)
    return OwnAuthorization(_owns(visit, connection), authorized=True, used_by=used_by)


async def show_project(desk: Desk, request: Request) -> Response:
    """Show the project's connection, or how to make one."""
    visit = await member_of_project(desk, request)
    connection = await desk.ports.connections.view(visit.project.id)
    standing = await read_standing(desk.database, visit.project.id)
    came_over = await read_what_came(desk.database, visit.project.id)
    if connection is not None and connection.unlinked and came_over.nothing:
        connection = None  # it was undone before anything came over: no trace stays
    state = state_of(connection, standing)
    asked = request.query_params.get("ask") if visit.may_connect else None
    told_end = state == "disconnected" and request.query_params.get("ended") == "authorization"
    connected = state in ("backfilling", "connected", "attention")
    paused = state == "attention" and (standing.is_paused or standing.attention is None)
    words, tone = PAUSED_WORDS if paused else STATE_WORDS[state]
    activity_path = visit.integrations_path.removesuffix("integrations") + "activity"
    return desk.pages.page(
        "project.html",
        visit.session,
        project=visit.project,
        here=visit.integrations_path,
        may_connect=visit.may_connect,
        contractors=[m for m in visit.project.team if m.role == GENERAL_CONTRACTOR],
        connection=connection,
        owner_name=owner_name(visit, connection),
        owner_note=await _owner_note(desk, visit, connection) if connected else None,
        state=state,
        state_words=words,
        tone=tone,
        standing=standing,
        attention=standing.attention if state == "attention" and not paused else None,
        health=health_of(standing, activity_path, paused=paused),
        live=live_values(standing),
        choices=CHOICES,
        comparisons=await read_comparisons(desk.database, visit.project.id),
        asking=connected and asked == "disconnect",
        asking_unlink=_may_unlink(connection) and asked == "unlink",
        may_unlink=_may_unlink(connection),
        may_own=connected and visit.may_connect and not _owns(visit, connection),
        came_over=came_over,
        own=await _own_authorization(desk, visit, connection)
        if asked == "disconnect" or told_end
        else None,
        told_end=told_end,
    )


def _may_unlink(connection: ConnectionView | None) -> bool:
    """Tell whether there is something to unlink: also after a disconnect."""
    return connection is not None and not connection.unlinked


def _owns(visit: Visit, connection: ConnectionView | None) -> bool:
    return connection is not None and connection.owner_user_id == visit.session.user_id


def owner_name(visit: Visit, connection: ConnectionView | None) -> str:
    """Return the connection owner's name as Part3 has it today, else as it was then."""
    if connection is None:
        return ""
    member = visit.project.member(connection.owner_user_id)
    return member.name if member else connection.owner_name


async def _owner_note(desk: Desk, visit: Visit, connection: ConnectionView | None) -> str | None:
    if connection is None:
        return None
    grant = await desk.ports.grants.view(connection.owner_user_id)
    if grant is not None and grant.state == "authorized":
        return None
    name = owner_name(visit, connection)
    return (
        f"{name}, who connected the project, has no working authorization in Procore any more. "
        "Reading goes on with another General Contractor who has authorized, if there is one. "
        f"{name} can authorize again under Account settings, Integrations."
    )


async def choose_options(desk: Desk, request: Request) -> Response:
    """Keep what a General Contractor chose for the project."""
    visit = await member_of_project(desk, request)
    fields = await own_form(desk, request, visit.session)
    if not visit.may_connect:
        raise Refused(ONLY_CONTRACTORS, visit.session)
    ticked = {choice.name: fields.get(choice.name) == "yes" for choice in CHOICES}
    options = msgspec.convert(ticked, ProjectOptions)
    await desk.ports.connections.choose(visit.project.id, visit.session.user_id, options)
    return see(visit.integrations_path)


async def disconnect_project(desk: Desk, request: Request) -> Response:
    """Stop both directions; both copies stay. The visitor's authorization ends if they say so."""
    visit = await member_of_project(desk, request)
    fields = await proven_form(desk, request, visit.session)
    if not visit.may_connect:
        raise Refused(ONLY_CONTRACTORS, visit.session)
    ends = fields.get("end_authorization") == "yes"
    connection = await desk.ports.connections.view(visit.project.id)
    if connection is not None:
        await desk.ports.connections.disconnect(
            visit.project.id, visit.session.user_id, end_authorization=ends
        )
    return see(visit.integrations_path + ("?ended=authorization" if ends else ""))


async def show_progress(desk: Desk, request: Request) -> Response:
    """Stream the backfill's progress for as long as the page shows it."""
    visit = await member_of_project(desk, request)

    async def page_state() -> tuple[PageState, Standing]:
        connection = await desk.ports.connections.view(visit.project.id)
        standing = await read_standing(desk.database, visit.project.id)
        return state_of(connection, standing), standing

    return stream_progress(page_state, desk.ending)


def routes(desk: Desk) -> list[Route]:
    """Return the routes of the project's Integrations page, the steps of connecting apart."""
    return [
        Route(PATH, guarded(desk, show_project), methods=["GET"]),
        Route(f"{PATH}/progress", guarded(desk, show_progress), methods=["GET"]),
        Route(f"{PATH}/options", guarded(desk, choose_options), methods=["POST"]),
        Route(f"{PATH}/disconnect", guarded(desk, disconnect_project), methods=["POST"]),
    ]

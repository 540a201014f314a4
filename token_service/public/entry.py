"""Who may come in: the visit, the project's team, and forms that are the visitor's own.

Every handler of a page is wrapped by `guarded`, so a refusal, a side that is out of reach and a
person without access read the same on all pages.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from schemas.returns import Member, Project
from services.errors import NeedsPerson, TryLater
from services.postgres import ProjectReads
from token_service.public import render
from token_service.public.ports import Ports, Session
from token_service.public.reasons import words_for
from token_service.public.render import Pages, Refusal

MAX_FORM_BYTES = 16 * 1024
MAX_FORM_FIELDS = 40
FORM_TYPE = "application/x-www-form-urlencoded"
OWN_PATHS = (
    re.compile(r"/account/integrations"),
    re.compile(
        r"/projects/[^/?#\\\s]{1,200}/(integrations(/connect)?|activity|completeness|dispositions)"
    ),
    re.compile(r"/projects/[^/?#\\\s]{1,200}/returns/[^/?#\\\s]{1,200}"),
)
GENERAL_CONTRACTOR = "general_contractor"

log = structlog.get_logger()
Handler = Callable[[Request], Awaitable[Response]]


class Refused(Exception):  # noqa: N818 - says what happened to the request
    """The request ends here with a page that says why."""

    def __init__(self, refusal: Refusal, viewer: Session | None = None) -> None:
        self.refusal = refusal
        self.viewer = viewer
        super().__init__(refusal.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What every page is made with.

    Attributes:
        database: the workers' tables, which this service reads one project a time.
        authorize_path: where the Authorize button posts to.
        ending: set when the program is asked to end; live streams then end too.
    """

    pages: Pages
    ports: Ports
    database: ProjectReads
    authorize_path: str
    ending: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Visit:
    """A member of a project at one of its pages."""

    session: Session
    project: Project
    member: Member

    @property
    def may_connect(self) -> bool:
        """Only the general contractor's people decide about the connection."""
        return self.member.role == GENERAL_CONTRACTOR

    @property
    def integrations_path(self) -> str:
        """The path of the project's Integrations page."""
        return f"/projects/{quote(self.project.id, safe='')}/integrations"


async def signed_in(desk: Desk, request: Request) -> Session:
    """Return the visit, or refuse with 401."""
    session = await desk.ports.sessions.visitor(request)
    if session is None:
        raise Refused(render.NO_SESSION)
    return session


async def member_of_project(desk: Desk, request: Request) -> Visit:
    """Ask Part3 afresh who the visitor is on the project.

    Raises:
        Refused: 401 without a visit; 404 for a project that is not there or not theirs, alike.
        TryLater: Part3 or Postgres does not answer.
    """
    session = await signed_in(desk, request)
    project = await desk.ports.part3.project(request.path_params["project_id"])
    member = project.member(session.user_id) if project else None
    if project is None or member is None:
        raise Refused(render.NOT_FOUND, session)
    return Visit(session, project, member)


async def own_form(desk: Desk, request: Request, session: Session) -> Mapping[str, str]:
    """Return the fields of a form that came from the visitor's own page, or refuse with 403."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise Refused(render.BAD_FORM, session)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise Refused(render.BAD_FORM, session)
    try:
        fields = dict(
            parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
        )
    except ValueError as error:
        raise Refused(render.BAD_FORM, session) from error
    if not desk.ports.sessions.own_form(request, session, fields.get("csrf_token", "")):
        raise Refused(render.BAD_FORM, session)
    return fields


async def proven_form(desk: Desk, request: Request, session: Session) -> Mapping[str, str]:
    """Return the fields of a form that decides something, as `own_form` does.

    It is refused when Part3 said too long ago who the visitor is: a stolen visit must decide
    nothing.
    """
    fields = await own_form(desk, request, session)
    if not session.proven:
        raise Refused(render.NOT_PROVEN, session)
    return fields


def own_path(path: str | None) -> str | None:
    """Return a path that people may be led back to, or None for any other text."""
    if path and any(pattern.fullmatch(path) for pattern in OWN_PATHS):
        return path
    return None


def see(path: str) -> Response:
    """Lead the browser to one of our own paths after a form (303)."""
    return RedirectResponse(path, status_code=303, headers={"cache-control": "no-store"})


def guarded(desk: Desk, handler: Callable[[Desk, Request], Awaitable[Response]]) -> Handler:
    """Wrap a page's handler: refusals and outages become pages that say what to do."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(desk, request)
        except Refused as refused:
            return desk.pages.refuse(refused.refusal, refused.viewer)
        except TryLater as error:
            log.warning("page.out_of_reach", reason=error.reason, page=handler.__name__)
            return desk.pages.refuse(outage(error.reason))
        except NeedsPerson as error:
            log.info("page.needs_person", reason=error.reason, page=handler.__name__)
            return desk.pages.refuse(Refusal(409, "Not yet", *words_for(error.reason)))

    return handle


def outage(reason: str) -> Refusal:
    """Return the page for a side that does not answer now."""
    if reason.startswith("part3"):
        return render.PART3_DOWN
    if reason == "rate_limited":
        return render.PROCORE_BUSY
    return render.STORE_DOWN if reason.startswith("postgres") else render.PROCORE_DOWN

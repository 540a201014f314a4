"""Logging in and out of Procore."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sandbox.procore.domain import directory
from sandbox.procore.pages import sessions
from sandbox.procore.pages.frame import Desk

Endpoint = Callable[[Request], Awaitable[Response]]


def form_of(desk: Desk) -> Endpoint:
    """The login page; `next` is where to go afterwards."""

    async def form(request: Request) -> Response:
        return desk.render_outside(
            "login.html", {"next": own_path(request.query_params.get("next")), "refused": False}
        )

    return form


def submit_of(desk: Desk) -> Endpoint:
    """Check email and password, begin a session."""

    async def submit(request: Request) -> Response:
        form = await request.form()
        next_path = own_path(str(form.get("next", "/")))
        person = directory.sign_in(
            desk.world, str(form.get("email", "")), str(form.get("password", ""))
        )
        if person is None:
            values = {"next": next_path, "refused": True}
            return desk.render_outside("login.html", values, 401)
        response = RedirectResponse(next_path, 303)
        sessions.begin(desk.world, person, response)
        return response

    return submit


def leave_of(_desk: Desk) -> Endpoint:
    """Log out."""

    async def leave(_request: Request) -> Response:
        response = RedirectResponse("/login", 303)
        sessions.end(response)
        return response

    return leave


def own_path(path: str | None) -> str:
    """A path of this host, else the start page."""
    fine = path and path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if path and fine else "/"

"""The application of the public port: pages, sign-in, consent, and health."""

from collections.abc import Awaitable, Callable

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.health import Health, health_routes
from services.http_exchange import AsgiApp
from token_service.public.entry import Desk
from token_service.public.headers import SafeHeaders
from token_service.public.launch import LaunchPad, launch_routes
from token_service.public.oauth import AuthorizeDesk, oauth_routes
from token_service.public.render import BROKEN, NOT_FOUND, Pages
from token_service.public.routes import page_routes

NOT_FOUND_STATUS = 404
Handler = Callable[[Request, Exception], Awaitable[Response]]
log = structlog.get_logger()


def public_app(
    desk: Desk, pad: LaunchPad, authorizing: AuthorizeDesk, health: Health, *, https: bool
) -> AsgiApp:
    """Return everything that people's browsers reach."""
    app = Starlette(
        routes=[
            *launch_routes(desk, pad),
            *oauth_routes(desk, authorizing),
            *page_routes(desk),
            *health_routes(health),
        ],
        exception_handlers={
            HTTPException: _refusals(desk.pages),
            Exception: _breakage(desk.pages),
        },
    )
    return SafeHeaders(app, https=https)


def _refusals(pages: Pages) -> Handler:
    async def refuse(_request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code != NOT_FOUND_STATUS:
            return Response(status_code=error.status_code, headers=error.headers)
        return pages.refuse(NOT_FOUND)

    return refuse


def _breakage(pages: Pages) -> Handler:
    async def apologize(request: Request, error: Exception) -> Response:
        route = request.scope.get("route")
        log.error("page.broke", page=getattr(route, "path", "?"), error=type(error).__name__)
        return pages.refuse(BROKEN)

    return apologize

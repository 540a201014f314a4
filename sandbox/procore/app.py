"""The stand-in as two applications over one world: login, pages and API; and storage."""

from email.utils import format_datetime

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.procore.control import Control
from sandbox.procore.oauth import LoginHost
from sandbox.procore.pages import page_routes
from sandbox.procore.rest.gate import Gate
from sandbox.procore.rest.routes import api_routes
from sandbox.procore.storage_host import build_storage
from sandbox.procore.world import World


class Dated:
    """Every answer's `Date` is of the stand-in's clock, as the times inside the answer are."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and date what begins to be answered."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = format_datetime(self._world.now(), usegmt=True)
                MutableHeaders(scope=message)["Date"] = now
            await send(message)

        await self._app(scope, receive, dated)


def build_app(world: World) -> Starlette:
    """Login host, API host and pages on one origin, with the storage host at `app.state.storage`.

    In a test, mount the two on two ASGI transports and set `world.public_url` and
    `world.storage_url` to their origins.
    """
    gate = Gate(world)
    routes: list[BaseRoute] = [
        *LoginHost(world, gate).routes(),
        *Control(world).routes(),
        *api_routes(gate),
        *page_routes(world),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(Dated, world)])
    app.state.world = world
    app.state.storage = build_storage(world, gate)
    app.state.storage.add_middleware(Dated, world)
    return app

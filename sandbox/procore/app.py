"""The stand-in as two applications over one world: login, pages and API; and storage."""

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from sandbox.procore.control import Control
from sandbox.procore.oauth import LoginHost
from sandbox.procore.pages import page_routes
from sandbox.procore.rest.gate import Gate
from sandbox.procore.rest.routes import api_routes
from sandbox.procore.storage_host import build_storage
from sandbox.procore.world import World


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
    app = Starlette(routes=routes)
    app.state.world = world
    app.state.storage = build_storage(world, gate)
    return app

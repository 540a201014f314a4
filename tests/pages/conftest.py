"""The pages over the fakes, with the worker's tables in a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import httpx2
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from services.postgres import Postgres, migrate, open_postgres
from tests.pages.fakes import ADA, GINA, World
from tests.pages.reading import Visitor
from token_service.public.entry import Desk
from token_service.public.render import Pages
from token_service.public.routes import page_routes

LOGIN_URL = "https://login.procore.example"
PART3_ORIGIN = "https://part3.example"


@pytest.fixture
def world() -> World:
    return World()


@pytest_asyncio.fixture
async def mirror(database: str) -> AsyncIterator[Postgres]:
    await migrate(database, ["sync_worker"])
    async with open_postgres(database) as postgres:
        yield postgres


@pytest.fixture
def ending() -> asyncio.Event:
    """Set it to ask the program to end."""
    return asyncio.Event()


@pytest.fixture
def app(world: World, mirror: Postgres, ending: asyncio.Event) -> Starlette:
    desk = Desk(
        pages=Pages(part3_origin=PART3_ORIGIN, login_url=LOGIN_URL),
        ports=world.ports,
        database=mirror,
        authorize_path="/oauth/procore/authorize",
        ending=ending,
    )
    return Starlette(routes=page_routes(desk))


@pytest_asyncio.fixture
async def visit(app: Starlette, world: World) -> AsyncIterator[Callable[[str | None], Visitor]]:
    """Make visitors: `visit(cookie)`, or `visit(None)` for somebody who is not signed in."""
    async with AsyncExitStack() as stack:
        clients: list[httpx2.AsyncClient] = []

        def come_in(cookie: str | None) -> Visitor:
            client = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=app), base_url="https://connector.example"
            )
            if cookie:
                client.cookies.set("visit", cookie)
            clients.append(client)
            stack.push_async_callback(client.aclose)
            return Visitor(client)

        yield come_in


@pytest.fixture
def gina(visit: Callable[[str | None], Visitor], world: World) -> Visitor:
    """The general contractor's project manager, authorized."""
    world.grants.authorize(GINA.user_id, "Gina Castellano", "gina@harbourbuild.example")
    return visit(world.sessions.sign_in(GINA))


@pytest.fixture
def ada(visit: Callable[[str | None], Visitor], world: World) -> Visitor:
    """The prime consultant, not authorized."""
    return visit(world.sessions.sign_in(ADA))

"""A small world over ASGI: one company, a manager, an architect, an engineer, a trade."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from sandbox.procore import seeding
from sandbox.procore.app import build_app
from sandbox.procore.control import AppOrder, register
from sandbox.procore.world import World
from tests.sandbox.procore.site import (
    API,
    CLIENT_ID,
    CLIENT_SECRET,
    REDIRECT,
    STORAGE,
    Site,
    small_spec,
)
from tests.sandbox.procore.webhook_receiver import Receiver


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "procore")
    made.public_url, made.storage_url = API, STORAGE
    register(
        made,
        AppOrder(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, redirect_uris=(REDIRECT,)),
    )
    seeding.build(made, small_spec())
    yield made
    made.close()


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    app = build_app(world)
    mounts = {
        API: httpx2.ASGITransport(app=app),
        STORAGE: httpx2.ASGITransport(app=app.state.storage),
    }
    async with httpx2.AsyncClient(mounts=mounts, base_url=API) as http:
        yield Site(world, http)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/procore/p1/1"
    async with server:
        yield made

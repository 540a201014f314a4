"""A probe on the stand-in for Procore, with people who log in and press Allow."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from sandbox.procore import seeding
from sandbox.procore.app import build_app
from sandbox.procore.control import AppOrder, register
from sandbox.procore.switches import Switches
from sandbox.procore.world import World
from tests.probe.bench import Bench
from tests.sandbox.procore.site import API, CLIENT_ID, CLIENT_SECRET, STORAGE, small_spec


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "procore")
    made.public_url, made.storage_url = API, STORAGE
    register(
        made,
        AppOrder(
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            redirect_uris=("urn:ietf:wg:oauth:2.0:oob",),
        ),
    )
    seeding.build(made, small_spec())
    made.set_switches(Switches(rate_limit_spike=1000))  # or a whole probe would have to wait
    yield made
    made.close()


@pytest.fixture
async def bench(world: World, tmp_path: Path) -> AsyncIterator[Bench]:
    app = build_app(world)
    async with httpx2.AsyncClient(
        mounts={
            API: httpx2.ASGITransport(app=app),
            STORAGE: httpx2.ASGITransport(app=app.state.storage),
        },
        base_url=API,
    ) as http:
        yield Bench(world, http, app, tmp_path / "probe")

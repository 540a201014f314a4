"""Each of the seven is made to happen at the stand-in, and counted as one by us and in its ledger.

Both of our clients count: the workers' and that of the pages.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from sandbox.procore.app import build_app
from sandbox.procore.switches import Switches
from sandbox.procore.world import World
from services.errors import ConnectorError
from services.http_client import HttpClient
from services.metrics import Metrics
from services.procore.call import Caller
from services.procore.counting import CallMeasures
from services.procore.models import Place
from services.procore.pacer import Priority
from services.procore.turns import Turns
from tests.procore_client.test_procore_and_its_stand_in import SiteTokens
from tests.sandbox.procore.conftest import world as world  # noqa: PLC0414 - a fixture
from tests.sandbox.procore.site import API, MANAGER, Site
from tests.seven_observations import OBSERVATIONS, calls_on_the_api, observed_in
from token_service.connections.procore_api import ProcoreApi

Read = Callable[[str, str], Awaitable[Any]]
RFIS = "/rest/v1.0/projects/{project}/rfis"


@dataclass(frozen=True)
class Case:
    """What is called, how often, and what the stand-in does then."""

    path: str = RFIS
    times: int = 1
    status: int | None = None
    named: bool = True  # the company, in its header


MADE = {
    "unauthorized": Case(status=401),
    "forbidden_again": Case(status=403, times=2),
    "not_found": Case(path=RFIS + "/9"),
    "rate_limited": Case(status=429),
    "no_company_header": Case(named=False),
    "deprecated": Case(path="/rest/v1.0/projects/{project}/submittals"),
    "undocumented": Case(path="/rest/v1.0/projects/{project}/submittal_responses"),
}


class PageTokens(SiteTokens):
    """As the token service's own pages get them."""

    async def get(self, user_id: str, *, caller: str, rejected: str | None = None) -> Any:
        assert caller == "token_service"
        if rejected is not None:
            self._held.clear()
        return await self.access_token(user_id)


class Counted:
    """One of our clients before the stand-in, and what it exports."""

    def __init__(self, program: str, site: Site, http: HttpClient) -> None:
        self.site, self.metrics = site, Metrics()
        tokens, observe = PageTokens(site), CallMeasures(self.metrics).note
        caller = Caller(http, API, tokens, observe=observe)
        pages = ProcoreApi(http, API, tokens, Turns(), observe=observe)
        project = str(site.project.id)

        async def by_worker(path: str, company_id: str) -> Any:
            place = Place(company_id=company_id, project_id=project)
            return await caller.read(place, path, whose=MANAGER, priority=Priority.LOOK)

        async def by_page(path: str, company_id: str) -> Any:
            return await pages.call(MANAGER, "GET", path, company_id=company_id)

        self.read: Read = by_worker if program == "worker" else by_page

    async def make(self, case: Case) -> None:
        site = self.site
        rule = {"kind": "status", "path": "/rfis$", "status": case.status, "count": case.times}
        rules = [] if case.status is None else [rule | {"retry_after_s": 5}]
        await site.http.post("/_sandbox/faults", json={"rules": rules})
        site.world.switches = Switches(missing_company_header="tolerated")
        path = case.path.format(project=site.project.id)
        for _ in range(case.times):
            with suppress(ConnectorError):
                await self.read(path, str(site.company_id) if case.named else "")

    def exported(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    async def ledger(self) -> list[Any]:
        calls: list[Any] = (await self.site.http.get("/_sandbox/ledger")).json()["calls"]
        return calls


@pytest.fixture(params=["worker", "token service"])
async def counted(request: pytest.FixtureRequest, world: World) -> AsyncIterator[Counted]:
    transport = httpx2.ASGITransport(app=build_app(world))
    http = HttpClient("Procore", transport=transport)
    async with httpx2.AsyncClient(transport=transport, base_url=API) as by_hand:
        yield Counted(request.param, Site(world, by_hand), http)
    await http.close()


@pytest.mark.parametrize("observation", [*MADE, None])
async def test_each_observation_is_counted_once_by_us_and_in_the_ledger(
    observation: str | None, counted: Counted
) -> None:
    await counted.make(MADE[observation] if observation else Case())
    expected = {name: int(name == observation) for name in OBSERVATIONS}
    ledger = await counted.ledger()
    assert {name: len(calls) for name, calls in observed_in(ledger).items()} == expected
    series = "connector_integration_health_total"
    assert {name: counted.exported(series, observation=name) for name in OBSERVATIONS} == expected
    made = sum(
        counted.exported("connector_procore_calls_total", method="GET", answer=answer) or 0
        for answer in ("2xx", "4xx", "429")
    )
    assert made == len(calls_on_the_api(ledger)) >= 1

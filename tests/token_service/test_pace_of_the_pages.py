"""The pages' calls on Procore keep one pace with the workers', and are counted as theirs are."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from services.errors import NeedsPerson, TryLater
from services.procore.integration_health import OBSERVATIONS
from services.procore.pacer import Priority
from services.procore.pacing import PostgresPace
from services.procore.sharing import Window
from tests.token_service.browser import ACCOUNT, Browser
from tests.token_service.conftest import ANNA, Running
from tests.token_service.connecting import order
from tests.token_service.login_host import LoginHost
from tests.token_service.procore_api_host import COMPANY, ProcoreHost

pytestmark = pytest.mark.postgres
LOOK = Priority.LOOK


@pytest.fixture
async def anna(running: Running, login: LoginHost) -> Running:
    await running.grant("anna", ANNA, login)
    return running


async def companies(running: Running) -> int:
    return len(await running.services.desk.ports.procore.companies("anna"))


def worker_beside(running: Running) -> PostgresPace:
    return PostgresPace(running.database)


def with_headers(left: int, limit: int = 25) -> httpx2.Response:
    ends_at = int(datetime.now(UTC).timestamp()) + 9
    said = {"limit": str(limit), "remaining": str(left), "reset": str(ends_at)}
    headers = {f"x-rate-limit-{name}": value for name, value in said.items()}
    return httpx2.Response(200, json=[COMPANY], headers=headers | {"total": "1"})


async def test_what_a_pages_answer_says_of_the_window_holds_for_workers(
    anna: Running, procore: ProcoreHost
) -> None:
    procore.next_answers = [with_headers(left=2)]
    assert await companies(anna) == 1
    pace = worker_beside(anna)
    assert await pace.take("anna", Priority.SWEEP) is not None  # the last calls are for people
    assert [await pace.take("anna", LOOK) for _ in range(2)] == [None, None]
    assert await pace.take("anna", LOOK) is not None


async def test_after_a_pages_429_no_worker_calls(anna: Running, procore: ProcoreHost) -> None:
    procore.next_answers = [httpx2.Response(429, headers={"retry-after": "30"})]
    with pytest.raises(TryLater):
        await companies(anna)
    wait_s = await worker_beside(anna).take("anna", LOOK)
    assert wait_s is not None
    assert 20 < wait_s <= 30


async def test_while_a_worker_was_told_to_wait_a_page_says_so_at_once(
    anna: Running, procore: ProcoreHost
) -> None:
    pace = worker_beside(anna)
    assert await pace.take("anna", LOOK) is None
    await pace.note("anna", None, 30)
    with pytest.raises(TryLater) as caught:
        await companies(anna)
    assert caught.value.reason == "rate_limited"
    assert caught.value.not_before is not None
    assert caught.value.not_before > datetime.now(UTC) + timedelta(seconds=20)
    assert procore.calls == []


async def test_a_page_goes_before_sweeps_when_few_calls_are_left(
    anna: Running, procore: ProcoreHost
) -> None:
    pace = worker_beside(anna)
    assert await pace.take("anna", LOOK) is None
    await pace.note("anna", Window(25, 3, 9), 0)
    assert await pace.take("anna", Priority.SWEEP) is not None
    assert await companies(anna) == 1


async def test_a_consent_while_procore_asks_to_wait_is_told_to_come_again(
    running: Running, procore: ProcoreHost, login: LoginHost
) -> None:
    pace = worker_beside(running)
    assert await pace.take("anna", LOOK) is None
    await pace.note("anna", None, 30)
    browser = Browser(running)
    await browser.launch("anna")
    answer = await browser.consent(login, ANNA)
    assert answer.headers["location"] == f"{ACCOUNT}?notice=busy"
    assert (
        "press Authorize again in a few minutes"
        in (await browser.get(answer.headers["location"])).text
    )
    assert procore.calls == []
    assert await running.services.desk.ports.grants.view("anna") is None


async def test_consents_hooks_pages_and_refreshes_are_all_in_health(
    running: Running, procore: ProcoreHost, login: LoginHost
) -> None:
    procore.names_need_a_company = True
    browser = Browser(running)
    await browser.launch("anna")
    await browser.consent(login, ANNA)
    seen = running.services.desk.ports.procore
    project = order().procore_project_id
    await seen.companies("anna")
    await seen.projects("anna", "11")
    await seen.tools("anna", "11", project)
    await seen.counts("anna", "11", project)
    await seen.responses("anna", "11", project)
    await running.services.connections.create(order())
    procore.triggers["1"].pop()
    await running.services.connections.ensure_hook("p-1")
    await running.services.connections.disconnect("p-1", "anna")
    await running.age("anna", -1)
    await running.services.tokens.get("anna", caller="sync_worker")
    await running.services.desk.ports.grants.revoke("anna")
    calls = "connector_procore_calls_total"
    made = [sample(running, calls, method=m, answer="2xx") for m in ("GET", "POST", "DELETE")]
    assert all(made)
    assert sum(filter(None, made)) == len(procore.calls)
    health = "connector_integration_health_total"
    counted = {name: sample(running, health, observation=name) for name in OBSERVATIONS}
    assert counted == dict.fromkeys(OBSERVATIONS, 0)


async def test_a_refused_refresh_counts_as_unauthorized(running: Running, login: LoginHost) -> None:
    await running.grant("anna", ANNA, login, seconds_left=-1)
    login.statuses = [(401, b'{"error":"invalid_grant"}', {})]
    with pytest.raises(NeedsPerson):
        await running.services.tokens.get("anna", caller="sync_worker")
    health = "connector_integration_health_total"
    assert sample(running, health, observation="unauthorized") == 1


def sample(running: Running, name: str, **labels: str) -> float | None:
    return running.metrics.registry.get_sample_value(name, labels)

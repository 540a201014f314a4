"""Kafka and Postgres killed under work: refused in time, and then all goes on by itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from connector.demo.worlds import PROJECT_ID
from deploy.local.kafka import LocalKafka, start_kafka
from deploy.local.postgres import LocalPostgres, start_postgres
from deploy.local.runs import DATA_FOLDER, open_run
from services.hook_secrets import hook_secret
from services.settings import Reader
from tests.stack.fault_stacks import QUICK, Site, connected_site
from tests.stack.stacks import running_stack

pytestmark = [
    pytest.mark.stack,
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.asyncio(loop_scope="module"),
]

ANSWER_WITHIN_S = 4.0
"""Procore hangs up after 5 s; what waits longer than this is not an answer any more."""


@dataclass(frozen=True)
class Outages:
    """A site on servers that nobody else uses."""

    site: Site
    kafka: LocalKafka
    postgres: LocalPostgres


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outages() -> AsyncIterator[Outages]:
    async with open_run(DATA_FOLDER) as run:
        kafka = await start_kafka(run, DATA_FOLDER / "cache")
        postgres = await start_postgres(run)
        async with (
            running_stack(kafka.bootstrap_servers, postgres.url, overrides=QUICK) as stack,
            connected_site(stack) as site,
        ):
            yield Outages(site, kafka, postgres)
            assert site.faults_logged() == []


async def test_without_kafka_the_gateway_says_so_in_time_and_nothing_is_lost(
    outages: Outages,
) -> None:
    site = outages.site
    rfi_id = await site.ask_rfi("Before the outage")
    await site.until_titled("rfi", rfi_id, "Before the outage")
    payload, url = await _some_event(site, rfi_id)
    outages.kafka.program.kill()
    for _ in range(2):  # when Kafka is lost, and when it is known to be lost
        answers = await asyncio.gather(*(_post(site, url, payload) for _ in range(5)))
        assert {answer.status_code for answer in answers} == {503}
    assert (await site.http.get(f"{site.stack.gateway}/readyz")).status_code == 503

    await site.rename_rfi(rfi_id, "During the outage")
    return_id = await site.return_rfi(rfi_id, "Answered during the outage.")
    new_id = await site.ask_rfi("Asked during the outage")
    await outages.kafka.program.start()

    await site.until_titled("rfi", rfi_id, "During the outage")
    await site.until_titled("rfi", new_id, "Asked during the outage")
    await site.until_return(return_id, "delivered")
    assert len(await site.replies(rfi_id)) == 1
    assert await _is_ready(site, site.stack.gateway)
    assert (await _post(site, url, payload)).status_code == httpx2.codes.NO_CONTENT


@pytest.mark.parametrize("moment", ["before it is sent", "while it is on its way"])
async def test_after_an_outage_of_postgres_a_return_has_arrived_once(
    outages: Outages, moment: str
) -> None:
    site = outages.site
    subject = f"Postgres goes {moment}"
    rfi_id = await site.ask_rfi(subject)
    await site.until_titled("rfi", rfi_id, subject)
    replying = f"/rfis/{rfi_id}/replies"
    if moment == "while it is on its way":
        slow = {"kind": "latency", "method": "POST", "path": f"{replying}$", "delay_s": 1.5}
        await site.procore_faults(slow)
        return_id = await site.return_rfi(rfi_id, "Use a thermal break.")
        await site.until("the answer is on its way", lambda: site.calls("POST", replying))
        outages.postgres.program.kill()

        async def answered() -> bool:
            return [call["status"] for call in await site.calls("POST", replying)] == [201]

        await site.until("Procore took it, and nobody can note that", answered)
    else:
        outages.postgres.program.kill()
        return_id = await site.return_rfi(rfi_id, "Use a thermal break.")
    await site.rename_rfi(rfi_id, f"{subject}, renamed meanwhile")
    page = f"{site.stack.pages}/projects/{PROJECT_ID}/integrations"
    await site.dana.browser.open(page)
    assert site.dana.browser.status == 503
    await outages.postgres.program.start()

    await site.until_return(return_id, "delivered")
    await site.until_titled("rfi", rfi_id, f"{subject}, renamed meanwhile")
    replies = await site.replies(rfi_id)
    assert [reply["created_by_id"] for reply in replies] == [site.procore_id_of(site.maya)]
    assert await site.receipts(return_id) == [str(replies[0]["id"])]
    assert len(await site.calls("POST", replying)) == 1
    await site.dana.browser.open(page)
    assert (site.dana.browser.status, site.dana.browser.state()) == (200, "connected")
    assert await _is_ready(site, site.stack.pages)


async def test_after_an_outage_of_postgres_a_look_that_was_under_way_is_taken_again(
    outages: Outages,
) -> None:
    site = outages.site
    rfi_id = await site.ask_rfi("Parapet cap")
    await site.until_titled("rfi", rfi_id, "Parapet cap")
    shown = f"/rfis/{rfi_id}"
    before = len(await site.calls("GET", shown))
    slow = {"kind": "latency", "method": "GET", "path": f"{shown}$", "delay_s": 1.5}
    await site.procore_faults(slow)
    await site.rename_rfi(rfi_id, "Parapet cap, sloped inwards")

    async def asked() -> bool:
        return len(await site.calls("GET", shown)) > before

    async def answered() -> bool:
        return [call["status"] for call in await site.calls("GET", shown)][before:] == [200]

    await site.until("it is looked at", asked)
    outages.postgres.program.kill()
    await site.until("Procore showed it, and nobody can note that", answered)
    await site.procore_faults()
    await outages.postgres.program.start()
    await site.until_titled("rfi", rfi_id, "Parapet cap, sloped inwards")


async def _some_event(site: Site, record_id: str) -> tuple[dict[str, Any], str]:
    deliveries = (await site.procore_ledger())["deliveries"]
    found = next(one for one in deliveries if record_id in one["payload"])
    return json.loads(found["payload"]), found["endpoint"]


async def _post(site: Site, url: str, payload: dict[str, Any]) -> httpx2.Response:
    """Post an event as Procore does; raises when there is no answer in time."""
    key = Reader(site.stack.environment).key_ring("WEBHOOK_SECRET_KEYS").first.secret
    headers = {"authorization": hook_secret(key, PROJECT_ID, int(url.rsplit("/", 1)[1]))}
    return await site.http.post(url, json=payload, headers=headers, timeout=ANSWER_WITHIN_S)


async def _is_ready(site: Site, origin: str) -> bool:
    async def ready() -> bool:
        return (await site.http.get(f"{origin}/readyz")).is_success

    return await site.until(f"{origin} is ready again", ready)
